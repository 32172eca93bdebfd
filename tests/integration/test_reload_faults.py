"""Reloads that fail, or during which something dies: the old generation stays in force, and the cause is told."""

import os
import signal
import socket
import threading

import pytest
import wire
from harness import Daemon, alive, children, eventually, free_port
from test_master_control import as_nobody, needs_root
from test_reload import daemon_with, load, refuses, reload, serving, workers, write_config, write_version

# Imported, it leaves a file `begun` and waits for `import`, if there is a file `hold`.
HOLD = """
import os, pathlib, time
DIR = pathlib.Path(__file__).parent
if (DIR / 'hold').exists():
    (DIR / f'begun.{os.getpid()}').touch()
    while not (DIR / 'import').exists():
        time.sleep(0.01)
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
"""


def holding(**config):
    return Daemon("app:application", files={"app.py": HOLD}, config=config)


class Held:
    """A reload whose new workers are in the middle of their import."""

    def __init__(self, d, *args):
        self.d = d
        self.args = args
        self.done = None

    def __enter__(self):
        (self.d.dir / "app" / "hold").touch()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        count = self.d.config["workers"]
        eventually(lambda: len(self.importing()) == count)
        self.d.note()
        return self

    def run(self):
        self.done = self.d.hornbeam("reload", *self.args)

    def importing(self):
        """The workers that have begun their import and live."""
        begun = [int(p.suffix[1:]) for p in (self.d.dir / "app").glob("begun.*")]
        return [pid for pid in begun if alive(pid)]

    def go(self):
        (self.d.dir / "app" / "import").touch()

    def result(self):
        self.thread.join(60)
        return self.done.returncode, self.done.stderr

    def __exit__(self, *_):
        self.go()
        self.thread.join(60)


def refused(d, status, *args):
    """What `hornbeam reload` says when it fails with this status, the old workers serving on."""
    before = serving(d)
    with load(d, 2) as clients:
        done = d.hornbeam("reload", *args)
        seen = [sum(c.answers.values()) for c in clients]
        eventually(lambda: all(sum(c.answers.values()) > n for c, n in zip(clients, seen)))
    assert [c.failures for c in clients] == [[]] * 2
    assert done.returncode == status, done
    assert done.stdout == ""
    assert serving(d) == before
    said = done.stderr
    assert said.startswith("hornbeam: ") and said.count("\n") == 1, said
    said = said[len("hornbeam: "):-1]
    assert said in d.log()
    return said


def test_wrong_configuration_is_refused_with_its_line():
    with daemon_with() as d:
        text = d.file.read_text()
        d.file.write_text("workers: 1\ntimeouts:\n  keepalive: soon\n")
        assert refused(d, 1).startswith(f"{d.file}:3: timeouts.keepalive: ")
        d.file.write_text("workers: [")
        assert refused(d, 1).startswith(f"{d.file}:")
        d.file.unlink()
        assert refused(d, 1).startswith(f"{d.file}: cannot open")
        d.file.write_text(text)
        write_version(d, "two")
        reload(d)
        assert d.get("/").text == "two"


def test_no_application_is_refused():
    with daemon_with() as d:
        write_config(d, apps=[])
        assert refused(d, 1).startswith(f"{d.file}: apps: there is none")


@pytest.mark.parametrize("key, value", [
    ("user", "root"), ("group", "root"), ("state", {"max_keys": 5}), ("erlang", {"code_path": ["/tmp"]}),
    ("control", {"socket": "/tmp/other.sock"})])
def test_what_only_a_restart_changes_is_refused(key, value):
    with daemon_with() as d:
        write_config(d, **{key: value})
        assert refused(d, 1).endswith("cannot change at a reload; restart hornbeamd")
        assert f"{d.file}: {key}" in d.log()


def test_address_in_use_is_refused_and_nothing_else_changes():
    with daemon_with() as d, daemon_with() as other:
        free = free_port()
        write_config(d, listen=[f"127.0.0.1:{free}", f"127.0.0.1:{other.port}"])
        assert refused(d, 1) == f"listen: 127.0.0.1:{other.port}: address already in use"
        assert refuses(free)
        assert d.get("/").text == "one"


@pytest.mark.parametrize("source, said", [
    ("import nosuchmodule\n", "ModuleNotFoundError: No module named 'nosuchmodule'"),
    ("def application(:\n", "SyntaxError"),
    ("raise ValueError('not today')\n", "ValueError: not today"),
    ("x = 1\n", "AttributeError"),
    ("import sys; sys.exit(3)\n", "SystemExit: 3"),
    ("import os; os._exit(3)\n", "exit status 3"),
    ("import os; os.abort()\n", "killed by SIGABRT"),
])
def test_application_that_does_not_load_keeps_the_old_one(source, said):
    with daemon_with(workers=2) as d:
        good = (d.dir / "app" / "app.py").read_text()
        (d.dir / "app" / "app.py").write_text(source)
        told = refused(d, 6)
        assert told.startswith("worker ") and said in told
        eventually(lambda: len(children(d.proc.pid)) == 3)  # nothing is left of the new ones
        (d.dir / "app" / "app.py").write_text(good)
        write_version(d, "two")
        reload(d)
        assert d.get("/").text == "two"


def test_workers_that_are_not_ready_in_time_are_ended():
    with holding(workers=2) as d:
        before = serving(d)
        with Held(d, "-t", "1s") as held:
            status, said = held.result()
            assert (status, said) == (5, "hornbeam: the new workers were not ready within 1000 ms\n")
            eventually(lambda: not held.importing())
        assert serving(d) == before
        (d.dir / "app" / "hold").unlink()
        reload(d)


def test_a_worker_killed_while_it_imports_is_started_again():
    with holding(workers=2) as d, Held(d) as held:
        os.kill(held.importing()[0], signal.SIGKILL)
        eventually(lambda: len(list((d.dir / "app").glob("begun.*"))) == 3)
        held.go()
        assert held.result() == (0, "")
        d.note()
        eventually(lambda: len(workers(d)) == 2)


def test_a_worker_of_the_old_generation_that_dies_comes_back_and_then_goes():
    with holding(workers=2) as d, Held(d) as held:
        old = serving(d)[0]
        (d.dir / "app" / "hold").unlink()
        os.kill(old, signal.SIGKILL)
        eventually(lambda: old not in serving(d) and len(serving(d)) == 2)
        assert d.get("/").status == 200
        before = serving(d)
        held.go()
        assert held.result() == (0, "")
        assert not set(serving(d)) & set(before)
        d.note()


def test_sigterm_in_the_middle_ends_everything():
    with holding(workers=2) as d, Held(d) as held:
        d.proc.terminate()
        assert d.wait(10) == 0
        status, said = held.result()
        assert (status, said) == (6, "hornbeam: hornbeamd is stopping\n")
        assert not held.importing()


def test_a_signal_in_the_middle_makes_another_reload():
    with holding() as d, Held(d) as held:
        d.proc.send_signal(signal.SIGHUP)
        d.proc.send_signal(signal.SIGHUP)
        held.go()
        assert held.result() == (0, "")
        eventually(lambda: d.log().count("reload: done") == 2)
        d.note()


def test_a_command_that_is_ended_does_not_end_the_reload():
    with holding() as d, wire.Peer(d.socket) as p:
        (d.dir / "app" / "hold").touch()
        p.sock.sendall(wire.frame(wire.RELOAD, wire.term(b"b" + (60000).to_bytes(4, "big"))))
        eventually(lambda: list((d.dir / "app").glob("begun.*")))
        p.sock.close()
        (d.dir / "app" / "import").touch()
        eventually(lambda: "reload: done" in d.log())
        assert d.get("/").status == 200
        d.note()


def test_the_companion_dying_in_the_middle_does_no_harm():
    with holding() as d, Held(d) as held:
        os.kill(d.companion_pid(), signal.SIGKILL)
        held.go()
        assert held.result() == (0, "")
        eventually(lambda: d.hornbeam("ping").returncode == 0, 20)
        d.note()


def test_a_request_that_is_no_time_is_refused():
    with daemon_with() as d, wire.Peer(d.socket) as p:
        assert p.call(wire.RELOAD, wire.term(wire.atom(b"now")))[:2] == ("error", "protocol")
        assert "reload: begins" not in d.log()


@needs_root
def test_nobody_of_another_group_may_reload():
    with daemon_with() as d:
        d.socket.chmod(0o666)
        done = as_nobody(d, "print(Peer({path!r}).call(RELOAD, term(b'a\\x01'))[:2])", "--clear-groups")
        assert done.stdout == "('error', 'denied')\n", done.stderr
        assert "reload: begins" not in d.log()
