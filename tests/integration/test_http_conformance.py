"""Every request of tests/data/http/requests.txt through a running server.

What the parser's unit test shows of the parser is shown here of the whole: the
status, the connection closed where it must be, each accepted request seen by the
application as it was meant, and the next connection served.
"""

import json
import re
import socket
import urllib.parse

import pytest

import harness
import http_cases
from http_client import Reader

#: Answers with what it saw of the request, in JSON.
ECHO = """
import json

def application(environ, start_response):
    seen = {k: v for k, v in environ.items() if isinstance(v, str)}
    seen["body"] = environ["wsgi.input"].read().decode("latin-1")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
"""

LIMITS = {"request_line": "8K", "header": "32K", "headers": 100, "body": "64K"}
CASES = http_cases.load(harness.SOURCE)


@pytest.fixture(scope="module")
def daemon():
    config = {"limits": LIMITS, "workers": 1, "timeouts": {"header": "60s", "body": "60s", "keepalive": "60s"}}
    with harness.Daemon("app:application", files={"app.py": ECHO}, config=config) as d:
        yield d


def check_seen(expected, body):
    """What the application saw is what the file says."""
    seen = json.loads(body)
    assert seen["REQUEST_METHOD"] == expected.method
    assert seen["body"].encode("latin-1") == expected.body
    path = expected.said.get("path")
    if path is None and expected.target.startswith("/"):
        path = expected.target.partition("?")[0].encode()
    if path is not None and path != b"*":
        decoded = urllib.parse.unquote_to_bytes(path).decode("latin-1")
        assert seen["SCRIPT_NAME"] + seen["PATH_INFO"] == decoded
    if "query" in expected.said:
        assert seen["QUERY_STRING"].encode() == expected.said["query"]
    if "host" in expected.said:
        assert seen["HTTP_HOST"].encode("latin-1") == expected.said["host"]
    if "field" in expected.said:
        name, _, value = expected.said["field"].decode("latin-1").partition("=")
        # Fields of one name are put together with commas.
        assert seen["HTTP_" + name.upper().replace("-", "_")].split(",")[0] == value


def converse(d, case):
    """Sends a case's bytes and checks each answer; returns once the connection has ended."""
    with d.connect() as s:
        s.sendall(case.data)
        reader = Reader(s)
        for expected in case.answers:
            if expected.status is None:
                s.shutdown(socket.SHUT_WR)
                rest = reader.rest()  # RFC 9112 8: an error, or nothing
                assert rest == b"" or re.match(rb"HTTP/1\.1 (100 .*\r\n\r\nHTTP/1.1 )?4\d\d ", rest), rest
                return
            status, fields, body = reader.response(head=expected.method == "HEAD")
            if expected.status:
                assert status == expected.status, body
                assert fields.get(b"connection") == b"close"
                assert reader.ended()
                return
            assert status == 200, body
            if expected.method != "HEAD":
                check_seen(expected, body)
            if not expected.keep_alive:
                assert reader.ended()
                return
        s.sendall(b"GET /again HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        status, _, body = reader.response()
        assert status == 200 and json.loads(body)["PATH_INFO"] == "/again"
        assert reader.ended(), reader.data


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.line}: {c.name}")
def test_each_request_gets_its_answer_and_the_next_connection_is_served(daemon, case):
    converse(daemon, case)
    assert daemon.get("/next").json()["PATH_INFO"] == "/next"


def test_a_request_that_arrives_byte_by_byte_gets_the_same_answer(daemon):
    short = [c for c in CASES if len(c.data) < 200 and c.answers[-1].status is not None][::8]
    for case in short:
        with daemon.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader = Reader(s)
            try:
                for i in range(len(case.data)):
                    s.sendall(case.data[i:i + 1])
            except (ConnectionResetError, BrokenPipeError):
                assert case.answers[-1].status, case.name
                continue
            status, _, _ = reader.response(head=case.answers[0].method == "HEAD")
            assert status == (case.answers[0].status or 200), case.name


def test_a_refusal_reaches_a_client_that_is_still_sending(daemon):
    with daemon.connect() as s:
        s.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500000)
        status, fields, _ = Reader(s).response()
    assert status == 413
    assert fields[b"connection"] == b"close"
