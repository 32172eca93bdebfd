"""Workers that are killed, busy, or home to an application that misbehaves."""

import concurrent.futures
import contextlib
import http.client
import os
import re
import select
import signal
import threading
import time

import pytest
from harness import SLOW, Daemon, alive, descendants, eventually, pause, read_all, resident

# What an application may do to its process, by path.
APP = """
import ctypes, os, pathlib, signal, sys, threading, time
DIR = pathlib.Path(__file__).parent
plain = [('Content-Type', 'text/plain')]

if (DIR / 'broken').exists():
    raise RuntimeError('broken since it was started')

def recurse(n=0):
    return recurse(n + 1) + 1

class Deep(list):
    pass

def deep():
    value = []
    for _ in range(100000):
        value = Deep([value])
    return value

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/wait':
        (DIR / environ['QUERY_STRING']).touch()
        while not (DIR / 'go').exists():
            time.sleep(0.01)
    elif path == '/fork':
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    elif path == '/fork-returns':
        os.fork()  # the child answers too, so to speak
    elif path == '/fork-raises':
        if os.fork() == 0:
            raise RuntimeError('in the child')
    elif path == '/fork-exits':
        if os.fork() == 0:
            sys.exit(3)
    elif path == '/os-exit':
        os._exit(3)
    elif path == '/abort':
        os.abort()
    elif path == '/kill':
        os.kill(os.getpid(), signal.SIGKILL)
    elif path == '/exit':
        sys.exit(3)
    elif path == '/interrupt':
        raise KeyboardInterrupt
    elif path == '/generator-exit':
        raise GeneratorExit
    elif path == '/memory':
        [0] * (1 << 62)
    elif path == '/no-memory':
        import resource
        size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (20 << 20), resource.RLIM_INFINITY))
        bytearray(100 << 20)
    elif path == '/recursion':
        recurse()
    elif path == '/stop':
        raise StopIteration
    elif path == '/base':
        class Mine(BaseException):
            pass
        raise Mine('of its own')
    elif path == '/unprintable':
        class Mine(Exception):
            def __str__(self):
                raise ValueError('no text')
        raise Mine
    elif path == '/exits-in-str':
        class Mine(Exception):
            def __str__(self):
                sys.exit(4)
        raise Mine
    elif path == '/exits-in-close':
        class Body(list):
            def close(self):
                sys.exit(5)
        start_response('200 OK', plain)
        return Body([b'x'])
    elif path == '/exits-in-del':
        class Body(list):
            def __del__(self):
                sys.exit(5)
        start_response('200 OK', plain)
        return Body([b'x'])
    elif path == '/deep':
        deep()
    elif path == '/close-standard':
        for fd in (0, 1, 2):
            os.close(fd)
    elif path == '/print':
        print('x' * 100000, flush=True)
        print('y' * 100000, file=sys.stderr, flush=True)
    elif path == '/chdir':
        os.chdir('/proc')
    elif path == '/umask':
        os.umask(0o777)
    elif path == '/environ':
        os.environ.clear()
    elif path == '/threads':
        for _ in range(20):
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    elif path == '/lasting-thread':
        threading.Thread(target=time.sleep, args=(600,)).start()
    elif path == '/thread-raises':
        thread = threading.Thread(target=recurse)
        thread.start()
        thread.join()
    elif path == '/signals':
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
    elif path == '/alarm':
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    elif path == '/alarm-raises':
        def handler(*_):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise RuntimeError('out of a signal')
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
    elif path == '/mask':
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    elif path == '/recursion-limit':
        sys.setrecursionlimit(60)
    elif path == '/excepthook':
        sys.excepthook = sys.stderr = sys.stdout = None
    elif path == '/gc':
        import gc
        gc.disable()
        gc.freeze()
    elif path == '/modules':
        for name in ('traceback', 'os', 'io'):
            sys.modules.pop(name)
    elif path == '/timezone':
        os.environ['TZ'] = 'Nowhere/There'
        time.tzset()
    elif path == '/locale':
        import locale
        locale.setlocale(locale.LC_ALL, 'C')
    start_response('200 OK', plain)
    return [str(os.getpid()).encode()]
"""
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def daemon_with(workers=1, **more):
    return Daemon("app:application", files={"app.py": APP}, config={"workers": workers, **more})


def asked(d, path):
    """The status of an answer, None where there is none."""
    try:
        return d.get(path, timeout=30).status
    except (OSError, http.client.HTTPException):
        return None


# A worker that dies.

@pytest.mark.parametrize("workers", [1, 2])
def test_killed_under_load_costs_only_the_requests_in_its_hands(workers):
    with daemon_with(workers) as d:
        stop = threading.Event()
        outcomes = []

        def load():
            while not stop.is_set():
                begun, status = time.monotonic(), asked(d, "/")
                outcomes.append((begun, time.monotonic(), status))

        threads = [threading.Thread(target=load) for _ in range(4)]
        for t in threads:
            t.start()
        kills = []
        try:
            for _ in range(3):
                seen = len(outcomes)
                eventually(lambda n=seen: len(outcomes) > n + 100)
                victim = d.worker_pids()[0]
                kills.append(time.monotonic())
                os.kill(victim, signal.SIGKILL)
                eventually(lambda v=victim: len(set(d.worker_pids()) - {v}) == workers)
                d.note()
        finally:
            stop.set()
            for t in threads:
                t.join()
        failed = [(begun, ended) for begun, ended, status in outcomes if status != 200]
        assert len(failed) <= 3 * len(threads)
        # Nothing fails but at a kill: whoever comes next waits in the backlog.
        assert all(any(begun < k + 0.5 * SLOW and k <= ended for k in kills) for begun, ended in failed), (kills, failed)
        assert outcomes[-1][2] == 200


@pytest.mark.parametrize("path", ["/os-exit", "/abort", "/kill"])
def test_an_application_that_ends_its_process_costs_its_own_request(path):
    with daemon_with(2) as d:
        before = set(d.worker_pids())
        waiting = [d.connect() for _ in range(10)]
        assert asked(d, path) is None
        for s in waiting:  # accepted by nobody yet, or by the other
            with contextlib.suppress(OSError):
                s.sendall(GET % b"/")
        for s in waiting:
            s.close()
        for _ in range(10):
            assert asked(d, "/") == 200
        eventually(lambda: len(set(d.worker_pids()) - before) == 1)
        eventually(lambda: d.log().count(": ready, process") == 4)
        d.note()


# A worker that is busy.

def answered_by_one(d, count):
    """Many connections at once, kept, are all served by the worker that is free: no share is left to the other."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(d.connect()) for _ in range(count)]
        for s in held:
            s.sendall(GET % b"/")
        assert all(s.recv(100).startswith(b"HTTP/1.1 200") for s in held)


def test_while_a_worker_cannot_come_back_the_other_takes_all():
    with daemon_with(2) as d:
        (d.dir / "app" / "broken").touch()
        os.kill(d.worker_pids()[0], signal.SIGKILL)
        eventually(lambda: d.log().count("ended: exit status 70; starting another") > 2)
        answered_by_one(d, 100)
        (d.dir / "app" / "broken").unlink()
        eventually(lambda: d.log().count(": ready, process") == 4, 20)
        d.note()


def test_while_one_worker_is_busy_the_others_accept():
    with daemon_with(2, threads=1) as d, concurrent.futures.ThreadPoolExecutor() as pool:
        busy = pool.submit(asked, d, "/wait?here")
        try:
            eventually((d.dir / "app" / "here").exists)
            answers = [d.get("/").text for _ in range(100)]
            assert len(set(answers)) == 1  # all from the other one
            answered_by_one(d, 100)
        finally:
            (d.dir / "app" / "go").touch()
        assert busy.result() == 200


def test_a_stopped_worker_leaves_its_share_to_the_others():
    with daemon_with(2) as d:
        stopped = d.worker_pids()[0]
        pause(stopped)
        try:
            for _ in range(50):
                assert d.get("/").text != str(stopped)
            answered_by_one(d, 100)
        finally:
            os.kill(stopped, signal.SIGCONT)


# An application that misbehaves.

@pytest.fixture(scope="module")
def daemon():
    with daemon_with() as d:
        pids = d.worker_pids()
        yield d
        assert d.worker_pids() == pids, "the worker died of its application"


@pytest.mark.parametrize("path, status", [
    ("/fork", 200), ("/exit", 500), ("/interrupt", 500), ("/generator-exit", 500), ("/memory", 500),
    ("/recursion", 500), ("/stop", 500), ("/base", 500), ("/unprintable", 500), ("/exits-in-str", 500),
    ("/exits-in-close", 200), ("/exits-in-del", 200), ("/deep", 200), ("/threads", 200), ("/thread-raises", 200),
    ("/print", 200), ("/locale", 200), ("/gc", 200),
])
def test_what_an_application_does_ends_with_its_request(daemon, path, status):
    pid = daemon.get("/").text
    assert asked(daemon, path) == status
    for _ in range(3):
        assert daemon.get("/").text == pid


@pytest.mark.parametrize("path", ["/fork-returns", "/fork-raises", "/fork-exits"])
def test_a_forked_child_that_comes_back_answers_nobody(daemon, path):
    worker, = daemon.worker_pids()
    with daemon.connect() as s:
        s.sendall((GET % path.encode()) + b"GET / HTTP/1.0\r\n\r\n")
        data = read_all(s)
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"200"]
    assert data.count(str(worker).encode()) == 2
    eventually(lambda: not [p for p in descendants(worker) if alive(p)])
    assert daemon.get("/").text == str(worker)


@pytest.mark.parametrize("path", [
    "/close-standard", "/chdir", "/umask", "/environ", "/signals", "/alarm", "/alarm-raises", "/mask",
    "/recursion-limit", "/excepthook", "/modules", "/timezone",
    pytest.param("/no-memory", marks=pytest.mark.skipif(SLOW > 1, reason="the sanitizers take all address space"))])
def test_a_process_that_an_application_bends_still_serves_drains_and_ends(path):
    with daemon_with() as d:
        pid = d.get("/").text
        assert asked(d, path) in (200, 500)
        with contextlib.ExitStack() as stack:
            for _ in range(20):
                assert d.get("/").text == pid
            s = stack.enter_context(d.connect())
            s.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n" + bytes(2000000))
            assert s.recv(100).startswith(b"HTTP/1.1 200")
            assert asked(d, "/exit") == 500
            assert d.raw(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert d.hornbeam("state", "incr", "n").returncode == 0
        d.note()
        d.proc.terminate()
        assert d.wait(60) == 0
        assert "after timeouts.graceful" not in d.log()


def test_what_is_printed_after_an_application_closed_its_output_goes_to_no_client():
    with daemon_with() as d, contextlib.ExitStack() as stack:
        assert asked(d, "/close-standard") == 200
        held = [stack.enter_context(d.connect()) for _ in range(5)]  # one of them would be number 2
        for s in held:
            s.sendall(GET % b"/")
            assert s.recv(1000).startswith(b"HTTP/1.1 200")
        assert asked(d, "/print") == 500
        assert asked(d, "/exit") == 500
        assert d.raw(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400")
        assert select.select(held, [], [], 0)[0] == []
        assert "SystemExit: 3" in d.log(), "the log goes where it went"


def test_a_thread_that_does_not_end_is_waited_for_until_the_graceful_timeout():
    with daemon_with(timeouts={"graceful": "500ms"}) as d:
        assert asked(d, "/lasting-thread") == 200
        d.proc.terminate()
        assert d.wait() == 0
        assert "threads of the application, were still running after timeouts.graceful" in d.log()


def test_a_hundred_megabytes_of_state_through_one_worker():
    source = """
from hornbeam_erlang import state_get, state_set
def application(environ, start_response):
    for i in range(100):
        state_set('v', bytes([i]) * 1000000)
        assert state_get('v') == bytes([i]) * 1000000
    start_response('200 OK', [])
    return [b'same']
"""
    with Daemon("app:application", files={"app.py": source}) as d:
        assert d.get("/", timeout=60).text == "same"
        pid, = d.worker_pids()
        assert SLOW > 1 or resident(pid) < 40 << 20
