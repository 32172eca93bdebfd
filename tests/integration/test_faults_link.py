"""A client from outside that breaks the link's rules, stops reading or goes away: only itself is harmed."""

import concurrent.futures
import os
import random
import struct
import subprocess
import time
import zlib

import pytest
import wire
from harness import PRELOAD, PYTHON, SLOW, Daemon, environment, eventually, resident
from wire import (CAS, COMPANION_STATUS, FETCH, GET, GET_MULTI, INCR, KEYS, SET, SET_MULTI, ZERO, atom, binary,
                  companion_status, link, term, tuple_of)

APP = """
from hornbeam_erlang import state_incr

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d' % state_incr('http')]
"""


@pytest.fixture(scope="module")
def daemon():
    with Daemon(app="app:application", files={"app.py": APP}, config={"workers": 1}) as d:
        beam = d.companion_pid()
        with link(d) as peer:  # the first of each loads code, whose atoms are nobody's garbage
            peer.call(COMPANION_STATUS)
            for op in REFUSED:
                assert peer.call(op, b"")[0] == "error"
        yield d
        assert d.companion_pid() == beam, "the companion died of a client"


def served(d):
    """The others are: a worker's calls and a client's."""
    before = time.monotonic()
    assert d.get("/").status == 200
    with link(d) as peer:
        assert peer.call(wire.PING) == "pong"
    assert time.monotonic() - before < 10 * SLOW


#: Operations that are sent what they refuse; 255 is none.
REFUSED = (SET, INCR, CAS, 255)
GARBAGE = [
    b"", b"\x83", b"text", b"\x83m\0\0\0\xffx", b"\x83\xff", b"\x82a\1", term(b"jj"), term(b"l\xff\xff\xff\xffa\1"),
    term(b"t\xff\xff\xff\xff"), term(b"n\xff\0"), term(b"l\0\0\0\1" * 100000), term(b"h\2" * 100000),
    term(b"P" + struct.pack(">I", 1 << 30) + zlib.compress(b"m" + struct.pack(">I", 1 << 30) + b"\0" * 1000000)),
    term(b"P" + struct.pack(">I", 6) + zlib.compress(binary(b"k"))),
    term(atom(b"never_seen_before_zqx")), term(tuple_of(binary(b"k"), atom(b"never_seen_zqy"), ZERO)),
    term(b"p" + b"\0" * 30), term(b"q" + atom(b"erlang") + atom(b"halt") + ZERO),
    term(tuple_of(binary(b""), ZERO, ZERO)), term(tuple_of(binary(b"k" * 1025), ZERO, ZERO)),
    term(tuple_of(binary(b"\xff"), ZERO, ZERO)), term(tuple_of(ZERO, ZERO, ZERO)),
]


@pytest.mark.parametrize("payload", GARBAGE, ids=range(len(GARBAGE)))
def test_a_garbage_term_is_an_error_and_the_link_goes_on(daemon, payload):
    with link(daemon) as peer:
        atoms = peer.call(COMPANION_STATUS)["atoms"]
        for op in REFUSED:
            kind, cause, text = peer.call(op, payload)
            assert kind == "error" and cause in ("protocol", "type", "value", "limit"), (cause, text)
        assert peer.call(wire.PING) == "pong"
    assert companion_status(daemon)["atoms"] == atoms
    served(daemon)


COUNT = 15_000_000
SWOLLEN = {
    "nils": b"l" + struct.pack(">I", COUNT) + b"j" * (COUNT + 1),
    "integers": b"l" + struct.pack(">I", COUNT // 2) + b"a\1" * (COUNT // 2) + b"j",
    "nested": b"h\1" * (COUNT // 2) + b"j",
    "a tuple": b"i" + struct.pack(">I", COUNT) + b"j" * COUNT,
    "a map": b"t" + struct.pack(">I", COUNT // 7) + b"b\1\2\3\4a\1" * (COUNT // 7),
    "empty binaries": b"l" + struct.pack(">I", COUNT // 5) + b"m\0\0\0\0" * (COUNT // 5) + b"j",
}


@pytest.mark.parametrize("kind", SWOLLEN)
def test_a_term_that_would_swell_when_decoded_is_refused(daemon, kind):
    beam = daemon.companion_pid()
    before = resident(beam)
    with link(daemon) as peer:
        for op in (SET, GET_MULTI, SET_MULTI):
            answer, cause, _text = peer.call(op, term(SWOLLEN[kind]))
            assert answer == "error" and cause in ("limit", "protocol")
    assert resident(beam) - before < 100 << 20
    served(daemon)


def test_ten_thousand_new_atoms_make_none(daemon):
    served(daemon)
    atoms = companion_status(daemon)["atoms"]
    with link(daemon) as peer:
        for start in range(0, 10000, 100):
            names = [b"new_%d_%d" % (os.getpid(), i) for i in range(start, start + 100)]
            peer.sock.sendall(b"".join(wire.frame(GET, term(atom(name))) for name in names))
            for _ in names:
                assert peer.receive()[1] == wire.REPLY | wire.ERROR
    assert companion_status(daemon)["atoms"] == atoms


@pytest.mark.parametrize("data, cause", [
    (wire.frame(wire.PING, version=2), "protocol"),
    (wire.frame(wire.PING, flags=1), "protocol"),
    (struct.pack(">IBBBBII", 0xFFFFFFFF, 1, wire.PING, 0, 0, 1, 0), "protocol"),
    (struct.pack(">IBBBBII", (16 << 20) + 1, 1, wire.PING, 0, 0, 1, 0), "protocol"),
    (struct.pack(">IBBBBII", 11, 1, wire.PING, 0, 0, 1, 0), "protocol"),
    (b"\0\0\0\0" * 4, "protocol"),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "protocol"),
], ids=range(7))
def test_a_frame_that_is_none_is_told_and_cut(daemon, data, cause):
    with link(daemon) as peer:
        peer.sock.sendall(data)
        _op, flags, _ident, value = peer.receive()
        assert flags == wire.REPLY | wire.ERROR and value[0] == cause
        assert peer.closed()
    served(daemon)


def test_random_bytes_harm_nobody(daemon):
    random.seed(4)
    for _ in range(50):
        with link(daemon) as peer:
            peer.sock.sendall(b"\0\0\0" + random.randbytes(random.randrange(1, 2000)))
    served(daemon)


def test_half_a_frame_and_then_silence_costs_little(daemon):
    beam = daemon.companion_pid()
    half = [link(daemon) for _ in range(20)]
    try:
        before = resident(beam)
        for peer in half:  # the length of a large frame, and little of it
            peer.sock.sendall(struct.pack(">IBBBBII", 16 << 20, 1, SET, 0, 0, 1, 0) + b"x" * 1000)
        for _ in range(20):
            served(daemon)
        assert resident(beam) - before < 30 << 20
    finally:
        for peer in half:
            peer.sock.close()
    eventually(lambda: len(companion_status(daemon)["links"]) == 2)  # the worker's and that of the question


def test_clients_that_vanish_leave_nothing_behind(daemon):
    served(daemon)
    master, beam = (f"/proc/{pid}/fd" for pid in (daemon.proc.pid, daemon.companion_pid()))
    before = len(os.listdir(master)), len(os.listdir(beam))
    for i in range(150):
        p = wire.Peer(daemon.socket)
        p.sock.sendall(wire.frame(wire.LINK) * (1 + i % 3))
        if i % 2:
            p.receive()
        for fd in p.fds:
            os.close(fd)
        p.sock.close()
    eventually(lambda: len(companion_status(daemon)["links"]) == 2)
    eventually(lambda: len(os.listdir(master)) <= before[0] and len(os.listdir(beam)) <= before[1])


def test_a_client_that_is_killed_in_the_middle_of_a_call_leaves_its_lease(daemon):
    code = ("from hornbeam_erlang import *\nimport time\n"
            "def compute():\n print('computing', flush=True)\n time.sleep(600)\n"
            "state_fetch('leased', compute)")
    with subprocess.Popen([PYTHON, "-c", code], env=environment(HORNBEAM_SOCKET=str(daemon.socket), **PRELOAD),
                          stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "computing\n"
        finally:
            holder.kill()
    with link(daemon) as peer:
        before = time.monotonic()
        assert peer.call(FETCH, term(binary(b"leased")))[0] == "lease"
        assert time.monotonic() - before < 20 * SLOW


def send_until_stuck(peer, data):
    """Writes until nobody takes any more for half a second; what was taken."""
    taken, view = 0, memoryview(data)
    peer.sock.settimeout(0.5)
    try:
        while True:
            taken += peer.sock.send(view[taken % len(data):])
    except TimeoutError:
        return taken


def deaf(d, data):
    """A client that asks and asks and never reads; the seconds from then until it is cut."""
    with link(d) as peer:
        begin = time.monotonic()
        taken = send_until_stuck(peer, data)
        try:
            peer.sock.settimeout(60)
            while True:
                peer.sock.send(data[taken % len(data):])
                taken = 0
        except (BrokenPipeError, ConnectionResetError):
            return time.monotonic() - begin


def test_clients_that_never_read_are_cut_and_cost_little(daemon):
    beam = daemon.companion_pid()
    with link(daemon) as peer:
        assert peer.call(SET, term(tuple_of(binary(b"big"), binary(b"\x83" + binary(b"v" * 4000000)), ZERO))) == "ok"
        names = b"".join(tuple_of(binary(b"many:%05d" % i), ZERO) for i in range(50000))
        many = term(tuple_of(b"l" + struct.pack(">I", 50000) + names + b"j", ZERO))
        assert peer.call(SET_MULTI, many) == "ok"
    before = resident(beam)
    floods = [
        wire.frame(GET, term(binary(b"big"))) * 1000,
        wire.frame(KEYS, term(tuple_of(binary(b"many:"), ZERO))) * 1000,
        wire.frame(wire.PING) * 5000,
        wire.frame(COMPANION_STATUS) * 1000,
    ]
    most = 0
    with concurrent.futures.ThreadPoolExecutor() as pool:
        cut = [pool.submit(deaf, daemon, data) for data in floods]
        while not all(c.done() for c in cut):
            served(daemon)
            most = max(most, resident(beam))
            concurrent.futures.wait(cut, 0.05)
    for c in cut:
        assert 9 < c.result() < 60 * SLOW
    assert most - before < 100 << 20, f"{(most - before) >> 20} MiB more"
    eventually(lambda: len(companion_status(daemon)["links"]) == 2)
    assert "left its replies unread" in daemon.log()
    served(daemon)
