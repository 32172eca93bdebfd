"""Streams, bodies that nobody reads, floods, limits, and drains in every state, for WSGI in place and in the pool and for ASGI."""

import contextlib
import os
import re
import signal
import threading

import pytest
from faulty_apps import ASGI, WSGI
from harness import ASAN, SLOW, Daemon, alive, eventually, read_all, resident
from http_client import Reader

KINDS = {"in place": ("wsgi", WSGI, 1), "pool": ("wsgi", WSGI, 4), "asgi": ("asgi", ASGI, 1)}
SIDE_BY_SIDE = ["pool", "asgi"]
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
MIB = 1 << 20


def daemon_with(kind, **config):
    interface, source, threads = KINDS[kind]
    return Daemon(apps=[{"mount": "/", "app": "app:application", "interface": interface}], files={"app.py": source},
                  config={"threads": threads, "lifespan": "off", **config})


@pytest.fixture(scope="module", params=KINDS)
def daemon(request):
    with daemon_with(request.param) as d:
        (d.pid,) = d.worker_pids()
        d.asgi = request.param == "asgi"
        yield d
        assert d.worker_pids() == [d.pid]


def right(d, reader):
    """Whether the connection's next request is answered as it should be."""
    reader.socket.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    return reader.response()[2].decode() == f"{d.pid} 3"


# Bodies that the application never reads.

@pytest.mark.parametrize("size", [0, 10, 100_000, 900_000])
@pytest.mark.parametrize("framing", ["length", "chunked", "together"])
def test_behind_a_body_that_nobody_reads_comes_the_next_request(daemon, framing, size):
    data = b"GET /bad HTTP/1.1\r\n"[:size] + b"z" * max(0, size - 19)
    head = b"POST /ignores-body HTTP/1.1\r\nHost: x\r\n"
    if framing == "chunked":
        body = head + b"Transfer-Encoding: chunked\r\n\r\n"
        body += b"%x\r\n%s\r\n0\r\n\r\n" % (size, data) if size else b"0\r\n\r\n"
    else:
        body = head + b"Content-Length: %d\r\n\r\n" % size + data
    with daemon.connect() as s:
        reader = Reader(s)
        if framing == "together":
            s.sendall(body + GET % b"/")
            assert reader.response()[2] == b"ignored"
            assert reader.response()[2].decode() == f"{daemon.pid} 0"
        else:
            s.sendall(body[:-1])
            s.sendall(body[-1:])
            assert reader.response()[2] == b"ignored"
        assert right(daemon, reader)


def test_a_body_that_was_announced_with_expect_and_not_wanted_is_not_taken_for_a_request(daemon):
    with daemon.connect() as s:
        s.sendall(b"POST /ignores-body HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 30\r\n\r\n")
        reader = Reader(s)
        line, fields = reader.head()
        if line == b"HTTP/1.1 100 Continue":  # WSGI gets bodies whole
            s.sendall(b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"[:30])
            assert reader.response()[2] == b"ignored"
            assert right(daemon, reader)
        else:
            assert line == b"HTTP/1.1 200 OK"
            assert dict(fields)[b"connection"] == b"close" or reader.body(dict(fields)) == b"ignored"
            with contextlib.suppress(OSError):
                s.sendall(b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n")
            assert b"HTTP/1.1 200" not in reader.data + read_all(s)


def test_no_100_stands_inside_a_response():
    with daemon_with("asgi") as d, d.connect() as s:
        s.sendall(b"POST /late-reader HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        reader = Reader(s)
        line, fields = reader.head()
        assert line == b"HTTP/1.1 200 OK" and dict(fields)[b"connection"] == b"close"
        s.sendall(b"body")
        assert reader.body(dict(fields)) == b"begun body"


def test_a_body_that_nobody_reads_may_come_in_any_pieces(daemon):
    """What is thrown away of it is parsed all the same: its pieces must not pass for a request."""
    inner = b"5\r\nhello\r\n" + b"30\r\n" + b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n".ljust(48, b"-") + b"\r\n"
    body = inner + b"0\r\nTrailer: x\r\n\r\n"
    for cut in range(len(body) + 1):
        with daemon.connect() as s:
            reader = Reader(s)
            s.sendall(b"POST /ignores-body HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body[:cut])
            if daemon.asgi:
                assert reader.response()[2] == b"ignored"
            s.sendall(body[cut:])
            if not daemon.asgi:
                assert reader.response()[2] == b"ignored"
            assert right(daemon, reader), cut


# Readers.

@pytest.mark.parametrize("kind", KINDS)
def test_streams_to_readers_that_stop_are_bounded_and_delay_nobody(kind):
    with daemon_with(kind) as d, contextlib.ExitStack() as stack:
        (pid,) = d.worker_pids()
        before = resident(pid)
        for _ in range(20):
            s = stack.enter_context(d.connect())
            s.sendall(GET % b"/stream?x")
            assert s.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(20):
            assert d.get("/").status == 200
        assert ASAN or resident(pid) - before < 20 * 2 * MIB


def test_clients_of_an_event_stream_come_and_go():
    with daemon_with("asgi") as d:
        (pid,) = d.worker_pids()
        before = len(os.listdir(f"/proc/{pid}/fd"))
        with contextlib.ExitStack() as stack:
            streams = []
            for _ in range(50):
                s = stack.enter_context(d.connect())
                s.sendall(GET % b"/events")
                streams.append(Reader(s))
            for reader in streams:
                reader.until(lambda r=reader: b"data: 2\n\n" in r.data)
            assert d.get("/").status == 200
        eventually(lambda: len((d.dir / "stream.ended").read_text()) == 50 if (d.dir / "stream.ended").exists() else False)
        eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) == before)
        assert "Traceback" not in d.log()


# Floods.

def test_ten_thousand_requests_at_once_are_answered_in_order(daemon):
    before, count = resident(daemon.pid), 10_000 // SLOW
    bodies = [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (i % 50, b"b" * (i % 50))
              for i in range(count)]
    with daemon.connect(60) as s:
        sender = threading.Thread(target=s.sendall, args=(b"".join(bodies),))
        sender.start()
        reader = Reader(s)
        for i in range(count):
            assert reader.response()[2].decode() == f"{daemon.pid} {i % 50}"
        sender.join()
        assert right(daemon, reader)
    assert ASAN or resident(daemon.pid) - before < 8 * MIB


def test_requests_without_end_whose_answers_nobody_reads_stop_in_bounded_memory(daemon):
    before = resident(daemon.pid)
    data = GET % b"/" * 200_000
    with daemon.connect() as s:
        s.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(data):
                sent += s.send(data[sent:sent + 65536])
        assert sent < len(data)
        assert daemon.get("/", timeout=30).status == 200
        assert ASAN or resident(daemon.pid) - before < 8 * MIB


@pytest.mark.parametrize("kind", KINDS)
def test_2000_dripping_clients_delay_nobody_and_are_let_go(kind):
    count = 2000 // SLOW
    with daemon_with(kind, timeouts={"header": "2s", "body": "2s"}) as d, contextlib.ExitStack() as stack:
        (pid,) = d.worker_pids()
        before, fds = resident(pid), len(os.listdir(f"/proc/{pid}/fd"))
        clients = []
        for n in range(count):
            s = stack.enter_context(d.connect())
            s.sendall(b"GET / HTTP/1.1\r\nX" if n % 2 else b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n")
            clients.append(s)

        def answers_before_a_dripping_one_is_let_go():
            s = stack.enter_context(d.connect())
            s.sendall(b"GET / HTTP/1.1\r\nX")
            assert d.get("/", timeout=30).status == 200
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                s.recv(1)  # 408, or the end
                return False
            return True

        assert any(answers_before_a_dripping_one_is_let_go() for _ in range(10))
        assert ASAN or resident(pid) - before < count * 40 * 1024
        eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= fds + 1, 20)
        for s in clients[:20]:
            assert re.match(rb"HTTP/1\.1 408 ", read_all(s))


@pytest.mark.parametrize("kind", KINDS)
def test_the_limit_of_connections_is_reached_and_left_again(kind):
    with daemon_with(kind, limits={"connections": 20}) as d:
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                held = [stack.enter_context(d.connect()) for _ in range(20)]
                for s in held:
                    s.sendall(GET % b"/")
                    assert s.recv(100).startswith(b"HTTP/1.1 200")
                late = stack.enter_context(d.connect())
                late.sendall(GET % b"/")
                late.settimeout(0.2)
                with pytest.raises(TimeoutError):
                    late.recv(1)
                held[7].close()
                late.settimeout(20 * SLOW)
                assert late.recv(100).startswith(b"HTTP/1.1 200")
            assert d.get("/").status == 200


@pytest.mark.parametrize("kind", KINDS)
def test_without_descriptors_accepting_pauses_and_resumes(kind):
    interface, source, threads = KINDS[kind]
    with Daemon(apps=[{"mount": "/", "app": "app:application", "interface": interface}], files={"app.py": source},
                config={"threads": threads, "lifespan": "off"}, wrap=["prlimit", "--nofile=64:64"]) as d:
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(d.connect()) for _ in range(80)]
            eventually(lambda: "accept: Too many open files" in d.log())
            held[0].sendall(GET % b"/")
            assert held[0].recv(100).startswith(b"HTTP/1.1 200")
        eventually(lambda: d.get("/").status == 200)
        eventually(lambda: "accepting again" in d.log())
        assert d.log().count("Too many open files") == 1


# Drains.

@pytest.mark.parametrize("how", ["reload", "stop"])
@pytest.mark.parametrize("kind", SIDE_BY_SIDE)
def test_a_drain_answers_what_was_asked_and_ends_streams(kind, how):
    with daemon_with(kind, timeouts={"graceful": "5s"}) as d, contextlib.ExitStack() as stack:
        (old,) = d.worker_pids()

        def open_with(data):
            s = stack.enter_context(d.connect())
            s.sendall(data)
            return s

        idle, held = open_with(GET % b"/"), open_with(GET % b"/hold?go")
        stream, head = open_with(GET % b"/stream?x"), open_with(b"GET / HTTP/1.1\r\nHo")
        body = open_with(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
        Reader(idle).response()
        eventually((d.dir / "go.begun").exists)
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        assert d.get("/").status == 200  # whatever was sent before has been read
        if how == "stop":
            d.proc.send_signal(signal.SIGTERM)
        else:
            assert d.hornbeam("reload").returncode == 0
        eventually(lambda: f"worker 0[{old}]: worker: draining" in d.log())
        head.sendall(b"st: x\r\n\r\n")
        body.sendall(b"bc")
        (d.dir / "go").touch()
        for s, text in ((held, b"held"), (head, b"%d 0" % old), (body, b"%d 3" % old)):
            status, fields, data = Reader(s).response()
            assert (status, fields[b"connection"], data) == (200, b"close", text)
        assert not read_all(stream).endswith(b"\r\n0\r\n\r\n")
        assert read_all(idle) == b""
        eventually(lambda: not alive(old))
        assert (d.dir / "stream.ended").exists()
        if how == "stop":
            assert d.wait() == 0
        else:
            d.note()
            assert d.get("/").status == 200


@pytest.mark.parametrize("kind", ["asgi"])
def test_an_application_that_swallows_its_cancellation_holds_up_no_drain(kind):
    with daemon_with(kind, timeouts={"graceful": "500ms"}) as d, d.connect() as s:
        s.sendall(GET % b"/swallows?never")
        eventually((d.dir / "never.begun").exists)
        d.proc.send_signal(signal.SIGTERM)
        assert d.wait() == 0
        assert (d.dir / "never.cancelled").exists()


def test_an_application_that_swallows_its_cancellation_has_its_own_connection_alone():
    with daemon_with("asgi", timeouts={"request": "2s"}) as d, d.connect() as s:
        s.sendall(GET % b"/swallows?late")
        assert Reader(s).response()[0] == 504
        eventually((d.dir / "late.cancelled").exists)
        assert d.get("/").status == 200
        (d.dir / "late").touch()
        eventually((d.dir / "late.ended").exists)
        assert d.get("/").status == 200


# What outlives its request.

def test_tasks_that_outlive_their_request_reach_nobody():
    with daemon_with("asgi") as d, d.connect() as s:
        (pid,) = d.worker_pids()
        reader = Reader(s)
        for path in (b"/leaves-tasks", b"/leaves-sender") * 5:
            s.sendall(GET % path)
            assert reader.response()[2].endswith(b"left")
            for _ in range(20):
                s.sendall(GET % b"/")
                assert reader.response()[2] == b"%d 0" % pid
        noted = d.get("/noted").json()
        assert "sent" not in noted and len(noted) >= 5, noted


# The companion.

STATE = {
    "wsgi": r"""
def incr(environ, start, argument):
    from hornbeam_erlang import state_incr
    try:
        text = str(state_incr('n'))
    except Exception as x:
        text = str(isinstance(x, ConnectionError))
    start('200 OK', PLAIN)
    return [text.encode()]
""",
    "asgi": r"""
async def incr(receive, send, argument):
    from hornbeam_erlang import state_incr
    try:
        text = str(await asyncio.to_thread(state_incr, 'n'))
    except Exception as x:
        text = str(isinstance(x, ConnectionError))
    await answer(send, text)
""",
}


@pytest.mark.parametrize("kind", KINDS)
def test_while_the_companion_is_dead_http_is_served(kind):
    interface, source, threads = KINDS[kind]
    with Daemon(apps=[{"mount": "/", "app": "app:application", "interface": interface}],
                files={"app.py": source + STATE[interface]},
                config={"threads": threads, "lifespan": "off"}) as d:
        assert d.get("/incr").text == "1"
        os.kill(d.companion_pid(), signal.SIGKILL)
        seen = set()

        def back():
            assert d.get("/").status == 200
            text = d.get("/incr").text
            seen.add(text)
            return text == "1"

        eventually(back, 20)
        d.note()
        assert seen <= {"True", "1"}, seen
