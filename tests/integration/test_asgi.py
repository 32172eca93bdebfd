"""HTTP for ASGI applications: scopes, receive(), send(), and each end of an application."""

import concurrent.futures
import json
import socket
import struct
import urllib.parse

import pytest
from asgi_apps import LAB, noted, notes
from harness import ASAN, SLOW, Daemon, eventually, read_all, resident
from http_client import Reader


#: Of resident memory; the sanitizer keeps what was freed for a while.
GROWTH = (400 if ASAN else 30) << 20


@pytest.fixture(scope="module")
def daemon():
    with Daemon(apps=[{"mount": "/", "app": "lab:application"}, {"mount": "/m/é", "app": "lab:application"}],
                files={"lab.py": LAB}, config={"limits": {"body": "40M"}, "timeouts": {"request": "20s"}}) as d:
        yield d


@pytest.fixture
def lab(daemon):
    notes(daemon)  # of the case before
    return daemon


def scope_of(d, path="/scope", method="GET", **more):
    return eval(d.request(method, path, **more).text)  # noqa: S307


def ask(s, path, method="GET", more=""):
    s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n".encode())


# The scope.


def test_the_scope_has_what_the_request_says(lab):
    scope = scope_of(lab, "/scope/a%20b/%C3%A9?q=%20&r=1", headers={"X-Thing": "V", "Cookie": "a=1"})
    assert scope["type"] == "http" and scope["http_version"] == "1.1" and scope["method"] == "GET"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert scope["scheme"] == "http" and scope["root_path"] == ""
    assert scope["path"] == "/scope/a b/é" and scope["raw_path"] == b"/scope/a%20b/%C3%A9"
    assert scope["query_string"] == b"q=%20&r=1"
    assert scope["server"] == ("127.0.0.1", lab.port)
    assert scope["client"][0] == "127.0.0.1" and isinstance(scope["client"][1], int)
    assert scope["extensions"] == {"http.response.early_hint": {}}
    assert (b"x-thing", b"V") in scope["headers"] and (b"cookie", b"a=1") in scope["headers"]
    assert "state" not in scope


def test_headers_keep_their_order_and_repetition_in_lower_case(lab):
    answer = lab.raw(b"GET /scope HTTP/1.1\r\nHost: x\r\nX-B: 1\r\nACCEPT: \xe9\r\nx-a: 2\r\nX-B: 3\r\nX_C:\r\n"
                     b"Connection: close\r\n\r\n")
    scope = eval(answer.partition(b"\r\n\r\n")[2])  # noqa: S307
    assert scope["headers"] == [(b"host", b"x"), (b"x-b", b"1"), (b"accept", b"\xe9"), (b"x-a", b"2"), (b"x-b", b"3"),
                                (b"x_c", b""), (b"connection", b"close")]


def test_a_method_is_in_capitals_and_http_1_0_is_told(lab):
    answer = lab.raw(b"get /scope HTTP/1.0\r\n\r\n")
    scope = eval(answer.partition(b"\r\n\r\n")[2])  # noqa: S307
    assert scope["method"] == "GET" and scope["http_version"] == "1.0" and scope["headers"] == []
    assert scope_of(lab, method="PROPFIND")["method"] == "PROPFIND"


def test_bytes_of_a_path_that_are_no_utf_8_are_replaced(lab):
    scope = scope_of(lab, "/scope/%FF%C3%A9")
    assert scope["path"] == "/scope/\ufffdé" and scope["raw_path"] == b"/scope/%FF%C3%A9"


def test_an_absolute_target_names_the_host(lab):
    answer = lab.raw(b"GET http://other:81/scope?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    scope = eval(answer.partition(b"\r\n\r\n")[2])  # noqa: S307
    assert scope["path"] == "/scope" and scope["raw_path"] == b"/scope" and scope["query_string"] == b"x"
    assert scope["headers"][0] == (b"host", b"other:81")


def test_a_path_has_its_mount_in_front(lab):
    scope = scope_of(lab, "/m/%C3%A9/scope/x")
    assert scope["root_path"] == "/m/é" and scope["path"] == "/m/é/scope/x"
    assert scope["raw_path"] == b"/m/%C3%A9/scope/x"


def test_a_unix_socket_has_no_client(tmp_path):
    path = tmp_path / "s"
    with Daemon("lab:application", files={"lab.py": LAB}, config={"listen": [f"unix:{path}"]}):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            s.sendall(b"GET /scope HTTP/1.0\r\n\r\n")
            scope = eval(read_all(s).partition(b"\r\n\r\n")[2])  # noqa: S307
    assert scope["client"] is None


def test_nothing_of_a_scope_or_message_is_shared_between_requests(lab):
    with lab.connect() as s:
        reader = Reader(s)
        shown = []
        for _ in range(3):
            ask(s, "/spoil")
            shown.append(reader.response()[2])
    assert shown[0] == shown[1] == shown[2] and b"spoilt" not in shown[0]


# Bodies.


@pytest.mark.parametrize("size", [0, 1, 100, 70_000, 3_000_000])
def test_a_body_arrives_whole(lab, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert lab.request("POST", "/body", body=body).text == f"{size} {sum(body) % 65521}"


def test_a_chunked_body_arrives_in_parts_as_it_comes(lab):
    with lab.connect() as s:
        ask(s, "/echo", "POST", "Transfer-Encoding: chunked\r\n")
        reader = Reader(s)
        for part in (b"one", b"two", b"x" * 20_000):
            s.sendall(b"%x\r\n%s\r\n" % (len(part), part))
            reader.until(lambda part=part: part in reader.data)
        s.sendall(b"0\r\n\r\n")
        assert reader.response()[2] == b"onetwo" + b"x" * 20_000


def test_a_large_body_is_echoed_while_it_is_sent(lab):
    body = bytes(range(256)) * 40_000
    with lab.connect() as s, concurrent.futures.ThreadPoolExecutor() as pool:
        ask(s, "/echo", "POST", f"Content-Length: {len(body)}\r\n")
        sent = pool.submit(s.sendall, body)  # who reads only afterwards may wait for ever
        assert Reader(s).response()[2] == body
        sent.result()


def test_the_receive_behind_the_body_ends_with_the_response(lab):
    assert lab.get("/after_body").text == "x"
    assert noted(lab, 3) == [False, {"type": "http.disconnect"}, {"type": "http.disconnect"}]


def test_100_continue_is_sent_when_the_application_reads(lab):
    with lab.connect() as s:
        ask(s, "/echo", "POST", "Content-Length: 2\r\nExpect: 100-continue\r\n")
        reader = Reader(s)
        assert reader.head()[0] == b"HTTP/1.1 100 Continue"
        s.sendall(b"ok")
        assert reader.response()[2] == b"ok"


def test_no_100_continue_comes_behind_the_head_of_the_response(lab):
    with lab.connect() as s:
        ask(s, "/duplex", "POST", "Content-Length: 2\r\nExpect: 100-continue\r\n")
        reader = Reader(s)
        line, fields = reader.head()
        assert line == b"HTTP/1.1 200 OK" and dict(fields)[b"connection"] == b"close"
        s.sendall(b"ok")
        assert reader.chunks() == b"first ok"
        assert reader.ended()


@pytest.mark.parametrize("path, status", [("/hello", 200), ("/raise_early", 500)])
def test_a_client_that_waited_in_vain_with_its_body_is_told_that_the_connection_ends(lab, path, status):
    with lab.connect() as s:
        ask(s, path, "POST", "Content-Length: 2\r\nExpect: 100-continue\r\n")
        reader = Reader(s)
        got, fields, _ = reader.response()
        assert got == status and fields[b"connection"] == b"close"
        assert reader.ended()


def test_two_receives_at_once_are_both_served(lab):
    with lab.connect() as s:
        ask(s, "/two_receives", "POST", "Transfer-Encoding: chunked\r\n")
        eventually(lambda: lab.get("/waiting").text == "True")
        s.sendall(b"1\r\na\r\n")
        eventually(lambda: lab.get("/waiting").text == "1")
        s.sendall(b"1\r\nb\r\n0\r\n\r\n")
        assert Reader(s).response()[0] == 200
    assert notes(lab) == [["a", "b"]]


def test_a_receive_that_is_cancelled_takes_nothing(lab):
    with lab.connect() as s:
        ask(s, "/cancel_receive", "POST", "Content-Length: 3\r\n")
        eventually(lambda: lab.get("/waiting").text == "True")
        s.sendall(b"abc")
        assert Reader(s).response()[0] == 200
    assert notes(lab) == [False, "timeout", "abc"]


def test_what_receive_and_send_return_passes_for_a_coroutine(lab):
    assert lab.get("/kinds").text == "kinds"
    again = "RuntimeError: cannot reuse already awaited coroutine"
    assert notes(lab) == [[True, True, True], [True, True, True], again, again, again]


def test_a_send_that_nobody_awaits_is_told(lab):
    assert lab.get("/unawaited").status == 200
    eventually(lambda: "coroutine 'send' was never awaited" in lab.log())


# Responses.


def test_a_response_of_one_part_has_its_length(lab):
    r = lab.get("/hello")
    assert r.text == "hello" and r.headers["content-length"] == "5" and r.headers["content-type"] == "text/plain"


def test_a_response_of_parts_is_chunked_and_in_1_0_ends_the_connection(lab):
    r = lab.request("POST", "/echo", body=b"abc")
    assert r.headers["transfer-encoding"] == "chunked" and r.text == "abc"
    head, _, body = lab.raw(b"POST /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc").partition(b"\r\n\r\n")
    assert b"chunked" not in head and body == b"abc"


def test_head_and_bodyless_statuses_have_no_body(lab):
    with lab.connect() as s:
        reader = Reader(s)
        ask(s, "/hello", "HEAD")
        status, fields, _ = reader.response(head=True)
        assert status == 200 and fields[b"content-length"] == b"5"
        message = "[{'type':'http.response.start','status':204},{'type':'http.response.body','body':b'x','more_body':True}," \
                  "{'type':'http.response.body','body':b'y'}]"
        ask(s, "/messages?" + urllib.parse.quote(message))
        assert reader.response(head=True)[0] == 204
        ask(s, "/hello")
        assert reader.response()[2] == b"hello"
    assert notes(lab) == ["ok None"] * 3


def test_an_endless_body_that_nobody_wants_ends_with_its_head(lab):
    with lab.connect() as s:
        reader = Reader(s)
        ask(s, "/endless", "HEAD")
        status, fields, _ = reader.response(head=True)
        assert status == 200 and b"content-length" not in fields
        ask(s, "/hello")
        assert reader.response()[2] == b"hello"
    assert noted(lab, 2) == ["http.disconnect", False]


def test_an_endless_body_leaves_others_their_turn(lab):
    with lab.connect() as s:
        ask(s, "/endless")
        reader = Reader(s)
        reader.head()
        for _ in range(3):
            reader.take(1000)
            assert lab.get("/hello").text == "hello"
    assert noted(lab, 1)[0] == "http.disconnect"


def test_the_first_empty_part_sends_the_head_and_each_event_goes_out_at_once(lab):
    with lab.connect() as s:
        ask(s, "/events")
        reader = Reader(s)
        assert reader.head()[0] == b"HTTP/1.1 200 OK"
        for n in range(3):
            lab.get(f"/let_go?event{n}")
            reader.until(lambda n=n: b"data: %d\n\n" % n in reader.data)
        reader.until(lambda: reader.data.endswith(b"0\r\n\r\n"))


def test_early_hints_come_before_the_response(lab):
    with lab.connect() as s:
        ask(s, "/early")
        reader = Reader(s)
        line, fields = reader.head()
        assert line == b"HTTP/1.1 103 Early Hints"
        assert fields == [(b"link", b"</a.css>; rel=preload"), (b"link", b"</b.js>; rel=preload")]
        assert reader.response()[2] == b"final"


START = "{'type': 'http.response.start', 'status': 200}"
BODY = "{'type': 'http.response.body', 'body': b'x'}"
PART = "{'type': 'http.response.body', 'body': b'x', 'more_body': True}"
ORDERS = {
    "a body before the start": (f"[{BODY}, {START}, {BODY}]", 0, "RuntimeError", "has not been started"),
    "two starts": (f"[{START}, {START}, {BODY}]", 1, "RuntimeError", "started already"),
    "a start in the body": (f"[{START}, {PART}, {START}, {BODY}]", 2, "RuntimeError", "started already"),
    "a body after the end": (f"[{START}, {BODY}, {BODY}]", 2, "RuntimeError", "complete"),
    "a start after the end": (f"[{START}, {BODY}, {START}]", 2, "RuntimeError", "complete"),
    "a hint after the start": (f"[{START}, {{'type': 'http.response.early_hint', 'links': []}}, {BODY}]", 1,
                               "RuntimeError", "started already"),
    "an unknown type": (f"[{{'type': 'http.nonsense'}}, {START}, {BODY}]", 0, "RuntimeError", "http.nonsense"),
    "a message of WebSocket": (f"[{{'type': 'websocket.accept'}}, {START}, {BODY}]", 0, "RuntimeError", "not of HTTP"),
    "a message of lifespan": (f"[{{'type': 'lifespan.startup.complete'}}, {START}, {BODY}]", 0, "RuntimeError",
                              "not of HTTP"),
}


@pytest.mark.parametrize("case", ORDERS)
def test_messages_out_of_order_are_refused_and_harm_nothing(lab, case):
    messages, index, kind, text = ORDERS[case]
    assert lab.get("/messages?" + urllib.parse.quote(messages)).text == "x" * (1 + messages.count("more_body"))
    results = notes(lab)
    assert results[index].startswith(kind + ":") and text in results[index]
    assert all(r == "ok None" for i, r in enumerate(results) if i != index)


def start(headers="[]", status="200"):
    return f"{{'type': 'http.response.start', 'status': {status}, 'headers': {headers}}}"


def body(value):
    return f"{{'type': 'http.response.body', 'body': {value}}}"


WRONG = {
    "no dict": ("None", "TypeError", "dict"),
    "a list": ("['type']", "TypeError", "dict"),
    "no type": ("{}", "ValueError", "type"),
    "a type in bytes": ("{'type': b'http.response.start'}", "TypeError", "str"),
    "no status": ("{'type': 'http.response.start'}", "TypeError", "status"),
    "a status in text": (start(status="'200'"), "TypeError", "status"),
    "a status of 1xx": (start(status="100"), "ValueError", "100"),
    "a status of four digits": (start(status="1000"), "ValueError", "1000"),
    "a huge status": (start(status="10**30"), "ValueError", "status"),
    "a negative status": (start(status="-1"), "ValueError", "-1"),
    "headers of no kind": (start("5"), "TypeError", "headers"),
    "headers in text": (start("'ab'"), "TypeError", "header"),
    "headers in bytes": (start("b'ab'"), "TypeError", "header"),
    "a dict for headers": (start("{b'ab': b'c'}"), "TypeError", "pair"),
    "a name in text": (start("[('a', b'b')]"), "TypeError", "bytes"),
    "a value in text": (start("[(b'a', 'b')]"), "TypeError", "bytes"),
    "a value of None": (start("[(b'a', None)]"), "TypeError", "bytes"),
    "a triple": (start("[(b'a', b'b', b'c')]"), "TypeError", "pair"),
    "a new line in a value": (start("[(b'a', b'b\\r\\nc: d')]"), "ValueError", "control"),
    "a NUL in a value": (start("[(b'a', b'\\0')]"), "ValueError", "control"),
    "a space in a name": (start("[(b'a b', b'c')]"), "ValueError", "name"),
    "an empty name": (start("[(b'', b'c')]"), "ValueError", "name"),
    "two lengths": (start("[(b'content-length', b'1'), (b'content-length', b'2')]"), "ValueError", "Content-Length"),
    "a length that is none": (start("[(b'content-length', b'x')]"), "ValueError", "Content-Length"),
    "a hint in text": ("{'type': 'http.response.early_hint', 'links': ['a']}", "TypeError", "links"),
    "a hint with a new line": ("{'type': 'http.response.early_hint', 'links': [b'a\\nb']}", "ValueError", "control"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_types_and_values_are_refused_before_anything_is_sent(lab, case):
    message, kind, text = WRONG[case]
    right = f"{start('[(b' + repr('x-right') + ', b' + repr('1') + ')]')}, {BODY}"
    r = lab.get("/messages?" + urllib.parse.quote(f"[{message}, {right}]"))
    assert r.status == 200 and r.text == "x" and r.headers["x-right"] == "1"
    results = notes(lab)
    assert results[0].startswith(kind + ":") and text in results[0], results
    assert results[1:] == ["ok None", "ok None"]


@pytest.mark.parametrize("value", ["'text'", "None", "5", "[b'x']", "memoryview(b'abcd')[::2]"])
def test_a_body_of_a_wrong_type_is_refused(lab, value):
    assert lab.get("/messages?" + urllib.parse.quote(f"[{START}, {body(value)}, {BODY}]")).text == "x"
    results = notes(lab)
    assert results[0] == results[2] == "ok None"
    assert results[1].split(":")[0] in ("TypeError", "BufferError"), results


@pytest.mark.parametrize("value", ["b'abc'", "bytearray(b'abc')", "memoryview(b'abc')", "type('B', (bytes,), {})(b'abc')"])
def test_a_body_may_be_anything_of_bytes(lab, value):
    assert lab.get("/messages?" + urllib.parse.quote(f"[{START}, {body(value)}]")).text == "abc"
    notes(lab)


@pytest.mark.parametrize("headers", ["((b'x-a', b'1'), [b'x-b', b'2'])", "iter([(b'x-a', b'1'), (b'x-b', b'2')])",
                                     "{b'x-a': b'1', b'x-b': b'2'}.items()", "[iter([b'x-a', b'1']), [b'x-b', b'2']]"])
def test_headers_may_be_any_iterable_of_pairs(lab, headers):
    r = lab.get("/messages?" + urllib.parse.quote(f"[{start(headers)}, {BODY}]"))
    assert (r.headers["x-a"], r.headers["x-b"]) == ("1", "2")
    notes(lab)


def test_many_headers_are_sent_in_their_order(lab):
    r = lab.get("/messages?" + urllib.parse.quote(start("[(b'x-%d' % i, b'v%d' % i) for i in range(90)]").join("[]")[:-1]
                                                   + f", {BODY}]"))
    assert [k for k in r.headers if k.startswith("x-")] == [f"x-{i}" for i in range(90)]
    notes(lab)


def test_a_length_that_is_not_the_body_s_ends_the_connection(lab):
    assert lab.get("/content_length?3").text == "123"
    eventually(lambda: "longer than its Content-Length" in lab.log())
    with pytest.raises(Exception, match="IncompleteRead"):
        lab.get("/content_length?9")


# The ends of an application.


@pytest.mark.parametrize(("path", "text"), [
    ("/raise_early", "ValueError: early failure"), ("/raise_later", "ValueError: late failure"),
    ("/raise_started", "ValueError: failure with a head"), ("/exit", "SystemExit: 3"), ("/exit_later", "SystemExit: 3"),
    ("/interrupt", "KeyboardInterrupt"), ("/nothing", "returned without a response"),
    ("/head_only", "returned in the middle of its response"), ("/cancelled", "the application was cancelled")])
def test_a_failure_before_the_body_is_a_500_with_the_cause_in_the_log(lab, path, text):
    with lab.connect() as s:
        reader = Reader(s)
        ask(s, path)
        assert reader.response()[0] == 500
        ask(s, "/hello")
        assert reader.response()[2] == b"hello"
    eventually(lambda: f"GET {path}" in lab.log() and text in lab.log())


@pytest.mark.parametrize(("path", "body", "text"), [
    ("/raise_body", b"begun", "ValueError: failure in the body"), ("/half", b"half", "in the middle of its response")])
def test_a_failure_in_the_body_cuts_the_connection(lab, path, body, text):
    with lab.connect() as s:
        ask(s, path)
        data = read_all(s)
        assert body in data and not data.endswith(b"0\r\n\r\n")
    eventually(lambda: text in lab.log())


def test_a_failure_behind_the_response_is_in_the_log_alone(lab):
    with lab.connect() as s:
        reader = Reader(s)
        for _ in range(2):
            ask(s, "/raise_after")
            assert reader.response()[2] == b"done"
    eventually(lambda: "GET /raise_after after the response: ValueError" in lab.log())


def test_work_in_the_background_goes_on_while_the_connection_serves(lab):
    with lab.connect() as s:
        reader = Reader(s)
        ask(s, "/background")
        assert reader.response()[2] == b"before"
        ask(s, "/hello")
        assert reader.response()[2] == b"hello"
        ask(s, "/release")
        assert reader.response()[2] == b"True"
    assert noted(lab, 1) == ["background done"]


def test_what_is_kept_of_a_request_reaches_no_other(lab):
    assert lab.get("/keep").text == "x"
    assert lab.get("/kept").text == "/keep"
    received, sent = notes(lab)
    assert "http.disconnect" in received and sent.startswith("RuntimeError")


def test_an_application_that_takes_too_long_is_cancelled():
    with Daemon("lab:application", files={"lab.py": LAB}, config={"timeouts": {"request": "2s"}}) as d:
        with d.connect() as s:
            ask(s, "/hold?x")
            assert Reader(s).response()[0] == 504
        assert d.get("/hello").text == "hello"


def test_one_that_ignores_that_has_its_client_answered_all_the_same():
    with Daemon("lab:application", files={"lab.py": LAB}, config={"timeouts": {"request": "2s"}}) as d:
        with d.connect() as s:
            reader = Reader(s)
            ask(s, "/stubborn")
            assert reader.response()[0] == 504
        assert "it waits here" in d.log() and "in Cases.hold" in d.log()
        d.get("/let_go?stubborn")
        assert noted(d, 2) == ["ClientDisconnected: the client has disconnected", "http.disconnect"]


def test_receive_and_send_on_another_thread_are_refused(lab):
    assert lab.get("/elsewhere").text == "x"
    found = notes(lab)
    assert len(found) == 2 and all(n.startswith("RuntimeError: receive() and send() belong to") for n in found), found


def test_an_application_cannot_step_or_close_itself(lab):
    assert lab.get("/close_itself").text == "x"
    assert notes(lab) == ["coroutine already executing"] * 3


# Slow and lost clients.


def test_a_slow_reader_makes_send_wait_in_bounded_memory(lab):
    pid = int(lab.get("/pid").text)
    before = resident(pid)
    with lab.connect() as s:
        ask(s, "/flood?300")
        reader = Reader(s)
        reader.head()
        first = eventually(lambda: int(lab.get("/flooded").text))
        assert first < 50 and resident(pid) - before < GROWTH
        assert len(reader.chunks()) == 300_000_000
    assert resident(pid) - before < GROWTH
    assert noted(lab, 1) == ["cleaned up"]


@pytest.mark.parametrize("reset", [False, True])
def test_send_raises_once_the_client_has_gone(lab, reset):
    with lab.connect() as s:
        ask(s, "/flood")
        Reader(s).head()
        eventually(lambda: int(lab.get("/flooded").text))
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert noted(lab, 4) == ["ClientDisconnected: the client has disconnected True",
                             "ClientDisconnected: the client has disconnected", "http.disconnect", "cleaned up"]
    assert "GET /flood: ClientDisconnected" not in lab.log()


def test_one_that_is_not_told_of_its_lost_client_ends_with_the_time_of_a_request():
    with Daemon("lab:application", files={"lab.py": LAB}, config={"timeouts": {"request": "2s"}}) as d:
        with d.connect() as s:
            ask(s, "/unaware")
            eventually(lambda: d.get("/waiting").text == "True")
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert noted(d, 1) == ["cancelled"]
        assert "GET /unaware: no end after its client had gone in time" in d.log()


def test_who_still_sends_when_the_application_has_ended_waits_no_longer(lab):
    with lab.connect() as s:
        ask(s, "/abandon")
        assert noted(lab, 3) == [False, "ok None", "RuntimeError: Unexpected ASGI message 'http.response.body': "
                                 "the request is over"]


def test_a_group_of_tasks_that_ends_because_the_client_has_gone_is_no_failure(lab):
    with lab.connect() as s:
        ask(s, "/group")
        Reader(s).head()
    assert noted(lab, 4)[3] == "cleaned up"
    assert "ExceptionGroup" not in lab.log()


def test_a_client_that_closes_its_side_alone_gets_the_whole_response(lab):
    with lab.connect() as s:
        ask(s, "/flood?100")
        s.shutdown(socket.SHUT_WR)
        reader = Reader(s)
        reader.head()
        assert len(reader.chunks()) == 100_000_000
    assert noted(lab, 1) == ["cleaned up"]


def test_a_send_that_is_cancelled_keeps_the_stream_whole(lab):
    with lab.connect() as s:
        ask(s, "/cancel_flood")
        reader = Reader(s)
        reader.head()
        assert noted(lab, 2) == [False, True]
        assert reader.chunks() == b"y" * 30_000_000 + b"end"


def test_a_client_that_goes_away_is_told_to_who_receives(lab):
    with lab.connect() as s:
        ask(s, "/disconnected")
        eventually(lambda: lab.get("/waiting").text == "True")
    found = noted(lab, 4)
    assert found[:2] == ["http.disconnect"] * 2 and found[3] == "cleaned up"


def test_a_client_that_goes_away_in_its_body_is_told(lab):
    with lab.connect() as s:
        ask(s, "/upload_cut", "POST", "Content-Length: 100\r\n")
        s.sendall(b"begin")
        eventually(lambda: lab.get("/waiting").text == "True")
    assert noted(lab, 2) == ["http.disconnect", "cleaned up"]


# Tasks and contexts.


def test_requests_run_side_by_side(lab):
    with concurrent.futures.ThreadPoolExecutor(30) as pool:
        held = [pool.submit(lab.get, "/hold?all", timeout=30) for _ in range(30)]
        assert lab.get("/hello").text == "hello"
        eventually(lambda: lab.get("/let_go?all").status == 200 and all(f.done() for f in held))
        assert [f.result().text for f in held] == ["held"] * 30


def test_each_request_has_its_own_context(lab):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda n: lab.get(f"/context?{n}").text, range(40))
        assert list(answers) == [f"unset {n}" for n in range(40)]


def test_a_request_is_a_task_of_asyncio_that_shows_its_code(lab):
    kind, shown, stack = lab.get("/task").json()
    assert kind == "Task" and "application" in shown and "await getattr(Cases" in stack
    assert lab.get("/thread").text == "False"


def test_pipelined_requests_are_answered_in_their_order(lab):
    with lab.connect() as s:
        s.sendall(b"".join(b"GET /context?%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(20)))
        reader = Reader(s)
        assert [reader.response()[2] for _ in range(20)] == [b"unset %d" % n for n in range(20)]


def test_ten_thousand_requests_leave_nothing_behind(lab):
    paths = ["/hello", "/body", "/context?x", "/raise_started", "/half", "/nothing", "/after_body", "/background"]

    def run(count):
        with lab.connect(60) as s:
            reader = Reader(s)
            for n in range(count):
                path = paths[n % 3] if n % 50 else paths[3 + n // 50 % 4]
                ask(s, path, *(["POST", "Content-Length: 3\r\n\r\nabc"] if path == "/body" else []))
                status = reader.response()[0] if path != "/half" else None
                if path == "/half":
                    reader.rest()
                    s.close()
                    return run(count - n - 1) if count > n + 1 else None
                assert status in (200, 500)
        return None

    def count():
        lab.get("/notes")
        return lab.get("/count").json()

    run(1000)
    first = count()
    for _ in range(10):
        run(1000 // SLOW)
    blocks, names = count()
    grown = {k: (first[1].get(k, 0), v) for k, v in names.items() if v - first[1].get(k, 0) > 20}
    assert blocks - first[0] < 500 and not grown, (first[0], blocks, grown)
