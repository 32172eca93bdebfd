"""What outlives a request's head: WebSockets, streams and events, at a reload, at a stop and in the access log."""

import contextlib
import json
import signal
import threading
import time

import pytest
from harness import SLOW, Daemon, eventually, read_all
from ws_client import Client

APPS = {
    "a.py": """
import asyncio, pathlib

async def events(send):
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/event-stream')]})
    try:
        while True:
            await send({'type': 'http.response.body', 'body': b'data: tick\\n\\n', 'more_body': True})
            await asyncio.sleep(0.01)
    finally:
        print('events: cleaned up', flush=True)

async def socket(path, receive, send):
    assert (await receive())['type'] == 'websocket.connect'
    if path == '/a/late':
        late = pathlib.Path(__file__).with_name('late')
        late.touch()
        while late.exists():
            await asyncio.sleep(0.01)
    await send({'type': 'websocket.accept'})
    while True:
        message = await receive()
        if message['type'] == 'websocket.disconnect':
            print('socket: disconnected with', message['code'], flush=True)
            return
        await send({'type': 'websocket.send', 'text': message['text'].upper()})

async def application(scope, receive, send):
    if scope['type'] == 'websocket':
        return await socket(scope['path'], receive, send)
    if scope['path'] == '/a/hang':
        pathlib.Path(__file__).with_name('hangs').touch()
        await asyncio.sleep(3600)
    if scope['path'] == '/a/events':
        return await events(send)
    if scope['path'] == '/a/fail':
        while (await receive())['more_body']:
            pass
        raise RuntimeError('failed on purpose')
    if scope['path'] == '/a/stream':
        await send({'type': 'http.response.start', 'status': 206, 'headers': []})
        for i in range(10):
            await send({'type': 'http.response.body', 'body': bytes(10), 'more_body': True})
        return await send({'type': 'http.response.body'})
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'plain'})
""",
    "w.py": """
import time

def stream():
    try:
        while True:
            yield b'tick\\n'
            time.sleep(0.01)
    finally:
        print('stream: cleaned up', flush=True)

def application(environ, start_response):
    if environ['PATH_INFO'] == '/fail':
        environ['wsgi.input'].read()
        raise RuntimeError('failed on purpose')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return stream()
""",
}


@contextlib.contextmanager
def serving(graceful="3s", **config):
    with Daemon(files=APPS, apps=[{"mount": "/a", "app": "a:application"}, {"mount": "/w", "app": "w:application"}],
                config={"lifespan": "off", "timeouts": {"graceful": graceful}, **config}) as d:
        yield d


@contextlib.contextmanager
def stream(d, path):
    """A connection whose response has begun and has no end."""
    with d.connect(timeout=30 * SLOW) as s:
        s.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
        data = b""
        while b"tick" not in data:
            data += s.recv(65536)
        yield s


def begin_to_end(d, how):
    """Reloads or stops, without waiting for what is still in progress."""
    if how == "stop":
        d.proc.send_signal(signal.SIGTERM)
    else:
        assert d.hornbeam("reload").returncode == 0


def test_at_a_reload_websockets_get_1001_at_the_graceful_timeout():
    with serving() as d, Client(d.connect(timeout=30 * SLOW), path="/a/ws") as c:
        c.text("one")
        assert c.message() == "ONE"
        begin = time.monotonic()
        begin_to_end(d, "reload")
        c.text("two")
        assert c.message() == "TWO"
        assert c.closed()[0] == 1001
        assert time.monotonic() - begin > 2.9
        eventually(lambda: "socket: disconnected with 1001" in d.output())
        assert d.get("/a").text == "plain"


def test_at_a_stop_websockets_get_1001_at_once():
    with serving(graceful="1h") as d, Client(d.connect(timeout=30 * SLOW), path="/a/ws") as c:
        c.text("one")
        assert c.message() == "ONE"
        begin_to_end(d, "stop")
        assert c.closed()[0] == 1001
        assert d.wait() == 0
        assert "socket: disconnected with 1001" in d.output()


def test_a_stop_in_the_middle_of_a_reload_closes_the_old_workers_websockets_too():
    with serving(graceful="1h") as d, Client(d.connect(timeout=30 * SLOW), path="/a/ws") as c:
        begin_to_end(d, "reload")
        c.text("still served")
        assert c.message() == "STILL SERVED"
        begin_to_end(d, "stop")
        assert c.closed()[0] == 1001
        assert d.wait() == 0


def test_a_websocket_that_is_accepted_while_the_server_stops_gets_1001_at_once():
    with serving(graceful="1h") as d, d.connect(timeout=30 * SLOW) as s:
        shaking = threading.Thread(target=lambda: ended.append(Client(s, path="/a/late").closed()[0]))
        ended = []
        shaking.start()
        eventually((d.dir / "app" / "late").exists)
        begin_to_end(d, "stop")
        eventually(lambda: "worker: draining" in d.log())
        (d.dir / "app" / "late").unlink()
        shaking.join(30 * SLOW)
        assert ended == [1001]
        assert d.wait() == 0


@pytest.mark.parametrize("how", ["reload", "stop"])
@pytest.mark.parametrize(("path", "said"), [(b"/a/events", "events: cleaned up"), (b"/w", "stream: cleaned up")])
def test_streams_end_at_the_graceful_timeout_and_do_not_look_whole(path, said, how):
    with serving() as d, stream(d, path) as s:
        begin = time.monotonic()
        begin_to_end(d, how)
        with contextlib.suppress(ConnectionResetError):
            assert not read_all(s).endswith(b"\r\n0\r\n\r\n")
        assert time.monotonic() - begin > 2.9
        eventually(lambda: said in d.output())
        assert "it waits here" not in d.log()
        if how == "reload":
            assert d.get("/a").text == "plain"
        else:
            assert d.wait() == 0


def test_a_request_without_a_response_at_the_graceful_timeout_is_logged_with_where_it_waits():
    with serving(graceful="200ms") as d, d.connect(timeout=30 * SLOW) as s:
        s.sendall(b"GET /a/hang HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually((d.dir / "app" / "hangs").exists)
        begin_to_end(d, "stop")
        assert b" 503 " in read_all(s)
        assert d.wait() == 0
        assert "app: GET /a/hang: no response when timeouts.graceful was over" in d.log()
        assert "it waits here" in d.log() and "in application" in d.log()


def test_without_anything_in_progress_a_stop_waits_for_nothing():
    with serving(graceful="1m") as d:
        assert d.get("/a").text == "plain"
        d.proc.send_signal(signal.SIGTERM)
        assert d.wait() == 0


def lines(d, n):
    eventually(lambda: len(d.output().splitlines()) >= n)
    return [json.loads(line) for line in d.output().splitlines() if line.startswith("{")]


def test_the_access_log_has_sockets_and_streams_when_they_have_ended():
    with serving(log={"access_format": "json"}) as d:
        with Client(d.connect(timeout=30 * SLOW), path="/a/ws?q=1") as c:
            c.text("hello")
            assert c.message() == "HELLO"
            c.close(1000)
            c.closed()
        eventually(lambda: "/a/ws" in d.output())
        assert d.get("/a/stream").body == bytes(100)
        with stream(d, b"/a/events"):
            assert "/a/events" not in d.output()
        eventually(lambda: "/a/events" in d.output())
        socket, whole, cut = lines(d, 5)
    assert (socket["method"], socket["target"], socket["status"]) == ("GET", "/a/ws?q=1", 101)
    assert (whole["target"], whole["status"], whole["bytes"]) == ("/a/stream", 206, 100)
    assert (cut["target"], cut["status"]) == ("/a/events", 200) and cut["bytes"] > 0


@pytest.mark.parametrize("path", ["/a/fail", "/w/fail"])
def test_no_body_and_no_credential_is_logged(path):
    with serving(log={"level": "debug"}) as d:
        assert d.request("POST", path, body=b"password=confidential", headers={
            "Authorization": "Bearer confidential", "Cookie": "id=confidential"}).status == 500
        eventually(lambda: "failed on purpose" in d.log())
        with Client(d.connect(timeout=30 * SLOW), path="/a/ws", fields=("Cookie: id=confidential",)) as c:
            c.text("confidential")
            assert c.message() == "CONFIDENTIAL"
            c.close(1000)
            c.closed()
        eventually(lambda: "/a/ws" in d.output())
        assert "confidential" not in (d.log() + d.output()).lower()
