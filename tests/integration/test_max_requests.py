"""max_requests: a worker that has answered so many is replaced, and nobody notices."""

import os
import re
import signal

import pytest
import wire
from harness import Daemon, alive, eventually
from http_client import Reader
from test_reload import APP, load, totals, workers

WSGI = {"app.py": APP, "version": "one"}
ASGI = {"app.py": """
import os
async def application(scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'3')]})
    await send({'type': 'http.response.body', 'body': b'one'})
"""}
# Its start waits while there is a file `hold`, and fails where there is one `fail`.
HELD = {**WSGI, "app.py": """
import pathlib, time
while (pathlib.Path(__file__).parent / 'hold').exists(): time.sleep(0.01)
if (pathlib.Path(__file__).parent / 'fail').exists(): raise RuntimeError('as wished')
""" + APP}


def daemon_with(files=None, **config):
    return Daemon("app:application", files=files or WSGI, config=config)


def flag(d, name):
    return d.dir / "app" / name


def asked(d):
    return d.log().count("max_requests is reached")


def settled(d, count):
    """Waits until there are only so many workers, all ready."""
    eventually(lambda: [w["state"] for w in workers(d)] == ["ready"] * count, 20)
    d.note()


def test_a_worker_is_replaced_after_its_requests():
    with daemon_with(max_requests=20) as d:
        first = d.get("/pid").text
        for _ in range(18):
            assert d.get("/pid").text == first
        assert asked(d) == 0
        assert d.get("/pid").text == first
        eventually(lambda: d.get("/pid").text != first)
        eventually(lambda: not alive(int(first)))
        settled(d, 1)
        with wire.Peer(d.socket) as p:
            assert p.call(wire.STATUS)["workers"] == {"configured": 1, "ready": 1, "restarts": 0}


@pytest.mark.parametrize("files", [WSGI, ASGI], ids=["WSGI", "ASGI"])
@pytest.mark.parametrize("count", [1, 2])
def test_under_load_no_request_is_lost(files, count):
    with daemon_with(files, workers=count, max_requests=200, max_requests_jitter=100) as d:
        with load(d) as clients:
            eventually(lambda: asked(d) >= 4, 60)
        assert [c.failures for c in clients] == [[]] * len(clients)
        settled(d, count)
        assert totals(d)["requests"] == sum(n for c in clients for n in c.answers.values())


def test_jitter_spreads_the_replacements():
    with daemon_with(workers=8, max_requests=1, max_requests_jitter=1000) as d:
        with load(d) as clients:
            eventually(lambda: asked(d) >= 8, 60)
        assert [c.failures for c in clients] == [[]] * len(clients)
        lived = [int(n) for n in re.findall(r"draining: (\d+) connections", d.log())]
        assert lived
        settled(d, 8)


def test_a_broken_application_does_not_end_the_worker_that_wanted_to_go():
    with daemon_with(max_requests=5) as d:
        source = (d.dir / "app" / "app.py").read_text()
        (d.dir / "app" / "app.py").write_text("raise RuntimeError('broken meanwhile')\n")
        first = d.get("/pid").text
        with load(d, 2) as clients:
            eventually(lambda: d.log().count("RuntimeError: broken meanwhile") >= 3, 20)
            assert d.get("/pid").text == first
        assert [c.failures for c in clients] == [[]] * 2
        (d.dir / "app" / "app.py").write_text(source)
        eventually(lambda: d.get("/pid").text != first, 20)
        settled(d, 1)


def hold_successor(d):
    """The one worker of HELD, which wants to go, and its successor, which starts until the flag is gone."""
    first = int(d.get("/pid").text)
    flag(d, "hold").touch()
    for _ in range(5):
        d.get("/")
    eventually(lambda: len(workers(d)) == 2)
    return first, *(w["pid"] for w in workers(d) if w["pid"] != first)


def test_a_worker_that_dies_while_its_successor_starts_leaves_one():
    with daemon_with(HELD, max_requests=3) as d:
        first, _ = hold_successor(d)
        os.kill(first, signal.SIGKILL)
        eventually(lambda: [w["state"] for w in workers(d)] == ["starting"])
        flag(d, "hold").unlink()
        assert d.get("/").status == 200
        settled(d, 1)


def test_a_reload_in_between_replaces_both():
    with daemon_with(HELD, max_requests=3) as d:
        both = hold_successor(d)
        d.proc.send_signal(signal.SIGHUP)
        eventually(lambda: len(workers(d)) == 3)
        flag(d, "hold").unlink()
        eventually(lambda: "reload: done" in d.log())
        settled(d, 1)
        assert workers(d)[0]["pid"] not in both


def test_one_that_finds_no_room_in_the_middle_of_a_reload_is_replaced_by_it():
    with daemon_with(HELD, max_requests=5) as d:
        flag(d, "hold").touch()
        d.proc.send_signal(signal.SIGHUP)
        eventually(lambda: len(workers(d)) == 2)
        for _ in range(8):
            d.get("/")
        assert asked(d) == 1 and len(workers(d)) == 2
        flag(d, "hold").unlink()
        eventually(lambda: "reload: done" in d.log())
        settled(d, 1)
        assert "is to be replaced" not in d.log()


def test_one_that_finds_no_room_in_the_middle_of_a_reload_that_fails_is_replaced_after_it():
    with daemon_with(HELD, max_requests=5) as d:
        first = d.get("/pid").text
        flag(d, "hold").touch()
        flag(d, "fail").touch()
        d.proc.send_signal(signal.SIGHUP)
        eventually(lambda: len(workers(d)) == 2)
        for _ in range(8):
            assert d.get("/pid").text == first
        assert asked(d) == 1 and len(workers(d)) == 2
        flag(d, "hold").unlink()
        eventually(lambda: "the old configuration and its workers stay" in d.log())
        eventually(lambda: "is to be replaced" in d.log())
        flag(d, "fail").unlink()
        eventually(lambda: d.get("/pid").text != first, 20)
        settled(d, 1)


def test_kept_connections_are_told_to_close():
    with daemon_with(max_requests=3) as d, d.connect() as s:
        reader = Reader(s)
        answers = []

        def told():
            s.sendall(b"GET /pid HTTP/1.1\r\nHost: x\r\n\r\n")
            answers.append(reader.response())
            return answers[-1][1].get(b"connection") == b"close"

        eventually(told)
        assert len(answers) > 3 and {(status, body) for status, _, body in answers} == {(200, answers[0][2])}
        assert s.recv(1) == b""
        settled(d, 1)
