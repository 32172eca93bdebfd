"""The request timeout: who hangs is named with its stack, and the others go on."""

import contextlib
import os
import signal
import threading
import time

import pytest
from harness import ASAN, Daemon, alive, eventually, pause, read_all

#: A short timeout, in seconds; the tests wait for many of them.
UNIT = 3 if ASAN else 2
HANGS = """
import ctypes, os, time
from hornbeam_erlang import rpc_call

def sleeper():
    time.sleep(60)

def keeper_of_the_gil():
    ctypes.PyDLL(None).sleep(60)

def slowly(parts, pause):
    for i in range(parts):
        yield b'%d' % i
        time.sleep(pause)

def gated(name):
    yield b'begun'
    while not os.path.exists(name):
        time.sleep(0.001)
    yield b'ended'

def stuck():
    yield b'begun'
    sleeper()

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/sleep':
        sleeper()
    if path == '/call':
        rpc_call('local', 'timer', 'sleep', [int(environ['QUERY_STRING'])], timeout_ms=30000)
    if path == '/call-and-sleep':
        rpc_call('local', 'timer', 'sleep', [int(environ['QUERY_STRING'])], timeout_ms=30000)
        sleeper()
    if path == '/gil':
        keeper_of_the_gil()
    if path == '/doze':
        query = environ['QUERY_STRING']
        if query.startswith('/'):
            open(query + '.begun', 'w').close()
            while not os.path.exists(query):
                time.sleep(0.001)
        else:
            time.sleep(float(query))
    start_response('200 OK', [('Content-Type', 'text/plain')])
    if path == '/slowly':
        return slowly(8, 0.5)
    if path == '/gated':
        return gated(environ['QUERY_STRING'])
    if path == '/stuck':
        return stuck()
    return [b'quick']
"""


def hanging(threads, config=None, **more):
    timeouts = {"request": f"{UNIT}s", **(config or {}).pop("timeouts", {})}
    return Daemon(app="h:application", files={"h.py": HANGS},
                  config={"threads": threads, "timeouts": timeouts, **(config or {})}, **more)


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


class Background:
    """A raw request on a thread of its own."""

    def __init__(self, d, path):
        self.answer = None
        self.thread = threading.Thread(target=self.run, args=(d, path))
        self.thread.start()

    def run(self, d, path):
        with contextlib.suppress(OSError):
            self.answer = d.raw(get(path), timeout=40)

    def result(self):
        self.thread.join()
        return self.answer


def replaced(d, pid):
    """Waits until another worker serves, and the one of pid has ended."""
    eventually(lambda: not alive(pid), 30)

    def serves():
        with contextlib.suppress(OSError):
            return d.get("/").status == 200 and d.worker_pids() != [pid]

    eventually(serves)
    d.note()


@pytest.mark.parametrize("path,function", [("/sleep", "sleeper"), ("/gil", "keeper_of_the_gil")])
def test_in_place_the_request_is_named_with_its_stack_and_the_worker_replaced(path, function):
    with hanging(1) as d:
        pid, = d.worker_pids()
        with d.connect() as idle:
            idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"quick" in idle.recv(1000)
            assert d.raw(get(f"{path}?a=1"), timeout=30) == b""
            assert idle.recv(1) == b""
        replaced(d, pid)
        log = d.log()
        assert f"GET {path}: nothing came of it in time" in log
        assert f"in {function}" in log and f"process {pid} ended: exit status 75" in log


@pytest.mark.parametrize("threads", [1, 4])
def test_time_inside_a_call_counts_against_the_deadline_of_the_call(threads):
    with hanging(threads, {"timeouts": {"graceful": "2s"}}) as d:
        pid, = d.worker_pids()
        assert d.get(f"/call?{2500 * UNIT}").text == "quick"
        assert d.worker_pids() == [pid]
        # What was left before the call is left after it.
        hangs = Background(d, f"/call-and-sleep?{2500 * UNIT}")
        answer = hangs.result()
        assert answer == b"" if threads == 1 else answer.startswith(b"HTTP/1.1 504 ")
        assert "in sleeper" in d.log()
        replaced(d, pid)


@pytest.mark.parametrize("threads", [1, 4])
def test_time_in_which_the_worker_was_stopped_does_not_count(threads):
    with hanging(threads) as d:
        pid, = d.worker_pids()
        request = Background(d, f"/doze?{d.dir}/gate")
        eventually((d.dir / "gate.begun").exists)
        pause(pid)
        begun = time.monotonic()
        (d.dir / "gate").touch()
        eventually(lambda: time.monotonic() > begun + 2 * UNIT)
        os.kill(pid, signal.SIGCONT)
        assert request.result().endswith(b"quick")
        assert d.worker_pids() == [pid]


def test_what_was_answered_before_a_request_hung_in_place_is_not_lost():
    with hanging(1, {"timeouts": {"request": f"{2 * UNIT}s"}}) as d, contextlib.ExitStack() as stack:
        conns = [stack.enter_context(d.connect()) for _ in range(6)]
        for s in conns:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"quick" in s.recv(1000)
        gate = Background(d, f"/doze?{d.dir}/gate")
        eventually(lambda: (d.dir / "gate.begun").exists())
        for s in conns[:-1]:
            s.sendall(get("/"))
        conns[-1].sendall(get("/sleep"))
        (d.dir / "gate").touch()
        assert gate.result().endswith(b"quick")
        for s in conns[:-1]:
            assert b"quick" in read_all(s)
        assert read_all(conns[-1]) == b""


@pytest.mark.parametrize("threads", [1, 4])
def test_a_response_that_goes_on_is_not_timed_out(threads):
    with hanging(threads) as d:
        pids = d.worker_pids()
        assert d.get("/slowly", timeout=30).text == "01234567"
        assert d.worker_pids() == pids and "in time" not in d.log()


@pytest.mark.parametrize("threads", [1, 4])
def test_between_two_parts_it_has_the_idle_timeout(threads):
    with hanging(threads, {"timeouts": {"request": "30s", "idle": f"{UNIT}s", "graceful": "1s"}}) as d:
        pid, = d.worker_pids()
        answer = d.raw(get("/stuck"), timeout=30)
        assert b"begun" in answer and not answer.endswith(b"0\r\n\r\n")
        replaced(d, pid)
        assert "in stuck" in d.log()


@pytest.mark.parametrize("path,function", [("/sleep", "sleeper"), ("/gil", "keeper_of_the_gil")])
def test_a_hung_thread_of_the_pool_gets_its_client_504_and_the_worker_replaced(path, function):
    with hanging(4, {"timeouts": {"graceful": "2s"}}) as d:
        pid, = d.worker_pids()
        answer = d.raw(get(path), timeout=30)
        assert answer.startswith(b"HTTP/1.1 504 ") and answer.endswith(b"did not answer in time\n")
        assert f"GET {path}: nothing came of it in time" in d.log() and f"in {function}" in d.log()
        replaced(d, pid)


def test_its_siblings_finish_before_the_worker_goes():
    with hanging(4, {"timeouts": {"graceful": "60s"}}) as d:
        pid, = d.worker_pids()
        hung, sibling = Background(d, "/sleep"), Background(d, f"/gated?{d.dir}/gate")
        assert hung.result().startswith(b"HTTP/1.1 504 ")
        eventually(lambda: "worker: draining" in d.log())
        assert alive(pid)
        (d.dir / "gate").touch()
        answer = sibling.result()
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ended\r\n0\r\n\r\n")
        os.kill(pid, signal.SIGKILL)  # which the one that hangs would hold for timeouts.graceful
        d.note()


def test_head_is_answered_without_a_body():
    with hanging(2, {"timeouts": {"graceful": "1s"}}) as d:
        answer = d.raw(get("/sleep").replace(b"GET", b"HEAD"), timeout=30)
        assert answer.startswith(b"HTTP/1.1 504 ") and answer.endswith(b"\r\n\r\n")
        d.note()


def test_a_request_that_no_thread_was_free_for_gets_503():
    with Daemon(files={"h.py": HANGS}, config={"threads": 2},
                apps=[{"mount": "/short", "app": "h:application", "timeout": f"{UNIT}s"},
                      {"mount": "/", "app": "h:application"}]) as d:
        gates = [d.dir / "one", d.dir / "two"]
        held = [Background(d, f"/doze?{g}") for g in gates]
        for g in gates:
            eventually(g.with_suffix(".begun").exists)
        waits = Background(d, "/")
        assert d.raw(get("/short")).startswith(b"HTTP/1.1 503 ")
        for g in gates:
            g.touch()
        assert all(r.result().startswith(b"HTTP/1.1 200 ") for r in (*held, waits))
        assert "no thread was free in time" in d.log() and "the Python stacks" not in d.log()


def test_an_application_has_its_own_timeout():
    with Daemon(files={"h.py": HANGS}, config={"threads": 1},
                apps=[{"mount": "/short", "app": "h:application", "timeout": f"{UNIT}s"},
                      {"mount": "/", "app": "h:application"}]) as d:
        pid, = d.worker_pids()
        assert d.get(f"/doze?{2 * UNIT}", timeout=30).status == 200
        assert d.raw(get("/short/sleep"), timeout=30) == b""
        replaced(d, pid)


BLOCKING = """
import asyncio, time

def held():
    time.sleep(60)

async def application(scope, receive, send):
    if scope['type'] != 'http':
        raise RuntimeError('only http')
    if scope['path'] == '/block':
        held()
    if scope['path'] == '/wait':
        await asyncio.sleep(60)
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'quick'})

async def application_of_api(scope, receive, send):
    await application({**scope, 'path': scope['path'][len('/api'):]}, receive, send)
"""


def test_a_held_event_loop_is_named_and_the_worker_replaced():
    with Daemon(app="b:application", files={"b.py": BLOCKING}, config={"timeouts": {"request": f"{UNIT}s"}}) as d:
        pid, = d.worker_pids()
        assert d.raw(get("/block"), timeout=30) == b""
        replaced(d, pid)
        assert "the loop is held for longer than any request may take" in d.log() and "in held" in d.log()


def test_an_asgi_application_has_its_own_timeout():
    with Daemon(files={"b.py": BLOCKING}, apps=[{"mount": "/", "app": "b:application"},
                                                {"mount": "/api", "app": "b:application_of_api", "timeout": f"{UNIT}s"}],
                config={"lifespan": "off"}) as d:
        pids = d.worker_pids()
        assert d.get("/api/wait", timeout=25).status == 504
        assert d.get("/").text == "quick" and d.worker_pids() == pids


def test_an_asgi_request_that_only_waits_gets_504_and_the_stacks_are_logged():
    with Daemon(app="b:application", files={"b.py": BLOCKING}, config={"timeouts": {"request": f"{UNIT}s"}}) as d:
        pids = d.worker_pids()
        assert d.get("/wait", timeout=30).status == 504
        assert "GET /wait: no response in time" in d.log() and "app: the Python stacks:" in d.log()
        assert d.get("/").text == "quick" and d.worker_pids() == pids
