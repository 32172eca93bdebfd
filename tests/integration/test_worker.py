"""Connections, as a worker keeps and ends them; its start and its end."""

import json
import os
import select
import signal
import socket
import subprocess
import time

import pytest
from harness import BUILD, PYTHON, SLOW, Daemon, children, eventually, read_all

APP = """
import os, time

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/wait':
        open(environ['QUERY_STRING'] + '.begun', 'w').close()
        while not os.path.exists(environ['QUERY_STRING']):
            time.sleep(0.01)
    body = path.encode() + environ['wsgi.input'].read()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body]
"""
FILES = {"app.py": APP}
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def daemon(**config):
    return Daemon(app="app:application", files=FILES, config=config)


@pytest.fixture(scope="module")
def server():
    with daemon() as d:
        yield d


def answer(s):
    """One response with a Content-Length from a socket: status and body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = s.recv(65536)
        assert part, data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        part = s.recv(65536)
        assert part, body
        body += part
    assert len(body) == length, body
    return int(head.split()[1]), body


def test_a_connection_is_kept_for_many_requests(server):
    with server.connect() as s:
        for i in range(200):
            s.sendall(GET % b"/%d" % i)
            assert answer(s) == (200, b"/%d" % i)


def test_pipelined_requests_are_answered_in_order(server):
    with server.connect() as s:
        s.sendall(b"".join(GET % b"/%d" % i for i in range(500)) + b"GET /last HTTP/1.0\r\n\r\n")
        data = read_all(s)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/%d" % i for i in range(500)] + [b"/last"]


def test_pipelined_bodies_are_not_taken_for_requests(server):
    post = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 19\r\n\r\nGET / HTTP/1.1\r\n\r\n."
    chunked = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n"
    end = b"GET /e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with server.connect() as s:
        s.sendall(post + chunked + post + end)
        data = read_all(s)
    bodies = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK")[1:]]
    assert bodies == [b"/pGET / HTTP/1.1\r\n\r\n.", b"/cGET /", b"/pGET / HTTP/1.1\r\n\r\n.", b"/e"]


def test_a_request_may_come_byte_by_byte(server):
    request = (b"POST /bytes%21 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: t\r\n\r\n")
    with server.connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for i in range(len(request)):
                s.sendall(request[i:i + 1])
            assert answer(s) == (200, b"/bytes!abcde")


def test_a_head_larger_than_the_usual_buffer_fits_within_its_limits(server):
    with server.connect() as s:
        fields = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 1000) for i in range(20))
        s.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n" + b"GET /next HTTP/1.0\r\n\r\n")
        data = read_all(s)
    assert [part.partition(b"\r\n\r\n")[2] for part in data.split(b"HTTP/1.1 200 OK")[1:]] == [b"/big", b"/next"]


@pytest.mark.parametrize("request_,status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\nHost: x\n\n", 400), (b"nonsense\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    (b"GET /" + b"a" * 10000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", 501), (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
], ids=range(9))
def test_a_bad_request_gets_its_answer_and_the_connection_ends(server, request_, status):
    data = server.raw(request_ + b"x" * 200000 if status != 400 else request_)
    assert data.startswith(b"HTTP/1.1 %d " % status) and b"Connection: close\r\n" in data
    assert data.count(b"HTTP/1.1 ") == 1
    assert server.get("/ok").text == "/ok"


def test_a_refusal_is_logged_with_peer_and_cause():
    with daemon() as d:
        began = time.monotonic()
        d.raw(b"GET / HTTP/1.1\nHost: x\n\n")
        eventually(lambda: "http: 127.0.0.1: 400: " in d.log())
        for _ in range(100):
            d.raw(b"bad\r\n\r\n")
        seconds = int(time.monotonic() - began) + 2
        assert d.log().count("http: 127.0.0.1: 400: ") <= 10 * seconds


def test_100_continue_is_sent_when_the_body_is_wanted(server):
    with server.connect() as s:
        s.sendall(b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
        assert s.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"body")
        assert answer(s) == (200, b"/cbody")
    with server.connect() as s: # the body is there already: nothing to wait for
        s.sendall(b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
        assert answer(s) == (200, b"/cbody")


def test_too_large_a_body_is_refused_before_it_is_sent(server):
    with server.connect() as s:
        s.sendall(b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n")
        assert s.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_half_closed_peer_still_gets_its_answer(server):
    with server.connect() as s:
        s.sendall(GET % b"/half")
        s.shutdown(socket.SHUT_WR)
        assert answer(s) == (200, b"/half")
        assert s.recv(1) == b""


def test_timeouts_end_what_does_not_come():
    with daemon(timeouts={"header": "2s", "keepalive": "300ms", "body": "300ms"}) as d:
        with d.connect() as silent, d.connect() as idle, d.connect() as head, d.connect() as body:
            idle.sendall(GET % b"/x")
            assert answer(idle) == (200, b"/x")
            head.sendall(b"GET / HTTP/1.1\r\nHost:")
            body.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")
            assert read_all(silent) == b"" and read_all(idle) == b""
            assert read_all(head).startswith(b"HTTP/1.1 408 ")
            assert read_all(body).startswith(b"HTTP/1.1 408 ")


def test_time_that_the_worker_slept_through_does_not_count():
    with daemon(timeouts={"header": "3s"}) as d:
        d.get("/x")
        until = time.monotonic() + 3.8
        eventually(lambda: time.monotonic() > until)
        with d.connect() as s:
            until = time.monotonic() + 0.5
            eventually(lambda: time.monotonic() > until)
            s.sendall(GET % b"/late")
            assert answer(s) == (200, b"/late")


def test_a_body_that_keeps_coming_is_not_timed_out():
    with daemon(timeouts={"body": "3s"}) as d, d.connect() as s:
        s.sendall(b"POST /s HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
        begun = time.monotonic()
        for _ in range(8):
            until = time.monotonic() + 0.5
            eventually(lambda: time.monotonic() > until)
            s.sendall(b"b")
        assert answer(s) == (200, b"/s" + b"b" * 8)
        assert time.monotonic() - begun > 3.5


def test_a_reader_that_takes_nothing_is_cut_at_the_write_timeout():
    with Daemon(app="app:application", config={"timeouts": {"write": "500ms"}}, files={"app.py": """
state = []
class Endless:
    def __iter__(self): return self
    def __next__(self): return b'x' * 100000
    def close(self): state.append('closed')
def application(environ, start_response):
    path = environ['PATH_INFO']
    write = start_response('200 OK', [])
    if path == '/endless':
        return Endless()
    if path == '/write':
        try:
            while True: write(b'x' * 100000)
        except OSError as e:
            state.append(type(e).__name__)
    return [' '.join(state).encode()]
"""}) as d:
        for path, said in (("/endless", "closed"), ("/write", "closed BrokenPipeError")):
            with d.connect() as s:
                s.sendall(GET % path.encode())
                eventually(lambda: d.get("/", timeout=20).text == said)
                assert s.recv(10)


def test_200_clients_that_send_a_byte_at_a_time_disturb_nobody():
    with daemon(timeouts={"header": "10s"}) as d:
        slow = [d.connect() for _ in range(200)]
        line = b"GET /slow HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1000
        pid, = d.worker_pids()
        sent, stop = 0, time.monotonic() + 2
        while time.monotonic() < stop:
            for s in slow:
                s.sendall(line[sent:sent + 1])
            sent += 1
            assert d.get("/quick").text == "/quick"
        assert not select.select(slow, [], [], 0)[0]  # none of them had to be let go before
        rss = int(open(f"/proc/{pid}/status").read().split("VmRSS:")[1].split()[0])
        assert SLOW > 1 or rss < 25000, rss
        for s in slow:
            assert read_all(s).startswith(b"HTTP/1.1 408 ")
            s.close()


def test_connections_beyond_the_limit_wait_their_turn():
    with daemon(limits={"connections": 3}) as d:
        held = [d.connect() for _ in range(3)]
        for s in held:
            s.sendall(GET % b"/x")
            assert answer(s) == (200, b"/x")
        with d.connect(timeout=0.3) as late:
            late.sendall(GET % b"/late")
            with pytest.raises(TimeoutError):
                late.recv(1)
            held.pop().close()
            late.settimeout(20 * SLOW)
            assert answer(late) == (200, b"/late")
        for s in held:
            s.close()


def test_a_connection_that_is_reset_in_the_middle_leaves_the_others_alone(server):
    for piece in (b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx", GET % b"/a" * 50):
        for _ in range(20):
            s = server.connect()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.sendall(piece)
            s.close()
    assert server.get("/ok").text == "/ok"


# The access log.

def access_lines(d, n):
    return eventually(lambda: len(d.output().splitlines()) >= n and d.output().splitlines())


def test_the_access_log_has_a_line_for_each_request():
    with daemon(log={"access_format": "combined"}) as d:
        d.get("/a?b=c", headers={"Referer": "http://r/\"x", "User-Agent": "agent\\1"})
        d.raw(b"bad\r\n\r\n")
        d.request("HEAD", "/h", headers={"User-Agent": "t"})
        one, two, three = access_lines(d, 3)
    assert one.startswith("127.0.0.1 - - [")
    assert one.endswith('] "GET /a?b=c HTTP/1.1" 200 2 "http://r/\\"x" "agent\\\\1"')
    assert '] "-" 400 ' in two
    assert three.endswith('] "HEAD /h HTTP/1.1" 200 0 "-" "t"')


def test_the_common_and_json_forms():
    with daemon(log={"access_format": "common"}) as d:
        d.get("/a")
        assert access_lines(d, 1)[0].endswith('] "GET /a HTTP/1.1" 200 2')
    with daemon(log={"access_format": "json"}) as d:
        d.get("/a", headers={"User-Agent": "\"\\\xe9"})
        e = json.loads(access_lines(d, 1)[0])
        assert (e["method"], e["target"], e["protocol"], e["status"], e["bytes"]) == ("GET", "/a", "HTTP/1.1", 200, 2)
        assert e["remote"] == "127.0.0.1" and e["agent"] == "\"\\\xe9" and 0 <= e["duration"] < 10


def test_the_access_log_may_be_off_or_a_file_that_is_reopened(tmp_path):
    with daemon(log={"access": "off"}) as d:
        d.get("/a")
        assert d.output() == ""
    path = tmp_path / "access.log"
    with daemon(log={"access": str(path)}) as d:
        d.get("/one")
        eventually(lambda: path.exists() and "GET /one" in path.read_text())
        path.rename(tmp_path / "access.log.1")
        for pid in d.worker_pids():
            os.kill(pid, signal.SIGUSR1)
        eventually(lambda: d.get("/two").status == 200 and path.exists() and "GET /two" in path.read_text())
        assert "/one" not in path.read_text()


# Start and end.

def test_a_drain_lets_what_runs_finish(tmp_path):
    go = tmp_path / "go"
    d = daemon().start()
    try:
        idle, busy = d.connect(), d.connect()
        idle.sendall(GET % b"/idle")
        assert answer(idle) == (200, b"/idle")
        busy.sendall(b"GET /wait?%s HTTP/1.1\r\nHost: x\r\n\r\n" % str(go).encode())
        eventually(lambda: (tmp_path / "go.begun").exists())
        d.proc.send_signal(signal.SIGTERM)
        go.touch()
        data = read_all(busy)
        assert data.startswith(b"HTTP/1.1 200 OK") and data.endswith(b"/wait")
        assert read_all(idle) == b""
        assert d.wait() == 0
    finally:
        d.stop()


@pytest.mark.parametrize("app,files,said", [
    ("app:application", {"app.py": "import nothing_like_it\n"}, "ModuleNotFoundError: No module named 'nothing_like_it'; python.venv is not set"),
    ("app:application", {"app.py": "import app.part\n"}, "No module named 'app.part'; 'app' is not a package\n"),
    ("other.wsgi:application", {"app.py": ""}, "ModuleNotFoundError: No module named 'other'; python.path is /"),
    ("app:application", {"app.py": "1 +\n"}, "SyntaxError"),
    ("app:application", {"app.py": "raise SystemExit(0)\n"}, "SystemExit"),
    ("app:missing", {"app.py": ""}, "AttributeError: module 'app' has no attribute 'missing'"),
    ("app:missing", {"app.py": "app = 3\n"},
     "AttributeError: module 'app' has no attribute 'missing'; did you mean app:app?"),
    ("app:application", {"app.py": "def create_app(): pass\n"}, "did you mean app:create_app()?"),
    ("app.py:application", {"app.py": ""}, "ModuleNotFoundError: app.py is the name of a file; the module is app"),
    ("app:make()", {"app.py": "async def make(): pass\n"}, "TypeError: app:make() is an async function"),
    ("app:make", {"app.py": "def make(): pass\n"}, "takes no arguments: where it makes the application, put () behind"),
    ("app:value", {"app.py": "value = 3\n"}, "TypeError: app:value is not callable: 3"),
    ("app:make()", {"app.py": "def make():\n raise ValueError('not made')\n"}, "ValueError: not made"),
], ids=range(13))
def test_an_application_that_cannot_be_loaded_ends_the_start_with_70(app, files, said):
    d = Daemon(app=app, files=files).launch()
    try:
        assert d.wait() == 70
        assert said in d.log() and f"worker: the application {app} cannot be loaded" in d.log()
    finally:
        d.stop()


def test_names_with_dots_and_factories_are_found():
    with Daemon(app="pack.mod:holder.make()", files={"pack/__init__.py": "", "pack/mod.py": """
class holder:
    @staticmethod
    def make():
        def app(environ, start_response):
            start_response('200 OK', [])
            return [b'made']
        return app
"""}) as d:
        assert d.get("/").text == "made"


SHOW = """
import json, os, sys
def application(environ, start_response):
    start_response('200 OK', [])
    try:
        import hornbeam_erlang
        found = hornbeam_erlang.__file__
    except ImportError as e:
        found = str(e)
    try:
        import flask
        flask = True
    except ImportError:
        flask = False
    return [json.dumps([sys.prefix, sys.executable, found, flask, os.environ.get('MY_SETTING'), sys.path]).encode()]
"""


def test_a_venv_without_system_packages_finds_the_module(tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", str(venv)], check=True)
    env = {"PYTHONPATH": ""}
    with Daemon(app="show:application", files={"show.py": SHOW}, env=env,
                config={"python": {"venv": str(venv), "env": {"MY_SETTING": "set"}}}) as d:
        prefix, executable, found, flask, setting, path = json.loads(d.get("/").body)
        assert prefix == str(venv) and executable == str(venv / "bin" / "python")
        assert found == str(BUILD / "pylib" / "hornbeam_erlang" / "__init__.py")
        assert not flask and setting == "set"
        assert path[0] == str(d.dir / "app") and str(venv / "lib" / "python3.11" / "site-packages") in path
    (venv / "pyvenv.cfg").write_text((venv / "pyvenv.cfg").read_text().replace("= false", "= true"))
    with Daemon(app="show:application", files={"show.py": SHOW}, env=env,
                config={"python": {"venv": str(venv)}}) as d:
        assert json.loads(d.get("/").body)[3] is True


@pytest.mark.parametrize("make,said", [
    (lambda p: (p / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.9.2\n"), "is of Python 3.9.2, hornbeamd has Python 3.11"),
    (lambda p: (p / "pyvenv.cfg").write_text("version_info = 3.12.0.final.0\n"), "is of Python 3.12.0.final.0"),
    (lambda p: None, "not a virtual environment"),
    (lambda p: (p / "pyvenv.cfg").write_text("version = 3.11.2\n"), "bin/python"),
], ids=["other", "virtualenv", "none", "no program"])
def test_what_is_no_venv_of_this_python_is_refused_by_name(tmp_path, make, said):
    make(tmp_path)
    d = Daemon(app="app:application", files=FILES, config={"python": {"venv": str(tmp_path)}}).launch()
    try:
        assert d.wait() == 78
        assert said in d.log() and str(tmp_path) in d.log()
    finally:
        d.stop()


def test_state_works_in_the_application_and_in_what_it_starts():
    with Daemon(app="app:application", files={"app.py": """
import subprocess, sys
from hornbeam_erlang import state_incr
def application(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/child':
        code = "from hornbeam_erlang import state_incr; print(state_incr('n'))"
        return [subprocess.check_output([sys.executable, '-c', code])]
    return [b'%d' % state_incr('n')]
"""}) as d:
        assert d.get("/").text == "1"
        if SLOW == 1: # a Python without the sanitizers cannot load the module that has them
            assert d.get("/child").text == "2\n"
            assert d.get("/").text == "3"


def test_a_crash_in_native_code_is_logged_with_the_python_stack():
    with Daemon(app="app:application", files={"app.py": """
import ctypes
def crash_here():
    ctypes.string_at(0)
def application(environ, start_response):
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/crash':
        crash_here()
    return [b'ok']
"""}) as d:
        if SLOW > 1:
            pytest.skip("the sanitizer has the signal")
        assert d.raw(GET % b"/crash") == b""
        eventually(lambda: "in crash_here" in d.log())
        eventually(lambda: d.worker_pids())
        assert eventually(lambda: d.get("/").text == "ok")


def test_a_forked_child_holds_no_connection_and_its_signals_are_its_own():
    with Daemon(app="app:application", files={"app.py": """
import os, signal
pids = []
def application(environ, start_response):
    start_response('200 OK', [('Connection', 'close')])
    if environ['PATH_INFO'] == '/end':
        os.kill(pids[0], signal.SIGTERM)
        return [b'%d' % os.waitstatus_to_exitcode(os.waitpid(pids[0], 0)[1])]
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    pids.append(pid)
    return [b'forked']
"""}) as d:
        assert d.raw(GET % b"/fork").endswith(b"forked")
        pids = d.worker_pids()
        assert d.get("/end").text == str(-signal.SIGTERM)
        for _ in range(20):
            assert d.get("/fork").text == "forked"
        assert d.worker_pids() == pids and "draining" not in d.log()
        for pid in children(pids[0]):
            os.kill(pid, signal.SIGTERM)


def test_a_small_worker_is_small(server):
    if SLOW > 1:
        pytest.skip("the sanitizer's memory counts too")
    with Daemon() as d:
        d.get("/")
        pid, = d.worker_pids()
        rss = int(open(f"/proc/{pid}/status").read().split("VmRSS:")[1].split()[0])
        assert rss <= 18 * 1024, rss


def test_threads_of_the_application_run_while_the_worker_waits():
    with Daemon(app="app:application", files={"app.py": """
import threading, time
count = 0
def run():
    global count
    while True:
        count += 1
        time.sleep(0.005)
threading.Thread(target=run, daemon=True).start()
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'%d' % count]
"""}) as d:
        first = int(d.get("/").text)
        eventually(lambda: int(d.get("/").text) > first + 5)
