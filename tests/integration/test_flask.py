"""A Flask application, directly and behind nginx."""

import concurrent.futures
import hashlib
import json
import urllib.parse

import httpx
import pytest
import sites
from harness import eventually

BLOCK = bytes(range(256)) * 1200


@pytest.fixture(scope="module", params=[1, 4], ids=["in place", "threads"])
def site(request):
    with sites.Site("flask_app:app", config={"threads": request.param}) as s:
        yield s


def test_paths_are_routed_and_decoded(client):
    assert client.get("/").text == "index"
    answer = client.get("/hello/J%C3%BCrgen%20%26%20co?a=1&a=2&b=%C3%A4").json()
    assert answer["name"] == "Jürgen & co"
    assert answer["args"] == {"a": ["1", "2"], "b": ["ä"]}
    assert client.get("/number/41").json()["number"] == 41
    assert client.get("/number/x").status_code == 404
    assert client.get("/old").headers["location"] == "/hello/new"


def test_methods_follow_the_routes(client):
    refused = client.post("/hello/x")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].replace(" ", "").split(",")) == {"GET", "HEAD", "OPTIONS"}
    head = client.head("/number/7")
    assert head.status_code == 200 and head.content == b""
    assert int(head.headers["content-length"]) == len(client.get("/number/7").content)
    assert "GET" in client.options("/number/7").headers["allow"]


def test_links_lead_to_where_the_client_asked(client, url):
    asked = urllib.parse.urlsplit(url)
    where = client.get("/where").json()
    assert where["scheme"] == "http" and where["host"] == asked.netloc and where["addr"] == "127.0.0.1"
    assert client.get("/number/1").json()["next"] == f"{url}/number/2"
    shown = json.loads(sites.curl("-H", "Host: www.example.org", f"{url}/where"))
    assert shown["url"] == "http://www.example.org/where"


def test_sessions_and_cookies_last(client):
    assert client.get("/account").status_code == 401
    answer = client.post("/login", data={"name": "Zoë"})
    assert answer.status_code == 303 and answer.headers["location"] == "/account"
    assert [client.get("/account").json()["visits"] for _ in range(3)] == [1, 2, 3]
    assert client.get("/account").json()["name"] == "Zoë"
    given = client.get("/cookies").headers.get_list("set-cookie")
    assert [c.split("=")[0] for c in given] == ["one", "two", "three"]
    assert "HttpOnly" in given[0] and "Max-Age=0" in given[2]
    got = client.get("/cookies").json()
    assert got["one"] == "1" and got["two"] == 'a "quoted"; value' and "three" not in got


def test_a_stream_has_its_request_to_the_end(client):
    text = client.get("/stream?lines=3000&word=w").text
    assert text == "".join(f"{n} w /stream\n" for n in range(3000))
    assert client.get("/done").json()[-1] == {"path": "/stream", "seen": "/stream", "error": None}


def test_requests_at_once_keep_their_own_g(url):
    def ask(n):
        with sites.client(url) as c:
            return c.get(f"/stream?lines=200&word=w{n}").text

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for n, text in enumerate(pool.map(ask, range(32))):
            assert text == "".join(f"{line} w{n} /stream\n" for line in range(200))


def test_a_stream_that_nobody_reads_is_closed(client, request):
    name = request.node.name
    with client.stream("GET", f"/endless?name={name}") as answer:
        assert next(answer.iter_raw(1000)) == b"x" * 1000
    eventually(lambda: {"closed": name} in client.get("/done").json())


def test_events_arrive(client):
    with client.stream("GET", "/events/50") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert sites.events(answer.iter_lines(), 50) == [f"event {n}" for n in range(50)]


def test_files_are_sent_whole_in_part_and_not_at_all(client, url, tmp_path):
    answer = client.get("/file")
    assert answer.content == BLOCK
    assert answer.headers["content-disposition"] == 'attachment; filename="a block.bin"'
    assert int(answer.headers["content-length"]) == len(BLOCK)
    part = client.get("/file", headers={"Range": "bytes=1000-1999"})
    assert part.status_code == 206 and part.content == BLOCK[1000:2000]
    assert part.headers["content-range"] == f"bytes 1000-1999/{len(BLOCK)}"
    known = client.get("/file", headers={"If-None-Match": answer.headers["etag"]})
    assert known.status_code == 304 and known.content == b""
    assert client.get("/memory").content == b"from memory" * 1000
    (tmp_path / "half").write_bytes(BLOCK[:5000])
    sites.curl("-C", "-", "-o", str(tmp_path / "half"), f"{url}/file")
    assert (tmp_path / "half").read_bytes() == BLOCK


@pytest.mark.parametrize("size", [0, 100, 700_000, 3_000_000])
def test_a_form_with_files_arrives(client, size):
    body = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    body = body[:size]
    answer = client.post(
        "/form", data={"title": "Grüße", "tag": ["a", "b"]},
        files=[("doc", ("größe.bin", body, "application/x-own")), ("doc", ("two.txt", b"second", "text/plain"))]).json()
    assert answer["fields"] == {"title": ["Grüße"], "tag": ["a", "b"]}
    first, second = answer["files"]
    assert first["name"] == "größe.bin" and first["type"] == "application/x-own"
    assert first["size"] == size and first["sha256"] == hashlib.sha256(body).hexdigest()
    assert second["size"] == 6 and second["name"] == "two.txt"


def test_a_body_of_unknown_length_arrives(client, url):
    def parts():
        for n in range(300):
            yield b"%04d" % n * 1000

    want = hashlib.sha256(b"".join(parts())).hexdigest()
    answer = client.post("/upload/raw", content=parts()).json()
    assert answer["size"] == 1_200_000 and answer["sha256"] == want
    shown = json.loads(sites.curl("-T", "-", "-X", "POST", f"{url}/upload/raw", input="line\n" * 40_000))
    assert shown["size"] == 200_000


def test_curl_that_expects_100_continue_gets_it(url, tmp_path):
    (tmp_path / "body").write_bytes(BLOCK)
    shown = sites.curl("-v", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "--data-binary",
                       f"@{tmp_path}/body", "-H", "Content-Type: application/octet-stream", f"{url}/upload/raw")
    assert json.loads(shown)["sha256"] == hashlib.sha256(BLOCK).hexdigest()


def test_json_goes_there_and_back(client):
    value = {"text": "ä\u2028", "list": [1, 2.5, None, True], "big": 2 ** 60}
    assert client.post("/json", json=value).json() == value
    assert client.post("/json", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_errors_have_their_pages(client, site):
    assert client.get("/nowhere").json() == {"error": "Not Found", "path": "/nowhere"}
    assert client.get("/teapot").status_code == 418
    failed = client.get("/fail")
    assert failed.status_code == 500 and "Internal Server Error" in failed.text
    eventually(lambda: "RuntimeError: as asked" in site.daemon.log())
    assert client.get("/done").json()[-1] == {
        "path": "/fail", "seen": "/fail", "error": "RuntimeError('as asked')"}


def test_a_stream_that_fails_is_cut_and_not_ended(client, site):
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/half")
    eventually(lambda: "RuntimeError: half way" in site.daemon.log())
    assert client.get("/").text == "index"


def test_forwarded_headers_are_believed(site):
    """From the peers in forwarded.trust: here everything on this machine."""
    with sites.client(site.url()) as c:
        where = c.get("/where", headers={
            "X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}).json()
    assert where["addr"] == "192.0.2.7" and where["scheme"] == "https"
    assert where["url"].startswith("https://127.0.0.1:")


def test_a_mount_is_the_applications_root():
    apps = [{"mount": "/shop", "app": "flask_app:app"}]
    with sites.Site(apps=apps) as s, sites.client(s.url("nginx-unix")) as c:
        where = c.get("/shop/where").json()
        assert where["script"] == "/shop" and where["path"] == "/where"
        assert where["root"] == f"{s.url('nginx-unix')}/shop/"
        assert c.get("/shop/old").headers["location"] == "/shop/hello/new"
        c.post("/shop/login", data={"name": "a"})
        assert c.get("/shop/account").json()["visits"] == 1
        assert c.get("/where").status_code == 404
        assert c.get("/shopping").status_code == 404
