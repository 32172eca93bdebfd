"""WebSocket peers that flood, starve, drip, stop reading or die, applications that misbehave, and drains: in bounded memory."""

import contextlib
import json
import os
import signal
import socket
import struct
import zlib

import pytest
from faulty_apps import ASGI, WEBSOCKET
from harness import SLOW, Daemon, alive, eventually, read_all, resident
from ws_client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Client, Refused, frame, request

MIB = 1 << 20
RAISED = ["error", "exit", "interrupt", "generator-exit", "memory", "own", "unprintable", "stop", "cancelled", "os",
          "group", "recursion"]


def daemon_with(workers=1, **config):
    return Daemon(apps=[{"mount": "/", "app": "app:application", "interface": "asgi"}],
                  files={"app.py": ASGI + WEBSOCKET}, config={"workers": workers, "lifespan": "off", **config})


@pytest.fixture(scope="module")
def daemon():
    with daemon_with() as d:
        (pid,) = d.worker_pids()
        yield d
        assert d.worker_pids() == [pid]


def notes(d):
    return json.loads(d.get("/noted").text)


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def silent(d, name):
    """A connection whose application waits, and the file with what it is told at the end."""
    c = Client(d.connect(), f"/ws-silent?{name}")
    assert c.message() == "open"
    return c


def told(d, name):
    path = d.dir / name
    eventually(lambda: path.exists() and path.read_text())
    return json.loads(path.read_text())


def push(s, data, seconds=1.0):
    """Sends until nothing more is taken for a while; how much was."""
    s.settimeout(seconds)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < len(data):
            sent += s.send(data[sent:sent + MIB])
    return sent


# Applications.

@pytest.mark.parametrize("what", RAISED)
def test_an_application_that_raises_ends_its_own_connection(daemon, what):
    with Client(daemon.connect(), "/ws-echo") as other:
        with pytest.raises(Refused) as refused:
            Client(daemon.connect(), f"/ws-raise-before?{what}")
        assert refused.value.status == 500
        for path, code in (("raise-open", 1011), ("raise-receiving", 1011), ("raise-closed", 4000)):
            with Client(daemon.connect(), f"/ws-{path}?{what}") as c:
                c.text("x")
                opcode, payload = c.event()
                assert (opcode, payload[:2]) == (CLOSE, struct.pack(">H", code)), path
                c.close(code)
                assert c.event() is None
        other.text("still here")
        assert other.message() == "still here"


def test_a_worker_that_dies_takes_its_own_connections_alone():
    with daemon_with(2) as d:
        pids = set(d.worker_pids())
        others = {}
        while len(others) < 2:
            c = Client(d.connect(), "/ws-echo")
            c.text("x")
            assert c.message() == "x"
            with Client(d.connect(), "/ws-echo"):  # load spreads
                pass
            port = c.socket.getsockname()[1]
            owner = next(p for p in pids if holds(p, port, d.port))
            others.setdefault(owner, c)
        with d.connect() as s:
            s.sendall(request("/ws-end?_exit")[0])
            assert read_all(s) == b""
        eventually(lambda: len(set(d.worker_pids()) - pids) == 1)
        (gone,) = pids - set(d.worker_pids())
        (left,) = pids - {gone}
        others[left].text("y")
        assert others[left].message() == "y"
        with contextlib.suppress(ConnectionResetError):
            assert others[gone].frame() is None
        for c in others.values():
            c.socket.close()
        d.note()


def holds(pid, port, server_port):
    """Whether a process has the server's end of a connection from port."""
    wanted = f":{server_port:04X} 0100007F:{port:04X} "
    with open("/proc/net/tcp") as f:
        inodes = [line.split()[9] for line in f if wanted in line]
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return any(f"socket:[{inode}]" in links for inode in inodes)


# Peers: every one leaves others served, and bounded memory.

#: What has been sent behind the handshake, or None where that is not whole.
STATES = {"handshake": None, "open": b"", "header": b"\x81", "frame": frame(TEXT, b"x") + frame(TEXT, b"y" * 200)[:9],
          "message": frame(TEXT, b"half", fin=False), "closing": frame(CLOSE, b"\x03\xe8")}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("leave", [reset, lambda s: s.shutdown(socket.SHUT_WR), socket.socket.close],
                         ids=["reset", "half-close", "close"])
def test_a_peer_may_leave_in_every_state(daemon, state, leave):
    part = STATES[state]
    shake = request("/ws-echo")[0]
    (pid,) = daemon.worker_pids()
    before = len(os.listdir(f"/proc/{pid}/fd"))
    for _ in range(5):
        with daemon.connect() as s:
            s.sendall(shake[:-20] if part is None else shake + part)
            if part is not None:
                assert s.recv(12) == b"HTTP/1.1 101"
            leave(s)
            if s.fileno() != -1:
                with contextlib.suppress(ConnectionResetError):
                    while s.recv(65536):
                        pass
    eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before, what="a descriptor is left")
    assert daemon.get("/").status == 200


def test_a_flood_of_pings_that_reads_nothing_is_bounded(daemon):
    (pid,) = daemon.worker_pids()
    before = resident(pid)
    with Client(daemon.connect(), "/ws-echo") as c:
        push(c.socket, frame(PING, b"p" * 125, key=b"abcd") * (64 * MIB // SLOW // 131))
        assert resident(pid) - before < 8 * MIB * SLOW
        assert daemon.get("/").status == 200


def test_each_ping_of_one_who_reads_is_answered(daemon):
    with Client(daemon.connect(), "/ws-silent?pings") as c:
        c.message()
        for n in range(200):
            c.send(b"".join(frame(PING, b"%d" % (n * 10 + i)) for i in range(10)))
            for i in range(10):
                assert c.event() == (PONG, b"%d" % (n * 10 + i))


def test_an_application_that_receives_nothing_stops_the_peer_in_bounded_memory(daemon):
    (pid,) = daemon.worker_pids()
    before = resident(pid)
    with Client(daemon.connect(), "/ws-deaf?hear") as c:
        data = frame(TEXT, b"m" * 1000, key=b"abcd") * (32 * 1024)
        sent = push(c.socket, data)
        assert sent < len(data), "everything was taken"
        assert resident(pid) - before < 8 * MIB * SLOW
        with Client(daemon.connect(), "/ws-echo") as other:
            other.text("meanwhile")
            assert other.message() == "meanwhile"
        (daemon.dir / "hear").touch()
        c.socket.settimeout(30 * SLOW)
        c.socket.sendall(data[sent:] + frame(TEXT, b"end"))
        assert c.message() == f"{32 * 1024} {32 * 1024 * 1000}"


def test_many_empty_messages_that_nobody_receives_are_bounded(daemon):
    (pid,) = daemon.worker_pids()
    before = resident(pid)
    with Client(daemon.connect(), "/ws-deaf?never") as c:
        data = frame(TEXT, b"", key=b"abcd") * (4 * MIB)
        assert push(c.socket, data) < len(data)
        assert resident(pid) - before < 8 * MIB * SLOW
        (daemon.dir / "never").touch()


def test_a_reader_that_takes_nothing_makes_the_sender_wait_until_the_write_timeout():
    with daemon_with(timeouts={"write": "500ms"}) as d, Client(d.connect(), "/ws-flood") as c:
        (pid,) = d.worker_pids()
        before = resident(pid)
        eventually((d.dir / "stream.ended").exists)
        assert resident(pid) - before < 16 * MIB * SLOW
        assert notes(d)[0] < 2000
        eventually(lambda: "it read nothing of the response for too long" in d.log())
        assert "Traceback" not in d.log()
        c.socket.close()


def test_fragments_of_a_large_message_byte_by_byte(daemon):
    with Client(daemon.connect(), "/ws-echo") as c:
        count = 60000 // SLOW
        parts = [frame(TEXT, b"a", fin=False)] + [frame(CONTINUATION, b"b", fin=False, key=b"wxyz")] * count
        c.send(b"".join(parts))
        c.send(frame(PING, b"between"))
        assert c.event() == (PONG, b"between")
        c.send(frame(CONTINUATION, b"c"))
        assert c.message() == "a" + "b" * count + "c"


def test_a_message_of_16_mib_is_whole_and_one_byte_more_is_1009(daemon):
    data = os.urandom(1024) * (16 * 1024)
    with Client(daemon.connect(30), "/ws-echo") as c:
        c.binary(data)
        assert c.message() == data
        with contextlib.suppress(ConnectionError):
            c.send(frame(BINARY, data + b"x"))
        assert c.closed()[0] == 1009


def test_fragments_are_counted_together(daemon):
    with Client(daemon.connect(30), "/ws-echo") as c:
        with contextlib.suppress(ConnectionError):
            c.send(frame(BINARY, bytes(9 * MIB), fin=False) + frame(CONTINUATION, bytes(9 * MIB)))
        assert c.closed()[0] == 1009


def test_many_messages_that_are_begun_hold_only_what_was_sent(daemon):
    """A length alone costs nothing."""
    (pid,) = daemon.worker_pids()
    before = resident(pid)
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            c = stack.enter_context(Client(daemon.connect(), "/ws-silent?begun"))
            c.send(frame(BINARY, b"x", length=16 * MIB))
        assert daemon.get("/").status == 200
        assert resident(pid) - before < 16 * MIB * SLOW


def test_a_compression_bomb_is_1009_in_bounded_memory(daemon):
    (pid,) = daemon.worker_pids()
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join([*(z.compress(bytes(MIB)) for _ in range(1024)), z.flush(zlib.Z_SYNC_FLUSH)])[:-4]
    before = resident(pid)
    with Client(daemon.connect(30), "/ws-echo", offer="permessage-deflate") as c:
        with contextlib.suppress(ConnectionError):
            c.send(frame(BINARY, bomb, rsv1=True))
        assert c.closed()[0] == 1009
    assert resident(pid) - before < 40 * MIB * SLOW
    assert daemon.get("/").status == 200


# Peers that die, and silence.

def test_a_peer_that_has_died_is_noticed_and_one_that_answers_pings_stays():
    with daemon_with(websocket={"idle": "2s"}) as d:
        with silent(d, "dead") as dead, silent(d, "living") as living:
            for _ in range(2):
                assert living.event() == (PING, b"")
                living.send(frame(PONG))
            assert told(d, "dead") == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
            assert dead.event() == (PING, b"")
            assert dead.event() is None
            living.close(1001)
            assert living.closed()[0] == 1001
            assert told(d, "living")["code"] == 1001


def test_a_silent_peer_in_the_middle_of_a_frame_is_noticed():
    with daemon_with(websocket={"idle": "300ms"}) as d, silent(d, "half") as c:
        c.send(frame(TEXT, b"abc")[:5])
        assert told(d, "half")["code"] == 1006


def test_a_peer_that_never_answers_the_close_frame_is_let_go():
    with daemon_with() as d, Client(d.connect(), "/ws-raise-open?error") as c:
        (pid,) = d.worker_pids()
        before = len(os.listdir(f"/proc/{pid}/fd"))
        assert c.event()[0] == CLOSE
        eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) < before, 20)


# Drains.

def test_a_stop_ends_websockets_with_1001_and_a_deaf_application_at_the_graceful_timeout():
    with daemon_with(timeouts={"graceful": "1s"}) as d:
        pids = d.worker_pids()
        with silent(d, "open") as c, Client(d.connect(), "/ws-echo") as echo, Client(d.connect(), "/ws-deaf?no"):
            d.proc.send_signal(signal.SIGTERM)
            for ended in (c, echo):
                assert ended.closed()[0] == 1001
            assert d.wait() == 0
            assert json.loads((d.dir / "open").read_text())["code"] == 1001
        assert not any(alive(p) for p in pids)


@pytest.mark.parametrize("how", ["reload", "stop"])
def test_an_application_that_swallows_everything_does_not_hold_up_the_end(how):
    with daemon_with(timeouts={"graceful": "500ms"}) as d:
        (old,) = d.worker_pids()
        with Client(d.connect(), "/ws-swallows?never") as c:
            eventually((d.dir / "never.begun").exists)
            if how == "reload":
                assert d.hornbeam("reload").returncode == 0
                eventually(lambda: not alive(old), 20)
                d.note()
                assert d.get("/").status == 200
            else:
                d.proc.send_signal(signal.SIGTERM)
                assert d.wait() == 0
            with contextlib.suppress(ConnectionResetError):
                assert c.closed()[0] == 1001
