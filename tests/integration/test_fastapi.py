"""A FastAPI application, directly and behind nginx."""

import asyncio
import concurrent.futures
import hashlib
import json

import harness
import pytest
import sites
import websockets
from harness import eventually

ORDER = {"customer": "Zoë", "lines": [{"name": "tea", "amount": 3, "price": 1.5}, {"name": "cup", "amount": 1}]}


@pytest.fixture(scope="module")
def site():
    with sites.Site("fastapi_app:app") as s:
        yield s


def happened(client, *what):
    """Waits until the application has noted all of these; they must stand in this order."""
    def found():
        noted = client.get("/done").json()
        return [n for n in noted if n in what] == list(what)

    eventually(found, what=f"{what} not noted")


def socket_of(url, path):
    return websockets.connect(url.replace("http", "ws", 1) + path, open_timeout=10 * harness.SLOW)


def test_models_are_read_and_written(client):
    made = client.post("/orders", json=ORDER)
    assert made.status_code == 201
    order = made.json()
    assert order == {"id": order["id"], "customer": "Zoë", "total": 5.5}
    assert client.get(f"/orders/{order['id']}").json() == order
    gone = client.delete(f"/orders/{order['id']}")
    assert gone.status_code == 204 and gone.content == b"" and "transfer-encoding" not in gone.headers
    missing = client.get(f"/orders/{order['id']}")
    assert missing.status_code == 404 and missing.json() == {"detail": f"no order {order['id']}"}


def test_what_does_not_fit_a_model_is_refused(client):
    for body, place in [
        ({**ORDER, "lines": [{"name": "", "amount": 1}]}, ["body", "lines", 0, "name"]),
        ({**ORDER, "kind": "odd"}, ["body", "kind"]),
        ({"lines": []}, ["body", "customer"]),
    ]:
        refused = client.post("/orders", json=body)
        assert refused.status_code == 422 and refused.json()["detail"][0]["loc"] == place
    assert client.post("/orders", content=b"{").status_code == 422
    assert client.get("/orders/seven").json()["detail"][0]["loc"] == ["path", "number"]


def test_queries_and_headers_are_parameters(client):
    found = client.get("/search?q=a&q=%C3%A4&limit=5", headers={"X-Own": "mine"}).json()
    assert found == {"q": ["a", "ä"], "limit": 5, "own": "mine"}
    assert client.get("/search?q=a&limit=500").status_code == 422


def test_links_lead_to_where_the_client_asked(client, url):
    where = client.get("/where?a=1").json()
    assert where == {"url": f"{url}/where?a=1", "root_path": "", "client": "127.0.0.1", "order": f"{url}/orders/7"}


def test_dependencies_are_entered_and_left_in_order(client, request):
    name = request.node.name
    answer = client.get("/dependent", params={"name": name}).json()
    assert answer == {"value": "async and sync, thread"}
    happened(client, f"async in {name}", f"sync in {name}", f"sync out {name}", f"async out {name}")
    refused = client.get("/dependent/fails", params={"name": f"{name} 2"})
    assert refused.status_code == 409
    happened(client, f"async in {name} 2", f"sync in {name} 2", f"sync out {name} 2", f"async out {name} 2")


def test_context_variables_are_those_of_the_request(url):
    def ask(n):
        with sites.client(url, headers={"X-Caller": f"caller {n}"}) as c:
            return [c.get(path).json() for path in ("/caller/plain", "/caller/async") * 5]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for n, answers in enumerate(pool.map(ask, range(16))):
            assert {a["caller"] for a in answers} == {f"caller {n}"}
            assert [a["loop"] for a in answers] == [False, True] * 5
    with sites.client(url) as c:
        assert c.get("/caller/async").json()["caller"] == "nobody"


def test_plain_functions_run_at_once(url):
    def ask(_):
        with sites.client(url) as c:
            return c.get("/together").json()["index"]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(ask, range(4))) == [0, 1, 2, 3]


def test_background_tasks_run(client, request):
    assert client.post("/background", data={"name": request.node.name}).json() == {"accepted": request.node.name}
    happened(client, f"background {request.node.name}")


@pytest.mark.parametrize("size", [0, 100, 3_000_000])
def test_uploads_arrive(client, size):
    body = (bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1))[:size]
    answer = client.post("/upload/files", data={"note": "für dich"}, files=[
        ("files", ("größe.bin", body, "application/x-own")), ("files", ("two.txt", b"second", "text/plain"))]).json()
    first, second = answer["files"]
    assert first == {"name": "größe.bin", "type": "application/x-own", "size": size,
                     "sha256": hashlib.sha256(body).hexdigest()}
    assert second["size"] == 6 and answer["note"] == "für dich"


def test_curl_uploads_a_file(url, tmp_path):
    (tmp_path / "data.bin").write_bytes(b"0123456789" * 500_000)
    shown = json.loads(sites.curl("-F", f"files=@{tmp_path}/data.bin", "-F", "note=curl", f"{url}/upload/files"))
    assert shown["files"][0]["size"] == 5_000_000 and shown["note"] == "curl"
    assert shown["files"][0]["sha256"] == hashlib.sha256(b"0123456789" * 500_000).hexdigest()


def test_events_come_one_by_one_and_end_with_the_client(client, request):
    name = request.node.name
    with client.stream("GET", "/events/", params={"name": name}) as answer:
        assert sites.events(answer.iter_lines(), 3) == ["event 0", "event 1", "event 2"]
    happened(client, f"closed {name}")


def test_errors_end_the_request_only(client, site):
    assert client.get("/fail").status_code == 500
    eventually(lambda: "RuntimeError: as asked" in site.daemon.log())
    process = client.get("/search?q=a").headers["x-process"]
    assert client.get("/exit").status_code == 500
    assert client.get("/search?q=a").headers["x-process"] == process


def test_sockets_meet_in_a_room(url, client, request):
    room = request.node.name.replace("[", "-").replace("]", "")

    async def talk():
        async with socket_of(url, f"/chat/{room}?token=ada") as ada:
            await ada.send("first")
            assert json.loads(await ada.recv()) == {"room": room, "from": "ADA", "text": "first", "members": 1}
            async with socket_of(url, f"/chat/{room}?token=bob") as bob:
                await bob.send("hello")
                for each in (ada, bob):
                    got = json.loads(await each.recv())
                    assert (got["from"], got["text"], got["members"]) == ("BOB", "hello", 2)

    asyncio.run(talk())
    happened(client, f"BOB left {room} with 1000", f"ADA left {room} with 1000")


def test_a_socket_without_its_token_is_refused(url):
    async def talk():
        with pytest.raises(websockets.InvalidStatusCode) as refused:
            await socket_of(url, "/chat/x")
        assert refused.value.status_code == 403

    asyncio.run(talk())


def test_the_documentation_is_there(client):
    schema = client.get("/openapi.json").json()
    assert schema["info"] == {"title": "Orders", "version": "1.2.3"} and "servers" not in schema
    assert "url: '/openapi.json'" in client.get("/docs").text


def test_a_mount_is_the_applications_root():
    with sites.Site(apps=[{"mount": "/api/v1", "app": "fastapi_app:app"}]) as s:
        for way in sites.WAYS:
            url = s.url(way)
            with sites.client(url) as c:
                assert c.get("/api/v1/where").json() == {
                    "url": f"{url}/api/v1/where", "root_path": "/api/v1", "client": "127.0.0.1",
                    "order": f"{url}/api/v1/orders/7"}
                assert "url: '/api/v1/openapi.json'" in c.get("/api/v1/docs").text
                assert c.get("/api/v1/openapi.json").json()["servers"] == [{"url": "/api/v1"}]
                assert c.get("/docs").status_code == 404
                assert c.post("/api/v1/orders", json=ORDER).status_code == 201


def test_startup_and_shutdown_are_called_once(tmp_path):
    with sites.Site("fastapi_app:app", config={"python": {"env": {"HB_TEST_DIR": str(tmp_path)}}}) as s:
        with sites.client(s.url()) as c:
            assert c.get("/search?q=a").status_code == 200
        assert (tmp_path / "events").read_text() == "startup\n"
    assert (tmp_path / "events").read_text() == "startup\nshutdown\n"
