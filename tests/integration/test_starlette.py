"""A Starlette application, directly and behind nginx."""

import asyncio
import contextlib
import hashlib
import json
import socket
import urllib.parse

import harness
import httpx
import pytest
import sites
import websockets
from harness import eventually

BLOCK = bytes(range(256)) * 1200
#: The application's GZipMiddleware keeps parts back until it has a block.
PLAIN = {"Accept-Encoding": "identity"}


@pytest.fixture(scope="module")
def site():
    with sites.Site("starlette_app:app") as s:
        yield s


def socket_of(url, path, **more):
    """A connection of python3-websockets; with a proxy in between there is no other way than to wait for its pongs."""
    return websockets.connect(url.replace("http", "ws", 1) + path, open_timeout=10 * harness.SLOW, **more)


def happened(client, what):
    eventually(lambda: what in client.get("/done").json(), what=what)


def test_what_lifespan_yields_is_the_requests_state(client, site):
    assert client.get("/").text == "hello from lifespan"
    assert (site.daemon.dir / "lifespan").read_text() == "started\n"


def test_the_url_is_the_one_that_the_client_asked_for(client, url):
    where = client.get("/where?a=b%20c").json()
    assert where["url"] == f"{url}/where?a=b%20c" and where["base"] == f"{url}/"
    assert where["next"] == f"{url}/item/7" and where["sub"] == f"{url}/sub/leaf/x"
    assert where["client"] == "127.0.0.1" and where["scheme"] == "http" and where["type"] == "http"
    shown = json.loads(sites.curl("-H", "Host: www.example.org", f"{url}/where"))
    assert shown["next"] == "http://www.example.org/item/7"


def test_paths_are_routed_and_decoded(client, url):
    assert client.get("/item/12").json() == {"number": 12}
    assert client.get("/item/x").status_code == 404
    leaf = client.get("/sub/leaf/J%C3%BCrgen%20%26").json()
    assert leaf["name"] == "Jürgen &" and leaf["self"] == f"{url}/sub/leaf/y"
    assert client.post("/item/12").status_code == 405
    assert client.get("/static/page.txt").text == "a static page\n" * 1000
    head = client.head("/item/12")
    assert head.content == b"" and head.headers["content-length"] == "13"


def test_forms_and_sessions(client):
    assert client.get("/account").status_code == 401
    assert client.post("/account", data={"name": "Zoë"}).text == "ok"
    assert [client.get("/account").json() for _ in range(2)] == [
        {"name": "Zoë", "visits": 1}, {"name": "Zoë", "visits": 2}]


@pytest.mark.parametrize("size", [0, 100, 3_000_000])
def test_a_form_with_files_arrives(client, size):
    body = (bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1))[:size]
    found = client.post(
        "/form", data={"title": "Grüße"},
        files=[("doc", ("größe.bin", body, "application/x-own")), ("doc", ("two.txt", b"second", "text/plain"))]).json()
    assert found[0] == ["title", "Grüße"]
    assert found[1] == ["doc", "größe.bin", "application/x-own", size, hashlib.sha256(body).hexdigest()]
    assert found[2][:4] == ["doc", "two.txt", "text/plain", 6]


def test_a_body_of_unknown_length_arrives_in_parts(client, url):
    def parts():
        for n in range(300):
            yield b"%04d" % n * 1000

    answer = client.post("/upload/raw", content=parts()).json()
    assert answer["size"] == 1_200_000 and answer["sha256"] == hashlib.sha256(b"".join(parts())).hexdigest()
    assert answer["parts"] > 2
    shown = json.loads(sites.curl("-T", "-", "-X", "POST", f"{url}/upload/raw", input="line\n" * 40_000))
    assert shown["size"] == 200_000


def test_curl_that_expects_100_continue_gets_it(url, tmp_path):
    (tmp_path / "body").write_bytes(BLOCK)
    shown = sites.curl("-H", "Expect: 100-continue", "--expect100-timeout", "60", "--data-binary",
                       f"@{tmp_path}/body", "-H", "Content-Type: application/octet-stream", f"{url}/upload/raw")
    assert json.loads(shown)["sha256"] == hashlib.sha256(BLOCK).hexdigest()


def test_a_stream_arrives_whole(client):
    assert client.get("/stream?parts=1000").text == "".join(f"{n}\n" * 10 for n in range(1000))


def test_a_client_that_leaves_a_stream_ends_it(client, request):
    name = request.node.name
    with client.stream("GET", "/endless", params={"name": name}, headers=PLAIN) as answer:
        assert next(answer.iter_raw(1000)) == b"x" * 1000
    happened(client, f"closed {name}")


def test_events_come_one_by_one_and_end_with_the_client(client, request):
    name = request.node.name
    with client.stream("GET", "/events/", params={"name": name}, headers=PLAIN) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()  # kept: without it httpx closes the connection
        assert sites.events(lines, 3) == ["event 0", "event 1", "event 2"]
        assert f"closed {name}" not in client.get("/done").json()
    happened(client, f"closed {name}")


def test_a_client_that_leaves_before_the_response_is_noticed(client, url, request):
    name = request.node.name
    with contextlib.closing(socket.create_connection(urllib.parse.urlsplit(url).netloc.split(":"))) as s:
        s.sendall(b"GET /watch?name=%s HTTP/1.1\r\nHost: x\r\n\r\n" % urllib.parse.quote(name).encode())
        happened(client, f"came {name}")
    happened(client, f"left {name}")


def test_background_tasks_run_after_the_response(client, request):
    name = request.node.name
    assert client.get("/background", params={"name": name}).status_code == 202
    client.post("/release")
    happened(client, f"waited {name}")
    happened(client, f"in a thread {name}")


def test_cors_is_answered(client):
    asked = {"Origin": "https://other.example", "Access-Control-Request-Method": "PUT"}
    allowed = client.options("/item/1", headers=asked)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://other.example"
    refused = client.options("/item/1", headers={**asked, "Origin": "https://bad.example"})
    assert refused.status_code == 400
    assert client.get("/", headers=asked).headers["vary"] == "Origin"


def test_gzip_is_sent_to_those_who_read_it(client):
    packed = client.get("/big")
    assert packed.headers["content-encoding"] == "gzip" and packed.text == "compressible " * 10_000
    plain = client.get("/big", headers=PLAIN)
    assert "content-encoding" not in plain.headers and len(plain.content) == 130_000
    streamed = client.get("/stream?parts=100", headers={"Accept-Encoding": "gzip"})
    assert streamed.headers["content-encoding"] == "gzip" and streamed.text.endswith("99\n")


def test_files_are_sent(client):
    answer = client.get("/file", headers=PLAIN)
    assert answer.content == BLOCK and answer.headers["content-length"] == str(len(BLOCK))
    happened(client, "file sent")


def test_threads_and_processes_work(client):
    assert client.get("/thread").json() == {"sum": 499_500, "child": "from a child", "status": 0}


def test_errors_have_their_answers(client, site):
    assert client.get("/nowhere").status_code == 404
    own = client.get("/own")
    assert own.status_code == 422 and own.json() == {"own": "my own"}
    assert client.get("/account").headers["www-authenticate"] == "None"
    failed = client.get("/fail")
    assert failed.status_code == 500 and failed.text == "Internal Server Error"
    eventually(lambda: "RuntimeError: as asked" in site.daemon.log())
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        client.get("/half")
    assert client.get("/").status_code == 200


def test_sockets_echo(url, client, request):
    async def talk():
        async with socket_of(url, f"/echo?name={request.node.name}", subprotocols=["one", "two"]) as ws:
            assert ws.subprotocol == "two" and ws.response_headers["x-greeting"] == "hi"
            for message in ["text", "ä" * 1000, b"", b"bytes", "x" * 200_000, bytes(300_000)]:
                await ws.send(message)
                assert await ws.recv() == message
            await ws.send(iter(["in ", "several ", "frames"]))
            assert await ws.recv() == "in several frames"
            await asyncio.wait_for(await ws.ping(), 10 * harness.SLOW)

    asyncio.run(talk())
    happened(client, f"socket closed 1000 {request.node.name}")


def test_sockets_close_with_their_codes(url, client, request):
    async def talk():
        async with socket_of(url, "/echo") as ws:
            await ws.send("close 4001")
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.recv()
            assert (ws.close_code, ws.close_reason) == (4001, "as asked")
        async with socket_of(url, f"/echo?name={request.node.name}") as ws:
            await ws.close(4002, "mine")

    asyncio.run(talk())
    happened(client, f"socket closed 4002 {request.node.name}")


def test_a_lost_socket_is_noticed(url, client, request):
    async def talk():
        ws = await socket_of(url, f"/echo?name={request.node.name}")
        await ws.send("x")
        assert await ws.recv() == "x"
        ws.transport.abort()

    asyncio.run(talk())
    happened(client, f"socket closed 1006 {request.node.name}")


def test_a_socket_has_state_session_and_path(url, client):
    client.post("/account", data={"name": "Ada"})
    cookie = "; ".join(f"{k}={v}" for k, v in client.cookies.items())
    room = f"room-{urllib.parse.urlsplit(url).port}"

    async def talk():
        headers = {"Cookie": cookie, "X-Own": "mine"}
        async with socket_of(url, f"/talk/{room}?q=1", extra_headers=headers) as ws:
            first = json.loads(await ws.recv())
            assert first["greeting"] == "hello from lifespan" and first["path"] == room
            assert first["session"] == "Ada" and first["header"] == "mine" and first["client"] == "127.0.0.1"
            assert first["url"] == url.replace("http", "ws", 1) + f"/talk/{room}?q=1"
            for n in range(50):
                await ws.send(json.dumps([n]))
            assert [json.loads(await ws.recv())["got"] for _ in range(50)] == [[n] for n in range(50)]

    asyncio.run(talk())
    happened(client, f"talked in {room}")


def test_sockets_are_refused_and_fail_as_they_should(url, client, site):
    async def talk():
        for path in ("/refuse", "/nowhere"):
            with pytest.raises(websockets.InvalidStatusCode) as refused:
                await socket_of(url, path)
            assert refused.value.status_code == 403
        async with socket_of(url, "/broken") as ws:
            with pytest.raises(websockets.ConnectionClosedError):
                await ws.recv()
            assert ws.close_code == 1011

    asyncio.run(talk())
    eventually(lambda: "RuntimeError: in a socket" in site.daemon.log())
    assert client.get("/").status_code == 200


def test_a_slow_reader_of_a_socket_gets_everything(url, client, request):
    async def talk():
        path = f"/push?name={request.node.name}"
        async with socket_of(url, path, max_queue=1, compression=None, ping_interval=None) as ws:
            await asyncio.to_thread(happened, client, f"waits {request.node.name}")
            for n in range(1500):
                assert await ws.recv() == n.to_bytes(4, "big") * 4096
            with pytest.raises(websockets.ConnectionClosedOK):
                await ws.recv()

    asyncio.run(talk())


def test_many_sockets_talk_at_once(url):
    async def one(n):
        async with socket_of(url, "/echo") as ws:
            for k in range(20):
                await ws.send(f"{n} {k}")
                assert await ws.recv() == f"{n} {k}"

    async def talk():
        await asyncio.gather(*(one(n) for n in range(50)))

    asyncio.run(talk())


def test_a_middleware_of_its_own_sees_all_and_hides_nothing():
    """BaseHTTPMiddleware wraps receive and send, with a task for each response."""
    with sites.Site("starlette_app:through") as s, sites.client(s.url()) as c:
        answer = c.get("/")
        assert answer.headers["x-through"] == "timing" and answer.text == "hello from lifespan"
        assert c.get("/stream?parts=300").text.endswith("299\n" * 10)
        assert c.post("/upload/raw", content=BLOCK * 5).json()["size"] == len(BLOCK) * 5
        with c.stream("GET", "/events/?name=wrapped") as events:
            assert sites.events(events.iter_lines(), 3) == ["event 0", "event 1", "event 2"]
        happened(c, "closed wrapped")
        with c.stream("GET", "/endless?name=wrapped%20too") as endless:
            assert next(endless.iter_raw(1000)) == b"x" * 1000
        happened(c, "closed wrapped too")
        assert c.get("/fail").status_code == 500


def test_lifespan_ends_when_the_daemon_does(tmp_path):
    env = {"HB_TEST_DIR": str(tmp_path)}
    with sites.Site("starlette_app:app", config={"python": {"env": env}}) as s, sites.client(s.url()) as c:
        assert c.get("/").status_code == 200
    assert (tmp_path / "lifespan").read_text() == "started\nstopped\n"


def test_a_mount_is_the_applications_root():
    with sites.Site(apps=[{"mount": "/api", "app": "starlette_app:app"}]) as s:
        for way in sites.WAYS:
            url = s.url(way)
            with sites.client(url) as c:
                where = c.get("/api/where").json()
                assert where["root_path"] == "/api" and where["url"] == f"{url}/api/where"
                assert where["base"] == f"{url}/api/" and where["next"] == f"{url}/api/item/7"
                assert where["sub"] == f"{url}/api/sub/leaf/x"
                leaf = c.get("/api/sub/leaf/a").json()
                assert leaf["self"] == f"{url}/api/sub/leaf/y" and leaf["url"] == f"{url}/api/sub/leaf/a"
                assert c.get("/api/static/page.txt").status_code == 200
                assert c.get("/where").status_code == 404

                async def talk(url=url):
                    async with socket_of(url, "/api/talk/r") as ws:
                        assert json.loads(await ws.recv())["url"] == url.replace("http", "ws", 1) + "/api/talk/r"

                asyncio.run(talk())
