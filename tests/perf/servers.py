"""The servers that are measured: Hornbeam and its peers, all on one core.

Each is set as its users set it for speed: one process, no access log.
NOTES tells why a setting that looks better was not taken.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import harness

APPS = pathlib.Path(__file__).resolve().parent / "apps"
#: The servers' core, and the load generators'.
SERVER, CLIENT = ["taskset", "-c", "0"], ["taskset", "-c", "1"]


def cause(exception):
    """One line on why a server could not be measured: of a daemon's log the error, not what followed it."""
    lines = str(exception).strip().splitlines() or [type(exception).__name__]
    return next((line for line in lines if re.search(r"\berror\b", line)), lines[0])


def source(name):
    return (APPS / f"{name}.py").read_text()


class Process:
    """A peer's server, ended by its process id."""

    def __init__(self, *args, ready, **more):
        self.proc = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
        try:
            harness.eventually(lambda: ready() or self.proc.poll() is not None, 20, f"{args} did not start")
            if self.proc.poll() is not None:
                raise AssertionError(f"{' '.join(args)}: ended with {self.proc.returncode}")
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self.proc

    def __exit__(self, *_):
        self.proc.terminate()
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait(10)


def redis_server(directory):
    path = f"{directory}/redis.sock"
    return path, Process("redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                         "--dir", directory, ready=lambda: os.path.exists(path))


def gunicorn(*options):
    return lambda port, module, app: ["/usr/bin/gunicorn", "-w", "1", "-b", f"127.0.0.1:{port}", *options,
                                      f"{module}:{app}"]


def uvicorn(port, module, app):
    return ["/usr/bin/uvicorn", "--loop", "uvloop", "--http", "httptools", "--ws", "websockets", "--no-access-log",
            "--log-level", "critical", "--port", str(port), f"{module}:{app}"]


def uwsgi(port, module, app):
    return ["/usr/bin/uwsgi", "--plugin", "python3", "--http-socket", f"127.0.0.1:{port}", "--processes", "1",
            "--master", "--die-on-term", "--disable-logging", "--add-header", "Connection: close", "--listen", "100",
            "--module", f"{module}:{app}"]


def responder(port, module=None, app=None):
    return [str(harness.BUILD / "tests/perf/responder"), str(port)]


PEERS = {
    "gunicorn": gunicorn(),
    "gunicorn gthread": gunicorn("-k", "gthread", "--threads", "4"),
    "uWSGI": uwsgi,
    "uvicorn": uvicorn,
    "responder": responder,
}


def listening(port):
    """Whether something listens on a port; asked of the kernel, as not every server answers plain HTTP."""
    wanted = f"0100007F:{port:04X}"
    lines = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(fields[1] == wanted and fields[3] == "0A" for fields in lines)


class Server:
    """One that runs: its port and the processes whose time is its."""

    def __init__(self, port, pids):
        self.port = port
        self.pids = pids


class Peer:
    """A peer with an application of apps/, as a context: a Server."""

    def __init__(self, name, module=None, app=None, core=SERVER):
        self.args = (name, module, app)
        self.core = core

    def __enter__(self):
        name, module, app = self.args
        self.directory = tempfile.mkdtemp(prefix="hb-perf-")
        port = harness.free_port()
        try:
            if module:
                shutil.copy(APPS / f"{module}.py", self.directory)
            env = {**os.environ, "PYTHONPATH": self.directory, "PYTHONDONTWRITEBYTECODE": "1"}
            self.process = Process(*self.core, *PEERS[name](port, module, app), ready=lambda: listening(port),
                                   cwd=self.directory, env=env)
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        pid = self.process.proc.pid
        # The workers of a pre-forking peer come after its listener.
        if name in ("gunicorn", "gunicorn gthread", "uWSGI"):
            harness.eventually(lambda: harness.descendants(pid), 10, f"{name} has no worker")
        return Server(port, [pid, *harness.descendants(pid)])

    def __exit__(self, *_):
        self.process.__exit__()
        shutil.rmtree(self.directory)


def hornbeam(module, app, *, config=None, core=SERVER):
    """Hornbeam with an application of apps/; a harness.Daemon."""
    return harness.Daemon(f"{module}:{app}", files={f"{module}.py": source(module)}, wrap=core,
                          config={"log": {"access": "off"}, "workers": 1, "threads": 1, **(config or {})})


class Ours:
    """Hornbeam as a context: a Server."""

    def __init__(self, module, app, **more):
        self.daemon = hornbeam(module, app, **more)

    def __enter__(self):
        self.daemon.__enter__()
        return Server(self.daemon.port, self.daemon.worker_pids())

    def __exit__(self, *what):
        self.daemon.__exit__(*what)
