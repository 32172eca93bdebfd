"""Reloading: a new generation of workers takes over from the old one, and no request is lost."""

import contextlib
import json
import os
import signal
import socket
import threading

import wire
from harness import SLOW, Daemon, alive, eventually, free_port
from http_client import Reader

# What the application says is the text of a file when it was imported; GET /wait answers when `go` is there.
APP = """
import os, pathlib, time
DIR = pathlib.Path(__file__).parent
VERSION = (DIR / 'version').read_text()

def application(environ, start_response):
    if environ['PATH_INFO'] == '/wait':
        (DIR / 'here').touch()
        while not (DIR / 'go').exists():
            time.sleep(0.01)
    body = {'/pid': str(os.getpid()), '/env': os.environ.get('NAME', '')}.get(environ['PATH_INFO'], VERSION)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body.encode()]
"""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def daemon_with(**config):
    return Daemon("app:application", files={"app.py": APP, "version": "one"}, config=config)


def write_version(d, text):
    (d.dir / "app" / "version").write_text(text)


def write_config(d, **config):
    """The daemon's configuration with these keys changed, for its next reload."""
    d.config.update(config)
    d.file.write_text(json.dumps(d.config, indent=1))


def reload(d, *args):
    """`hornbeam reload`, which must succeed; quietly."""
    done = d.hornbeam("reload", *args)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    d.note()


def workers(d):
    with wire.Peer(d.socket) as p:
        return p.call(wire.WORKERS)


def totals(d):
    with wire.Peer(d.socket) as p:
        return p.call(wire.STATUS)["totals"]


def serving(d):
    """The process ids of the workers that are ready."""
    return [w["pid"] for w in workers(d) if w["state"] == "ready"]


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 10).close()
    except ConnectionRefusedError:
        return True
    return False


class Client(threading.Thread):
    """
    Requests on a connection that it keeps for as long as the server does.  A
    connection that ends between two requests is no failure: the server may
    have closed it when it was idle.  What is sent on one that the server has
    not announced to close must be answered, unless the end was on its way; a
    reset never is right.
    """

    def __init__(self, d):
        super().__init__()
        self.daemon_under_test = d
        self.stop = threading.Event()
        self.answers = {}
        self.failures = []
        self.closed = 0

    def run(self):
        while not self.stop.is_set():
            try:
                with self.daemon_under_test.connect() as s:
                    self.use(s)
            except OSError as e:
                self.failures.append(repr(e))

    def use(self, s):
        reader = Reader(s)
        while not self.stop.is_set():
            if not reader.data and self.ended(s):
                self.closed += 1
                return
            s.sendall(GET)
            try:
                status, fields, body = reader.response()
            except AssertionError:
                self.failures.append("no answer")
                return
            if status != 200:
                self.failures.append(status)
            self.answers[body] = self.answers.get(body, 0) + 1
            if fields.get(b"connection") == b"close":
                return

    @staticmethod
    def ended(s):
        s.setblocking(False)
        try:
            return s.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        finally:
            s.settimeout(10 * SLOW)


@contextlib.contextmanager
def load(d, clients=4):
    threads = [Client(d) for _ in range(clients)]
    for t in threads:
        t.start()
    try:
        yield threads
    finally:
        for t in threads:
            t.stop.set()
        for t in threads:
            t.join()


def test_reload_loads_the_application_again():
    with daemon_with(workers=2) as d:
        before = serving(d)
        assert d.get("/").text == "one"
        write_version(d, "two")
        assert d.get("/").text == "one"
        reload(d)
        assert {d.get("/").text for _ in range(10)} == {"two"}
        eventually(lambda: not any(alive(pid) for pid in before))
        assert len(serving(d)) == 2 and not set(serving(d)) & set(before)
        assert [w["index"] for w in workers(d)] == [0, 1]


def test_sighup_reloads_too():
    with daemon_with() as d:
        write_version(d, "two")
        d.proc.send_signal(signal.SIGHUP)
        eventually(lambda: d.get("/").text == "two")
        assert "reload: done" in d.log()
        d.note()


def test_ten_reloads_under_load_lose_no_request():
    with daemon_with(workers=2) as d:
        with load(d) as clients:
            for n in range(10):
                write_version(d, f"version {n}")
                reload(d)
                eventually(lambda n=n: all(f"version {n}".encode() in c.answers for c in clients))
        assert [c.failures for c in clients] == [[]] * len(clients)
        assert all(sum(c.answers.values()) > 50 for c in clients)


def test_the_new_configuration_takes_effect():
    with daemon_with(python={"env": {"NAME": "a"}}) as d:
        d.config["python"].pop("path", None)
        write_config(d, python={"path": [str(d.dir / "app")], "env": {"NAME": "a"}})
        reload(d)
        assert d.get("/env").text == "a"
        write_config(d, python={"path": [str(d.dir / "app")], "env": {"NAME": "b"}},
                     limits={"request_line": 200}, log={"level": "debug"})
        reload(d)
        assert d.get("/env").text == "b"
        assert d.get("/" + "x" * 300).status == 414
        assert " debug hornbeamd[" in d.log()


def test_conf_d_and_set_are_read_as_at_the_start():
    d = daemon_with()
    d.args = ["--set", "limits.request_line=300"]
    (d.dir / "conf.d").mkdir()
    fragment = d.dir / "conf.d" / "env.yaml"
    fragment.write_text("python: {env: {NAME: a}}\n")
    with d:
        assert d.get("/env").text == "a"
        fragment.write_text("python: {env: {NAME: b}}\nlimits: {request_line: 1000}\n")
        reload(d)
        assert d.get("/env").text == "b"
        assert d.get("/" + "x" * 400).status == 414


def test_a_relative_name_of_the_configuration_is_the_same_file_at_a_reload():
    d = daemon_with()
    d.wrap = ["/bin/sh", "-c", 'shift 2; exec "$0" -c hornbeam.yaml "$@"']
    with d:
        write_version(d, "two")
        reload(d)
        assert d.get("/").text == "two"


def test_more_and_fewer_workers():
    with daemon_with(workers=1) as d:
        for count in (3, 2, 1, 4):
            write_config(d, workers=count)
            reload(d)
            assert len(serving(d)) == count
            eventually(lambda n=count: [w["index"] for w in workers(d)] == list(range(n)))
            with wire.Peer(d.socket) as p:
                told = p.call(wire.STATUS)["workers"]
            assert told == {"configured": count, "ready": count, "restarts": 0}
            d.note()


def test_listeners_come_and_go_and_those_that_stay_are_never_closed():
    with daemon_with() as d:
        first, second, path = f"127.0.0.1:{d.port}", free_port(), d.dir / "http.sock"
        unix = {"address": f"unix:{path}", "mode": "0600"}
        with load(d, 2) as clients:
            write_config(d, listen=[f"127.0.0.1:{second}", first, unix])
            reload(d)
            assert not refuses(second)
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(str(path))
                s.sendall(GET)
                assert s.recv(100).startswith(b"HTTP/1.1 200")
            assert path.stat().st_mode & 0o777 == 0o600
            node = path.stat().st_ino
            write_config(d, listen=[first, {**unix, "mode": "0660"}])
            reload(d)
            eventually(lambda: refuses(second))
            assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (node, 0o660)
            write_config(d, listen=[first])
            reload(d)
            assert not path.exists()
        assert [c.failures for c in clients] == [[]] * 2
        with wire.Peer(d.socket) as p:
            assert p.call(wire.STATUS)["listen"] == [first]


def test_a_slow_request_of_the_old_generation_ends_while_the_new_one_serves():
    with daemon_with(workers=1) as d:
        with d.connect(60) as s:
            s.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually((d.dir / "app" / "here").exists)
            old, = serving(d)
            write_version(d, "two")
            reload(d)
            assert [d.get("/").text for _ in range(10)] == ["two"] * 10
            assert [(w["pid"], w["state"]) for w in workers(d)][0] == (old, "draining")
            shown = d.hornbeam("workers").stdout.splitlines()
            assert len(shown) == 3 and "draining" in shown[1] and "ready" in shown[2]
            (d.dir / "app" / "go").touch()
            assert Reader(s).response()[::2] == (200, b"one")
        eventually(lambda: not alive(old))
        eventually(lambda: len(workers(d)) == 1)


def test_an_old_worker_that_does_not_end_is_killed_after_the_graceful_timeout():
    with daemon_with(threads=1, timeouts={"graceful": "200ms"}) as d:
        with d.connect(60) as s:
            s.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually((d.dir / "app" / "here").exists)
            old, = serving(d)
            reload(d)
            reload(d)  # while the first generation still drains
            eventually(lambda: not alive(old))
            assert "were still running after timeouts.graceful" in d.log()
            assert d.get("/").status == 200


def test_totals_do_not_shrink_when_workers_go():
    with daemon_with(workers=2) as d:
        for n in range(1, 6):
            for _ in range(10):
                d.get("/")
            eventually(lambda n=n: totals(d)["requests"] == 10 * n)
            reload(d)
            eventually(lambda: len(workers(d)) == 2)
            assert totals(d)["requests"] == 10 * n
        assert totals(d)["connections"] == 0


def test_two_at_once_both_return_when_their_own_is_done():
    with daemon_with() as d:
        write_version(d, "two")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(d.hornbeam("reload").returncode)) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert answers == [0] * 4
        assert d.get("/").text == "two"
        assert 1 <= d.log().count("reload: done") <= 4
        d.note()


def test_many_hangups_become_few_reloads():
    with daemon_with() as d:
        for _ in range(50):
            d.proc.send_signal(signal.SIGHUP)
        reload(d)
        assert d.log().count("reload: done") <= 4


def test_a_reload_asked_for_while_starting_comes_after_the_start():
    d = Daemon("app:application", files={"app.py": APP, "version": "one", "slow.py": ""})
    (d.dir / "app" / "app.py").write_text(
        "import pathlib, time\npathlib.Path(__file__).with_name('begun').touch()\n"
        "while not pathlib.Path(__file__).with_name('import').exists(): time.sleep(0.01)\n" + APP)
    d.launch()
    eventually((d.dir / "app" / "begun").exists)
    d.proc.send_signal(signal.SIGHUP)
    (d.dir / "app" / "import").touch()
    eventually(d.is_ready)
    eventually(lambda: "reload: done" in d.log())
    d.note()
    assert d.stop() == 0


def test_the_service_manager_hears_of_a_reload():
    with daemon_with() as d:
        d.notify.setblocking(True)
        d.notify.settimeout(30 * SLOW)
        reload(d)
        assert d.notify.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert d.notify.recv(4096) == b"READY=1\nSTATUS=serving"
        d.file.write_text("workers: [")
        assert d.hornbeam("reload").returncode == 1
        assert d.notify.recv(4096).startswith(b"RELOADING=1\n")
        assert d.notify.recv(4096) == b"READY=1\nSTATUS=serving; the last reload failed"


def test_state_lasts_over_a_reload():
    with daemon_with() as d:
        assert d.hornbeam("state", "set", "k", "v").returncode == 0
        beam = d.companion_pid()
        reload(d)
        assert d.hornbeam("state", "get", "k").stdout == "v\n"
        assert d.companion_pid() == beam


def test_sigusr1_reaches_the_workers_of_the_new_generation():
    d = daemon_with()
    log, moved = d.dir / "access.log", d.dir / "access.log.1"
    d.config["log"] = {"access": str(log)}
    with d:
        reload(d)
        log.rename(moved)
        os.kill(d.proc.pid, signal.SIGUSR1)
        eventually(log.exists)
        d.get("/two")
        eventually(lambda: "/two" in log.read_text())
