"""The master's processes when one of them dies, and when it is told to stop."""

import datetime
import os
import shutil
import signal
import threading

import wire
from harness import BUILD, SLOW, Daemon, alive, descendants, eventually, pause

# GET /wait answers when the file `go` is there, and first leaves a file `here`.
WAITING = {
    "app.py": """
import os, pathlib, time
DIR = pathlib.Path(__file__).parent

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/wait':
        (DIR / 'here').touch()
        while not (DIR / 'go').exists():
            time.sleep(0.01)
    if path == '/exit':
        os._exit(70)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
"""
}


class Waiting:
    """A daemon with one request under way."""

    def __init__(self, **config):
        self.daemon = Daemon(app="app:application", files=WAITING, config=config)
        self.status = None

    def __enter__(self):
        d = self.daemon.start()
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()
        eventually((d.dir / "app" / "here").exists)
        return d, self

    def ask(self):
        try:
            self.status = self.daemon.get("/wait", timeout=60).status
        except (OSError, ValueError) as e:
            self.status = type(e).__name__

    def go(self):
        (self.daemon.dir / "app" / "go").touch()

    def result(self):
        self.thread.join(60)
        return self.status

    def __exit__(self, *_):
        self.go()
        self.daemon.stop()
        self.thread.join(60)


def companion(peer):
    """Its state, the number of its restarts and its process id."""
    told = peer.call(wire.STATUS)["companion"]
    return told["state"], told["restarts"], told["pid"]


def stamp(line):
    """The time of a line of the log, in seconds."""
    return datetime.datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()


def refuses(d):
    try:
        d.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_killed_worker_is_replaced_and_requests_go_on():
    with Daemon(config={"workers": 2}) as d:
        victim = d.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        for _ in range(50):
            assert d.get("/").status == 200
        eventually(lambda: len(set(d.worker_pids()) - {victim}) == 2)
        eventually(lambda: d.log().count(": ready, process") == 3 + 1)  # two workers, a third, the companion
        assert f"process {victim} ended: killed by SIGKILL; starting another" in d.log()
        d.note()


def test_worker_that_exits_70_later_does_not_end_the_daemon():
    with Daemon(app="app:application", files=WAITING) as d:
        victim = d.worker_pids()[0]
        try:
            d.get("/exit")
        except OSError:
            pass
        eventually(lambda: not alive(victim))
        assert d.get("/").text != str(victim)
        assert "ended: exit status 70; starting another" in d.log()
        d.note()


def test_killed_companion_is_back_and_requests_go_on():
    with Daemon() as d, wire.Peer(d.socket) as p:
        victim = d.companion_pid()
        family = [victim, *descendants(victim)]
        os.kill(victim, signal.SIGKILL)

        def is_back():
            assert d.get("/").status == 200
            return companion(p)[:2] == ("ready", 1)

        eventually(is_back)
        eventually(lambda: not any(alive(pid) for pid in family))
        d.note()


def test_companion_that_dies_again_and_again_is_started_more_slowly():
    with Daemon() as d, wire.Peer(d.socket) as p:
        for deaths in range(1, 4):
            os.kill(eventually(d.companion_pid), signal.SIGKILL)
            eventually(lambda n=deaths: companion(p)[:2] == ("ready", n))
        ended = [stamp(line) for line in d.log().splitlines() if "companion: process" in line]
        ready = [stamp(line) for line in d.log().splitlines() if "companion: ready" in line]
        pauses = [back - end for end, back in zip(ended, ready[1:])]
        assert len(pauses) == 3
        assert pauses[1] > 0.1 and pauses[2] > 0.2, pauses
        d.note()


def test_nothing_is_left_when_the_master_is_killed():
    d = Daemon(config={"workers": 2}).start()
    family = descendants(d.proc.pid)
    assert len(family) >= 4  # two workers, the VM and its helper
    d.proc.kill()
    eventually(lambda: not any(alive(pid) for pid in family))
    d.wait()
    d.stop()


def test_sigterm_lets_a_request_finish():
    with Waiting() as (d, request):
        d.proc.terminate()
        eventually(lambda: "draining" in d.log())
        assert d.proc.poll() is None
        request.go()
        assert request.result() == 200
        eventually(lambda: refuses(d))
        assert d.wait() == 0


def test_second_sigterm_stops_at_once():
    with Waiting() as (d, request):
        d.proc.terminate()
        eventually(lambda: "draining" in d.log())
        d.proc.terminate()
        assert d.wait() == 0
        assert "timeouts.graceful" not in d.log()
        assert request.result() != 200


def test_drain_ends_at_the_graceful_timeout():
    with Waiting(timeouts={"graceful": "300ms"}) as (d, request):
        d.proc.terminate()
        assert d.wait() == 0
        assert "timeouts.graceful" in d.log()
        assert request.result() != 200


def test_sigint_drains_like_sigterm():
    with Waiting() as (d, request):
        d.proc.send_signal(signal.SIGINT)
        request.go()
        assert request.result() == 200
        assert d.wait() == 0


def test_sigterm_while_starting_ends_everything():
    d = Daemon(app="app:application", files={"app.py": "import time, pathlib\n"
               "pathlib.Path(__file__).with_name('here').touch()\ntime.sleep(600)\n"}).launch()
    eventually((d.dir / "app" / "here").exists)
    d.note()
    d.proc.terminate()
    assert d.wait() == 0
    d.stop()


def test_sigusr1_opens_the_access_log_again():
    d = Daemon()
    log, moved = d.dir / "access.log", d.dir / "access.log.1"
    d.config["log"] = {"access": str(log)}
    with d:
        d.get("/one")
        eventually(lambda: "/one" in log.read_text())
        log.rename(moved)
        d.proc.send_signal(signal.SIGUSR1)
        eventually(log.exists)
        d.get("/two")
        eventually(lambda: "/two" in log.read_text())
        assert "/two" not in moved.read_text()


def test_replacement_runs_the_program_that_was_started():
    d = Daemon()
    copy = d.dir / "hornbeamd"
    shutil.copy(BUILD / "hornbeamd", copy)
    d.wrap = ["/bin/sh", "-c", f'shift; exec {copy} "$@"', "sh"]
    with d:
        replacement = d.dir / "hornbeamd.new"
        replacement.write_text("#!/bin/sh\nexit 1\n")
        replacement.chmod(0o755)
        replacement.rename(copy)
        victim = d.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: d.log().count("worker 0: ready") == 2)
        assert d.get("/").status == 200
        d.note()


def test_edited_configuration_does_not_reach_a_replacement():
    with Daemon() as d:
        d.file.write_text("workers: [")
        os.kill(d.worker_pids()[0], signal.SIGKILL)
        eventually(lambda: d.log().count("worker 0: ready") == 2)
        assert d.get("/").status == 200
        d.note()


def test_what_a_worker_started_ends_with_it():
    source = """
import subprocess
child = subprocess.Popen(['sleep', '600'])

def application(environ, start_response):
    start_response('200 OK', [])
    return [str(child.pid).encode()]
"""
    with Daemon(app="app:application", files={"app.py": source}) as d:
        child = int(d.get("/").text)
        assert alive(child)
        os.kill(d.worker_pids()[0], signal.SIGKILL)
        eventually(lambda: not alive(child))
        d.note()


def test_listener_of_a_dead_worker_keeps_its_backlog():
    with Daemon() as d:
        worker = d.worker_pids()[0]
        pause(worker)
        waiting = [d.connect(30) for _ in range(20)]
        for s in waiting:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        os.kill(worker, signal.SIGKILL)
        assert [s.recv(12) for s in waiting] == [b"HTTP/1.1 200"] * 20
        for s in waiting:
            s.close()
        d.note()


def test_ready_and_stopping_are_told_to_the_service_manager(tmp_path):
    d = Daemon()
    d.launch()
    said = []
    d.notify.setblocking(True)
    d.notify.settimeout(30 * SLOW)
    said.append(d.notify.recv(4096))
    d.note()
    d.proc.terminate()
    said.append(d.notify.recv(4096))
    assert d.wait() == 0
    assert said[0].startswith(b"READY=1\n")
    assert said[1].startswith(b"STOPPING=1\n")
    d.stop()
