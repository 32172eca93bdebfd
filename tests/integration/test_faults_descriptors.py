"""Applications that close a descriptor of the server: no client gets what is another's, nothing spins, and it serves on."""

import contextlib
import os
import re

import pytest
from faulty_apps import ASGI, WSGI
from harness import Daemon, eventually

KINDS = {"in place": ("wsgi", WSGI, 1), "pool": ("wsgi", WSGI, 2), "asgi": ("asgi", ASGI, 1)}


@contextlib.contextmanager
def daemon_with(kind, **config):
    interface, source, threads = KINDS[kind]
    with Daemon(apps=[{"mount": "/", "app": "app:application", "interface": interface}], files={"app.py": source},
                config={"threads": threads, "lifespan": "off", "timeouts": {"graceful": "1s"}, **config}) as d:
        yield d


def answer(d):
    """The process that answers, or None; what is no answer fails."""
    with d.connect() as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while part := s.recv(4096):
                data += part
    if not data:
        return None
    found = re.fullmatch(rb"HTTP/1\.1 200 OK\r\n.*\r\n\r\n(?:\w+\r\n)?(\d+) 0(?:\r\n0\r\n\r\n)?", data, re.DOTALL)
    assert found, data
    return int(found[1])


def spins(pid):
    """Whether a process that has nothing to do keeps a core busy: only then does this soon add up."""
    def ticks():
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            return 0
        return int(fields[11]) + int(fields[12])

    before = ticks()
    try:
        eventually(lambda: ticks() - before > 25, 0.5)
    except AssertionError:
        return False
    return True


def open_in(pid):
    return sorted(int(n) for n in os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_descriptor_that_is_closed_is_missed_before_it_is_mistaken(kind):
    with daemon_with(kind) as d:
        fds = [fd for fd in open_in(*d.worker_pids()) if fd > 2]
    while fds:
        with daemon_with(kind) as d:
            (pid,) = d.worker_pids()
            while fds and d.worker_pids() == [pid]:
                with contextlib.suppress(OSError):  # it may be the connection's own
                    d.get(f"/close-descriptor?{fds.pop(0)}")
                eventually(lambda d=d: answer(d) and answer(d), 20)
                if d.worker_pids() == [pid]:
                    assert not spins(pid)
            d.note()
            if d.worker_pids() != [pid]:
                assert "this worker ends, with all that it is doing" in d.log()


@pytest.mark.parametrize("kind", KINDS)
def test_closing_all_costs_one_worker(kind):
    with daemon_with(kind, workers=2) as d:
        before = set(d.worker_pids())
        with contextlib.suppress(OSError, ValueError, AssertionError):
            d.raw(b"GET /end?close-all HTTP/1.0\r\n\r\n", timeout=5)
        for _ in range(20):
            eventually(lambda: answer(d), 20)
        eventually(lambda: len(set(d.worker_pids()) - before) == 1 and len(d.worker_pids()) == 2, 20)
        eventually(lambda: d.log().count(": ready, process") == 3, 20)
        d.note()
