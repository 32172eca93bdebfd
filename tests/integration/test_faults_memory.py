"""A worker's memory over 200,000 requests of many kinds, failing ones among them, for each way of running an application."""

import contextlib
import os
import re
import socket
import struct

import pytest
from faulty_apps import ASGI, WEBSOCKET, WSGI
from harness import SLOW, Daemon, eventually, resident
from ws_client import TEXT, Client, frame

COUNT = 200_000 // SLOW ** 2  # the sanitizers keep what is freed, so that its size says nothing; what they look for shows sooner
BATCH = 50
STEPS = 10  # after the first, which warms up

#: One request of each kind; those that fail take long, for their tracebacks.
ROUND = [
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /%70ieces?1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\nX-Some: field\r\nCookie: a=b\r\n\r\n" + b"y" * 20,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    b"POST /ignores-body HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n" + b"y" * 20,
    b"GET /raise-before?error HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /raise-before?exit HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: other.example\r\nAccept: */*\r\n\r\n",
    b"GET /pieces?7 HTTP/1.1\r\nHost: x\r\n\r\n",
]
ROUND += [request for request in ROUND if b"/raise" not in request][:8] + ROUND[-2:]
STATUSES = [500 if b"/raise" in request else 200 for request in ROUND]

PIECES = {
    "wsgi": r"""
def pieces(environ, start, argument):
    start('200 OK', PLAIN)
    return (b'piece' for _ in range(int(argument)))
""",
    "asgi": r"""
async def pieces(receive, send, argument):
    await send(START)
    for _ in range(int(argument)):
        await send(part(b'piece', True))
    await send(part(b''))
""",
}
KINDS = {"in place": ("wsgi", WSGI + PIECES["wsgi"], 1), "pool": ("wsgi", WSGI + PIECES["wsgi"], 3),
         "asgi": ("asgi", ASGI + WEBSOCKET + PIECES["asgi"], 1)}


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def pipeline(d, rounds):
    """Many requests on one connection; the last one ends it."""
    data = b"".join(ROUND)
    with d.connect(60) as s:
        got = bytearray()
        s.setblocking(False)
        sent, total = 0, data * rounds + b"GET / HTTP/1.0\r\n\r\n"
        while True:
            with contextlib.suppress(BlockingIOError):
                if sent < len(total):
                    sent += s.send(total[sent:sent + 65536])
            with contextlib.suppress(BlockingIOError):
                part = s.recv(1 << 18)
                if not part:
                    break
                got += part
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", got)]
    assert found == STATUSES * rounds + [200], got[-300:]


def leave_early(d):
    """Clients that go away in the middle of something, and requests that are refused."""
    for data in (b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf", b"rubbish\r\n\r\n",
                 b"GET /stream?z HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /raise-body?error HTTP/1.1\r\nHost: x\r\n\r\n"):
        s = d.connect()
        s.sendall(data)
        if data.startswith((b"GET /s", b"GET /r", b"r")):
            s.recv(100)
        reset(s)


def websockets(d):
    for n in range(4):
        with Client(d.connect(), "/ws-echo", offer="permessage-deflate" if n % 2 else None) as c:
            c.send(b"".join(frame(TEXT, b"message %d" % i) for i in range(20)))
            for i in range(20):
                assert c.message() == f"message {i}"
            if n == 0:
                c.close(1000)
                assert c.closed()[0] == 1000
            elif n == 1:
                c.send(b"\xff\xff\xff\xff")
                c.closed()
            elif n == 2:
                reset(c.socket)
    with Client(d.connect(), "/ws-raise-open?error") as c:
        assert c.closed()[0] == 1011


def step(d, kind, requests):
    for n in range(requests // (BATCH * len(ROUND))):
        pipeline(d, BATCH)
        leave_early(d)
        if kind == "asgi" and n % 10 == 0:  # a close frame that is not answered is waited for
            websockets(d)


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_flat_over_200_000_requests(kind):
    interface, source, threads = KINDS[kind]
    with Daemon(apps=[{"mount": "/", "app": "app:application", "interface": interface}], files={"app.py": source},
                config={"threads": threads, "lifespan": "off", "log": {"access": "off"}}) as d:
        (pid,) = d.worker_pids()
        alone = descriptors(pid)
        step(d, kind, COUNT // STEPS)
        warm = resident(pid)
        sizes = []
        for _ in range(STEPS):
            step(d, kind, COUNT // STEPS)
            sizes.append(resident(pid))
        eventually(lambda: descriptors(pid) == alone, what="descriptors are left")
        assert d.worker_pids() == [pid]
        assert SLOW > 1 or sizes[-1] <= warm * 1.05, (warm, sizes)
