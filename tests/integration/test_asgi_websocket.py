"""WebSocket for ASGI applications: which message comes and may be sent when."""

import asyncio
import contextlib
import select
import urllib.parse

import pytest
import websockets
import ws_client
from asgi_apps import noted, notes
from harness import ASAN, SLOW, Daemon, eventually, resident
from http_client import Reader

APP = r"""
import asyncio, json, os, sys, urllib.parse

notes = []
state = {}

def argument(scope):
    return urllib.parse.unquote(scope['query_string'].decode())

async def note_of(coroutine):
    try:
        notes.append(f'ok {await coroutine!r}')
    except BaseException as x:
        notes.append(f'{type(x).__name__}: {x}')
        if not isinstance(x, Exception):
            raise

class Cases:
    async def echo(scope, receive, send):
        notes.append(await receive())
        await send({'type': 'websocket.accept'})
        while True:
            message = await receive()
            if message['type'] == 'websocket.disconnect':
                notes.append(message)
                notes.append(await receive())
                break
            message['type'] = 'websocket.send'
            await send(message)
        await note_of(send({'type': 'websocket.send', 'text': 'too late'}))
        await note_of(send({'type': 'websocket.close'}))

    async def scope(scope, receive, send):
        await send({'type': 'websocket.accept'})
        await send({'type': 'websocket.send', 'text': repr(scope)})
        await send({'type': 'websocket.close'})

    async def messages(scope, receive, send):
        for message in eval(argument(scope)):
            await note_of(send(message) if message != 'receive' else receive())

    async def receive_first(scope, receive, send):
        await receive()
        task = asyncio.create_task(receive())
        await asyncio.sleep(0.01)
        notes.append(task.done())
        await send({'type': 'websocket.accept'})
        notes.append(await task)

    async def wait(scope, receive, send):
        await receive()
        if argument(scope) == 'accept':
            await send({'type': 'websocket.accept'})
        state['waiting'] = True
        try:
            notes.append(await receive())
        finally:
            notes.append('cleaned up')

    async def raise_early(scope, receive, send):
        raise ValueError('before the handshake')

    async def raise_late(scope, receive, send):
        await receive()
        await send({'type': 'websocket.accept'})
        raise ValueError('behind the handshake')

    async def exit(scope, receive, send):
        await send({'type': 'websocket.accept'})
        sys.exit(1)

    async def nothing(scope, receive, send):
        await receive()

    async def leave(scope, receive, send):
        await send({'type': 'websocket.accept'})
        await send({'type': 'websocket.send', 'text': 'bye'})

    async def half_denied(scope, receive, send):
        await send({'type': 'websocket.http.response.start', 'status': 402})

    async def closing(scope, receive, send):
        await receive()
        await send({'type': 'websocket.accept'})
        await send({'type': 'websocket.close', 'code': 4001, 'reason': 'enough é'})
        notes.append(await receive())
        await note_of(send({'type': 'websocket.send', 'text': 'x'}))
        await note_of(send({'type': 'websocket.close'}))

    async def flood(scope, receive, send):
        await send({'type': 'websocket.accept'})
        state['flooded'] = 0
        try:
            for n in range(int(argument(scope))):
                await send({'type': 'websocket.send', 'bytes': os.urandom(1000) * 1000})
                state['flooded'] += 1
        except BaseException as x:
            notes.append(f'{type(x).__name__} {isinstance(x, OSError)}')
            raise
        finally:
            notes.append('cleaned up')

    async def both_ways(scope, receive, send):
        await receive()
        await send({'type': 'websocket.accept'})
        async def sender():
            for n in range(100):
                await send({'type': 'websocket.send', 'text': str(n)})
                await asyncio.sleep(0)
        task = asyncio.create_task(sender())
        total = 0
        while (message := await receive())['type'] == 'websocket.receive':
            total += len(message['text'])
            if message['text'] == 'end':
                await task
                await send({'type': 'websocket.send', 'text': f'total {total}'})

async def application(scope, receive, send):
    if scope['type'] == 'http':
        if scope['path'] == '/state':
            body = json.dumps([state.pop('waiting', False), state.get('flooded', 0), os.getpid()])
        else:
            body = json.dumps(notes)
            notes.clear()
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': body.encode()})
    elif scope['type'] == 'websocket':
        await getattr(Cases, scope['path'][1:])(scope, receive, send)
    else:
        raise RuntimeError('no lifespan')
"""
#: Of resident memory; the sanitizer keeps what was freed for a while.
GROWTH = (400 if ASAN else 30) << 20
CONNECT = {"type": "websocket.connect"}


@pytest.fixture(scope="module")
def daemon():
    with Daemon("app:application", files={"app.py": APP}) as d:
        yield d


@pytest.fixture
def app(daemon):
    notes(daemon)  # of the case before
    return daemon


def waiting(d):
    eventually(lambda: d.get("/state").json()[0])


def connect(d, path, **more):
    return websockets.connect(f"ws://127.0.0.1:{d.port}{path}", open_timeout=10 * SLOW, close_timeout=5 * SLOW,
                              max_size=None, **more)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60 * SLOW))


async def refusal(d, path):
    """Status and headers of an answer other than 101."""
    with pytest.raises(websockets.InvalidStatusCode) as e:
        async with connect(d, path):
            pass
    return e.value.status_code, e.value.headers


async def end_of(d, path):
    """All messages, and the code and reason of the end."""
    messages = []
    async with connect(d, path) as w:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                messages.append(await w.recv())
        return messages, w.close_code, w.close_reason


def test_the_scope_of_a_websocket(app):
    (text,), _, _ = run(end_of(app, "/scope?a=%20"))
    scope = eval(text)  # noqa: S307
    assert scope["type"] == "websocket" and scope["scheme"] == "ws" and scope["http_version"] == "1.1"
    assert scope["path"] == "/scope" and scope["raw_path"] == b"/scope" and scope["query_string"] == b"a=%20"
    assert scope["subprotocols"] == [] and scope["extensions"] == {"websocket.http.response": {}}
    assert "method" not in scope and scope["client"][0] == "127.0.0.1" and scope["server"] == ("127.0.0.1", app.port)
    assert (b"upgrade", b"websocket") in scope["headers"]


def test_text_and_bytes_are_told_apart_both_ways(app):
    async def talk():
        async with connect(app, "/echo") as w:
            for message in "é" * 1000, b"\x00\xff" * 1000, "", b"", "x" * 300_000:
                await w.send(message)
                assert await w.recv() == message
            await w.close(4000, "done é")

    run(talk())
    end = {"type": "websocket.disconnect", "code": 4000, "reason": "done é"}
    assert noted(app, 5) == [CONNECT, end, {**end, "reason": ""},
                             "ClientDisconnected: the client has disconnected", "ok None"]


def test_a_close_frame_without_a_code_is_1005_and_a_lost_connection_1006(app):
    async def talk(lose):
        async with connect(app, "/wait?accept") as w:
            await asyncio.to_thread(waiting, app)
            if lose:
                w.transport.abort()
            else:
                w.transport.write(b"\x88\x80\0\0\0\0")
                await w.wait_closed()

    run(talk(False))
    assert noted(app, 2) == [{"type": "websocket.disconnect", "code": 1005, "reason": ""}, "cleaned up"]
    run(talk(True))
    assert noted(app, 2) == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, "cleaned up"]


def test_a_client_that_goes_away_before_the_handshake_is_told(app):
    with app.connect() as s:
        s.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        waiting(app)
    assert noted(app, 2) == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}, "cleaned up"]


@pytest.mark.parametrize(("offered", "chosen"), [(["a", "b"], "b"), (["a", "b"], None), ([], None)])
def test_a_subprotocol_is_chosen_of_those_offered(app, offered, chosen):
    message = {"type": "websocket.accept", "subprotocol": chosen, "headers": [(b"x-a", b"1"), (b"set-cookie", b"c=d")]}

    async def talk():
        path = "/messages?" + urllib.parse.quote(f"[{message!r}, {{'type': 'websocket.close'}}]")
        async with connect(app, path, subprotocols=offered or None) as w:
            return w.subprotocol, w.response_headers["x-a"], w.response_headers["set-cookie"]

    assert run(talk()) == (chosen, "1", "c=d")


def test_a_receive_may_wait_for_the_handshake(app):
    async def talk():
        async with connect(app, "/receive_first") as w:
            await w.send("first")

    run(talk())
    assert noted(app, 2) == [False, {"type": "websocket.receive", "text": "first"}]


@pytest.mark.parametrize(("path", "status", "text"), [
    ("/raise_early", 500, "ValueError: before the handshake"), ("/nothing", 500, "without accepting or closing"),
    ("/half_denied", 500, "in the middle of its response")])
def test_an_application_that_does_not_answer_is_a_500(app, path, status, text):
    assert run(refusal(app, path))[0] == status
    eventually(lambda: text in app.log())


@pytest.mark.parametrize(("path", "text"), [("/raise_late", "ValueError: behind the handshake"), ("/exit", "SystemExit: 1")])
def test_a_failure_behind_the_handshake_is_1011(app, path, text):
    assert run(end_of(app, path))[1] == 1011
    eventually(lambda: text in app.log())


def test_an_application_that_returns_closes_with_1000(app):
    assert run(end_of(app, "/leave")) == (["bye"], 1000, "")


def test_a_close_has_its_code_and_reason(app):
    assert run(end_of(app, "/closing")) == ([], 4001, "enough é")
    found = noted(app, 3)
    assert found[0]["type"] == "websocket.disconnect" and found[0]["code"] == 4001


@pytest.mark.parametrize("path", ["/leave", "/closing"])
def test_the_connection_stays_until_the_close_frame_is_answered(app, path):
    """RFC 6455 7.1.1; clients that see its end before that report an abnormal closure."""
    with ws_client.Client(app.connect(), path) as c:
        while (got := c.frame())[0] != ws_client.CLOSE:
            assert got[0] == ws_client.TEXT
        ended = select.poll()
        ended.register(c.socket, select.POLLRDHUP)
        c.text("late")
        assert ended.poll(200) == []
        c.send(ws_client.frame(ws_client.PING, b"x"))
        c.close(1000)
        assert c.event() is None


def test_a_close_before_the_handshake_is_a_403(app):
    path = "/messages?" + urllib.parse.quote("['receive', {'type': 'websocket.close'}, 'receive']")
    assert run(refusal(app, path))[0] == 403
    assert noted(app, 3)[2].startswith("ok {'type': 'websocket.disconnect', 'code': 1006")


def test_a_denial_is_a_response_of_its_own(app):
    messages = [{"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"none")]},
                {"type": "websocket.http.response.body", "body": b"no ", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"entry"}]
    answer = app.raw(b"GET /messages?" + urllib.parse.quote(repr(messages)).encode() + b" HTTP/1.1\r\nHost: x\r\n"
                     b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\nx-why: none\r\n")
    assert b"no " in answer and answer.endswith(b"entry\r\n0\r\n\r\n")
    assert noted(app, 3) == ["ok None"] * 3


ACCEPT = "{'type': 'websocket.accept'}"
TEXT = "{'type': 'websocket.send', 'text': 'x'}"
CLOSE = "{'type': 'websocket.close'}"
DENY = "{'type': 'websocket.http.response.start', 'status': 400}"
DENIED = "{'type': 'websocket.http.response.body'}"
ORDERS = {
    "a message before the handshake": (f"[{TEXT}, {ACCEPT}, {CLOSE}]", 0, "not accepted"),
    "two handshakes": (f"[{ACCEPT}, {ACCEPT}, {CLOSE}]", 1, "accepted already"),
    "a message behind the end": (f"[{ACCEPT}, {CLOSE}, {TEXT}]", 2, "closed"),
    "a handshake behind the end": (f"[{ACCEPT}, {CLOSE}, {ACCEPT}]", 2, "closed"),
    "two ends": (f"[{ACCEPT}, {CLOSE}, {CLOSE}]", 2, "closed already"),
    "a denial behind the handshake": (f"[{ACCEPT}, {DENY}, {CLOSE}]", 1, "accepted already"),
    "a denial's body alone": (f"[{DENIED}, {ACCEPT}, {CLOSE}]", 0, "not been started"),
    "a message of HTTP": (f"[{{'type': 'http.response.start', 'status': 200}}, {ACCEPT}, {CLOSE}]", 0, "not of WebSocket"),
    "an unknown message": (f"[{{'type': 'websocket.nonsense'}}, {ACCEPT}, {CLOSE}]", 0, "not known"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_messages_out_of_order_are_refused_and_harm_nothing(app, case):
    messages, index, text = ORDERS[case]
    assert run(end_of(app, "/messages?" + urllib.parse.quote(messages)))[1] == 1000
    found = noted(app, 3)
    assert found[index].startswith("RuntimeError") and text in found[index], found
    assert all(f == "ok None" for i, f in enumerate(found) if i != index)


@pytest.mark.parametrize("messages", [f"[{DENY}, {ACCEPT}, {DENIED}]", f"[{CLOSE}, {ACCEPT}]", f"[{CLOSE}, {CLOSE}]"])
def test_a_refusal_cannot_be_taken_back(app, messages):
    assert run(refusal(app, "/messages?" + urllib.parse.quote(messages)))[0] in (400, 403)
    assert noted(app, 2)[1].startswith("RuntimeError")


def accept(**more):
    return repr({"type": "websocket.accept", **more})


def sent(**more):
    return repr({"type": "websocket.send", **more})


def close(**more):
    return repr({"type": "websocket.close", **more})


WRONG = {
    "no dict": ("5", "TypeError"),
    "a subprotocol in bytes": (accept(subprotocol=b"a"), "TypeError"),
    "a subprotocol that was not offered": (accept(subprotocol="z"), "ValueError"),
    "a header in text": (accept(headers=[("a", "b")]), "TypeError"),
    "a header with a new line": (accept(headers=[(b"a", b"b\nc")]), "ValueError"),
    "a header of the handshake": (accept(headers=[(b"Sec-WebSocket-Accept", b"x")]), "ValueError"),
    "a header of the connection": (accept(headers=[(b"connection", b"close")]), "ValueError"),
    "the length of a body": (accept(headers=[(b"content-length", b"0")]), "ValueError"),
    "the framing of a body": (accept(headers=[(b"transfer-encoding", b"chunked")]), "ValueError"),
}
WRONG_LATER = {
    "neither text nor bytes": (sent(), "ValueError"),
    "none of both": (sent(text=None, bytes=None), "ValueError"),
    "both": (sent(text="a", bytes=b"a"), "ValueError"),
    "text in bytes": (sent(text=b"a"), "TypeError"),
    "bytes in text": (sent(bytes="a"), "TypeError"),
    "text that is no UTF-8": ("{'type': 'websocket.send', 'text': '\\ud800'}", "UnicodeEncodeError"),
    "a code in text": (close(code="1000"), "TypeError"),
    "a code that is reserved": (close(code=1006), "ValueError"),
    "a code below": (close(code=999), "ValueError"),
    "a code beyond": (close(code=5000), "ValueError"),
    "a huge code": (close(code=10**30), "ValueError"),
    "a reason in bytes": (close(reason=b"x"), "TypeError"),
}


@pytest.mark.parametrize("case", [*WRONG, *WRONG_LATER])
def test_wrong_types_and_values_are_refused(app, case):
    early = case in WRONG
    message, kind = (WRONG if early else WRONG_LATER)[case]
    order = [message, ACCEPT, TEXT, CLOSE] if early else [ACCEPT, message, TEXT, CLOSE]
    assert run(end_of(app, "/messages?" + urllib.parse.quote(f"[{', '.join(order)}]"))) == (["x"], 1000, "")
    found = noted(app, 4)
    assert found.pop(0 if early else 1).startswith(kind + ":") and found == ["ok None"] * 3, found


def test_text_may_come_with_none_for_bytes_and_bytes_may_be_any(app):
    messages = f"[{ACCEPT}, {sent(text='a', bytes=None)}, {sent(text=None, bytes=b'b')}," \
               "{'type': 'websocket.send', 'bytes': bytearray(b'c')}," \
               f"{{'type': 'websocket.send', 'bytes': memoryview(b'd')}}, {close(code=None, reason=None)}]"
    assert run(end_of(app, "/messages?" + urllib.parse.quote(messages))) == (["a", b"b", b"c", b"d"], 1000, "")


def test_both_sides_send_at_once(app):
    async def talk():
        async with connect(app, "/both_ways") as w:
            for n in range(100):
                await w.send(str(n))
            await w.send("end")
            got = [await w.recv() for _ in range(101)]
            assert got == [*map(str, range(100)), "total 193"]

    run(talk())


def test_a_slow_reader_makes_send_wait_in_bounded_memory(app):
    pid = app.get("/state").json()[2]

    async def talk():
        before = resident(pid)
        async with connect(app, "/flood?200", max_queue=1, compression=None) as w:
            await w.recv()
            first = await asyncio.to_thread(eventually, lambda: app.get("/state").json()[1])
            assert first < 100 and resident(pid) - before < GROWTH
            for _ in range(199):
                assert len(await w.recv()) == 1_000_000
        assert resident(pid) - before < GROWTH

    run(talk())
    assert noted(app, 1) == ["cleaned up"]


def test_send_raises_once_the_client_has_gone(app):
    async def talk():
        async with connect(app, "/flood?1000", max_queue=1, compression=None) as w:
            await w.recv()
            w.transport.abort()

    run(talk())
    assert noted(app, 2) == ["ClientDisconnected True", "cleaned up"]
    assert "ClientDisconnected" not in app.log()


def test_a_handshake_and_its_first_message_may_come_at_once(app):
    with app.connect() as s:
        s.sendall(b"GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                  b"\x81\x82\0\0\0\0hi")
        reader = Reader(s)
        assert reader.head()[0] == b"HTTP/1.1 101 Switching Protocols"
        reader.until(lambda: reader.data == b"\x81\x02hi")
        s.sendall(b"\x88\x82\0\0\0\0\x03\xe8")
        assert reader.rest() == b"\x81\x02hi\x88\x02\x03\xe8"
    assert noted(app, 5)[1] == {"type": "websocket.disconnect", "code": 1000, "reason": ""}


