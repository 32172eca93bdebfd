"""wsgi.file_wrapper: real files go out by sendfile(2), everything else by reading, with the same bytes."""

import contextlib
import gzip
import os
import shutil
import signal
import subprocess

import pytest
from harness import ASAN, SLOW, Daemon, eventually, read_all, resident

FILES = r"""
import gzip, io, os, tempfile
from urllib.parse import parse_qs

closed = []

class Django:
    # as django.core.files.File hands on what it does not do by itself
    def __init__(self, file):
        self.file = file
    read = property(lambda self: self.file.read)
    def close(self):
        closed.append('django')
        self.file.close()

class Upper:
    # has the descriptor of the file, but not its bytes
    def __init__(self, file):
        self.file, self.fileno, self.tell = file, file.fileno, file.tell
    def read(self, n=-1):
        return self.file.read(n).upper()

def temporary(name):
    f = tempfile.NamedTemporaryFile()
    f.write(open(name, 'rb').read())
    f.seek(0)
    return f

def pipe(name):
    r, w = os.pipe()
    os.write(w, b'through a pipe')
    os.close(w)
    return open(r, 'rb')

OPEN = {
    'plain': lambda name: open(name, 'rb'),
    'raw': lambda name: open(name, 'rb', buffering=0),
    'both': lambda name: open(name, 'r+b'),
    'django': lambda name: Django(open(name, 'rb')),
    'temporary': temporary,
    'gzip': lambda name: gzip.open(name),
    'upper': lambda name: Upper(open(name, 'rb')),
    'bytes': lambda name: io.BytesIO(open(name, 'rb').read()),
    'text': lambda name: open(name, 'r', encoding='latin-1'),
    'pipe': pipe,
}

def application(environ, start_response):
    q = {k: v[0] for k, v in parse_qs(environ['QUERY_STRING']).items()}
    if environ['PATH_INFO'] == '/closed':
        start_response('200 OK', [])
        return [' '.join(closed).encode()]
    f = OPEN[q['kind']](q['name'])
    if 'line' in q:
        f.readline()
    headers = [('Content-Length', q['length'])] if 'length' in q else []
    write = start_response('200 OK', headers)
    if 'write' in q:
        write(b'before ')
    return environ['wsgi.file_wrapper'](f, 1000)
"""


@pytest.fixture(scope="module", params=[1, 4], ids=["in place", "pool"])
def files(request):
    with Daemon(app="f:application", files={"f.py": FILES}, config={"threads": request.param}) as d:
        (d.dir / "small").write_bytes(b"first line\nthe rest")
        (d.dir / "empty").write_bytes(b"")
        (d.dir / "large").write_bytes(os.urandom(1 << 20) * 5 + b"end")
        with gzip.open(d.dir / "packed", "wb") as f:
            f.write(b"unpacked " * 10000)
        yield d


def fetch(d, kind, name="large", method="GET", **more):
    query = "&".join(f"{k}={v}" for k, v in {"kind": kind, "name": d.dir / name, **more}.items())
    return d.request(method, f"/?{query}", timeout=30)


@pytest.mark.parametrize("kind", ["plain", "raw", "both", "django", "temporary", "bytes"])
@pytest.mark.parametrize("name", ["small", "empty", "large"])
def test_a_file_arrives_whole(files, kind, name):
    r = fetch(files, kind, name)
    assert r.status == 200 and r.body == (files.dir / name).read_bytes()
    if kind != "bytes" and name != "empty":
        assert r.headers["content-length"] == str(len(r.body)) and "transfer-encoding" not in r.headers


def test_it_begins_where_the_file_stands(files):
    assert fetch(files, "plain", "small", line=1).body == b"the rest"
    whole = (files.dir / "large").read_bytes()
    assert fetch(files, "plain", line=1).body == whole[whole.index(b"\n") + 1:]


@pytest.mark.parametrize("name,length", [("small", 5), ("large", 2_000_000), ("large", 20000)])
def test_it_ends_at_the_content_length(files, name, length):
    with files.connect() as s:  # kept, since nothing is wrong with it
        for _ in range(2):
            s.sendall(f"GET /?kind=plain&length={length}&name={files.dir}/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            while len(data.partition(b"\r\n\r\n")[2]) < length:
                data += s.recv(1 << 20)
            assert data.partition(b"\r\n\r\n")[2] == (files.dir / name).read_bytes()[:length]


@pytest.mark.parametrize("name", ["small", "large"])
def test_it_goes_on_in_chunks_behind_what_was_written(files, name):
    r = fetch(files, "plain", name, write=1)
    assert r.headers["transfer-encoding"] == "chunked" and r.body == b"before " + (files.dir / name).read_bytes()


def test_what_only_has_a_descriptor_is_read(files):
    assert fetch(files, "gzip", "packed").body == b"unpacked " * 10000
    assert fetch(files, "upper", "small").body == b"FIRST LINE\nTHE REST"
    assert fetch(files, "pipe").body == b"through a pipe"
    (files.dir / "proc").symlink_to("/proc/version")
    assert fetch(files, "plain", "proc").body == open("/proc/version", "rb").read()
    (files.dir / "proc").unlink()
    assert fetch(files, "text", "small").status == 500


def test_head_sends_nothing_of_the_file(files):
    r = fetch(files, "plain", method="HEAD")
    assert r.headers["content-length"] == str((5 << 20) + 3) and r.body == b""


def test_the_file_is_closed_once_also_when_the_client_goes(files):
    before = files.get("/closed").text.split().count("django")
    fetch(files, "django")
    eventually(lambda: files.get("/closed").text.split().count("django") == before + 1)
    with files.connect() as s:
        s.sendall(f"GET /?kind=django&name={files.dir}/large HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(1000)
    eventually(lambda: files.get("/closed").text.split().count("django") == before + 2)


def test_a_slow_reader_delays_nobody_and_costs_no_memory(files):
    pid, = files.worker_pids()
    fetch(files, "plain")
    before = resident(pid)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(files.connect()) for _ in range(20)]
        for s in slow:
            s.sendall(f"GET /?kind=plain&name={files.dir}/large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert s.recv(100)
        for _ in range(10):
            assert fetch(files, "plain", "small").status == 200
        assert SLOW > 1 or resident(pid) - before < 4 << 20
        for s in slow:
            assert read_all(s).endswith(b"end")


def test_a_file_that_shrinks_ends_the_connection_and_is_logged(files):
    name, before = files.dir / "shrinks", files.log().count("GET /: its body has")
    name.write_bytes(b"x" * (8 << 20))
    with files.connect() as s:
        s.sendall(f"GET /?kind=plain&name={name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert s.recv(100)
        os.truncate(name, 100)
        assert len(read_all(s)) < 8 << 20
    eventually(lambda: files.log().count("GET /: its body has") > before)


@pytest.mark.skipif(ASAN or shutil.which("strace") is None, reason="needs strace, and the worker by itself")
def test_the_bytes_never_pass_through_the_worker(files):
    pid, = files.worker_pids()
    out = files.dir / "trace"
    trace = subprocess.Popen(["strace", "-f", "-e", "trace=sendfile,sendmsg,read,pread64", "-o", out, "-p", str(pid)],
                             stderr=subprocess.PIPE)
    try:
        trace.stderr.readline()  # attached
        assert len(fetch(files, "plain").body) == (5 << 20) + 3
    finally:
        trace.send_signal(signal.SIGINT)
        trace.wait()
    calls = out.read_text()
    assert "sendfile(" in calls and "MSG_MORE" in calls
    assert not [n for n in calls.splitlines() if "read" in n and n.rsplit(" ", 1)[-1].isdigit()
                and int(n.rsplit(" ", 1)[-1]) > 100000]
