"""WSGI requests on threads: who gets which, what they share, and how they end."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import threading

import pytest
from harness import SLOW, Daemon, alive, eventually, pause, read_all
from http_client import Reader

POOLED = r"""
import contextvars, json, os, sys, threading, time

before = contextvars.ContextVar('before', default='unset')
before.set('import')
var = contextvars.ContextVar('var', default='unset')
local = threading.local()
here = os.path.dirname(__file__)
closed = []

def wait_for(name):
    open(os.path.join(here, name + '.begun'), 'w').close()
    while not os.path.exists(os.path.join(here, name)):
        time.sleep(0.002)

def stream(name):
    # resumed many times, since its reader is slow
    var.set(name)
    local.names = {name, *getattr(local, 'names', ())}
    thread = threading.get_ident()
    try:
        for i in range(300):
            assert var.get() == name, 'another context'
            assert threading.get_ident() == thread, 'another thread'
            assert name in local.names, 'another local'
            yield (name * 65536).encode()
    finally:
        closed.append((name, var.get(), threading.get_ident() == thread))

def application(environ, start_response):
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    body = b''
    if path == '/who':
        t = threading.current_thread()
        body = json.dumps([t.name, type(t).__name__, t.daemon, threading.Thread().daemon,
                           threading.main_thread().name]).encode()
    elif path == '/wait':
        wait_for(query)
    elif path == '/set':
        body = json.dumps([var.get(), before.get()]).encode()
        var.set(query)
        before.set(query)
    elif path == '/exit':
        sys.exit(3)
    elif path == '/fork':
        pid = os.fork()
        if pid == 0 and query == 'exit':
            os._exit(7)
        if pid == 0:
            start_response('200 OK', [])
            return [b'from the child']
        body = str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode()
    elif path == '/stream':
        start_response('200 OK', [])
        return stream(query)
    elif path == '/closed':
        body = json.dumps(closed).encode()
    elif path == '/blocked':
        body = open('/proc/thread-self/status').read().split('SigBlk:')[1].split()[0].encode()
    elif path == '/size':
        n = sum(len(b) for b in iter(lambda: environ['wsgi.input'].read(1 << 20), b''))
        body = str(n).encode()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body]
"""


def pooled(threads=4, wrap=(), env=None, **config):
    return Daemon(app="p:application", files={"p.py": POOLED}, wrap=wrap, env=env,
                  config={"threads": threads, **config})


@pytest.fixture(scope="module")
def pool():
    with pooled() as d:
        yield d


@contextlib.contextmanager
def busy(d, *names):
    """Requests that run until the block ends."""
    def ask(name):
        answers[name] = d.get(f"/wait?{name}", timeout=30).status

    answers = {}
    threads = [threading.Thread(target=ask, args=(n,)) for n in names]
    try:
        for t, n in zip(threads, names):
            t.start()
            eventually((d.dir / "app" / f"{n}.begun").exists)
        yield
    finally:
        for n in names:
            (d.dir / "app" / n).touch()
        for t in threads:
            t.join()
    assert answers == dict.fromkeys(names, 200)


def test_its_threads_are_known_to_python_by_name(pool):
    name, kind, daemon, childs_daemon, main = json.loads(pool.get("/who").body)
    assert name in {f"hornbeam-{i}" for i in range(1, 5)} and kind == "Thread" and main == "MainThread"
    assert not daemon and not childs_daemon, "threads of the application are to be no daemons by themselves"


def test_requests_run_side_by_side(pool):
    with busy(pool, "a", "b", "c"):
        for _ in range(50):
            assert pool.get("/who").status == 200


def test_a_request_whose_rest_comes_while_its_begin_waits_behind_another_runs_once(pool):
    """The rest must come between the response and the next look at the begin, so it is tried often."""
    request = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(pool.connect()) for _ in range(24)]
        for _ in range(40):
            poller = select.epoll()
            for s in sockets:
                poller.register(s, select.EPOLLIN | select.EPOLLONESHOT)
            for s in sockets:
                s.sendall(request + request[:20])
            waiting = {s.fileno(): s for s in sockets}
            while waiting:
                for fd, _ in poller.poll():
                    waiting.pop(fd).sendall(request[20:])
            poller.close()
            for s in sockets:
                reader = Reader(s)
                assert [reader.response()[0] for _ in range(2)] == [200, 200]
                assert reader.data == b""


def test_more_requests_than_threads_wait_their_turn():
    with pooled(2) as d, contextlib.ExitStack() as stack:
        with busy(d, "a", "b"):
            conns = [stack.enter_context(d.connect()) for _ in range(20)]
            for s in conns:
                s.sendall(b"GET /set?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for s in conns:
            assert read_all(s).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("threads", [1, 4])
def test_context_variables_of_one_request_are_not_seen_by_another(threads):
    with pooled(threads) as d:
        for i in range(20):
            assert json.loads(d.get(f"/set?{i}").body) == ["unset", "import"]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_generator_goes_on_in_its_context_and_on_its_thread(threads):
    with pooled(threads) as d, contextlib.ExitStack() as stack:
        conns = {name: stack.enter_context(d.connect()) for name in "abcdef"}
        for name, s in conns.items():
            s.sendall(f"GET /stream?{name} HTTP/1.0\r\n\r\n".encode())
        got = dict.fromkeys(conns, 0)
        for s in conns.values():
            assert s.recv(100)  # all have begun before any ends
        while conns:
            for name, s in list(conns.items()):
                part = s.recv(1 << 19)
                got[name] += part.count(name.encode() * 100)
                if not part:
                    del conns[name]
        assert "AssertionError" not in d.log()
        ended = eventually(lambda: len(c := json.loads(d.get("/closed").body)) == 6 and c)
        assert sorted(ended) == [[name, name, True] for name in "abcdef"]


def test_close_is_called_when_the_reader_is_lost(pool):
    with pool.connect() as s:
        s.sendall(b"GET /stream?z HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(1000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    eventually(lambda: ["z", "z", True] in json.loads(pool.get("/closed").body))


def test_exit_ends_no_thread(pool):
    pids = pool.worker_pids()
    for _ in range(20):
        assert pool.get("/exit").status == 500
    with busy(pool, "e1", "e2", "e3", "e4"):
        pass
    assert pool.worker_pids() == pids


@pytest.mark.parametrize("how,status", [("exit", "7"), ("return", "0")])
def test_a_fork_in_a_thread_leaves_the_parents_connections_alone(pool, how, status):
    with busy(pool, f"f{how}"):
        for _ in range(10):
            assert pool.get(f"/fork?{how}", timeout=30).text == status
    assert pool.get("/who").status == 200


def test_a_slow_upload_holds_no_thread(pool):
    with pooled(2, limits={"body_memory": "64K"}) as d, busy(d, "one"), d.connect() as s:
        size = 3_000_000
        s.sendall(f"POST /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(30):
            s.sendall(b"x" * (size // 30))
            assert d.get("/who").status == 200
        assert read_all(s).endswith(str(size).encode())


def test_a_slow_upload_holds_no_worker_without_threads():
    with pooled(1, limits={"body_memory": "64K"}) as d, d.connect() as s:
        s.sendall(b"POST /size HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(50):
            s.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
            assert d.get("/who").status == 200
        s.sendall(b"0\r\n\r\n")
        assert read_all(s).endswith(str(50 * 0x4000).encode())


def processor_time(pid):
    """Seconds that a process has computed."""
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("chunked", [False, True])
def test_large_uploads_take_linear_time(chunked):
    part = b"x" * (1 << 20)
    with pooled(2, limits={"body": "256M"}) as d:
        pid, = d.worker_pids()

        def cost(megabytes):
            before = processor_time(pid)
            headers = {} if chunked else {"Content-Length": str(megabytes << 20)}
            r = d.request("POST", "/size", body=(part for _ in range(megabytes)), headers=headers, timeout=60)
            assert r.text == str(megabytes << 20)
            return processor_time(pid) - before

        cost(16)
        assert cost(128) < 8 * 3 * max(cost(16), 0.02)


def test_a_full_disk_is_503(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs to mount a file system")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M,mode=1777", "none", small], check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        with pooled(2, env={"TMPDIR": str(small)}, limits={"body_memory": "64K"}) as d:
            r = d.raw(b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + b"x" * 2_000_000)
            assert r.startswith(b"HTTP/1.1 503 ")
            assert "No space left on device" in d.log()
            eventually(lambda: os.statvfs(small).f_bfree > 200)
            assert d.request("POST", "/size", body=b"x" * 500_000).text == "500000"
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_drain_waits_for_what_runs():
    with pooled() as d:
        with busy(d, "a", "b"):
            d.note()
            d.proc.terminate()
            eventually(lambda: "draining" in d.log())
        assert d.wait() == 0
        assert "still running" not in d.log()


def test_what_hangs_is_left_behind_at_the_graceful_timeout():
    with pooled(timeouts={"graceful": "500ms"}) as d, d.connect() as s:
        s.sendall(b"GET /wait?never HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually((d.dir / "app" / "never.begun").exists)
        d.note()
        d.proc.terminate()
        assert d.wait() == 0
        assert "still running after timeouts.graceful" in d.log()
        assert read_all(s) == b""


def test_an_orphan_ends_with_its_threads():
    with pooled() as d, d.connect() as s:
        s.sendall(b"GET /wait?never HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually((d.dir / "app" / "never.begun").exists)
        pid, = d.worker_pids()
        d.note()
        os.kill(d.proc.pid, signal.SIGKILL)
        eventually(lambda: not alive(pid))


def test_no_signal_is_blocked_for_what_a_request_starts(pool):
    assert int(pool.get("/blocked").text, 16) == 0


ASGI = """
async def application(scope, receive, send):
    if scope['type'] == 'http':
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'asgi'})
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_beside_asgi_wsgi_has_threads_and_neither_waits_for_the_other(threads):
    with Daemon(files={"p.py": POOLED, "a.py": ASGI},
                apps=[{"mount": "/asgi", "app": "a:application"}, {"mount": "/", "app": "p:application"}],
                config={"threads": threads, "lifespan": "off"}) as d:
        assert json.loads(d.get("/who").body)[0].startswith("hornbeam-")
        with busy(d, *"abc"[:threads]):
            for _ in range(20):
                assert d.get("/asgi").text == "asgi"
        for i in range(100):
            assert d.get("/set?x").status == 200 and d.get("/asgi").text == "asgi", i


def test_a_burst_is_answered_whole_after_a_stop():
    """Many connections at once, pipelined, on few threads; the loop and the threads sleep in between."""
    with pooled(3) as d, contextlib.ExitStack() as stack:
        conns = [stack.enter_context(d.connect()) for _ in range(100)]
        pid, = d.worker_pids()
        for _ in range(3 * SLOW):
            pause(pid)
            for s in conns:
                s.sendall(5 * b"GET /set?1 HTTP/1.1\r\nHost: x\r\n\r\n")
            os.kill(pid, signal.SIGCONT)
            for s in conns:
                data = b""
                while data.count(b'["unset", "import"]') < 5:
                    data += s.recv(65536)


OWN_LOOPS = """
import asyncio, os, signal, sys, threading
from concurrent.futures import ThreadPoolExecutor
from hornbeam_erlang import state_incr

async def talk():
    server = await asyncio.start_server(lambda r, w: w.close(), '127.0.0.1', 0)
    reader, _ = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b''
    server.close()
    child = await asyncio.create_subprocess_exec('/bin/sh', '-c', 'exit 3')
    return [await child.wait(), await asyncio.to_thread(lambda: 'thread'), type(asyncio.get_running_loop()).__module__]

async def count():
    with ThreadPoolExecutor(1) as pool:
        loop = asyncio.get_running_loop()
        return [state_incr('n'), await asyncio.to_thread(state_incr, 'n'), await loop.run_in_executor(pool, state_incr, 'n')]

def uvloop_run():
    import uvloop
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(count()) and type(asyncio.get_event_loop_policy()).__module__
    finally:
        loop.close()

DO = {'/talk': lambda: asyncio.run(talk()), '/count': lambda: asyncio.run(count()), '/uvloop': uvloop_run}

def wsgi(environ, start_response):
    body = repr(DO[environ['PATH_INFO']]()).encode()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body]

async def asgi(scope, receive, send):
    if scope['path'] == '/asgi/count':
        body = repr(await count()).encode()
    else:
        body = repr(await asyncio.to_thread(DO[scope['path'][5:]])).encode()
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': body})
"""


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("beside", [False, True])
def test_asyncio_run_works_inside_a_wsgi_application(threads, beside):
    apps = [{"mount": "/", "app": "p:wsgi"}] + beside * [{"mount": "/asgi", "app": "p:asgi"}]
    with Daemon(files={"p.py": OWN_LOOPS}, apps=apps, config={"threads": threads, "lifespan": "off"}) as d:
        for _ in range(2):
            assert d.get("/talk").text == "[3, 'thread', 'asyncio.unix_events']"
        for i in range(3):
            assert d.get("/count").json() == [3 * i + 1, 3 * i + 2, 3 * i + 3]


def test_the_state_is_there_in_coroutines_and_all_kinds_of_threads():
    with Daemon(files={"p.py": OWN_LOOPS}, app="p:asgi", config={"lifespan": "off"}) as d:
        assert d.get("/asgi/count").json() == [1, 2, 3]


def test_uvloop_runs_in_a_thread_of_its_own():
    pytest.importorskip("uvloop")
    with Daemon(files={"p.py": OWN_LOOPS}, apps=[{"mount": "/", "app": "p:wsgi"}, {"mount": "/asgi", "app": "p:asgi"}],
                config={"lifespan": "off"}) as d:
        assert d.get("/uvloop").status == 200 and d.get("/asgi/uvloop").status == 200
        assert d.get("/count").json() == [7, 8, 9]
