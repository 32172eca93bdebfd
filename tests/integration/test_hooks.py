"""Hooks: what on_request, on_response and on_error see and may change, for WSGI and ASGI."""

import json

import pytest
from harness import SLOW, SOURCE, eventually
from hook_modules import KINDS, compile_module, daemon
from http_client import Reader
from ws_client import Client, Refused

FIELDS = {"X-Secret": "s", "User-Agent": "test"}


@pytest.fixture(scope="module", params=KINDS)
def d(request, tmp_path_factory):
    apps = "apps:" + KINDS[request.param][0]
    mounts = [{"mount": "/", "app": apps}, {"mount": "/other", "app": apps}]
    d = daemon(tmp_path_factory.mktemp("beams"), request.param, config={"apps": mounts})
    d.kind = request.param
    with d:
        yield d


def hooked(d, what, path="/seen", method="GET", body=None, **fields):
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return d.request(method, path, body=body, headers={"X-Hook": what, **FIELDS, **named})


def test_what_is_not_changed_reaches_the_application_as_it_came(d):
    seen = d.request("POST", "/a%20b/c?x=%31&y", body=b"b" * 100000, headers=FIELDS).json()
    assert seen["method"] == "POST" and seen["path"] == "/a b/c" and seen["query"] == "x=%31&y"
    assert seen["uri"].startswith("/a%20b/c") and seen["body"] == 100000 and seen["own"] is None
    assert seen["headers"]["x-secret"] == "s" and seen["length"] == "100000"


def test_the_request_is_a_map_of_binaries(d):
    with d.connect() as s:
        s.sendall(b"POST /a%20b?q=%31 HTTP/1.1\r\nHost: h:1\r\nX-Hook: own\r\nX-Two: 1\r\nCookie: a=1\r\nX-TWO: 2\r\n"
                  b"COOKIE: b=2\r\nContent-Length: 4\r\n\r\nbody")
        port = s.getsockname()[1]
        told = json.loads(Reader(s).response()[2])["own"]["told"]
    assert told["method"] == "POST" and told["path"] == "/a b" and told["query"] == "q=%31"
    assert told["version"] == "1.1" and told["scheme"] == "http" and told["mount"] == "/"
    assert told["client"] == ["127.0.0.1", port]
    assert told["headers"] == {"host": "h:1", "x-hook": "own", "x-two": "1, 2", "cookie": "a=1; b=2",
                               "content-length": "4"}


def test_the_mount_is_that_of_the_path(d):
    assert hooked(d, "own", "/other/x").json()["own"]["told"]["mount"] == "/other"


def test_keys_of_its_own_reach_the_application(d):
    own = hooked(d, "own").json()["own"]
    assert own["user"] == {"id": 7, "name": "Zo\u00eb"} and own["list"] == [1, 2.5, None, True]
    assert set(own) == {"told", "user", "list"}


def test_changed_method_path_query_and_headers_reach_the_application(d):
    seen = hooked(d, "change", "/a?b", "POST", b"body", X_Other="o").json()
    assert seen["method"] == "PUT" and seen["path"] == "/chang\u00e9d path" and seen["query"] == "a=b&c"
    assert seen["uri"].startswith("/chang%C3%A9d%20path") and seen["body"] == 4 and seen["length"] == "4"
    fields = seen["headers"]
    assert fields["x-added"] == "1" and fields["x-many"] == "a, b" and fields["user-agent"] == "hooked"
    assert "x-secret" not in fields and fields["x-other"] == "o" and fields["host"] == f"127.0.0.1:{d.port}"


def test_each_alone_may_change(d):
    seen = hooked(d, "path", "/a?b=c").json()
    assert (seen["path"], seen["query"], seen["method"]) == ("/elsewhere", "b=c", "GET")
    seen = hooked(d, "query", "/a%20b?b=c").json()
    assert (seen["path"], seen["query"]) == ("/a b", "q=2") and seen["uri"].startswith("/a%20b")
    assert hooked(d, "method").json()["method"] == "REPORT"


def test_a_changed_path_chooses_the_mount(d):
    seen = hooked(d, "mount", "/a").json()
    assert seen["mount"] == "/other" and seen["path"].endswith("/page")


def test_what_the_connection_rests_on_cannot_be_changed(d):
    with d.connect() as s:
        reader = Reader(s)
        for _ in range(2):  # the connection is kept
            s.sendall(b"POST /a HTTP/1.1\r\nHost: good\r\nConnection: keep-alive\r\nX-Hook: fixed\r\n"
                      b"Content-Length: 4\r\n\r\nbody")
            seen = json.loads(reader.response()[2])
            assert seen["headers"]["host"] == "good" and seen["length"] == "4" and seen["body"] == 4
            assert "transfer-encoding" not in seen["headers"] and seen["headers"]["x-fine"] == "1"
    eventually(lambda: "cannot be changed: scheme, " in d.log())


def test_an_answer_is_given_without_the_application(d):
    r = hooked(d, "answer")
    assert (r.status, r.text) == (403, "\u21d2 no entry") and r.headers["content-type"] == "text/plain; charset=utf-8"
    r = hooked(d, "string")
    assert (r.status, r.body) == (500, b"Internal Error")
    r = hooked(d, "map")
    assert (r.status, r.body) == (302, b"") and r.headers["location"] == "/login" and r.headers["content-length"] == "0"
    r = hooked(d, "list")
    assert r.body == b"iodata\n\xff" and r.headers["x-list"] == "yes" and "content-type" not in r.headers
    assert "x-app" not in r.headers and r.headers["server"] == "hornbeam" and "date" in r.headers
    assert hooked(d, "empty").status == 204


def test_set_cookie_of_an_answer_is_a_field_each(d):
    for what in ("map", "list"):
        with d.connect() as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-Hook: %s\r\n\r\n" % what.encode())
            _, fields = Reader(s).head()
            assert [v for k, v in fields if k == b"set-cookie"] == [b"a=1", b"b=2"]


def test_an_answer_keeps_the_connection_and_head_has_no_body(d):
    with d.connect() as s:
        reader = Reader(s)
        s.sendall(b"HEAD / HTTP/1.1\r\nHost: h\r\nX-Hook: string\r\n\r\n"
                  b"POST / HTTP/1.1\r\nHost: h\r\nX-Hook: string\r\nContent-Length: 5\r\n\r\nbody!"
                  b"GET /last HTTP/1.1\r\nHost: h\r\n\r\n")
        status, fields, _ = reader.response(head=True)
        assert status == 500 and fields[b"content-length"] == b"14"
        assert reader.response()[2] == b"Internal Error"
        assert json.loads(reader.response()[2])["path"] == "/last"


def test_an_answer_is_in_the_access_log(d):
    hooked(d, "string", "/logged-answer")
    eventually(lambda: '"GET /logged-answer HTTP/1.1" 500 14' in d.output())


def test_pipelined_requests_are_answered_in_order(d):
    with d.connect() as s:
        s.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\nX-Hook: %s\r\n\r\n" % (i, b"path" if i % 2 else b"none")
                           for i in range(20)))
        reader = Reader(s)
        paths = [json.loads(reader.response()[2])["path"] for _ in range(20)]
    assert paths == ["/elsewhere" if i % 2 else f"/{i}" for i in range(20)]


def test_a_body_in_many_parts_and_100_continue(d):
    with d.connect() as s:
        s.sendall(b"POST /seen HTTP/1.1\r\nHost: h\r\nX-Hook: path\r\nExpect: 100-continue\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n")
        reader = Reader(s)
        assert reader.head()[0].startswith(b"HTTP/1.1 100")
        for _ in range(50):
            s.sendall(b"3e8\r\n" + b"c" * 1000 + b"\r\n")
        s.sendall(b"0\r\n\r\n")
        assert json.loads(reader.response()[2])["body"] == 50000


def test_on_response_sees_status_headers_request_and_a_whole_body(d):
    r = hooked(d, "own", X_Response="tell")
    assert r.headers["x-body"] == str(len(r.body)) and r.headers["x-status"] == "200"
    assert r.headers["x-path"] == "/seen" and "id => 7" in r.headers["x-own"] and "x-app" in r.headers["x-headers"]
    assert hooked(d, "path", "/a", X_Response="tell").headers["x-path"] == "/elsewhere"


@pytest.mark.parametrize(("path", "body", "size"), [
    ("/stream", b"part 0\npart 1\npart 2\n", "none"), ("/whole", b"whole\n", "6"), ("/large", b"l" * 200000, "none")],
    ids=["stream", "whole", "large"])
def test_on_response_of_every_kind_of_body(d, path, body, size):
    r = d.get(path, headers={"X-Response": "tell"})
    assert (r.status, r.body, r.headers["x-body"]) == (200, body, size)
    assert r.headers["x-app"] == "yes"


@pytest.mark.parametrize(("size", "told"), [(65536, "65536"), (65537, "none")])
def test_on_response_gets_a_body_of_at_most_64_kib(d, size, told):
    r = d.get(f"/size/{size}", headers={"X-Response": "tell"})
    assert (r.body, r.headers["x-body"]) == (b"s" * size, told)


@pytest.mark.parametrize(("path", "body", "size"), [
    ("/parts", b"one two three", "13"), ("/file", b"f" * 300000, "none"),
    ("/write", b"written " + b"w" * 100000 + b" returned", "none")], ids=["parts", "file", "write"])
def test_on_response_of_the_bodies_of_wsgi(d, path, body, size):
    if d.kind == "asgi":
        pytest.skip("WSGI alone has these")
    for _ in range(2):
        r = d.get(path, headers={"X-Response": "tell"})
        assert (r.status, r.body, r.headers["x-body"]) == (200, body, size)


def test_on_response_of_responses_without_a_body(d):
    for path, status in (("/empty", 204), ("/unmodified", 304)):
        r = d.get(path, headers={"X-Response": "tell"})
        assert (r.status, r.body, r.headers["x-body"]) == (status, b"", "none")
    for path in ("/seen", "/stream", "/large"):
        r = d.request("HEAD", path, headers={"X-Response": "tell"})
        assert (r.status, r.body, r.headers["x-body"]) == (200, b"", "none")
        assert path != "/large" or r.headers["content-length"] == "200000"


def test_on_response_changes_each_and_content_length_follows(d):
    with d.connect() as s:
        reader = Reader(s)
        for path in (b"/seen", b"/whole"):
            s.sendall(b"GET %s HTTP/1.1\r\nHost: h\r\nX-Response: change\r\n\r\n" % path)
            line, fields = reader.head()
            assert line == b"HTTP/1.1 201 Created" and [v for k, v in fields if k == b"x-new"] == [b"1", b"2"]
            assert dict(fields)[b"content-type"] == b"text/x" and b"x-app" not in dict(fields)
            assert [v for k, v in fields if k == b"content-length"] == [b"20"]
            assert reader.take(20) == b"changed by the hook\n"
    r = d.get("/", headers={"X-Response": "long"})
    assert r.body == b"y" * 1000000 and r.headers["content-length"] == "1000000"
    assert d.get("/", headers={"X-Response": "none"}).status == 204


def test_on_response_cannot_change_the_body_of_a_stream(d):
    r = d.get("/stream", headers={"X-Response": "change"})
    assert (r.status, r.body) == (201, b"part 0\npart 1\npart 2\n")
    assert r.headers["x-new"] == "1, 2" or "x-new" in r.headers
    eventually(lambda: "cannot be changed: body" in d.log())
    assert d.get("/large", headers={"X-Response": "change"}).headers["content-length"] == "200000"


def test_set_cookie_is_always_a_list(d):
    with d.connect() as s:
        s.sendall(b"GET /cookies HTTP/1.1\r\nHost: h\r\nX-Response: cookie\r\n\r\n")
        _, fields = Reader(s).head()
    assert [v for k, v in fields if k == b"set-cookie"] == [b"one=1", b"two=2", b"hook=1"]
    r = d.get("/cookies", headers={"X-Response": "tell"})
    assert "[<<\"one=1\">>,<<\"two=2\">>]" in r.headers["x-headers"]


def test_a_head_is_not_sent_before_its_hook_is_done(d, tmp_path):
    for path in ("/seen", "/stream", "/large"):
        for mark in ("go", "begun"):
            (tmp_path / mark).unlink(missing_ok=True)
        with d.connect() as s:
            s.sendall(b"GET %s HTTP/1.1\r\nHost: h\r\nX-Response: hold\r\nX-Dir: %s\r\n\r\n"
                      % (path.encode(), str(tmp_path).encode()))
            eventually((tmp_path / "begun").exists)
            s.settimeout(0.1)
            with pytest.raises(TimeoutError):
                s.recv(1)
            s.settimeout(30 * SLOW)
            (tmp_path / "go").touch()
            assert Reader(s).response()[0] == 200


def test_an_exception_of_the_application_goes_to_on_error(d):
    r = d.get("/raise")
    assert (r.status, r.headers["x-failed"]) == (599, "/raise")
    assert r.text.startswith('caught {python_error,<<"ValueError">>,<<"bo')
    eventually(lambda: "ValueError: bo" in d.log())


def test_after_the_response_has_started_the_answer_of_on_error_is_ignored(d, tmp_path):
    raw = d.raw(b"GET /late HTTP/1.1\r\nHost: h\r\nX-Error: mark\r\nX-Dir: %s\r\n\r\n" % str(tmp_path).encode())
    assert b"200 OK" in raw and b"begun" in raw and b"599" not in raw and not raw.endswith(b"0\r\n\r\n")
    eventually(lambda: (tmp_path / "failed").exists() and "too late" in (tmp_path / "failed").read_text())


def test_while_a_hook_runs_other_requests_go_on(d, tmp_path):
    with d.connect() as s:
        s.sendall(b"GET /held HTTP/1.1\r\nHost: h\r\nX-Hook: hold\r\nX-Dir: %s\r\n\r\n" % str(tmp_path).encode())
        eventually((tmp_path / "begun").exists)
        assert d.get("/other").status == 200
        (tmp_path / "go").touch()
        assert json.loads(Reader(s).response()[2])["path"] == "/held"


def test_a_websocket_handshake_has_hooks(tmp_path):
    with daemon(tmp_path, "asgi") as d:
        with Client(d.connect(), fields=["X-Hook: own"]) as c:
            path, own = json.loads(c.message())
            assert path == "/" and own["user"]["id"] == 7
        with Client(d.connect(), fields=["X-Hook: path", "X-Response: change"]) as c:  # which 101 does not have
            assert json.loads(c.message())[0] == "/elsewhere"
        for what, status in (("answer", 403), ("error", 599)):
            with pytest.raises(Refused) as refused:
                Client(d.connect(), fields=[f"X-Hook: {what}"])
            assert refused.value.status == status
        with pytest.raises(Refused) as refused:
            Client(d.connect(), path="/deny", fields=["X-Response: tell"])
        assert refused.value.status == 401 and dict(refused.value.fields)[b"x-body"] == b"6"
        with pytest.raises(Refused) as refused:
            Client(d.connect(), path="/raise")
        assert refused.value.status == 599 and b"python_error" in refused.value.body
        with Client(d.connect(), path="/late", fields=["X-Error: mark", f"X-Dir: {tmp_path}"]) as c:
            assert c.closed()[0] == 1011
        eventually(lambda: (tmp_path / "failed").exists() and "too late" in (tmp_path / "failed").read_text())


def test_a_pass_through_hook_changes_nothing(tmp_path):
    with daemon(tmp_path, "in place", {"on_request": "shop_hooks:pass", "on_response": "shop_hooks:pass"}) as d:
        seen = d.get("/a?b", headers={"X-Hook": "answer"}).json()
        assert seen["path"] == "/a" and seen["own"] is None
        assert d.get("/raise").status == 500
        assert d.get("/file").body == b"f" * 300000


def test_the_example_of_the_manual(tmp_path):
    page = (SOURCE / "man" / "hornbeam-hooks.7").read_text()
    literal, = (part.partition(".Ed\n")[0] for part in page.split(".Bd -literal\n") if part.startswith("-module(shop_hooks)"))
    compile_module(tmp_path, "shop_hooks", literal.replace("\\e", "\\"))
    with daemon(tmp_path, "pool") as d:
        r = d.get("/private/a")
        assert (r.status, r.body, r.headers["www-authenticate"]) == (401, b"Who are you?\n", "Bearer")
        r = d.get("/private/a", headers={"Authorization": "Bearer me"})
        assert r.json()["own"]["user"] == "me" and r.headers["x-frame-options"] == "DENY"
        assert (d.get("/raise").status, d.get("/raise").body) == (500, b"Something went wrong.\n")
        eventually(lambda: "/raise: {python_error," in d.log())
