"""HTTP clients that are slow, greedy or gone: bounded memory, clean answers, and nobody else waits."""

import contextlib
import os
import pathlib
import select
import shutil
import socket
import subprocess
import threading
import time

import pytest
from harness import SLOW, Daemon, eventually, read_all, resident
from http_client import Reader

MIB = 1 << 20

APP = """
closed = []
calls = []

class Stream:
    def __init__(self, name, parts, size):
        self.name, self.left, self.part = name, parts, b'x' * size
    def __iter__(self):
        return self
    def __next__(self):
        if self.left == 0:
            raise StopIteration
        self.left -= 1
        return self.part
    def close(self):
        closed.append(self.name)

def application(environ, start_response):
    path, query = environ['PATH_INFO'], environ['QUERY_STRING']
    calls.append(path)
    if path == '/upload':
        n = 0
        while part := environ['wsgi.input'].read(1 << 16):
            n += len(part)
        body = [b'%d' % n]
    elif path == '/stream':
        name, parts, size = query.split(',')
        body = Stream(name, int(parts), int(size))
    elif path == '/whole':
        body = [b'x' * int(query)]
    elif path == '/closed':
        body = [' '.join(closed).encode()]
    elif path == '/calls':
        body = [b'%d' % calls.count(query)]
    else:
        body = [path.encode()]
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return body
"""


def daemon_with(**more):
    return Daemon("app:application", files={"app.py": APP}, **more)


@pytest.fixture(scope="module")
def daemon():
    with daemon_with() as d:
        pids = d.worker_pids()
        yield d
        assert d.worker_pids() == pids, "a worker died of a client"


def descriptors(d):
    return len(os.listdir(f"/proc/{d.worker_pids()[0]}/fd"))


def served(d):
    before = time.monotonic()
    assert d.get("/hello").text == "/hello"
    assert time.monotonic() - before < 10 * SLOW


def ask(s, target):
    s.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def test_a_response_of_500_megabytes_takes_little_memory(daemon):
    served(daemon)
    before, total = resident(*daemon.worker_pids()), 0
    with daemon.connect() as s:
        s.sendall(b"GET /stream?large,8000,65536 HTTP/1.0\r\n\r\n")
        while part := s.recv(1 << 20):
            total += len(part)
            assert total > 1 or served(daemon)
    assert total > 8000 * 65536
    assert SLOW > 1 or resident(*daemon.worker_pids()) - before < 30 * MIB


def leave_in_mid_response(d, name):
    """A hundred clients that ask for much, read little and go, half of them with a reset."""
    gone = []
    for i in range(100):
        s = d.connect()
        ask(s, f"/stream?{name}{i},1000000,65536" if i % 2 else "/whole?2000000")
        assert s.recv(1000)
        gone.append(s)
    for i, s in enumerate(gone):
        if i % 4 > 1:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    names = [f"{name}{i}" for i in range(1, 100, 2)]
    eventually(lambda: all(n in d.get("/closed").text.split() for n in names))
    seen = d.get("/closed").text.split()
    assert all(seen.count(n) == 1 for n in names)


def test_clients_that_go_away_in_mid_response_leave_nothing(daemon):
    served(daemon)
    fds, sizes = descriptors(daemon), []

    def steady():
        for i in range(5):
            leave_in_mid_response(daemon, f"{len(sizes)}.{i}x")
        eventually(lambda: descriptors(daemon) <= fds)
        sizes.append(resident(*daemon.worker_pids()))
        # One part that stayed behind of each stream would be twice as much, each time.
        return SLOW > 1 or (len(sizes) > 1 and sizes[-1] - sizes[-2] < 8 * MIB)

    # The threads' heaps find their size within a few rounds.
    assert any(steady() for _ in range(8)), sizes


def test_fifty_readers_of_a_byte_at_a_time_hold_little_memory_and_delay_nobody(daemon):
    served(daemon)
    before = resident(*daemon.worker_pids())
    with contextlib.ExitStack() as stack:
        slow = []
        for i in range(50):
            s = stack.enter_context(socket.socket())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.settimeout(20 * SLOW)
            s.connect(("127.0.0.1", daemon.port))
            ask(s, f"/stream?slow{i},1000,65536")
            slow.append(s)
        for _ in range(20):
            assert all(len(s.recv(1)) == 1 for s in slow)
            served(daemon)
        assert SLOW > 1 or resident(*daemon.worker_pids()) - before < 50 * MIB
    eventually(lambda: all(f"slow{i}" in daemon.get("/closed").text.split() for i in range(50)))


def test_a_thousand_pipelined_requests_whose_answers_are_read_late(daemon):
    with daemon.connect(30) as s:
        sender = threading.Thread(target=lambda: [ask(s, f"/whole?{i * 100}") for i in range(1000)])
        sender.start()
        served(daemon)
        reader = Reader(s)
        assert [len(reader.response()[2]) for _ in range(1000)] == [i * 100 for i in range(1000)]
        sender.join()
    served(daemon)


# Bodies.

def test_a_body_above_the_limit_is_refused_by_its_length(daemon):
    with daemon.connect() as s:
        s.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 * MIB + 1))
        assert read_all(s).startswith(b"HTTP/1.1 413 ")
    served(daemon)


def test_a_body_of_just_the_limit_is_taken(daemon):
    served(daemon)
    before = resident(*daemon.worker_pids())
    answer = daemon.request("POST", "/upload", body=bytes(64 * MIB), timeout=30)
    assert (answer.status, answer.text) == (200, str(64 * MIB))
    # the file of the body goes behind the answer
    assert SLOW > 1 or eventually(lambda: resident(*daemon.worker_pids()) - before < 30 * MIB)


def test_a_chunked_body_without_end_is_cut_at_the_limit(daemon):
    served(daemon)
    fds, sent = descriptors(daemon), 0
    with daemon.connect(30) as s:
        s.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"%x\r\n%s\r\n" % (MIB, bytes(MIB))
        while not select.select([s], [], [], 0)[0]:
            assert sent < 80 * MIB
            s.sendall(chunk)
            sent += MIB
            if sent == 32 * MIB:
                served(daemon)
        assert sent > 60 * MIB
        assert s.recv(100).startswith(b"HTTP/1.1 413 ")
    eventually(lambda: descriptors(daemon) <= fds)


@pytest.mark.parametrize("framing", [b"Content-Length: 3000000", b"Transfer-Encoding: chunked"])
def test_a_body_that_ends_early_never_reaches_the_application(daemon, framing):
    before, fds = daemon.get("/calls?/upload").text, descriptors(daemon)
    for sent in (b"", b"10\r\n0123456789abcdef", b"100000\r\n" + bytes(0x100000) + b"\r\n"):
        with daemon.connect() as s:
            s.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + sent)
            s.shutdown(socket.SHUT_WR)
            assert b" 200 " not in read_all(s)
    eventually(lambda: descriptors(daemon) <= fds)
    assert daemon.get("/calls?/upload").text == before


def can_mount():
    """Whether a file system of one's own may be mounted here."""
    done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(shutil.which("unshare") is None or not can_mount(), reason="needs to mount a small file system")
def test_a_full_disk_under_a_body_is_503_and_room_is_found_again(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mount = f'mount -t tmpfs -o size=4m tmpfs {small} && exec "$@"'
    with daemon_with(env={"TMPDIR": str(small)}, wrap=["unshare", "-m", "sh", "-c", mount, "sh"]) as d:
        fits = d.request("POST", "/upload", body=bytes(3 * MIB))
        assert (fits.status, fits.text) == (200, str(3 * MIB))
        for _ in range(3):
            with d.connect() as s:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    s.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (8 * MIB)
                              + bytes(8 * MIB))
                assert read_all(s).startswith(b"HTTP/1.1 503 ")
        assert "a request's body: No space left on device" in d.log()
        assert d.request("POST", "/upload", body=bytes(3 * MIB)).status == 200


def test_a_missing_directory_for_bodies_is_503():
    with daemon_with(env={"TMPDIR": "/nonexistent/hornbeam"}) as d:
        answer = d.request("POST", "/upload", body=bytes(2 * MIB))
        assert answer.status == 503
        assert "a request's body needs a file in /nonexistent/hornbeam: No such file or directory" in d.log()
        assert d.request("POST", "/upload", body=bytes(MIB // 2)).text == str(MIB // 2)


# Descriptors.

def ticks(pid):
    """The CPU time of a process, in ticks."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_worker_without_descriptors_waits_instead_of_spinning():
    with daemon_with(wrap=["prlimit", "--nofile=48:48"]) as d:
        pid, = d.worker_pids()
        held = []
        try:
            for _ in range(100):
                held.append(d.connect())
            for s in held:
                ask(s, "/here")
            eventually(lambda: "listen: accept:" in d.log())
            before, start = ticks(pid), time.monotonic()
            eventually(lambda: time.monotonic() > start + 1)
            assert (ticks(pid) - before) / os.sysconf("SC_CLK_TCK") < 0.2 * SLOW
            assert d.log().count("listen: accept:") < 20
            # those that were let in are served all the same
            answered = eventually(lambda: len(ready := select.select(held, [], [], 0)[0]) > 10 and ready)
            assert all(s.recv(100).startswith(b"HTTP/1.1 200") for s in answered)
            assert len(answered) < 48
        finally:
            for s in held:
                s.close()
        eventually(lambda: d.get("/hello").status == 200)
        assert d.worker_pids() == [pid]


def test_a_body_without_a_descriptor_for_it_is_503():
    with daemon_with(wrap=["prlimit", "--nofile=48:48"]) as d:
        with contextlib.ExitStack() as stack:
            first = stack.enter_context(d.connect())
            ask(first, "/one")
            reader = Reader(first)
            assert reader.response()[0] == 200
            for _ in range(60):
                stack.enter_context(d.connect())
            eventually(lambda: "listen: accept:" in d.log())
            first.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * MIB))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                first.sendall(bytes(2 * MIB))
            assert reader.response()[0] == 503
        eventually(lambda: d.request("POST", "/upload", body=bytes(2 * MIB)).status == 200)
