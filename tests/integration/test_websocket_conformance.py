"""Every case of tests/data/http/websocket.txt through a running server and an ASGI application.

What the codec's unit test shows of the frames is shown here of the whole: the messages
that the application gets and their echo, the pongs, the close frame with its code, and
the end of the connection.
"""

import json
import socket

import pytest

import harness
import ws_cases
from http_client import Reader
from ws_client import CLOSE, PONG, TEXT, Client, deflate, frame, inflate, request

#: Echoes messages; GET /seen?NAME tells what the connection to /NAME received.
ECHO = """
import json

SEEN = {}

async def application(scope, receive, send):
    if scope["type"] == "http":
        body = json.dumps(SEEN.get(scope["query_string"].decode())).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "websocket":
        await echo(scope, receive, send)
    else:
        raise NotImplementedError

async def echo(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[-1] if offered else None})
    got = []
    while (message := await receive())["type"] == "websocket.receive":
        text, data = message.get("text"), message.get("bytes")
        got.append(["text", text] if text is not None else ["bytes", data.hex()])
        try:
            await send({"type": "websocket.send", "text": text, "bytes": data})
        except OSError:
            pass
    SEEN[scope["path"][1:]] = {"messages": got, "code": message["code"]}
"""

CASES = ws_cases.load(harness.SOURCE)
BATCH = 10


@pytest.fixture(scope="module")
def daemon():
    config = {"websocket": {"max_message": "64K", "idle": "120s"}}
    apps = [{"mount": "/", "app": "app:application", "interface": "asgi"}]
    with harness.Daemon(apps=apps, files={"app.py": ECHO}, config=config) as d:
        yield d


def seen(d, name):
    """What the application got over the connection of that name, once that has ended."""
    return harness.eventually(lambda: d.get(f"/seen?{name}").json(), what=f"the application has not seen the end: {name}")


def exchange(d, case, name, step):
    """Sends a case and returns all that comes back until the end."""
    with Client(d.connect(), f"/{name}", offer="permessage-deflate" if case.deflate else None) as c:
        assert bool(c.extensions) == case.deflate
        got = []
        try:
            c.send(case.data, step)
            if not case.events:
                c.socket.shutdown(socket.SHUT_WR)  # nothing more will make it whole
            elif case.end is None:
                got = [c.event() for _ in case.messages + case.of("ping")]
                c.close(1000)
        except OSError:
            pass  # the server has closed already; its answer is there
        while (event := c.event()) is not None:
            got.append(event)
        return got


def check(d, case, step):
    name = f"{case.line}-{step}"
    got = exchange(d, case, name, step)
    closes = [payload for e in got if isinstance(e, tuple) for code, payload in [e] if code == CLOSE]
    code = case.end if case.end is not None else 1000
    if case.events:
        assert len(closes) == 1, got
        assert got[-1] == (CLOSE, closes[0]), "something behind the close frame"
        assert closes[0][:2] == (b"" if code == 1005 else code.to_bytes(2, "big"))
    assert [e[1] for e in got if isinstance(e, tuple) and e[0] == PONG] == case.of("ping")
    echoed = [e for e in got if not isinstance(e, tuple)]
    # What came just in front of the end may not have been echoed before it.
    complete = case.end is None
    assert echoed == case.messages if complete else echoed == case.messages[:len(echoed)]
    at_application = seen(d, name)
    assert [m[1] if m[0] == "text" else bytes.fromhex(m[1]) for m in at_application["messages"]] == case.messages
    assert at_application["code"] == (code if case.events else 1006)


@pytest.mark.parametrize("batch", range(0, len(CASES), BATCH))
def test_each_case_gives_its_events(daemon, batch):
    for case in CASES[batch:batch + BATCH]:
        try:
            check(daemon, case, 0)
            if len(case.data) <= 64:
                check(daemon, case, 1)
        except (AssertionError, OSError) as e:
            raise AssertionError(f"line {case.line}: {case.name}: {e}") from e


def test_an_unknown_version_is_answered_with_the_known_one(daemon):
    data, _ = request()
    with daemon.connect() as s:
        s.sendall(data.replace(b"Version: 13", b"Version: 12"))
        line, fields = Reader(s).head()
    assert line.startswith(b"HTTP/1.1 426 ")
    assert (b"sec-websocket-version", b"13") in fields
    assert (b"upgrade", b"websocket") in fields
    assert (b"connection", b"upgrade") in fields


@pytest.mark.parametrize("old, new", [
    (b"GET", b"POST"),
    (b"Sec-WebSocket-Version: 13\r\n", b""),
    (b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a b\r\n"),
    (b"Sec-WebSocket-Version: 13\r\n", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: a;;b\r\n"),
    (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: AA"),
    (b"Sec-WebSocket-Key: ", b"X-Key: "),
])
def test_a_bad_handshake_is_answered_with_400(daemon, old, new):
    data, _ = request()
    assert old in data
    with daemon.connect() as s:
        s.sendall(data.replace(old, new))
        assert Reader(s).response()[0] == 400


def test_the_application_chooses_a_subprotocol(daemon):  # the last one, here
    with Client(daemon.connect(), protocols="chat, v2", fields=["Sec-WebSocket-Protocol: v1"]) as c:
        assert c.protocol == "v2"


def test_a_client_that_does_not_wait_for_the_answer_is_served(daemon):
    with Client(daemon.connect(), early=frame(TEXT, b"one") + frame(TEXT, b"two")) as c:
        assert c.message() == "one"
        assert c.message() == "two"


@pytest.mark.parametrize("offer, bits", [
    ("permessage-deflate", 15),
    ("permessage-deflate; client_max_window_bits", 15),
    ("permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", 9),
    ("permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=12", 12),
])
def test_what_is_compressed_keeps_to_the_agreement(daemon, offer, bits):
    text = json.dumps([{"id": i, "name": f"user {i % 37}"} for i in range(1200)])
    with Client(daemon.connect(), offer=offer) as c:
        assert "server_no_context_takeover" in c.extensions
        assert "client_no_context_takeover" in c.extensions
        assert ("server_max_window_bits" in c.extensions) == (bits < 15)
        for _ in range(2):  # the second one does not rely on the first
            c.send(frame(TEXT, deflate(text.encode()), rsv1=True))
            opcode, fin, rsv1, payload = c.frame()
            assert (opcode, fin, rsv1) == (TEXT, True, True)
            assert len(payload) < len(text) / 3
            assert inflate(payload, bits).decode() == text


def test_an_offer_that_cannot_be_met_is_declined(daemon):
    with Client(daemon.connect(), offer="permessage-deflate; server_max_window_bits=8, x-unknown") as c:
        assert c.extensions == ""
        c.text("a" * 1000)
        assert c.message() == "a" * 1000


def test_an_upgrade_to_something_else_is_an_ordinary_request(daemon):
    data, _ = request("/seen?nothing")
    with daemon.connect() as s:
        s.sendall(data.replace(b"Upgrade: websocket", b"Upgrade: h2c"))
        assert Reader(s).response()[0] == 200
