"""Every request of tests/data/http/requests.txt through a running server, for a WSGI and for an ASGI application.

What the parser's unit test shows of the parser is shown here of the whole: the
status, the connection closed where it must be, each accepted request seen by the
application as it was meant, what follows it in the same bytes answered or never
looked at, and the next connection served; whole, and cut at every position.
"""

import json
import re
import socket
import urllib.parse

import pytest

import harness
import http_cases
from http_client import Reader

#: Each answers with what it saw of the request, in one JSON form.
APPS = {
    "wsgi": """
import json

def application(environ, start_response):
    fields = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
    seen = {"method": environ["REQUEST_METHOD"], "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"],
            "query": environ["QUERY_STRING"], "fields": fields,
            "body": environ["wsgi.input"].read().decode("latin-1")}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
""",
    "asgi": """
import json

async def application(scope, receive, send):
    assert scope["type"] == "http", scope["type"]
    fields, body, more = {}, b"", True
    for name, value in scope["headers"]:
        fields.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    seen = {"method": scope["method"], "path": scope["path"].encode().decode("latin-1"),
            "query": scope["query_string"].decode("latin-1"), "fields": fields, "body": body.decode("latin-1")}
    content = json.dumps(seen).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]})
    await send({"type": "http.response.body", "body": content})
""",
}

LIMITS = {"request_line": "8K", "header": "32K", "headers": 100, "body": "64K"}
CASES = http_cases.load(harness.SOURCE)
#: A request of another one's bytes, to be answered in its turn or never.
SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
#: So many connections at once, each with its request cut at another position.
AT_ONCE = 100


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def daemon(request):
    config = {"limits": LIMITS, "workers": 1, "timeouts": {"header": "60s", "body": "60s", "keepalive": "60s"},
              "lifespan": "off"}
    apps = [{"mount": "/", "app": "app:application", "interface": request.param}]
    with harness.Daemon(apps=apps, files={"app.py": APPS[request.param]}, config=config) as d:
        yield d


def check_seen(expected, body):
    """What the application saw is what the file says."""
    seen = json.loads(body)
    assert seen["method"] in (expected.method, expected.method.upper())  # the latter by the ASGI specification
    assert seen["body"].encode("latin-1") == expected.body
    path = expected.said.get("path")
    if path is None and expected.target.startswith("/"):
        path = expected.target.partition("?")[0].encode()
    if path is not None:
        assert seen["path"] == urllib.parse.unquote_to_bytes(path).decode("latin-1")
    if "query" in expected.said:
        assert seen["query"].encode() == expected.said["query"]
    if "host" in expected.said:
        assert seen["fields"]["host"].encode("latin-1") == expected.said["host"]
    if "field" in expected.said:
        name, _, value = expected.said["field"].decode("latin-1").partition("=")
        # WSGI puts fields of one name together with commas.
        assert seen["fields"][name].split(",")[0] == value


def check_answers(s, case, reader):
    """Reads a case's answers; whether the connection is still open for another request."""
    for expected in case.answers:
        if expected.status is None:
            s.shutdown(socket.SHUT_WR)
            rest = reader.rest()  # RFC 9112 8: an error, or nothing
            assert rest == b"" or re.match(rb"HTTP/1\.1 (100 .*\r\n\r\nHTTP/1.1 )?4\d\d ", rest), rest
            return False
        status, fields, body = reader.response(head=expected.method == "HEAD")
        if expected.status:
            assert status == expected.status, body
            assert fields.get(b"connection") == b"close"
            assert reader.ended(), reader.data
            return False
        assert status == 200, body
        if expected.method != "HEAD":
            check_seen(expected, body)
        if not expected.keep_alive:
            assert fields.get(b"connection") == b"close"
            assert reader.ended(), reader.data
            return False
    return True


def check_sentinel(reader):
    status, fields, body = reader.response()
    assert status == 200 and json.loads(body)["path"] == "/sentinel"
    assert fields.get(b"connection") == b"close"
    assert reader.ended(), reader.data


def musts():
    """The lines of musts.txt: section and the places where it is tested."""
    for text in (harness.SOURCE / "tests" / "data" / "http" / "musts.txt").read_text().splitlines():
        if text and not text.startswith("#"):
            section, _, places = (part.strip() for part in text.split("|"))
            yield section, places.split()


def test_each_section_of_the_rfcs_is_tested_where_the_list_says():
    rules = {case.rule for case in CASES}
    for section, places in musts():
        assert places, section
        for place in places:
            if place == "requests":
                assert section in rules, section
                continue
            file, _, name = place.partition("::")
            text = (harness.SOURCE / "tests" / file).read_text()
            assert re.search(rf"^(def {name}\(|START_TEST\({name}\))", text, re.MULTILINE), place


def test_each_rule_of_a_case_is_in_the_list():
    listed = {section for section, places in musts() if "requests" in places}
    other = {case.rule for case in CASES if case.rule.startswith(("RFC 9110", "RFC 9112"))} - listed
    assert not other, other


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.line}: {c.name}")
def test_each_request_gets_its_answer_and_the_next_connection_is_served(daemon, case):
    with daemon.connect() as s:
        s.sendall(case.data)
        reader = Reader(s)
        if check_answers(s, case, reader):
            s.sendall(SENTINEL)
            check_sentinel(reader)
    assert daemon.get("/next").json()["path"] == "/next"


def test_what_follows_in_the_same_bytes_is_answered_in_its_turn_or_never(daemon):
    for case in CASES:
        if case.answers[-1].status is None:
            continue  # it would be the rest of the message
        with daemon.connect() as s:
            s.sendall(case.data + SENTINEL)
            reader = Reader(s)
            if check_answers(s, case, reader):
                check_sentinel(reader)


def cut_everywhere(d, cuts):
    """Sends each case up to its cut, waits until the server has read that, and sends the rest."""
    conns = []
    try:
        for case, at in cuts:
            conns.append(d.connect())
            conns[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conns[-1].sendall(case.data[:at])
        assert d.get("/barrier").status == 200  # one worker takes what comes in the order in which it came
        for s, (case, at) in zip(conns, cuts):
            try:
                s.sendall(case.data[at:])
                check_answers(s, case, Reader(s))
            except (BrokenPipeError, ConnectionResetError):
                assert case.answers[-1].status, (case.name, at)  # refused by what was there before the cut
            except AssertionError as e:
                raise AssertionError(f"line {case.line}: {case.name}, cut at {at}") from e
    finally:
        for s in conns:
            s.close()


@pytest.mark.parametrize("part", range(8))
def test_where_a_request_is_cut_makes_no_difference(daemon, part):
    short = [c for c in CASES if len(c.data) < 150 and c.answers[-1].status is not None][part::8]
    cuts = [(c, at) for c in short for at in range(1, len(c.data))]
    for i in range(0, len(cuts), AT_ONCE):
        cut_everywhere(daemon, cuts[i:i + AT_ONCE])


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
