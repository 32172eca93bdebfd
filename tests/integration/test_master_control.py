"""The control socket: operations, permissions, and peers that misbehave."""

import os
import pathlib
import socket
import struct
import subprocess

import pytest
import wire
from harness import PYTHON, Daemon, eventually

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")


@pytest.fixture(scope="module")
def daemon():
    with Daemon(config={"workers": 2}) as d:
        yield d


def as_nobody(d, code, *setpriv):
    """Runs code, with wire's text in front, as the user nobody."""
    text = pathlib.Path(wire.__file__).read_text() + code.format(path=str(d.socket))
    return subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", *setpriv, PYTHON, "-I", "-c", text],
        capture_output=True, text=True, timeout=60, check=False, cwd="/")


def test_ping_is_answered(daemon):
    with wire.Peer(daemon.socket) as p:
        assert p.call(wire.MASTER_PING) == "pong"


def test_status_tells_processes_addresses_and_totals(daemon):
    before = None
    with wire.Peer(daemon.socket) as p:
        before = p.call(wire.STATUS)["totals"]["requests"]
        assert daemon.get("/").status == 200
        status = p.call(wire.STATUS)
    assert status["pid"] == daemon.proc.pid
    assert status["state"] == "ready"
    assert status["listen"] == [f"127.0.0.1:{daemon.port}"]
    assert status["config_file"] == str(daemon.file)
    assert status["uptime_ms"] > 0
    assert status["companion"]["state"] == "ready"
    assert status["companion"]["pid"] == daemon.companion_pid()
    assert status["workers"] == {"configured": 2, "ready": 2, "restarts": 0}
    assert status["totals"]["requests"] == before + 1


def test_workers_are_listed_with_their_memory(daemon):
    with wire.Peer(daemon.socket) as p:
        workers = p.call(wire.WORKERS)
    assert [w["index"] for w in workers] == [0, 1]
    assert {w["pid"] for w in workers} == set(daemon.worker_pids())
    assert {w["state"] for w in workers} == {"ready"}
    assert all(1 << 20 < w["rss_bytes"] < 1 << 30 for w in workers)


def test_link_comes_connected_and_greeted(daemon):
    with wire.Peer(daemon.socket) as p:
        assert p.call(wire.LINK) == []
        assert len(p.fds) == 1
    with wire.Peer(sock=socket.socket(fileno=p.fds[0])) as link:
        assert link.call(wire.PING) == "pong"


def test_requests_in_one_packet_are_answered_in_order(daemon):
    with wire.Peer(daemon.socket) as p:
        p.sock.sendall(b"".join(wire.frame(wire.MASTER_PING, ident=i) for i in range(50)))
        assert [p.receive()[2] for _ in range(50)] == list(range(50))


def test_request_may_come_byte_by_byte(daemon):
    with wire.Peer(daemon.socket) as p:
        for byte in wire.frame(wire.MASTER_PING, ident=7):
            p.sock.sendall(bytes([byte]))
        assert p.receive() == (wire.MASTER_PING, wire.REPLY, 7, "pong")


@pytest.mark.parametrize("data, error", [
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "protocol"),
    (b"\0\0\0\1" + b"\0" * 12, "protocol"),
    (struct.pack(">IBBBBII", 64 * 1024, 1, wire.MASTER_PING, 0, 0, 1, 0), "limit"),
    (wire.frame(99), "protocol"),
    (wire.frame(wire.MASTER_PING, version=2), "version"),
])
def test_peer_that_breaks_the_protocol_is_told_and_cut(daemon, data, error):
    with wire.Peer(daemon.socket) as p:
        p.sock.sendall(data)
        _op, flags, _ident, value = p.receive()
        assert flags == wire.REPLY | wire.ERROR
        assert value[0] == error
        assert p.closed()
    with wire.Peer(daemon.socket) as p:
        assert p.call(wire.MASTER_PING) == "pong"


def test_three_hundred_clients_at_once_are_served(daemon):
    peers = []
    try:
        for _ in range(300):
            p = wire.Peer(daemon.socket)
            peers.append(p)
            assert p.call(wire.MASTER_PING) == "pong"
        assert peers[0].closed(), "whoever was idle for longest makes room"
        assert peers[-1].call(wire.MASTER_PING) == "pong"
        assert len(os.listdir(f"/proc/{daemon.proc.pid}/fd")) < 256 + 64
    finally:
        for p in peers:
            p.sock.close()


def test_stalled_peers_are_cut_and_nobody_waits_for_them(daemon):
    with wire.Peer(daemon.socket, timeout=30) as half, wire.Peer(daemon.socket, timeout=30) as deaf:
        half.sock.sendall(wire.frame(wire.MASTER_PING)[:5])
        deaf.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:  # until neither side takes any more
                deaf.sock.send(wire.frame(wire.WORKERS) * 64)
        with wire.Peer(daemon.socket) as p:
            assert p.call(wire.MASTER_PING) == "pong"
        assert half.closed()
        deaf.sock.settimeout(30)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:
                deaf.sock.send(wire.frame(wire.WORKERS) * 64)


def test_master_without_descriptors_waits_instead_of_spinning():
    with Daemon(wrap=["prlimit", "--nofile=40:40"], config={"limits": {"connections": 1}}) as d:
        peers = [wire.Peer(d.socket) for _ in range(40)]
        eventually(lambda: "control: accept:" in d.log())
        for p in peers:
            p.sock.close()
        with wire.Peer(d.socket) as p:
            assert p.call(wire.MASTER_PING) == "pong"
        assert d.log().count("control: accept:") <= 3


@needs_root
def test_socket_is_the_owners_alone_without_a_group(daemon):
    assert daemon.socket.stat().st_mode & 0o777 == 0o600
    done = as_nobody(daemon, "Peer({path!r})", "--clear-groups")
    assert "PermissionError" in done.stderr


@needs_root
def test_stranger_is_denied_even_where_the_mode_lets_him_in():
    with Daemon() as d:
        d.socket.chmod(0o666)
        done = as_nobody(d, "p = Peer({path!r}); print(p.call(LINK)); print(p.closed())", "--clear-groups")
        assert done.stdout.splitlines() == [
            "('error', 'denied', 'not permitted; membership of control.group permits it')", "True"]
        assert "of user 65534 was refused" in d.log()


@needs_root
def test_members_of_the_group_are_let_in():
    with Daemon(config={"control": {"group": "games"}}) as d:
        assert d.socket.stat().st_mode & 0o777 == 0o660
        code = "p = Peer({path!r}); print(p.call(MASTER_PING), p.call(LINK))"
        assert as_nobody(d, code, "--groups=games").stdout == "pong []\n"
        assert "PermissionError" in as_nobody(d, code, "--clear-groups").stderr


def test_no_link_while_the_companion_is_down():
    with Daemon() as d, wire.Peer(d.socket) as p:
        with d.without_companion():
            answer = p.call(wire.LINK)
            assert answer[:2] == ("error", "down")
        eventually(lambda: p.call(wire.LINK) == [])
        d.note()
