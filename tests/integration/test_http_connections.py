"""What a client sees of connections: interim answers, pipelines, timeouts, slow and silent peers."""

import contextlib
import json
import socket
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
    with daemon_with(limits={"body": "4M", "body_memory": "256K"}, timeouts={"header": "60s"}) as d:
        yield d


@pytest.fixture(scope="module")
def hasty():
    with daemon_with(timeouts={"header": "1s", "body": "1s", "keepalive": "1s"}) as d:
        yield d


def expecting(length, version="1.1"):
    return (f"POST /p HTTP/{version}\r\nHost: a\r\nExpect: 100-continue\r\n"
            f"Content-Length: {length}\r\nConnection: close\r\n\r\n").encode()


def test_a_client_that_waits_for_100_gets_it_before_its_body(daemon):
    with daemon.connect() as s:
        s.sendall(expecting(5))
        reader = Reader(s)
        line, fields = reader.head()
        assert line == b"HTTP/1.1 100 Continue"
        assert fields == []
        s.sendall(b"hello")
        status, _, body = reader.response()
    assert status == 200
    assert json.loads(body)["length"] == 5


def test_a_client_that_waits_for_100_with_too_large_a_body_gets_413_instead(daemon):
    with daemon.connect() as s:
        s.sendall(expecting(100_000_000))
        reader = Reader(s)
        line, _ = reader.head()
    assert line.startswith(b"HTTP/1.1 413 ")


def test_an_http_1_0_client_never_gets_100(daemon):
    with daemon.connect() as s:
        s.sendall(expecting(5, "1.0"))
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


def test_a_client_that_ends_its_side_after_the_request_gets_its_answer(daemon):
    with daemon.connect() as s:
        s.sendall(b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
        s.shutdown(socket.SHUT_WR)
        reader = Reader(s)
        status, _, body = reader.response()
        assert (status, json.loads(body)["path"]) == (200, "/half")
        assert reader.ended()


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


def test_head_has_the_length_and_no_body(daemon):
    with daemon.connect() as s:
        reader = Reader(s)
        s.sendall(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\nGET /g HTTP/1.1\r\nHost: a\r\n\r\n")
        status, fields, _ = reader.response(head=True)
        assert (status, int(fields[b"content-length"]) > 0) == (200, True)
        status, _, body = reader.response()
    assert (status, json.loads(body)["path"]) == (200, "/g")


def test_a_head_that_does_not_come_in_time_gets_408(hasty):
    with hasty.connect() as s:
        s.sendall(b"GET / HTTP/1.1\r\nHos")
        reader = Reader(s)
        status, fields, _ = reader.response()
        assert (status, fields[b"connection"]) == (408, b"close")
        assert reader.ended()


def test_a_head_that_drips_does_not_come_in_time_either(hasty):
    with hasty.connect() as s:
        s.settimeout(0.2)
        reader = Reader(s)
        end = time.monotonic() + 10 * harness.SLOW
        s.sendall(b"GET / HTTP/1.1\r\nX: ")
        while b"\r\n\r\n" not in reader.data:
            assert time.monotonic() < end, "the time began anew with each byte"
            s.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                reader.fill()
        s.settimeout(10)
        assert reader.response()[0] == 408


def test_a_body_that_does_not_come_in_time_gets_408(hasty):
    with hasty.connect() as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
        reader = Reader(s)
        assert reader.response()[0] == 408
        assert reader.ended()


def test_an_idle_connection_is_closed_without_a_word(hasty):
    with hasty.connect() as s:
        reader = Reader(s)
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reader.response()[0] == 200
        assert reader.ended()


def test_two_hundred_dripping_heads_hold_up_nobody(daemon):
    head = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(daemon.connect()) for _ in range(200)]
        for i in range(len(head) - 1):
            for s in slow:
                s.sendall(head[i:i + 1])
            began = time.monotonic()
            assert daemon.get("/quick").json()["path"] == "/quick"
            assert time.monotonic() - began < 2 * harness.SLOW
        for s in slow:
            s.sendall(head[-1:])
        for s in slow:
            status, _, body = Reader(s).response()
            assert (status, json.loads(body)["path"]) == (200, "/slow")
