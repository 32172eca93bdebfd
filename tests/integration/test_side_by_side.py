"""WSGI and ASGI applications of four frameworks in one worker, each below a path of its own."""

import asyncio
import concurrent.futures
import json

import pytest
import sites
import websockets

APPS = [
    {"mount": "/", "app": "flask_app:app"},
    {"mount": "/django/wsgi", "app": "shop.wsgi:application"},
    {"mount": "/django", "app": "shop.asgi:application"},
    {"mount": "/api/v1", "app": "fastapi_app:app"},
    {"mount": "/star", "app": "starlette_app:app"},
]


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def site(notes):
    config = {"threads": 4, "python": {"env": {"HB_TEST_DIR": str(notes)}}}
    with sites.Site(apps=APPS, config=config) as s:
        yield s
    # what the daemon's end leaves is the last test
    assert (notes / "lifespan").read_text() == "started\nstopped\n"
    assert (notes / "events").read_text() == "startup\nshutdown\n"


def test_each_application_knows_its_place(client, url):
    assert client.get("/where").json()["root"] == f"{url}/"
    wsgi = client.get("/django/wsgi/where").json()
    assert (wsgi["kind"], wsgi["script"], wsgi["next"]) == ("WSGIRequest", "/django/wsgi", f"{url}/django/wsgi/number/7")
    asgi = client.get("/django/where").json()
    assert (asgi["kind"], asgi["script"], asgi["next"]) == ("ASGIRequest", "/django", f"{url}/django/number/7")
    assert asgi["path"] == "/django/where" and asgi["info"] == "/where"
    api = client.get("/api/v1/where").json()
    assert (api["root_path"], api["order"]) == ("/api/v1", f"{url}/api/v1/orders/7")
    star = client.get("/star/where").json()
    assert (star["root_path"], star["next"], star["url"]) == ("/star", f"{url}/star/item/7", f"{url}/star/where")


def test_a_path_beside_a_mount_belongs_to_the_one_above(client):
    for path in ("/starlight", "/api/v2/where", "/api", "/djangonaut"):
        assert client.get(path).json() == {"error": "Not Found", "path": path}, "Flask's answer"


def test_each_application_had_its_own_start(client, notes):
    assert client.get("/star/").text == "hello from lifespan"
    assert (notes / "lifespan").read_text() == "started\n"
    assert (notes / "events").read_text() == "startup\n"


def test_all_serve_at_once(url):
    paths = ["/stream?lines=300&word=w", "/star/stream?parts=300", "/api/v1/search?q=a", "/django/number/3",
             "/django/wsgi/number/4", "/api/v1/caller/plain"]

    with sites.client(url) as c:
        wanted = [c.get(path).text for path in paths]

    def ask(n):
        with sites.client(url) as c:
            return n % len(paths), c.get(paths[n % len(paths)])

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        for which, answer in pool.map(ask, range(60)):
            assert answer.status_code == 200 and answer.text == wanted[which]


def test_a_socket_talks_while_wsgi_streams(url):
    async def talk():
        address = url.replace("http", "ws", 1)
        async with websockets.connect(f"{address}/star/echo") as echo, \
                websockets.connect(f"{address}/api/v1/chat/r?token=t") as chat:
            with sites.client(url) as c, c.stream("GET", "/endless?name=beside") as answer:
                parts = answer.iter_raw(65536)
                for n in range(30):
                    assert next(parts) == b"x" * 65536
                    await echo.send(f"{n}")
                    assert await echo.recv() == f"{n}"
                    await chat.send(f"{n}")
                    assert json.loads(await chat.recv())["text"] == f"{n}"

    asyncio.run(talk())


def test_a_failure_in_one_is_its_own(client):
    for path in ("/fail", "/star/fail", "/api/v1/fail", "/django/fail", "/django/wsgi/fail", "/api/v1/exit"):
        assert client.get(path).status_code == 500
    for path in ("/", "/star/", "/api/v1/where", "/django/where", "/django/wsgi/where"):
        assert client.get(path).status_code == 200
