"""PEP 3333 as an application sees it."""

import json
import socket

import pytest
from harness import SLOW, Daemon, eventually, read_all

ENVIRON = """
import json

def application(environ, start_response):
    shown = {k: v if isinstance(v, (str, bool, int, tuple)) else type(v).__name__ for k, v in environ.items()}
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(shown).encode()]
"""

#: An application of many paths; each is a case of its own.
MANY = r"""
import json, os, sys, subprocess, threading

closed = []

class Body:
    def __init__(self, parts, name):
        self.parts, self.name = parts, name

    def __iter__(self):
        return iter(self.parts)

    def close(self):
        closed.append(self.name)

def fail_late():
    yield b'begun'
    raise RuntimeError('late failure')

def slow_start(start_response):
    start_response('200 OK', [('X-From', 'generator')])
    yield b'a'
    yield b''
    yield b'b'

def endless(name):
    class Endless:
        def __iter__(self):
            return self
        def __next__(self):
            return b'x' * 65536
        def close(self):
            closed.append(name)
    return Endless()

def application(environ, start_response):
    path = environ['PATH_INFO']
    plain = [('Content-Type', 'text/plain')]
    read = environ['wsgi.input'].read
    if path == '/raise':
        raise RuntimeError('early failure')
    if path == '/exit':
        sys.exit(3)
    if path == '/interrupt':
        raise KeyboardInterrupt
    if path == '/late':
        start_response('200 OK', plain)
        return fail_late()
    if path == '/nothing':
        return [b'no start_response']
    if path == '/generator':
        return slow_start(start_response)
    if path == '/list':
        start_response('200 OK', plain)
        return [b'one', b'', b'two']
    if path == '/empty':
        start_response('200 OK', plain)
        return []
    if path == '/204':
        start_response('204 No Content', [])
        return []
    if path == '/304':
        start_response('304 Not Modified', [('ETag', '"x"')])
        return []
    if path == '/write':
        write = start_response('200 OK', plain)
        write(b'first ')
        write(b'second ')
        return [b'third']
    if path == '/bigwrite':
        write = start_response('200 OK', plain)
        for _ in range(64):
            write(b'w' * 100000)
        return []
    if path == '/replace':
        start_response('200 OK', plain)
        try:
            raise ValueError('replaced')
        except ValueError:
            start_response('503 Sorry', [('X-Replaced', 'yes')], sys.exc_info())
        return [b'sorry']
    if path == '/replace-late':
        write = start_response('200 OK', plain)
        write(b'out')
        try:
            raise ValueError('too late to replace')
        except ValueError:
            start_response('503 Sorry', [], sys.exc_info())
        return [b'never']
    if path == '/twice':
        start_response('200 OK', plain)
        start_response('200 OK', plain)
    if path == '/closed':
        start_response('200 OK', plain)
        return [json.dumps(closed).encode()]
    if path.startswith('/close-'):
        start_response('200 OK', plain)
        return Body([b'x', b'y'], path)
    if path == '/close-raises':
        start_response('200 OK', plain)
    if path.startswith('/endless'):
        start_response('200 OK', plain)
        return endless(path)
    if path == '/short':
        start_response('200 OK', [('Content-Length', '10')])
        return [b'12345']
    if path == '/long':
        start_response('200 OK', [('Content-Length', '5')])
        return iter([b'123', b'45678', b'9'])
    if path == '/text':
        start_response('200 OK', plain)
        return ['text']
    if path == '/hop':
        start_response('200 OK', [('Connection', 'keep-alive'), ('Transfer-Encoding', 'chunked'), ('X-Mine', '1')])
        return [b'hop']
    if path.startswith('/header'):
        start_response(*json.loads(read()))
        return [b'not refused']
    if path == '/echo':
        start_response('200 OK', plain)
        return [read()]
    if path == '/lines':
        start_response('200 OK', plain)
        f = environ['wsgi.input']
        out = [f.readline(), f.readline(2), f.read(1), *f.readlines(3), next(f), f.read(), f.read(), f.readline()]
        return [repr(out).encode()]
    if path == '/iterate':
        start_response('200 OK', plain)
        return [repr(list(environ['wsgi.input'])).encode()]
    if path == '/length':
        n = sum(len(b) for b in iter(lambda: read(100000), b''))
        start_response('200 OK', plain)
        return [('%d %s' % (n, environ.get('CONTENT_LENGTH'))).encode()]
    if path == '/errors':
        environ['wsgi.errors'].write('a line of wsgi.errors\nhalf ')
        environ['wsgi.errors'].writelines(['a line\n', 'rest'])
        environ['wsgi.errors'].flush()
        start_response('200 OK', plain)
        return [b'']
    if path == '/file':
        start_response('200 OK', plain)
        return environ['wsgi.file_wrapper'](open(environ['QUERY_STRING'], 'rb'), 1000)
    if path == '/big':
        start_response('200 OK', plain)
        return [b'b' * 20_000_000]
    if path == '/keep':
        application.kept = environ, start_response
        start_response('200 OK', plain)
        return [b'']
    if path == '/kept':
        e, s = application.kept
        out = []
        for f in (e['wsgi.input'].read, lambda: s('200 OK', [])):
            try:
                f()
                out.append('no error')
            except Exception as x:
                out.append(type(x).__name__)
        start_response('200 OK', plain)
        return [' '.join(out).encode()]
    if path == '/subprocess':
        start_response('200 OK', plain)
        code = 'import sys; print(sys.prefix, sys.version_info[:2])'
        return [subprocess.check_output([sys.executable, '-c', code])]
    if path == '/processes':
        import work
        start_response('200 OK', plain)
        return [work.run(environ['QUERY_STRING']).encode()]
    if path == '/argv':
        start_response('200 OK', plain)
        return [json.dumps([sys.argv, sys.executable, 'asyncio' in sys.modules, sys.path]).encode()]
    start_response('200 OK', plain)
    return [path.encode('latin-1')]
"""

WORK = """
import multiprocessing

def square(x):
    return x * x

def run(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return str(pool.map(square, [1, 2, 3]))
"""


@pytest.fixture(scope="module", params=[1, 4], ids=["in place", "pool"])
def threads(request):
    """Requests run on the loop's thread, or on those of the pool."""
    return request.param


@pytest.fixture(scope="module")
def many(threads):
    with Daemon(app="many:application", files={"many.py": MANY, "work.py": WORK, "env.py": ENVIRON},
                apps=[{"mount": "/env", "app": "env:application"}, {"mount": "/", "app": "many:application"}],
                config={"limits": {"body": "40M"}, "threads": threads}) as d:
        yield d


def environ_of(d, path, method="GET", **more):
    return d.request(method, path, **more).json()


def test_the_environ_has_what_the_request_says(many, threads):
    e = environ_of(many, "/env/a%20b/%C3%A9?q=1&r=%20", headers={
        "X-Thing": "v", "Cookie": "a=1", "Content-Type": "text/x"})
    assert e["REQUEST_METHOD"] == "GET"
    assert e["SCRIPT_NAME"] == "/env"
    assert e["PATH_INFO"] == "/a b/\xc3\xa9"
    assert e["QUERY_STRING"] == "q=1&r=%20"
    assert e["REQUEST_URI"] == e["RAW_URI"] == "/env/a%20b/%C3%A9?q=1&r=%20"
    assert e["SERVER_NAME"] == "127.0.0.1" and e["SERVER_PORT"] == str(many.port)
    assert e["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert e["REMOTE_ADDR"] == "127.0.0.1" and int(e["REMOTE_PORT"]) > 0
    assert e["HTTP_X_THING"] == "v" and e["HTTP_COOKIE"] == "a=1" and e["CONTENT_TYPE"] == "text/x"
    assert e["HTTP_HOST"] == f"127.0.0.1:{many.port}"
    assert "HTTP_CONTENT_TYPE" not in e and "CONTENT_LENGTH" not in e
    assert e["wsgi.version"] == [1, 0] and e["wsgi.url_scheme"] == "http"
    assert e["wsgi.multithread"] is (threads > 1) and e["wsgi.multiprocess"] is False and e["wsgi.run_once"] is False


def test_repeated_headers_are_joined_and_forgeable_ones_left_out(many):
    answer = many.raw(b"GET /env HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\nAccept: a\r\nAccept: b\r\n"
                      b"Cookie: a=1\r\nCookie: b=2\r\nX_A: forged\r\nProxy: http://evil\r\n\r\n")
    e = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert e["HTTP_X_A"] == "1, 2" and e["HTTP_ACCEPT"] == "a, b" and e["HTTP_COOKIE"] == "a=1; b=2"
    assert "HTTP_PROXY" not in e
    assert e["PATH_INFO"] == "" and e["SCRIPT_NAME"] == "/env"


def test_an_unusual_method_and_http_1_0(many):
    answer = many.raw(b"PROPFIND /env/x HTTP/1.0\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    e = json.loads(body)
    assert e["REQUEST_METHOD"] == "PROPFIND" and e["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert b"Connection: close" in head


def test_the_longest_mount_wins_on_segment_boundaries(many):
    assert many.get("/env/x").headers["content-type"] == "application/json"
    assert many.get("/environment").text == "/environment"


def test_a_path_outside_every_mount_is_404():
    with Daemon(apps=[{"mount": "/only", "app": "app:application"}],
                files={"app.py": "def application(e, s):\n s('200 OK', [])\n return [b'ok']\n"}) as d:
        assert d.get("/only/x").status == 200
        r = d.get("/onlyx")
        assert (r.status, r.text) == (404, "nothing is mounted here\n")


@pytest.mark.parametrize("path,status,body,headers", [
    ("/list", 200, b"onetwo", {"content-length": "6"}),
    ("/empty", 200, b"", {"content-length": "0"}),
    ("/generator", 200, b"ab", {"transfer-encoding": "chunked", "x-from": "generator"}),
    ("/204", 204, b"", {}),
    ("/304", 304, b"", {"etag": '"x"'}),
    ("/write", 200, b"first second third", {"transfer-encoding": "chunked"}),
    ("/bigwrite", 200, b"w" * 6400000, {}),
    ("/replace", 503, b"sorry", {"x-replaced": "yes"}),
    ("/big", 200, b"b" * 20_000_000, {"content-length": "20000000"}),
])
def test_a_response_is_framed_by_what_is_known(many, path, status, body, headers):
    r = many.get(path)
    assert r.status == status and r.body == body
    assert headers.items() <= r.headers.items()
    assert r.headers["server"] == "hornbeam" and r.headers["date"].endswith("GMT")
    if status in (204, 304):
        assert not {"content-length", "transfer-encoding"} & r.headers.keys()


def test_head_has_the_head_alone(many):
    for path, length in (("/list", "6"), ("/generator", None), ("/big", "20000000")):
        raw = many.raw(b"HEAD %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
        head, _, body = raw.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK") and body == b""
        if length:
            assert b"Content-Length: " + length.encode() in head


def test_http_1_0_ends_a_body_of_unknown_length_by_closing(many):
    head, _, body = many.raw(b"GET /generator HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").partition(b"\r\n\r\n")
    assert body == b"ab" and b"chunked" not in head and b"Connection: close" in head


def test_http_1_0_is_kept_alive_where_it_asks(many):
    with many.connect() as s:
        for _ in range(2):
            s.sendall(b"GET /list HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            answer = b""
            while not answer.endswith(b"onetwo"):
                answer += s.recv(4096)
            assert b"Connection: keep-alive" in answer


@pytest.mark.parametrize("path", ["/raise", "/exit", "/interrupt", "/nothing", "/twice", "/text", "/"])
def test_a_failure_before_the_response_is_500_and_the_worker_lives(many, path):
    pids = many.worker_pids()
    if path != "/":
        r = many.get(path)
        assert (r.status, r.text) == (500, "Internal Server Error\n")
    assert many.get("/list").status == 200
    assert many.worker_pids() == pids


def test_a_failure_is_logged_with_its_traceback_and_request(many):
    many.get("/raise?x=1")
    log = eventually(lambda: "GET /raise: RuntimeError" in many.log() and many.log())
    assert "app: Traceback (most recent call last)" in log
    assert "RuntimeError: early failure" in log


@pytest.mark.parametrize("path,begun", [("/late", b"begun"), ("/replace-late", b"out"), ("/short", b"12345")])
def test_a_failure_after_the_response_began_cuts_the_connection(many, path, begun):
    answer = many.raw(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
    assert answer.startswith(b"HTTP/1.1 200") and begun in answer
    assert not answer.endswith(b"0\r\n\r\n")
    eventually(lambda: ("late failure" if path == "/late" else "too late to replace" if path == "/replace-late"
                        else "GET /short: its body has 5 bytes, its Content-Length is 10") in many.log())


def test_a_body_beyond_its_length_is_cut_off_there(many):
    answer = many.raw(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n12345")
    eventually(lambda: "GET /long: its body is longer than its Content-Length, 5" in many.log())


def test_connection_headers_of_the_application_are_left_out(many):
    r = many.get("/hop")
    assert r.body == b"hop" and r.headers["x-mine"] == "1" and r.headers["content-length"] == "3"
    assert "transfer-encoding" not in r.headers


@pytest.mark.parametrize("status,headers", [
    ("200 OK", [["X-Bad", "a\r\nSet-Cookie: b"]]), ("200 OK", [["X-Bad", "a\0"]]), ("200 OK", [["X Bad", "a"]]),
    ("200 OK", [["", "a"]]), ("200 OK", [["X", 1]]), ("200 OK", [["X"]]), ("200 OK\r\nX: y", []), ("OK", []), (200, []),
    ("100 Continue", []), ("200 OK", [["Content-Length", "x"]]), ("200 OK", [["Content-Length", "-1"]]),
    ("200 OK", [["X", "\u20ac"]]), ("200 OK", "ab"),
])
def test_a_head_that_cannot_be_sent_is_refused(many, status, headers):
    r = many.request("POST", "/header", body=json.dumps([status, headers]))
    assert r.status == 500 and "set-cookie" not in r.headers


def test_close_is_called_once_when_the_response_is_whole_and_when_the_client_is_gone(many):
    assert many.get("/close-1").body == b"xy"
    assert json.loads(many.get("/closed").body).count("/close-1") == 1
    with many.connect() as s:
        s.sendall(b"GET /endless-1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(100000)
    assert many.get("/list").status == 200
    eventually(lambda: json.loads(many.get("/closed").body).count("/endless-1") == 1)


def test_a_slow_reader_pauses_the_application_and_delays_nobody(many):
    with many.connect() as s:
        s.sendall(b"GET /endless-2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert s.recv(1000)
        for _ in range(20):
            assert many.get("/list").status == 200
        for pid in many.worker_pids():
            status = open(f"/proc/{pid}/status").read()
            rss = int(status.split("VmRSS:")[1].split()[0])
            assert SLOW > 1 or rss < 60000, rss
        got = sum(len(s.recv(1 << 16)) for _ in range(100))
        assert got > 100


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 100000, b"x" * 5_000_000], ids=len)
def test_a_body_arrives_whole_from_memory_or_a_file(many, body):
    assert many.request("POST", "/echo", body=body).body == body
    assert many.request("POST", "/length", body=body).text == f"{len(body)} {len(body)}"


def test_a_chunked_body_arrives_with_its_length(many):
    def parts():
        for i in range(50):
            yield b"%d" % (i % 10) * 40000

    r = many.request("POST", "/length", body=parts())
    assert r.text == "2000000 2000000"
    e = environ_of(many, "/env", "POST", body=iter([b"abc"]))
    assert e["CONTENT_LENGTH"] == "3" and e["wsgi.input_terminated"] is True and "HTTP_TRANSFER_ENCODING" not in e


def test_a_body_above_the_limit_is_413(many):
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 41943041\r\n\r\n"
    assert many.raw(head).startswith(b"HTTP/1.1 413 ")


def test_wsgi_input_reads_as_a_file(many):
    r = many.request("POST", "/lines", body=b"one\ntwo\nthree\nfour\nfive\nsix")
    assert r.text == repr([b"one\n", b"tw", b"o", b"\n", b"three\n", b"four\n", b"five\nsix", b"", b""])
    assert many.request("POST", "/iterate", body=b"a\nb\n\nc").text == repr([b"a\n", b"b\n", b"\n", b"c"])


def test_wsgi_errors_goes_to_the_log_by_lines(many):
    assert many.get("/errors").status == 200
    log = eventually(lambda: "app: rest" in many.log() and many.log())
    assert "app: a line of wsgi.errors" in log and "app: half a line" in log


def test_the_file_wrapper_sends_a_file(many):
    path = many.dir / "blob"
    path.write_bytes(bytes(range(256)) * 5000)
    r = many.get(f"/file?{path}")
    assert r.body == path.read_bytes()


def test_what_an_application_keeps_of_a_request_is_dead_afterwards(many):
    many.get("/keep")
    assert many.get("/kept").text == "ValueError RuntimeError"


def test_sys_is_that_of_debians_python(many):
    argv, executable, asyncio, path = json.loads(many.get("/argv").body)
    assert argv == ["hornbeamd"] and executable.startswith("/usr/bin/python3") and not asyncio
    assert path[0] == str(many.dir / "app")
    assert many.get("/subprocess").text.startswith("/usr (3, 11)")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works_inside_an_application(many, method):
    assert many.get(f"/processes?{method}", timeout=30).text == "[1, 4, 9]"


VALIDATED = """
from wsgiref.validate import validator

def plain(environ, start_response):
    body = environ['wsgi.input'].read(10) + b''.join(environ['wsgi.input'])
    environ['wsgi.errors'].flush()
    write = start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'valid ', body]

application = validator(plain)
"""


def test_it_passes_the_standard_librarys_validator(threads):
    with Daemon(app="v:application", files={"v.py": VALIDATED}, config={"threads": threads}) as d:
        assert d.get("/a?b").text == "valid "
        assert d.request("POST", "/a", body=b"0123456789ab").text == "valid 0123456789ab"
        assert d.request("HEAD", "/a").status == 200
        assert "AssertionError" not in d.log() and "Warning" not in d.log()


FLASK = """
from flask import Flask, request, Response, send_file
app = Flask(__name__)

@app.route('/hello/<name>')
def hello(name):
    return {'hello': name, 'q': request.args.get('q')}

@app.route('/form', methods=['POST'])
def form():
    return '%s %d' % (request.form['a'], len(request.files['f'].read()))

@app.route('/stream')
def stream():
    return Response((str(i) for i in range(5)), mimetype='text/plain')

@app.route('/file')
def file():
    return send_file(__file__)

def create():
    return app
"""


def test_flask_works_by_its_factory_too(threads):
    pytest.importorskip("flask")
    with Daemon(app="f:create()", files={"f.py": FLASK}, config={"threads": threads}) as d:
        assert d.get("/hello/J%C3%BCrgen?q=%E2%82%AC").json() == {"hello": "Jürgen", "q": "€"}
        form = (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n--b\r\nContent-Disposition: form-data; '
                b'name="f"; filename="x"\r\n\r\n' + b"x" * 2000000 + b"\r\n--b--\r\n")
        r = d.request("POST", "/form", body=form, headers={"Content-Type": "multipart/form-data; boundary=b"})
        assert r.text == "v 2000000"
        assert d.get("/stream").text == "01234"
        assert d.get("/file").text == FLASK
        assert d.get("/none").status == 404


def test_the_peer_of_a_unix_socket_has_no_address(tmp_path):
    path = tmp_path / "s"
    with Daemon(app="env:application", files={"env.py": ENVIRON}, config={"listen": [f"unix:{path}"]}):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(path))
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            e = json.loads(read_all(s).partition(b"\r\n\r\n")[2])
            assert e["REMOTE_ADDR"] == "" and e["SERVER_NAME"] == "localhost"


#: What PEP 3333 asks of a server, each by its section.
PEP = r"""
import json, sys
from wsgiref.validate import validator

closed = []

class Iterable:
    # neither list nor generator; len() is known, __getitem__ alone iterates
    def __init__(self, *parts):
        self.parts = parts
    def __len__(self):
        return len(self.parts)
    def __getitem__(self, i):
        return self.parts[i]

class Closes:
    def __init__(self, name, parts, fails=None):
        self.name, self.parts, self.fails = name, iter(parts), fails
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.parts)
    def close(self):
        closed.append(self.name)
        if self.fails:
            raise self.fails

def failing():
    yield b'one'
    raise RuntimeError('in the middle')

class Instance:
    def __call__(self, environ, start_response):
        start_response('200 OK', [('Content-Type', 'text/plain')])
        return [b'instance']

class Class:
    # calling it makes the iterable
    def __init__(self, environ, start_response):
        self.start = start_response
    def __iter__(self):
        self.start('200 OK', [('Content-Type', 'text/plain')])
        yield b'class'

def whole(environ, start_response):
    path = environ['PATH_INFO']
    plain = [('Content-Type', 'text/plain')]
    if path == '/instance':
        return Instance()(environ, start_response)
    if path == '/class':
        return Class(environ, start_response)
    if path == '/closed':
        start_response('200 OK', plain)
        return [json.dumps(closed).encode()]
    if path == '/types':
        start_response('200 OK', plain)
        bad = [k for k, v in environ.items() if type(k) is not str or not k.startswith(('wsgi.', 'hornbeam.')) and (
            type(v) is not str or any(ord(c) > 255 for c in v))]
        ok = type(environ) is dict and not bad
        return [('%s %s' % (ok, environ['PATH_INFO'])).encode('latin-1')]
    if path == '/late-start':
        def late():
            start_response('200 OK', plain)
            yield b'late'
        return late()
    if path == '/empty-first':
        def empty():
            yield b''
            start_response('201 Created', plain)
            yield b''
            yield b'body'
        return empty()
    if path == '/write-then-raise':
        write = start_response('200 OK', plain)
        write(b'written')
        raise RuntimeError('after write')
    if path == '/write-only':
        write = start_response('200 OK', plain + [('Content-Length', '6')])
        write(b'abc')
        write(b'')
        write(b'def')
        return []
    if path == '/write-str':
        start_response('200 OK', plain)('text')
    if path == '/replace-twice':
        for status in ('200 OK', '500 A', '501 B'):
            try:
                raise ValueError(status)
            except ValueError:
                start_response(status, plain + [('X-Status', status)], sys.exc_info())
        return [b'last']
    if path == '/multi':
        start_response('200 OK', plain + [('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2'), ('X-Latin', 'caf\xe9')])
        return [b'']
    if path == '/readline':
        f = environ['wsgi.input']
        start_response('200 OK', plain)
        return [repr([f.readline(3), f.readline(), f.readline(-1), f.read(0), list(f)]).encode()]
    start_response('200 OK', plain)
    if path == '/iterable':
        return Iterable(b'a', b'', b'b')
    if path == '/iterable-1':
        return Iterable(b'single')
    if path == '/middle':
        return Closes(path, failing())
    if path == '/close-raises':
        return Closes(path, [b'fine'], RuntimeError('in close'))
    if path == '/close-exits':
        return Closes(path, [b'fine'], SystemExit(1))
    if path == '/no-parts':
        return Closes(path, [])
    if path == '/head':
        return Closes(path, [b'x' * 100000] * 20)
    if path == '/none':
        return None
    return [b'unknown']

def checked(environ, start_response):
    body = environ['wsgi.input'].read(100)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return iter([b'checked ', body])

def application(environ, start_response):
    if environ['SCRIPT_NAME'] == '/valid':
        return validator(checked)(environ, start_response)
    return whole(environ, start_response)
"""


@pytest.fixture(scope="module")
def pep(threads):
    with Daemon(files={"pep.py": PEP}, config={"threads": threads},
                apps=[{"mount": "/valid", "app": "pep:application"}, {"mount": "/", "app": "pep:application"}]) as d:
        yield d


@pytest.mark.parametrize("path,body", [
    ("/instance", "instance"), ("/class", "class"), ("/late-start", "late"), ("/iterable", "ab"),
    ("/iterable-1", "single"), ("/no-parts", ""),
])
def test_every_kind_of_application_and_iterable_is_served(pep, path, body):
    r = pep.get(path)
    assert (r.status, r.text) == (200, body)


def test_start_response_may_come_with_the_first_part_that_is_not_empty(pep):
    r = pep.get("/empty-first")
    assert (r.status, r.text) == (201, "body")


def test_every_key_and_value_of_the_environ_is_a_native_string(pep):
    r = pep.get("/types?%E2%82%AC", headers={"X-Latin": "caf\xe9", "Cookie": "a=\xff"})
    assert r.body == b"True /types"


@pytest.mark.parametrize("path", ["/write-then-raise", "/middle"])
def test_what_fails_in_the_middle_does_not_look_whole(pep, path):
    answer = pep.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ") and not answer.endswith(b"0\r\n\r\n")


def test_write_and_content_length_make_one_body(pep):
    r = pep.get("/write-only")
    assert r.body == b"abcdef" and r.headers["content-length"] == "6"
    assert pep.get("/write-str").status == 500


def test_the_last_head_counts_until_one_is_sent(pep):
    r = pep.get("/replace-twice")
    assert r.status == 501 and r.headers["x-status"] == "501 B" and r.body == b"last"


def test_repeated_and_latin_1_headers_go_out_as_they_are(pep):
    answer = pep.raw(b"GET /multi HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in answer and b"\r\nX-Latin: caf\xe9\r\n" in answer


def test_readline_takes_a_size_and_the_input_iterates(pep):
    r = pep.request("POST", "/readline", body=b"abcdef\nghi\njkl\nmno")
    assert r.text == repr([b"abc", b"def\n", b"ghi\n", b"", [b"jkl\n", b"mno"]])


@pytest.mark.parametrize("path,method", [("/middle", "GET"), ("/close-raises", "GET"), ("/close-exits", "GET"),
                                         ("/no-parts", "GET"), ("/head", "HEAD")])
def test_close_is_called_exactly_once_however_it_ends(pep, path, method):
    before = json.loads(pep.get("/closed").body).count(path)
    pep.raw(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    eventually(lambda: json.loads(pep.get("/closed").body).count(path) == before + 1)
    assert pep.get("/instance").status == 200
    assert json.loads(pep.get("/closed").body).count(path) == before + 1


def test_a_close_that_raises_is_logged_and_spoils_nothing(pep):
    assert pep.get("/close-raises").body == b"fine"
    eventually(lambda: "RuntimeError: in close" in pep.log())


def test_no_iterable_is_500(pep):
    assert pep.get("/none").status == 500
    eventually(lambda: "TypeError: the application must return an iterable of bytes, not NoneType" in pep.log())


@pytest.mark.parametrize("body", [b"", b"body"])
def test_the_validator_finds_nothing_in_place_or_in_the_pool(pep, body):
    for _ in range(3):
        assert pep.request("POST", "/valid/x%20y?q", body=body).text == "checked " + body.decode()
    assert pep.request("HEAD", "/valid").status == 200
    assert "AssertionError: Invalid" not in pep.log() and "WSGIWarning" not in pep.log()
