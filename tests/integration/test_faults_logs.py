"""Readers of the daemon's output that hang, go away or have no room left: the requests go on."""

import contextlib
import os
import re
import select
import time

import pytest
import wire
from harness import SLOW, Daemon, eventually

APP = """
import sys

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/say':
        for i in range(10):
            environ['wsgi.errors'].write('line %d\\n' % i)
    if path == '/raise':
        raise RuntimeError('on purpose')
    if path == '/print':
        for i in range(20000):
            print('out', i)
            print('err', i, file=sys.stderr)
        sys.stdout.flush()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'ok']
"""


class Pipe:
    """A pipe that nobody reads until it is told to."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in (self.reader, self.writer):
            with contextlib.suppress(OSError):
                os.close(fd)

    def takes_more(self):
        return bool(select.select([], [self.writer], [], 0)[1])

    def fill(self):
        """Leaves no room; what was in it is remembered.  The descriptor stays blocking: it is shared."""
        self.read()
        while self.takes_more():
            os.write(self.writer, b"." * 4095 + b"\n")

    def read(self):
        """All that has come, from the beginning."""
        while select.select([self.reader], [], [], 0)[0]:
            part = os.read(self.reader, 65536)
            if not part:
                break
            self.seen += part
        return self.seen.decode(errors="replace").replace("." * 4095 + "\n", "")

    def end(self):
        os.close(self.reader)


def daemon(**more):
    return Daemon(app="app:application", files={"app.py": APP}, **more)


def quickly(d, path, status=200):
    before = time.monotonic()
    assert d.get(path).status == status
    assert time.monotonic() - before < 10 * SLOW


def test_a_log_that_nobody_reads_delays_no_request_and_says_what_it_lost():
    with Pipe() as pipe, daemon(stderr=pipe.writer, config={"workers": 1}) as d:
        pipe.fill()
        for _ in range(20):
            quickly(d, "/say")
        quickly(d, "/raise", 500)
        assert d.raw(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert d.hornbeam("state", "incr", "n").stdout == "1\n"
        assert not pipe.takes_more()
        assert "line " not in pipe.read()
        quickly(d, "/say")
        text = eventually(lambda: "line 9" in pipe.read() and pipe.read())
        lost = int(re.search(r"log: (\d+) lines were dropped", text)[1])
        assert lost >= 200 + 3  # the lines of /say, and at least a traceback's
        assert text.count("lines were dropped") == 1
        assert re.findall(r"app: (line \d)", text) == [f"line {i}" for i in range(10)]


def test_a_companion_whose_log_nobody_reads_serves_on():
    with Pipe() as pipe, daemon(stderr=pipe.writer) as d:
        pipe.fill()
        for _ in range(1500):  # each is a line, more than the companion keeps
            with wire.link(d) as peer:
                peer.sock.sendall(wire.frame(wire.PING, version=9))
                assert peer.receive()[1] == wire.REPLY | wire.ERROR
        assert d.hornbeam("state", "incr", "n").stdout == "1\n"
        assert wire.companion_status(d)["memory"]["total"] < 100 << 20
        eventually(lambda: "companion[" in pipe.read())
        assert d.hornbeam("state", "incr", "n").stdout == "2\n"


def test_a_log_that_nobody_reads_delays_neither_replacement_nor_end():
    with Pipe() as pipe, daemon(stderr=pipe.writer, config={"workers": 2}) as d:
        pipe.fill()
        for pid in [*d.worker_pids(), d.companion_pid()]:
            os.kill(pid, 9)
        eventually(lambda: len(d.worker_pids()) == 2 and d.companion_pid())
        eventually(lambda: d.hornbeam("state", "incr", "n").returncode == 0)
        quickly(d, "/say")
        d.note()
        d.proc.terminate()
        assert d.wait() == 0
        assert not pipe.takes_more()


def test_a_log_whose_reader_is_gone_ends_nothing():
    with Pipe() as pipe, daemon(stderr=pipe.writer, config={"workers": 1}) as d:
        pids = d.worker_pids()
        pipe.end()
        quickly(d, "/say")
        quickly(d, "/raise", 500)
        assert d.raw(b"bad\r\n\r\n").startswith(b"HTTP/1.1 400 ")
        assert d.hornbeam("state", "incr", "n").stdout == "1\n"
        assert d.worker_pids() == pids


@pytest.mark.parametrize("workers", [1, 2])
def test_an_access_log_that_nobody_reads_delays_no_request_and_says_what_it_lost(workers):
    with Pipe() as pipe, daemon(stdout=pipe.writer, config={"workers": workers}) as d:
        pipe.fill()
        target = "/" + "t" * 3000  # a long line: the bound of what waits is reached soon
        for _ in range(200 * workers):
            quickly(d, target)
        assert not pipe.takes_more()
        asked = 200 * workers + 1

        def told():
            pipe.read()
            return re.findall(r"access log: (\d+) lines were dropped", d.log())

        eventually(told)
        d.get("/last")
        text = eventually(lambda: "/last" in pipe.read() and pipe.read())
        eventually(lambda: len(re.findall(" 200 2 ", pipe.read())) + sum(map(int, told())) == asked)
        assert all(line.startswith("127.0.0.1 - - [") for line in text.splitlines()), "lines are whole"


def test_an_access_log_whose_reader_is_gone_is_told_once():
    with Pipe() as pipe, daemon(stdout=pipe.writer) as d:
        pipe.end()
        for _ in range(50):
            quickly(d, "/")
        eventually(lambda: "access log:" in d.log())
        assert d.log().count("access log:") <= 2


def test_a_log_on_a_full_disk_delays_no_request():
    with open("/dev/full", "wb") as full, daemon(stdout=full.fileno(), stderr=full.fileno()) as d:
        for path, status in (("/say", 200), ("/raise", 500), ("/", 200)):
            quickly(d, path, status)


def test_what_an_application_prints_reaches_both_streams_whole():
    with daemon(config={"log": {"access": "off"}}) as d:
        assert d.get("/print", timeout=30).status == 200
        eventually(lambda: d.log().count("err ") == 20000)
        eventually(lambda: d.output() == "".join(f"out {i}\n" for i in range(20000)))
