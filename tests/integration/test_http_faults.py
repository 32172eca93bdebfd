"""Clients that are slow, close their side, close, or reset, in every state of a connection; bodies above the limit.

For a WSGI and for an ASGI application: after each the worker is the same, holds
no descriptor more than before, has logged no traceback, and serves the next.
"""

import os
import re
import socket
import struct
import time

import pytest

import harness
from http_client import Reader

#: /echo: the body's length; /wait: its answer comes when the file `go` is there; /stream: 16 MiB.
APPS = {
    "wsgi": """
import os, time

def pieces():
    try:
        for _ in range(256):
            yield b"x" * 65536
    finally:
        open("ended", "w").close()

def application(environ, start_response):
    open("called", "w").close()
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/stream":
        return pieces()
    if path == "/wait":
        open("begun", "w").close()
        while not os.path.exists("go"):
            time.sleep(0.005)
        return [b"late"]
    return [b"%d" % len(body)]
""",
    "asgi": """
import asyncio, os

async def read(receive, seen):
    length, more = 0, True
    while more:
        message = await receive()
        seen.append(message["type"])
        if message["type"] == "http.disconnect":
            return None
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    return length

async def application(scope, receive, send):
    open("called", "w").close()
    seen = []
    length = await read(receive, seen)
    if length is None:
        open("disconnected", "w").write(seen[-1])
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/stream":
        try:
            for _ in range(256):
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await send({"type": "http.response.body"})
        finally:
            open("ended", "w").close()
        return
    if scope["path"] == "/wait":
        open("begun", "w").close()
        while not os.path.exists("go"):
            await asyncio.sleep(0.005)
        await send({"type": "http.response.body", "body": b"late"})
        return
    await send({"type": "http.response.body", "body": b"%d" % length})
""",
}
GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
BODY = 65536  # limits.body below


def daemon_with(interface, **config):
    apps = [{"mount": "/", "app": "app:application", "interface": interface}]
    return harness.Daemon(apps=apps, files={"app.py": APPS[interface]}, config={"lifespan": "off", **config})


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def daemon(request):
    with daemon_with(request.param, limits={"body": "64K"}) as d:
        d.alone = descriptors(d)
        yield d


@pytest.fixture(params=["wsgi", "asgi"])
def interface(request):
    return request.param


class File:
    """One of the files by which application and test speak."""

    def __init__(self, d, name):
        self.path = d.dir / name
        self.path.unlink(missing_ok=True)

    def exists(self):
        return self.path.exists()

    def wait(self):
        harness.eventually(self.path.exists, what=f"no file {self.path.name}")


def descriptors(d):
    """The worker, and how many descriptors it holds."""
    (pid,) = d.worker_pids()
    return pid, len(os.listdir(f"/proc/{pid}/fd"))


def check_nothing_is_left(d):
    assert d.get("/echo").text == "0"
    harness.eventually(lambda: descriptors(d) == d.alone, what="a descriptor is left")
    assert "Traceback" not in d.log(), d.log()


def reset(s):
    """Closes so that the server sees a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def half_close(s):
    s.shutdown(socket.SHUT_WR)


def close(s):
    s.close()


#: What the client has sent when it goes, and whether an answer has come by then.
STATES = {
    "nothing sent": (b"", False),
    "an empty line": (b"\r\n", False),
    "half a request line": (b"GET /ec", False),
    "half a head": (b"GET /echo HTTP/1.1\r\nHost: a\r\nX-A: b", False),
    "no byte of a body": (POST + b"Content-Length: 10\r\n\r\n", False),
    "no byte of an expected body": (POST + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", False),
    "half a body": (POST + b"Content-Length: 10\r\n\r\nhello", False),
    "half a chunk size": (POST + b"Transfer-Encoding: chunked\r\n\r\n1", False),
    "half a chunk": (POST + b"Transfer-Encoding: chunked\r\n\r\na\r\nhello", False),
    "half a trailer": (POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A", False),
    "a whole request": (GET, False),
    "an answered request": (GET, True),
    "an answered request and half of another": (GET + GET[:20], True),
    "a refused request": (b"rubbish\r\n", True),
    "a hundred requests": (GET * 100, False),
}


@pytest.mark.parametrize("leave", [half_close, close, reset])
@pytest.mark.parametrize("state", STATES)
def test_a_client_that_leaves_leaves_nothing_behind(daemon, state, leave):
    data, answered = STATES[state]
    with daemon.connect() as s:
        s.sendall(data)
        if answered:
            assert Reader(s).response()[0] in (200, 400)
        leave(s)
        if leave is half_close:
            for status in re.findall(rb"HTTP/1\.1 (\d+)", harness.read_all(s)):
                assert status in ((b"200",) if "request" in state else (b"100", b"400", b"408")), status
    check_nothing_is_left(daemon)


@pytest.mark.parametrize("leave", [half_close, close, reset])
def test_a_client_may_leave_while_its_application_runs(daemon, leave):
    begun, go = File(daemon, "begun"), File(daemon, "go")
    with daemon.connect() as s:
        s.sendall(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        begun.wait()
        leave(s)
        go.path.touch()
        if leave is half_close:
            assert Reader(s).response()[2] == b"late"
    check_nothing_is_left(daemon)


@pytest.mark.parametrize("leave", [close, reset])
def test_a_client_may_leave_in_the_middle_of_a_response(daemon, leave):
    ended = File(daemon, "ended")
    with daemon.connect() as s:
        s.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        assert s.recv(1000).startswith(b"HTTP/1.1 200")
        assert not ended.exists()
        leave(s)
    ended.wait()
    check_nothing_is_left(daemon)


def test_a_client_that_closed_its_side_still_gets_a_long_response(daemon):
    with daemon.connect() as s:
        s.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        half_close(s)
        assert len(Reader(s).response()[2]) == 16 << 20


def test_a_slow_reader_that_reads_gets_everything(daemon):
    with daemon.connect() as s:
        s.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        assert daemon.get("/echo").text == "0"  # it delays nobody
        assert harness.read_all(s).endswith(b"x" * 65536)


def test_a_slow_head_is_408(interface):
    with daemon_with(interface, timeouts={"header": "2s"}) as d:
        called = File(d, "called")
        for part in (b"GET /e", GET[:-2]):
            with d.connect() as s:
                s.sendall(part)
                status, fields, _ = Reader(s).response()
            assert (status, fields[b"connection"]) == (408, b"close")
        assert not called.exists()
        with d.connect() as s:
            assert s.recv(1) == b""  # it asked for nothing, and is told nothing


@pytest.mark.parametrize("part", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\na\r\nhello",
                                  b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"Content-Length: 10\r\n\r\n"])
def test_a_slow_body_is_408(interface, part):
    with daemon_with(interface, timeouts={"body": "300ms"}) as d, d.connect() as s:
        called, disconnected = File(d, "called"), File(d, "disconnected")
        s.sendall(POST + part)
        status, fields, _ = Reader(s).response()
        assert (status, fields[b"connection"]) == (408, b"close")
        if interface == "wsgi":
            assert not called.exists()
        else:
            disconnected.wait()
        assert d.get("/echo").text == "0"


def test_a_body_that_keeps_coming_has_its_time(interface):
    with daemon_with(interface, timeouts={"body": "3s"}) as d, d.connect() as s:
        s.sendall(POST + b"Content-Length: 6\r\n\r\n")
        s.settimeout(0.6)
        for byte in b"abcdef":  # 3.6 s in all
            with pytest.raises(TimeoutError):
                s.recv(1)
            s.sendall(bytes([byte]))
        s.settimeout(20 * harness.SLOW)
        assert Reader(s).response()[2] == b"6"


def test_a_reader_that_takes_nothing_is_cut_off(interface):
    with daemon_with(interface, timeouts={"write": "300ms"}) as d:
        ended = File(d, "ended")
        d.alone = descriptors(d)
        with d.connect() as s:
            s.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            ended.wait()
            check_nothing_is_left(d)
            assert len(harness.read_all(s)) < 16 << 20
        assert "read nothing of the response for too long" in d.log()


def test_a_length_above_the_limit_is_413_at_once(daemon):
    called = File(daemon, "called")
    for expect in (b"", b"Expect: 100-continue\r\n"):
        with daemon.connect() as s:
            s.sendall(POST + expect + b"Content-Length: %d\r\n\r\n" % (BODY + 1))
            line, fields = Reader(s).head()
        assert line.startswith(b"HTTP/1.1 413 ")
        assert dict(fields)[b"connection"] == b"close"
    assert not called.exists()


def test_chunks_above_the_limit_are_413_when_they_exceed_it(daemon):
    called, disconnected = File(daemon, "called"), File(daemon, "disconnected")
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    with daemon.connect() as s:
        s.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * (BODY // 4096))
        assert daemon.get("/next").text == "0"  # so far nothing is wrong
        called.path.unlink(missing_ok=True)
        s.sendall(b"1\r\n")
        status, fields, _ = Reader(s).response()
    assert (status, fields[b"connection"]) == (413, b"close")
    if "async def" in (daemon.dir / "app" / "app.py").read_text():
        disconnected.wait()
    assert not called.exists()
    assert "Traceback" not in daemon.log(), daemon.log()


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_at_the_limit_is_whole(daemon, framing):
    data = b"x" * BODY
    with daemon.connect() as s:
        if framing == "length":
            s.sendall(POST + b"Content-Length: %d\r\n\r\n" % BODY + data)
        else:
            s.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % BODY + data + b"\r\n0\r\n\r\n")
        assert Reader(s).response()[2] == b"%d" % BODY
