"""The companion killed, stopped and started again, and the master killed: what applications, scripts and the shell see."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import uuid

import pytest
import wire
from harness import PRELOAD, PYTHON, SLOW, Daemon, alive, children, descendants, environment, eventually, pause

APP = """
import os, pathlib, time
from hornbeam_erlang import state_incr
DIR = pathlib.Path(__file__).parent

if (DIR / 'slow').exists():
    (DIR / 'here').touch()
    while (DIR / 'slow').exists():
        time.sleep(0.01)

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if environ['PATH_INFO'] != '/incr':
        return [b'served']
    before = time.monotonic()
    try:
        value = str(state_incr('n'))
    except Exception as e:
        value = ' '.join(t.__name__ for t in type(e).__mro__)
    return [('%.3f %s' % (time.monotonic() - before, value)).encode()]
"""


def daemon_with(workers=2, **more):
    files = {"app.py": APP, **more.pop("files", {})}
    return Daemon("app:application", files=files, config={"workers": workers, **more.pop("config", {})}, **more)


def restarts(d):
    with wire.Peer(d.socket) as p:
        told = p.call(wire.STATUS)["companion"]
        return told["restarts"] if told["state"] == "ready" else -1


def incr(d):
    """The seconds that a call of an application took, and its value or the classes of its exception."""
    took, value = d.get("/incr", timeout=30).text.split(" ", 1)
    return float(took), int(value) if value.isdigit() else value


class Calls:
    """Calls without a pause, in applications and in a script, and requests that need no companion."""

    SCRIPT = """
import sys, time
from hornbeam_erlang import state_incr
while True:
    before = time.monotonic()
    try:
        value = state_incr('script')
    except Exception as e:
        value = ' '.join(t.__name__ for t in type(e).__mro__)
    print('%.3f' % (time.monotonic() - before), value, flush=True)
    time.sleep(0.001)
"""

    def __init__(self, d):
        self.daemon = d
        self.seen = {"worker": [], "script": [], "plain": []}
        self.over = threading.Event()

    def __enter__(self):
        env = environment(HORNBEAM_SOCKET=str(self.daemon.socket), **PRELOAD)
        self.script = subprocess.Popen([PYTHON, "-c", self.SCRIPT], env=env, stdout=subprocess.PIPE, text=True)
        self.threads = [threading.Thread(target=t) for t in (self.read, self.ask, self.ask, self.plain)]
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.script.kill()
        for t in self.threads:
            t.join()
        self.script.wait()
        self.script.stdout.close()

    def read(self):
        for line in self.script.stdout:
            took, value = line.rstrip("\n").split(" ", 1)
            self.seen["script"].append((float(took), int(value) if value.isdigit() else value))

    def ask(self):
        while not self.over.is_set():
            self.seen["worker"].append(incr(self.daemon))

    def plain(self):
        while not self.over.is_set():
            before = time.monotonic()
            text = self.daemon.get("/").text
            self.seen["plain"].append((time.monotonic() - before, 1 if text == "served" else text))

    def succeeds(self, name):
        """Whether calls made from now on do."""
        since = len(self.seen[name])
        return eventually(lambda: [v for _, v in self.seen[name][since:] if isinstance(v, int)])


def median(seen):
    """How long most took: the machine may be busy now and then."""
    return sorted(took for took, _ in seen)[len(seen) // 2]


def test_a_companion_killed_again_and_again_in_the_middle_of_calls():
    with daemon_with() as d, Calls(d) as calls:
        for name in calls.seen:
            calls.succeeds(name)
        for n in range(1, 6):
            before = {name: len(seen) for name, seen in calls.seen.items()}
            os.kill(d.companion_pid(), signal.SIGKILL)
            for name in ("worker", "script"):
                eventually(lambda name=name: any(isinstance(v, str) for _, v in calls.seen[name][before[name]:]))
            eventually(lambda n=n: restarts(d) == n, 20)
            for name in calls.seen:
                calls.succeeds(name)
        d.note()
    for name in ("worker", "script"):
        failed = [(took, value) for took, value in calls.seen[name] if isinstance(value, str)]
        assert all(value.startswith("HornbeamConnectionError ") and " ConnectionError " in value for _, value in failed)
        assert median(failed) < 2 * SLOW, "at once, not at their deadlines"
    assert all(value == 1 for _, value in calls.seen["plain"])
    assert median(calls.seen["plain"]) < 2 * SLOW


def test_calls_in_flight_fail_at_once_when_the_companion_dies():
    """Stopped first, so that they are surely in flight."""
    with daemon_with() as d:
        incr(d)
        beam = d.companion_pid()
        pause(beam)
        cli = subprocess.Popen([f"{os.environ['top_builddir']}/hornbeam", "state", "get", "n", "-t", "30s"],
                               env=environment(HORNBEAM_SOCKET=str(d.socket)), stderr=subprocess.PIPE, text=True)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            call = pool.submit(incr, d)
            eventually(lambda: busy(d) == 1)
            eventually(lambda: asleep(cli.pid))
            os.kill(beam, signal.SIGKILL)
            assert call.result()[1].startswith("HornbeamConnectionError")
            _, said = cli.communicate(timeout=20 * SLOW)
        assert cli.returncode in (3, 7) and said.startswith("hornbeam: "), said
        eventually(lambda: restarts(d) == 1, 20)
        assert incr(d)[1] == 1  # the state of the one before is gone
        d.note()


def busy(d):
    with wire.Peer(d.socket) as p:
        return p.call(wire.STATUS)["totals"]["active"]


def asleep(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_a_companion_stopped_for_ten_seconds_keeps_deadlines_and_runs_nothing_late():
    script = ("from hornbeam_erlang import state_incr\nimport time\nbefore = time.monotonic()\n"
              "try: state_incr('n')\nexcept Exception as e: print(type(e).__name__, time.monotonic() - before > 4.5)")
    with daemon_with() as d, concurrent.futures.ThreadPoolExecutor() as pool:
        assert incr(d)[1] == 1
        beam = d.companion_pid()
        pause(beam)
        try:
            for _ in range(2):
                begun = time.monotonic()
                calls = [pool.submit(incr, d)]
                eventually(lambda: busy(d) == 1)
                scripts = [pool.submit(d.python, script) for _ in range(2)]
                shells = [pool.submit(d.hornbeam, "state", "incr", "n") for _ in range(2)]
                shells.append(pool.submit(d.hornbeam, "state", "incr", "n", "-t", "6s"))
                quick = pool.submit(d.hornbeam, "state", "incr", "n", "-t", "300ms")
                served = 0
                while not calls[0].done():  # the other worker serves
                    assert d.get("/").text == "served"
                    served += 1
                assert served > 2
                assert quick.result().returncode == 5
                for took, value in (c.result() for c in calls):
                    assert value.startswith("HornbeamTimeoutError") and took > 4.5, (took, value)
                assert [s.result().stdout for s in scripts] == ["HornbeamTimeoutError True\n"] * 2
                for shell in shells:
                    assert shell.result().returncode == 5 and "deadline" in shell.result().stderr, shell.result()
                assert time.monotonic() - begun > 4.5
        finally:
            os.kill(beam, signal.SIGCONT)
        eventually(lambda: d.hornbeam("ping").returncode == 0)
        assert incr(d)[1] == 2, "what was past its deadline ran"
        assert d.hornbeam("state", "incr", "n").stdout == "3\n"
        assert d.companion_pid() == beam


def test_a_companion_that_dies_before_the_workers_are_ready_is_replaced():
    d = daemon_with(files={"slow": ""}).launch()
    try:
        eventually((d.dir / "app" / "here").exists)
        os.kill(eventually(d.companion_pid), signal.SIGKILL)
        eventually(lambda: d.log().count("companion: ready") == 2)
        (d.dir / "app" / "slow").unlink()
        eventually(d.is_ready)
        assert incr(d)[1] == 1
        d.note()
    finally:
        d.stop()


def test_a_companion_that_cannot_come_back_leaves_http_served():
    with daemon_with() as d:
        with d.without_companion():
            eventually(lambda: d.log().count("companion: process") > 2)
            calls = []
            for _ in range(20):
                assert d.get("/").text == "served"
                calls.append(incr(d))
            assert all(value.startswith("HornbeamConnectionError") for _, value in calls) and median(calls) < 1 * SLOW
            assert d.hornbeam("state", "get", "n").returncode == 7
            assert "exists and is not a socket" in d.log()
        eventually(lambda: incr(d)[1] == 1, 20)
        d.note()


# The master.

def marked(mark):
    """The processes that have the mark in their environment: also those that left their session."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes() and alive(int(path.parent.name)):
                found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("when", ["ready", "starting", "companion stopped", "worker stopped", "worker busy"])
def test_nothing_is_left_when_the_master_is_killed(when):
    mark = f"mark-{uuid.uuid4()}"
    d = daemon_with(env={"HB_TEST_MARK": mark}, files={"slow": ""} if when == "starting" else {}).launch()
    try:
        if when == "starting":
            eventually((d.dir / "app" / "here").exists)
        else:
            eventually(d.is_ready, 30)
            assert incr(d)[1] == 1
        if when in ("companion stopped", "worker busy"):
            pause(d.companion_pid())
        with concurrent.futures.ThreadPoolExecutor() as pool:
            if when == "worker busy":
                pool.submit(incr, d)
                eventually(lambda: busy(d) == 1)
            if when == "worker stopped":
                pause(d.worker_pids()[0])
            assert len(marked(mark)) >= (4 if when == "starting" else 5)
            assert {d.proc.pid, *descendants(d.proc.pid)} == set(marked(mark))
            d.proc.kill()
            d.wait()
            eventually(lambda: not marked(mark), what=f"left: {[d.cmdline(p) for p in marked(mark)]}")
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
        d.stop()


def test_nothing_is_left_after_an_end_in_order():
    mark = f"mark-{uuid.uuid4()}"
    with daemon_with(env={"HB_TEST_MARK": mark}) as d:
        assert incr(d)[1] == 1
        for pid in [d.companion_pid(), *d.worker_pids()]:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: restarts(d) == 1, 20)
        d.proc.terminate()
        assert d.wait() == 0
        eventually(lambda: marked(mark) == [])  # the last may be on its way out


def test_processes_that_are_stopped_do_not_hold_up_the_end():
    with daemon_with(config={"timeouts": {"graceful": "500ms"}}) as d:
        d.note()
        pause(d.companion_pid())
        pause(d.worker_pids()[0])
        d.proc.terminate()
        assert d.wait() == 0
        assert "still running after timeouts.graceful; killing process" in d.log()
        assert "did not end by itself; killing it" in d.log()


def test_a_companion_whose_application_ends_is_replaced():
    """Whatever ends the root of its tree ends the companion, and is in the log."""
    with daemon_with() as d:
        assert isinstance(incr(d)[1], int)
        beam = d.companion_pid()
        d.hornbeam("rpc", "call", "-", "sys", "terminate", "--term", "hornbeam_sup", "oh")
        eventually(lambda: not alive(beam))
        eventually(lambda: restarts(d) == 1)
        eventually(lambda: isinstance(incr(d)[1], int))
        assert d.hornbeam("state", "incr", "n").returncode == 0
        assert d.hornbeam("call", "nobody").returncode != 7
        assert re.search(r"error companion\[\d+\]: .*hornbeam", d.log())


def test_a_companion_that_loses_its_helper_goes_on_or_is_replaced():
    with daemon_with() as d:
        beam = d.companion_pid()
        helper, = eventually(lambda: len(found := children(beam)) == 1 and found)  # for a moment there can be another
        os.kill(helper, signal.SIGKILL)
        eventually(lambda: not alive(helper))
        eventually(lambda: isinstance(incr(d)[1], int))
        assert d.hornbeam("state", "incr", "n").returncode == 0
        assert d.companion_pid() == beam or restarts(d) == 1
        d.note()
