"""What the server makes of an application's response: framing, fields that are the server's, mistakes.

Both interfaces; the application does as its query tells it, and each response is
followed by another one on its connection, or by its end.
"""

import json
import urllib.parse

import pytest

import harness
from http_client import Reader

APPS = {
    "wsgi": """
import json, urllib.parse

def application(environ, start_response):
    if environ["PATH_INFO"] != "/do":
        start_response("200 OK", [("Content-Length", "4")])
        return [environ["PATH_INFO"].encode()[:4].ljust(4)]
    do = json.loads(urllib.parse.unquote(environ["QUERY_STRING"]))
    start_response(f"{do['status']} Said So", [tuple(pair) for pair in do["headers"]])
    return iter([part.encode() for part in do["body"]])
""",
    "asgi": """
import json, urllib.parse

async def application(scope, receive, send):
    if scope["path"] != "/do":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()[:4].ljust(4)})
        return
    do = json.loads(urllib.parse.unquote(scope["query_string"].decode()))
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in do["headers"]]
    await send({"type": "http.response.start", "status": do["status"], "headers": headers})
    for part in do["body"]:
        await send({"type": "http.response.body", "body": part.encode(), "more_body": True})
    await send({"type": "http.response.body"})
""",
}
NEXT = b"GET /nxt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def daemon(request):
    apps = [{"mount": "/", "app": "app:application", "interface": request.param}]
    with harness.Daemon(apps=apps, files={"app.py": APPS[request.param]}, config={"lifespan": "off"}) as d:
        yield d


def line(method="GET", version="1.1", status=200, headers=(), body=(), fields=b""):
    """A request that asks for a response."""
    do = urllib.parse.quote(json.dumps({"status": status, "headers": list(headers), "body": list(body)}))
    return f"{method} /do?{do} HTTP/{version}\r\nHost: a\r\n".encode() + fields + b"\r\n"


class Bytes:
    """What a server sent, in the place of a socket."""

    def __init__(self, data):
        self.data = data

    def recv(self, _):
        taken, self.data = self.data, b""
        return taken


class Asked:
    """A response; next: whether the one behind it on the connection came too, and nothing else."""

    def __init__(self, d, method="GET", **more):
        reader = Reader(Bytes(d.raw(line(method, **more) + NEXT)))
        self.line, self.fields = reader.head()
        self.status = int(self.line.split(b" ")[1])
        self.cut = False
        self.body = b""
        try:
            if method != "HEAD" and self.status not in (204, 304):
                self.body = reader.body(dict(self.fields))
        except AssertionError:
            self.cut = True
            return
        rest = reader.rest()
        self.next = rest.endswith(b"\r\n\r\n/nxt") and rest.startswith(b"HTTP/1.1 200 ") and rest.count(b"HTTP/1.1") == 1
        assert self.next or rest == b"", rest

    def get(self, name):
        """The value of the field, None where there is none; it stands at most once."""
        values = [value for n, value in self.fields if n == name]
        assert len(values) < 2, self.fields
        return values[0] if values else None


@pytest.mark.parametrize("status,length", [(204, None), (205, b"0"), (304, None)])
def test_what_has_no_body_by_its_status_has_none(daemon, status, length):
    for body in ([], ["smuggled"], ["HTTP/1.1 200 OK\r\n", "\r\n"]):
        r = Asked(daemon, status=status, body=body)
        assert (r.status, r.body, r.next) == (status, b"", True)
        assert r.get(b"content-length") == length
        assert r.get(b"transfer-encoding") is None


def test_a_204_has_no_length_and_a_304_keeps_its_own(daemon):
    assert Asked(daemon, status=204, headers=[("Content-Length", "5")], body=["12345"]).get(b"content-length") is None
    r = Asked(daemon, status=304, headers=[("Content-Length", "5")])
    assert r.get(b"content-length") == b"5" and r.next
    r = Asked(daemon, status=205, headers=[("Content-Length", "5")], body=["12345"])
    assert r.get(b"content-length") == b"0" and r.next


def test_head_has_the_head_of_get_and_no_body(daemon):
    for headers in ([("Content-Length", "5")], []):
        r = Asked(daemon, "HEAD", headers=headers, body=["12", "345"])
        assert (r.status, r.next) == (200, True)
        assert r.get(b"content-length") == (b"5" if headers else None)
    assert Asked(daemon, "HEAD", status=404, body=["no"]).next


def test_a_body_of_unknown_length_is_chunked_or_ends_with_the_connection(daemon):
    r = Asked(daemon, body=["one", "", "two"])
    assert (r.body, r.get(b"transfer-encoding"), r.get(b"content-length"), r.next) == (b"onetwo", b"chunked", None, True)
    r = Asked(daemon, version="1.0", body=["one", "two"], fields=b"Connection: keep-alive\r\n")
    assert (r.body, r.get(b"transfer-encoding"), r.get(b"connection")) == (b"onetwo", None, b"close")
    assert r.line.startswith(b"HTTP/1.1 200 ")


def test_an_http_1_0_connection_is_kept_where_it_asks_and_the_length_is_known(daemon):
    length = [("Content-Length", "3")]
    r = Asked(daemon, version="1.0", headers=length, body=["one"], fields=b"Connection: keep-alive\r\n")
    assert (r.body, r.get(b"connection"), r.next) == (b"one", b"keep-alive", True)
    r = Asked(daemon, version="1.0", headers=length, body=["one"])
    assert (r.body, r.get(b"connection"), r.next) == (b"one", b"close", False)


def test_a_body_shorter_than_its_length_is_logged_and_ends_the_connection(daemon):
    r = Asked(daemon, headers=[("Content-Length", "10")], body=["short"])
    assert r.cut
    harness.eventually(lambda: "GET /do" in daemon.log() and "its Content-Length is 10" in daemon.log())


def test_a_body_longer_than_its_length_is_logged_and_ends_the_connection(daemon):
    r = Asked(daemon, headers=[("Content-Length", "7")], body=["too ", "long by far", "HTTP/1.1 200 OK\r\n\r\n"])
    assert (r.body, r.cut, r.next) == (b"too lon", False, False)
    harness.eventually(lambda: "longer than its Content-Length, 7" in daemon.log())


@pytest.mark.parametrize("headers", [
    [("X-A", "a\r\nSet-Cookie: b")], [("X-A", "a\nb")], [("X-A", "a\rb")], [("X-A", "a\0b")], [("X-A\r\n", "b")],
    [("X A", "b")], [("X-A:", "b")], [("", "b")], [("X-\xe9", "b")], [("X-A", "a\x7fb")],
    [("Content-Length", "5"), ("content-length", "6")], [("Content-Length", "five")], [("Content-Length", "-5")],
    [("Content-Length", "")], [("Content-Length", "5, 5")],
], ids=repr)
def test_a_head_that_another_reader_could_take_for_two_is_500(daemon, headers):
    r = Asked(daemon, headers=headers, body=["12345"])
    assert r.status == 500 and b"12345" not in r.body
    assert r.get(b"set-cookie") is None


def test_one_length_given_twice_is_sent_once(daemon):
    r = Asked(daemon, headers=[("Content-Length", "5"), ("content-length", "5")], body=["12345"])
    assert (r.get(b"content-length"), r.body, r.next) == (b"5", b"12345", True)


@pytest.mark.parametrize("name,value", [
    ("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip, chunked"), ("Connection", "keep-alive, X-A"),
    ("Keep-Alive", "timeout=5"), ("TE", "trailers"), ("Trailer", "X-Sum"), ("Upgrade", "h2c"), ("Connection", "upgrade"),
    ("Proxy-Connection", "keep-alive")])
def test_fields_of_the_connection_are_the_servers(daemon, name, value):
    r = Asked(daemon, headers=[(name, value), ("Content-Length", "3"), ("X-A", "1")], body=["one"])
    assert (r.status, r.body, r.next) == (200, b"one", True)
    assert r.get(name.lower().encode()) is None
    assert r.get(b"x-a") == b"1"


def test_an_application_may_end_the_connection(daemon):
    r = Asked(daemon, headers=[("connection", "Close"), ("Content-Length", "3")], body=["one"])
    assert (r.body, r.get(b"connection"), r.next) == (b"one", b"close", False)


def test_every_response_has_a_date_and_a_server(daemon):
    for request in (line(), line(status=204), line(status=304), line(status=500), line("HEAD"), b"rubbish\r\n\r\n",
                    line(headers=[("X A", "b")])):
        line_, fields = Reader(Bytes(daemon.raw(request + NEXT))).head()
        names = [name for name, _ in fields]
        assert names.count(b"date") == names.count(b"server") == 1, line_


def test_a_status_without_a_reason_keeps_its_space(daemon):
    line_ = Asked(daemon, status=299).line
    assert line_ in (b"HTTP/1.1 299 ", b"HTTP/1.1 299 Said So")  # the reason is an application's to say in WSGI only
    assert Asked(daemon, status=200).line in (b"HTTP/1.1 200 OK", b"HTTP/1.1 200 Said So")


@pytest.mark.parametrize("framing", [b"Content-Length: 5\r\n\r\nGET /", b"Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
                                     b"Content-Length: 40000\r\n\r\n" + NEXT * (40000 // len(NEXT)) + b"x" * (40000 % len(NEXT))],
                         ids=["short", "chunked", "long"])
def test_a_body_that_nobody_read_is_not_the_next_request(daemon, framing):
    with daemon.connect() as s:
        s.sendall(b"POST /one HTTP/1.1\r\nHost: a\r\n" + framing + NEXT)
        reader = Reader(s)
        assert reader.response()[2] == b"/one"
        assert reader.response()[2] == b"/nxt"
        assert reader.ended(), reader.data


def test_options_asterisk_is_of_the_application_at_the_root(daemon):
    with daemon.connect() as s:
        s.sendall(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        assert Reader(s).response()[2] == b"*   "


@pytest.mark.parametrize("request_", [b"OPTIONS *", b"GET /b"])
def test_without_an_application_at_the_root_there_is_nothing(request_):
    apps = [{"mount": "/a", "app": "app:application"}]
    with harness.Daemon(apps=apps, files={"app.py": APPS["wsgi"]}) as d, d.connect() as s:
        s.sendall(request_ + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        assert Reader(s).response()[0] == 404
