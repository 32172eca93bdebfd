"""Readers that are slow, applications that fork or answer late, workers that sleep: what must not spread."""

import os
import signal
import socket

import pytest
from harness import NO_QUARANTINE, SLOW, Daemon, alive, eventually, read_all, resident

APP = """
import os, signal, time

PIECE = b'x' * 65536

class Closing:
    def __init__(self, parts, name):
        self.parts, self.name = iter(parts), name
    def __iter__(self):
        return self.parts
    def close(self):
        while not os.path.exists(self.name):
            time.sleep(0.01)

def application(environ, start_response):
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    if path == '/stream':
        start_response('200 OK', [])
        return (PIECE for i in range(int(query)))
    if path == '/wait':
        open(query + '.begun', 'w').close()
        while not os.path.exists(query):
            time.sleep(0.01)
    if path == '/close':
        start_response('200 OK', [])
        return Closing([b'ok'], query)
    if path == '/fork':
        pid = os.fork()
        if pid == 0:
            while True:
                time.sleep(60)
        start_response('200 OK', [])
        return [b'%d' % pid]
    if path == '/terminate':
        import multiprocessing
        p = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))
        p.start()
        p.terminate()
        p.join(20)
        start_response('200 OK', [])
        return [str(p.exitcode).encode()]
    if path == '/spoilt':
        start_response('200 OK', [('X', 'a')])
        try:
            raise KeyError
        except KeyError as e:
            try:
                start_response('500 no', [('X', 'a\\r\\nb')], (KeyError, e, None))
            except ValueError:
                pass
        return [b'body']
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [path.encode()]
"""
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def daemon(env=None, **config):
    return Daemon(app="app:application", files={"app.py": APP}, config=config, env=env)


@pytest.fixture(scope="module")
def server():
    with daemon() as d:
        yield d


def read_until(s, end):
    """What comes on a socket, until that ends with end."""
    data = b""
    while not data.endswith(end):
        part = s.recv(65536)
        assert part, data
        data += part
    return data


def test_a_stream_to_a_slow_reader_takes_bounded_memory():
    pieces = 3000  # 188 MiB
    d = daemon(env=NO_QUARANTINE)
    path = d.dir / "http.sock"  # its buffer is smaller than what waits to be sent, and never takes all of that
    d.config["listen"].append(f"unix:{path}")
    with d, socket.socket(socket.AF_UNIX) as s:
        (pid,) = d.worker_pids()
        s.settimeout(20 * SLOW)
        s.connect(str(path))
        before = resident(pid)
        s.sendall(b"GET /stream?%d HTTP/1.0\r\n\r\n" % pieces)
        got, most = 0, 0
        while part := s.recv(4096):
            got += len(part)
            most = max(most, resident(pid))
    assert got > pieces * 65536
    assert most - before < 16 << 20, (most - before) >> 20


def test_a_child_of_the_application_ends_by_sigterm_and_its_worker_does_not(server):
    (worker,) = server.worker_pids()
    assert server.get("/terminate", timeout=30).text == str(-signal.SIGTERM)
    child = int(server.get("/fork").text)
    os.kill(child, signal.SIGTERM)
    eventually(lambda: not alive(child))
    with server.connect() as s:
        for i in range(3):  # a worker that drains ends its connections
            s.sendall(GET % b"/%d" % i)
            assert b"Connection: close" not in s.recv(4096)
    assert server.worker_pids() == [worker]


def test_a_head_that_was_refused_leaves_no_response_without_one(server):
    with server.connect() as s:
        s.sendall(GET % b"/spoilt" + b"GET /end HTTP/1.0\r\n\r\n")
        data = read_all(s)
    assert data.startswith(b"HTTP/1.1 500 "), data
    assert data.count(b"HTTP/1.1 ") == 2, data


def test_connections_beyond_a_workers_share_are_taken_when_the_other_is_asleep():
    with daemon(workers=2) as d, d.connect() as asleep:
        asleep.sendall(GET % b"/wait?go")
        eventually(lambda: (d.dir / "go.begun").exists())
        kept = []
        for i in range(120):
            s = d.connect()
            kept.append(s)
            s.sendall(GET % b"/%d" % i)
        for s in kept:
            assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
        for s in kept:
            s.close()
        (d.dir / "go").touch()
        assert asleep.recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_response_waits_for_no_other_request_and_no_close_that_take_long():
    with daemon() as d, d.connect() as quick, d.connect() as slow, d.connect() as next_slow:
        slow.sendall(GET % b"/wait?first")
        eventually(lambda: (d.dir / "first.begun").exists())
        quick.sendall(GET % b"/quick")  # both are there when the worker looks again
        next_slow.sendall(GET % b"/wait?second")
        (d.dir / "first").touch()
        assert quick.recv(4096).endswith(b"/quick")
        eventually(lambda: (d.dir / "second.begun").exists())
        quick.sendall(GET % b"/close?third")
        (d.dir / "second").touch()
        assert read_until(quick, b"0\r\n\r\n").endswith(b"\r\nok\r\n0\r\n\r\n")
        (d.dir / "third").touch()
