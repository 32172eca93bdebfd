"""ASGI applications that do everything wrong: whatever it is, it ends with its request."""

import json

import pytest
from faulty_apps import ASGI
from harness import ASAN, Daemon, read_all
from http_client import Reader

RAISED = ["error", "exit", "exit-text", "interrupt", "generator-exit", "memory", "own", "unprintable", "stop", "stop-async",
          "cancelled", "timeout", "os", "group", "recursion"]
if not ASAN:  # which ends a process that asks for too much
    RAISED.append("allocation")
NEXT = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


def daemon_with(workers=1, **config):
    return Daemon(apps=[{"mount": "/", "app": "app:application", "interface": "asgi"}], files={"app.py": ASGI},
                  config={"workers": workers, "lifespan": "off", **config})


@pytest.fixture(scope="module")
def shared():
    with daemon_with() as d:
        d.pid = d.get("/").text.split()[0]
        yield d


@pytest.fixture
def daemon(shared):
    yield shared
    assert shared.get("/").text == f"{shared.pid} 0", "the worker has died of its application"


def ask(path):
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def notes(d):
    return json.loads(d.get("/noted").text)


def check_next(d, reader):
    """The connection's next request is right."""
    reader.socket.sendall(NEXT)
    assert reader.response()[2].decode() == f"{d.pid} 3"


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("where", ["raise-before", "raise-later", "raise-started"])
def test_before_the_first_byte_it_is_a_500_and_the_connection_goes_on(daemon, where, what):
    with daemon.connect() as s:
        s.sendall(ask(f"/{where}?{what}"))
        reader = Reader(s)
        assert reader.response()[0] == 500
        check_next(daemon, reader)


@pytest.mark.parametrize("what", RAISED)
def test_in_the_body_the_response_is_cut(daemon, what):
    with daemon.connect() as s:
        s.sendall(ask(f"/raise-body?{what}") + NEXT)
        data = read_all(s)
    assert data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n5\r\nbegun\r\n"), data


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("path, text", [
    ("/raise-after", "done"), ("/raise-in-task", "caught"), ("/raise-in-lost-task", "alive"), ("/raise-in-callback", "alive"),
    ("/raise-in-timer", "alive"), ("/raise-in-reader", "alive"), ("/loop-handler", "handled")])
def test_outside_of_the_response_it_changes_nothing(daemon, path, text, what):
    with daemon.connect() as s:
        s.sendall(ask(f"{path}?{what}"))
        reader = Reader(s)
        assert reader.response()[2].decode() == text
        check_next(daemon, reader)


@pytest.mark.parametrize("path, statuses", [
    ("/loop-stop", [200]), ("/loop-close", [200]), ("/cancels-itself", [200, 500]), ("/cancels-all", [200]),
    ("/awaits-itself", [500]), ("/lasting", [200]), ("/generator", [200])])
def test_what_is_done_to_the_loop_ends_with_its_request(daemon, path, statuses):
    for _ in range(3):
        assert daemon.get(path).status in statuses
