"""hornbeam run: a server of the user's own in the foreground."""

import contextlib
import http.client
import json
import os
import signal
import socket
import stat
import subprocess

import pytest

import harness
from ws_client import Client


class Run:
    """hornbeam run with a private run directory; stopped with Ctrl-C's signal."""

    def __init__(self, tmp_path, *args, app="app:application", **env):
        self.dir = tmp_path
        self.runtime = tmp_path / "xdg"
        self.runtime.mkdir(exist_ok=True)
        (tmp_path / "app.py").write_text(harness.HELLO["app.py"])
        self.port = harness.free_port()
        self.env = harness.environment(XDG_RUNTIME_DIR=str(self.runtime), **env)
        self.log = tmp_path / "log"
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen(
                [str(harness.BUILD / "hornbeam"), "run", app, "--bind", f"127.0.0.1:{self.port}", *args],
                cwd=tmp_path, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def hornbeam(self, *args):
        return subprocess.run(
            [str(harness.BUILD / "hornbeam"), *args], capture_output=True, text=True, env=self.env, timeout=60,
            cwd=self.dir)

    def get(self):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10 * harness.SLOW)
        with contextlib.closing(conn):
            conn.request("GET", "/")
            return conn.getresponse().read()

    def ready(self):
        def is_ready():
            assert self.proc.poll() is None, self.log.read_text()
            done = self.hornbeam("status", "-o", "json", "-q")
            return done.returncode == 0 and json.loads(done.stdout)["master"]["state"] == "ready"

        harness.eventually(is_ready, 30)
        harness.eventually(lambda: self.hornbeam("ping", "-q").returncode == 0, 30)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pids = harness.descendants(self.proc.pid)
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGINT)
        try:
            self.proc.wait(20 * harness.SLOW)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            raise
        harness.eventually(lambda: not any(harness.alive(p) for p in pids))


def test_run_serves_the_application_and_the_command_line_finds_it(tmp_path):
    with Run(tmp_path) as run:
        run.ready()
        assert run.get() == b"hello\n"
        assert run.hornbeam("state", "incr", "k").stdout == "1\n"
        assert len(run.hornbeam("workers").stdout.splitlines()) == 2
        directory = run.runtime / "hornbeam"
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert (directory / "control.sock").is_socket()
    assert run.proc.returncode == 0


def test_the_active_virtual_environment_is_the_applications(tmp_path):
    for name in ("active", "named"):
        subprocess.run([harness.PYTHON, "-m", "venv", "--without-pip", str(tmp_path / name)], check=True)
    (tmp_path / "where.py").write_text(
        "import sys\ndef application(environ, start_response):\n"
        "    start_response('200 OK', [])\n    return [sys.prefix.encode()]\n")
    env = {"VIRTUAL_ENV": str(tmp_path / "active"), "PYTHONPATH": ""}
    with Run(tmp_path, app="where", **env) as run:
        run.ready()
        assert run.get() == bytes(tmp_path / "active")
    with Run(tmp_path, "--venv", str(tmp_path / "named"), app="where", **env) as run:
        run.ready()
        assert run.get() == bytes(tmp_path / "named")


def test_a_second_run_is_refused_with_the_first_one_named(tmp_path):
    with Run(tmp_path) as run:
        run.ready()
        done = run.hornbeam("run", "app:application", "--bind", f"127.0.0.1:{harness.free_port()}")
        assert done.returncode == 73
        assert f"process {run.proc.pid}," in done.stderr and "-s" in done.stderr


@pytest.mark.parametrize(("directory", "said"), [
    ("/nonexistent", "cannot make /nonexistent/hornbeam for the sockets (see XDG_RUNTIME_DIR, or name a socket with -s)"),
    ("/tmp/" + "d" * 100, "XDG_RUNTIME_DIR is longer than the 107 bytes of a socket's path")])
def test_a_runtime_directory_that_cannot_be_used_is_named(tmp_path, directory, said):
    with Run(tmp_path) as run:
        run.ready()
        run.env["XDG_RUNTIME_DIR"] = directory
        done = run.hornbeam("run", "app")
        assert done.returncode == 71 and said in done.stderr


def test_ctrl_c_closes_websockets_and_waits_for_no_stream_for_long(tmp_path):
    (tmp_path / "live.py").write_text("""
import asyncio

async def application(scope, receive, send):
    await receive()
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.accept'})
        return await receive()
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    while True:
        await send({'type': 'http.response.body', 'body': b'tick', 'more_body': True})
        await asyncio.sleep(0.01)
""")
    with Run(tmp_path, "--set", "lifespan=off", app="live") as run:
        run.ready()
        address = ("127.0.0.1", run.port)
        with socket.create_connection(address, 30 * harness.SLOW) as s, Client(
                socket.create_connection(address, 30 * harness.SLOW)) as c:
            s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert s.recv(1)
            run.proc.send_signal(signal.SIGINT)
            assert c.closed()[0] == 1001
            assert run.proc.wait(20 * harness.SLOW) == 0
            assert "timeouts.graceful is over" in run.log.read_text()


def test_a_run_that_was_killed_leaves_nothing_in_the_way(tmp_path):
    with Run(tmp_path) as run:
        run.ready()
        pids = harness.descendants(run.proc.pid)
        run.proc.kill()
        run.proc.wait()
        harness.eventually(lambda: not any(harness.alive(p) for p in pids))
    with Run(tmp_path) as run:
        run.ready()
        assert run.get() == b"hello\n"


def test_options_reach_the_server(tmp_path):
    (tmp_path / "lib \"x\"").mkdir()
    (tmp_path / "lib \"x\"" / "greet.py").write_text(
        "def make():\n"
        "    def app(environ, start_response):\n"
        "        start_response('200 OK', [('Content-Type', 'text/plain')])\n"
        "        return [b'greetings']\n"
        "    return app\n")
    socket_path = tmp_path / "own.sock"
    with Run(tmp_path, "--workers", "2", "-p", str(tmp_path / "lib \"x\""), "--set", "timeouts.graceful=5s",
             "-s", str(socket_path), app="greet:make()") as run:
        run.env["HORNBEAM_SOCKET"] = str(socket_path)
        run.ready()
        assert run.get() == b"greetings"
        assert len(run.hornbeam("workers").stdout.splitlines()) == 3


def test_module_alone_means_its_application(tmp_path):
    with Run(tmp_path, app="app") as run:
        run.ready()
        assert run.get() == b"hello\n"


@pytest.mark.parametrize("args", [["--workers", "none"], ["--set", "no.such.key=1"], ["--bind", "nowhere"]])
def test_a_wrong_option_is_the_servers_configuration_error(tmp_path, args):
    with Run(tmp_path, *args) as run:
        assert run.proc.wait(20 * harness.SLOW) == 78
        assert run.log.read_text()


@pytest.mark.parametrize("app", ["./app.py", "app/application", ":application", "", "app:make(1)"])
def test_what_cannot_be_a_modules_callable_is_a_wrong_use(tmp_path, app):
    with Run(tmp_path, app=app) as run:
        assert run.proc.wait(20 * harness.SLOW) == 2
        assert run.log.read_text().startswith(f"hornbeam: run: expected MODULE:CALLABLE, such as ")
        assert f"found '{app}'" in run.log.read_text()


def test_run_listens_on_a_socket_in_the_current_directory(tmp_path):
    with Run(tmp_path, "--bind", "unix:app.sock", "--threads", "2") as run:
        run.ready()
        assert stat.S_ISSOCK((tmp_path / "app.sock").stat().st_mode)
        assert run.get() == b"hello\n"


def test_a_run_directory_that_others_may_write_is_refused(tmp_path):
    runtime = tmp_path / "xdg"
    (runtime / "hornbeam").mkdir(parents=True)
    os.chmod(runtime / "hornbeam", 0o777)
    with Run(tmp_path) as run:
        assert run.proc.wait(20 * harness.SLOW) == 4
        assert "0700" in run.log.read_text()


def test_without_an_application(tmp_path):
    done = subprocess.run(
        [str(harness.BUILD / "hornbeam"), "run"], capture_output=True, text=True, env=harness.environment(), timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("hornbeam: run needs MODULE:CALLABLE\n")
