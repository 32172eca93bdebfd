"""What a client sees on its connection: long pipelines, bodies in pieces, fields that stand once, dripping heads."""

import contextlib
import json
import time

import pytest

import harness
from http_client import Reader

#: /headers answers with its own Date and Server; else what it saw, in JSON.
APP = """
import json

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    fields = [("Content-Type", "application/json")]
    if environ["PATH_INFO"] == "/headers":
        fields += [("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Server", "mine")]
    start_response("200 OK", fields)
    return [json.dumps({"path": environ["PATH_INFO"], "query": environ["QUERY_STRING"],
                        "type": environ.get("CONTENT_TYPE"), "length": len(body),
                        "sum": sum(body)}).encode()]
"""


def daemon_with(**config):
    return harness.Daemon("app:application", files={"app.py": APP}, config=config)


@pytest.fixture(scope="module")
def daemon():
    with daemon_with(limits={"body": "4M", "body_memory": "256K"}) as d:
        yield d


def test_an_http_1_0_client_never_gets_100(daemon):
    with daemon.connect() as s:
        s.sendall(b"POST /p HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        s.sendall(b"hello")
        line, _ = Reader(s).head()
    assert line == b"HTTP/1.1 200 OK"


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_a_large_body_in_pieces_leaves_the_head_as_it_was(daemon, framing, size):
    data = bytes(i % 251 for i in range(size))
    head = "POST /caf%C3%A9/x?a=%20b HTTP/1.1\r\nHost: a\r\nContent-Type: x/y\r\n"
    with daemon.connect() as s:
        if framing == "length":
            s.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode())
        else:
            s.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        for at in range(0, size, 7001):
            piece = data[at:at + 7001]
            s.sendall(piece if framing == "length" else b"%x\r\n%s\r\n" % (len(piece), piece))
        if framing == "chunked":
            s.sendall(b"0\r\n\r\n")
        status, _, body = Reader(s).response()
    assert status == 200
    seen = json.loads(body)
    assert seen == {"path": "/caf\u00c3\u00a9/x", "query": "a=%20b", "type": "x/y", "length": size, "sum": sum(data)}


def test_a_hundred_requests_at_once_are_answered_in_order(daemon):
    requests = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(99)]
    requests.insert(50, b"POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    with daemon.connect() as s:
        s.sendall(b"".join(requests))
        reader = Reader(s)
        paths = [json.loads(reader.response()[2])["path"] for _ in requests]
    assert paths == [f"/{i}" for i in range(50)] + ["/body"] + [f"/{i}" for i in range(50, 99)]


def test_a_response_has_one_date_and_one_server(daemon):
    with daemon.connect() as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        names = [name for name, _ in Reader(s).head()[1]]
    assert names.count(b"date") == 1
    assert names.count(b"server") == 1


def test_an_application_has_its_own_date_and_server(daemon):
    with daemon.connect() as s:
        s.sendall(b"GET /headers HTTP/1.1\r\nHost: a\r\n\r\n")
        fields = Reader(s).head()[1]
    assert [v for n, v in fields if n == b"date"] == [b"Thu, 01 Jan 1970 00:00:00 GMT"]
    assert [v for n, v in fields if n == b"server"] == [b"mine"]


def test_a_head_that_drips_does_not_get_its_time_anew():
    with daemon_with(timeouts={"header": "1s"}) as d, d.connect() as s:
        s.settimeout(0.2)
        reader = Reader(s)
        end = time.monotonic() + 20 * harness.SLOW
        s.sendall(b"GET / HTTP/1.1\r\nX: ")
        while b"\r\n\r\n" not in reader.data:
            assert time.monotonic() < end, "the time began anew with each byte"
            s.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                reader.fill()
        s.settimeout(20 * harness.SLOW)
        assert reader.response()[0] == 408
