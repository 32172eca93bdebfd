"""A real hornbeamd for a test: its own directory, port and sockets.

    with Daemon(files={"app.py": SOURCE}, app="app:application") as d:
        assert d.get("/").status == 200
        d.hornbeam("state", "get", "k")

Processes are ended by their ids; on leaving the block the daemon must have
ended, have left no process behind and must have logged no sanitizer report.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ["top_builddir"])
SOURCE = pathlib.Path(os.environ["top_srcdir"])
PYTHON = os.environ.get("PYTHON", sys.executable)
ASAN = os.environ.get("HORNBEAM_ASAN") == "yes"
#: Everything takes longer under the sanitizers.
SLOW = 4 if ASAN else 1
#: What a plain Python needs in its environment to load the module of a build with sanitizers.
PRELOAD = {"LD_PRELOAD": os.environ["HORNBEAM_LIBASAN"]} if ASAN else {}
ASAN_OPTIONS = "detect_leaks=0:handle_segv=0"
#: For a Daemon whose memory is measured: the sanitizer does not hold back what was freed.
NO_QUARANTINE = {"ASAN_OPTIONS": f"{ASAN_OPTIONS}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}

HELLO = {
    "app.py": """
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello\\n']
"""
}


def eventually(condition, seconds=20.0, what=None):
    """Waits until condition() is true and returns its value; fails after seconds."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(what or f"not within {seconds} s: {condition}")
        time.sleep(0.01)


def free_port(host="127.0.0.1"):
    """A TCP port of host that nothing listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        s.bind((host, 0))
        return s.getsockname()[1]


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def resident(pid):
    """The resident memory of a process, in bytes."""
    return int(pathlib.Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) * 1024


def pause(pid):
    """SIGSTOP, and waits until each thread of the process has stopped."""
    os.kill(pid, signal.SIGSTOP)
    tasks = pathlib.Path(f"/proc/{pid}/task")
    eventually(lambda: all((t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in tasks.iterdir()))


def children(pid):
    """The ids of a process's children."""
    try:
        tasks = list(pathlib.Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []
    found = []
    for task in tasks:
        with contextlib.suppress(OSError):
            found += [int(p) for p in (task / "children").read_text().split()]
    return found


def descendants(pid):
    """The ids of all processes below one."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def environment(**extra):
    """The environment of a freshly built Hornbeam, as `build/run` makes it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("HORNBEAM_")}
    env["PATH"] = f"{BUILD}:{env['PATH']}"
    env["PYTHONPATH"] = f"{BUILD}/pylib"
    env["HORNBEAM_BUILD"] = str(BUILD)
    env.pop("LD_PRELOAD", None)
    env.pop("VIRTUAL_ENV", None)
    if ASAN:
        env["ASAN_OPTIONS"] = ASAN_OPTIONS
        env["PYTHONMALLOC"] = "malloc"
    env.update(extra)
    return env


class Response:
    """status, headers (a dict with lower-case names) and body of an answer."""

    def __init__(self, answer):
        self.status = answer.status
        self.reason = answer.reason
        self.headers = {k.lower(): v for k, v in answer.getheaders()}
        self.body = answer.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Site:
    """Whatever serves HTTP on its port."""

    def request(self, method, path, body=None, headers=None, timeout=20.0):
        """One request on a connection of its own."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout * SLOW)
        try:
            conn.request(method, path, body=body, headers=headers or {})
            return Response(conn.getresponse())
        finally:
            conn.close()

    def get(self, path="/", **more):
        return self.request("GET", path, **more)


class Daemon(Site):
    """hornbeamd with a configuration of its own.

    files: name -> text, written into a directory on python.path.
    app: mounted at "/"; or apps: the whole list.
    config: further keys of hornbeam.yaml, as a dict (merged over the defaults here).
    args, env: further arguments and environment variables.
    wrap: a command put in front (for instance ["setpriv", ...]).
    stdout, stderr: descriptors instead of the files that output() and log() read.
    """

    def __init__(self, app=None, *, files=None, apps=None, config=None, args=(), env=None, wrap=(), stdout=None,
                 stderr=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hb-"))
        self.dir.chmod(0o755)
        self.port = free_port()
        self.socket = self.dir / "run" / "control.sock"
        self.socket.parent.mkdir()
        self.args = list(args)
        self.env = env or {}
        self.wrap = list(wrap)
        self.streams = {"stdout": stdout, "stderr": stderr}
        self.proc = None
        self.seen = set()
        code = self.dir / "app"
        code.mkdir()
        if app is None and apps is None:
            app, files = "app:application", dict(HELLO, **(files or {}))
        for name, text in (files or {}).items():
            path = code / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.config = {
            "listen": [f"127.0.0.1:{self.port}"],
            "apps": apps if apps is not None else [{"mount": "/", "app": app}],
            "python": {"path": [str(code)]},
            "workers": 1,
            "control": {"socket": str(self.socket)},
        }
        for key, value in (config or {}).items():
            if isinstance(value, dict) and isinstance(self.config.get(key), dict):
                self.config[key] = {**self.config[key], **value}
            else:
                self.config[key] = value
        self.file = self.dir / "hornbeam.yaml"
        self.stderr = self.dir / "stderr"

    # Start and stop.

    def launch(self):
        """Starts hornbeamd and returns at once."""
        self.file.write_text(json.dumps(self.config, indent=1))  # JSON is YAML
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.dir / "notify"))
        os.chmod(self.dir / "notify", 0o777)
        self.notify.setblocking(False)
        env = environment(NOTIFY_SOCKET=str(self.dir / "notify"), **self.env)
        with open(self.stderr, "ab") as err, open(self.dir / "stdout", "ab") as out:
            given = {name: fd for name, fd in self.streams.items() if fd is not None}
            self.proc = subprocess.Popen(
                [*self.wrap, str(BUILD / "hornbeamd"), "-c", str(self.file), *self.args],
                stdin=subprocess.DEVNULL, env=env, cwd=self.dir, **{"stdout": out, "stderr": err, **given})
        return self

    def start(self, seconds=60):
        """Starts hornbeamd and returns when it says that it is ready."""
        self.launch()
        eventually(lambda: self.is_ready() or self.proc.poll() is not None, seconds, "hornbeamd was not ready")
        if self.proc.poll() is not None:
            raise AssertionError(f"hornbeamd ended with {self.proc.returncode}:\n{self.log()}")
        self.note()
        return self

    def is_ready(self):
        with contextlib.suppress(BlockingIOError):
            return b"READY=1" in self.notify.recv(4096)
        return False

    def note(self):
        """Remembers the processes that run now, for the check at the end."""
        self.seen.update(descendants(self.proc.pid))

    def wait(self, seconds=30):
        """The exit status, once hornbeamd has ended by itself."""
        return self.proc.wait(seconds * SLOW)

    def stop(self):
        """SIGTERM, the exit status, and the checks that the class promises."""
        try:
            if self.proc is not None and self.proc.poll() is None:
                self.note()
                self.proc.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.proc.wait(60 * SLOW)
            hung = self.proc is not None and self.proc.poll() is None
            left = []
            with contextlib.suppress(AssertionError):
                eventually(lambda: not any(alive(p) for p in self.seen))
            left = [p for p in self.seen if alive(p)]
            for pid in [*left, *([self.proc.pid] if hung else [])]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            assert not hung, f"hornbeamd did not end at SIGTERM:\n{self.log()}"
            assert not left, f"processes left behind: {left}\n{self.log()}"
            text = self.log()
            for report in ("AddressSanitizer", "runtime error:", "LeakSanitizer"):
                assert report not in text, text
            return self.proc.returncode if self.proc else None
        finally:
            if self.proc is not None:
                self.notify.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            with contextlib.suppress(AssertionError):
                self.stop()
            raise

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            print(self.log(), file=sys.stderr)
            with contextlib.suppress(AssertionError):
                self.stop()

    @contextlib.contextmanager
    def without_companion(self):
        """The companion is killed, and cannot come back before the end of the block: a directory is where its socket would be."""
        link = pathlib.Path(f"{self.socket}.link")
        link.unlink()
        link.mkdir()
        pid = self.companion_pid()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not alive(pid))
        try:
            yield
        finally:
            link.rmdir()

    # A look inside.

    def log(self):
        """What hornbeamd, its workers and its companion wrote to standard error."""
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def output(self):
        """What went to standard output (the access log, by default)."""
        path = self.dir / "stdout"
        return path.read_text(errors="replace") if path.exists() else ""

    def worker_pids(self):
        """The process ids of the workers, in no order."""
        return [p for p in children(self.proc.pid) if b"--worker" in self.cmdline(p)]

    def companion_pid(self):
        """The process id of the BEAM, or None."""
        for pid in descendants(self.proc.pid):
            if self.cmdline(pid).split(b"\0")[0].endswith(b"beam.smp"):
                return pid
        return None

    @staticmethod
    def cmdline(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""

    # Clients.

    def connect(self, timeout=20.0):
        """A connected TCP socket."""
        return socket.create_connection(("127.0.0.1", self.port), timeout * SLOW)

    def raw(self, data, timeout=20.0):
        """Sends bytes and returns all that comes until the server closes."""
        with self.connect(timeout) as s:
            s.sendall(data)
            return read_all(s)

    def hornbeam(self, *args, **more):
        """Runs the command line on this daemon; a CompletedProcess with text output."""
        options = {"text": True, "capture_output": True, "timeout": 60 * SLOW, **more}
        env = environment(HORNBEAM_SOCKET=str(self.socket), **options.pop("env", {}))
        return subprocess.run([str(BUILD / "hornbeam"), *args], env=env, check=False, **options)

    def python(self, code, **more):
        """Runs a Python script on this daemon; a CompletedProcess with text output."""
        options = {"text": True, "capture_output": True, "timeout": 60 * SLOW, **more}
        env = environment(HORNBEAM_SOCKET=str(self.socket), **PRELOAD, **options.pop("env", {}))
        return subprocess.run([PYTHON, "-c", code], env=env, check=False, **options)


def readable_build(d):
    """A copy of what the daemon's user must be able to read; the build may lie in a private directory."""
    stage = d.dir / "stage"
    shutil.copytree(BUILD / "erlang" / "ebin", stage / "erlang" / "ebin")
    shutil.copytree(BUILD / "pylib", stage / "pylib")
    return {"HORNBEAM_BUILD": str(stage), "PYTHONPATH": str(stage / "pylib")}


def read_all(s):
    """Everything that comes on a socket until its end."""
    parts = []
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
