"""A real companion for tests of the Python module, started as hornbeamd starts it.

    with Companion() as c:
        run(c, "state_set('k', 1)")

The link's socket is c.link; a process talks to it straight after
`_hornbeam.configure(c.link, "direct", "client")`.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

from hornbeam_erlang import Atom, _hornbeam, rpc_call

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["top_builddir"])
#: Everything takes longer under the sanitizers.
SLOW = 4 if os.environ.get("HORNBEAM_ASAN") == "yes" else 1

#: A process of its own that is linked to the companion whose link is argv[1].
PREAMBLE = """
import os, signal, sys, threading, time
from hornbeam_erlang import *
from hornbeam_erlang import _hornbeam
_hornbeam.configure(sys.argv[1], "direct", "client")
def reap(pid):
    status = os.waitpid(pid, 0)[1]
    assert status == 0, status
def wait_until_asleep(thread):
    while open(f"/proc/self/task/{thread.native_id}/stat").read().rpartition(")")[2].split()[0] != "S":
        pass
"""


def eventually(condition, seconds=30.0):
    """Waits until condition() is true and returns its value; fails after seconds."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {condition}"
        time.sleep(0.005)


class Companion:
    """erl with the application hornbeam; limits are those of the key `state`, directory that of one that it succeeds."""

    def __init__(self, directory=None, **limits):
        self.dir = directory or pathlib.Path(tempfile.mkdtemp(prefix="hb-py-"))
        self.link = str(self.dir / "link")
        self.limits = {"max_keys": 0, "max_bytes": 0, "max_value": 8 << 20, **limits}
        self.proc = None
        self.master = None

    def start(self):
        ours, theirs = socket.socketpair()
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        env["HOME"] = str(self.dir)
        self.proc = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$0" "$@" 3>&1 1>&2', os.environ.get("ERL", "erl"), "-noshell", "-noinput",
             "-boot", "no_dot_erlang", "-kernel", "logger", "[{handler,default,undefined}]", "-start_epmd", "false",
             "+S", "2:2", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "-pa", str(BUILD / "erlang" / "ebin"), "-s", "hornbeam_embedded"],
            stdin=theirs, stdout=theirs, env=env, cwd=self.dir)
        theirs.close()
        self.master = ours
        version = next(line.split('"')[1] for line in (BUILD / "config.h").read_text().splitlines()
                       if line.startswith("#define PACKAGE_VERSION"))
        state = {Atom(k): v for k, v in self.limits.items()}
        self.send({Atom("link"): self.link, Atom("state"): state, Atom("log_level"): Atom("warning"),
                   Atom("vsn"): version})
        answer = self.receive()
        assert answer[0] == "ready", answer
        return self

    def send(self, term):
        data = _hornbeam.encode(term)
        self.master.sendall(struct.pack(">I", len(data)) + data)

    def receive(self):
        self.master.settimeout(30 * SLOW)
        size = struct.unpack(">I", self.exactly(4))[0]
        return _hornbeam.decode(self.exactly(size))

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.master.recv(n - len(data))
            assert part, "the companion ended"
            data += part
        return data

    @property
    def pid(self):
        """Of the BEAM itself, which erl becomes."""
        return self.proc.pid

    def signal(self, number):
        os.kill(self.pid, number)

    def pause(self):
        """SIGSTOP, and waits until each of its threads has stopped."""
        self.signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.pid}/task")
        eventually(lambda: all((t / "stat").read_text().rpartition(")")[2].split()[0] == "T" for t in tasks.iterdir()))

    def kill(self):
        self.signal(signal.SIGKILL)
        self.proc.wait()
        self.master.close()

    def stop(self):
        """End of file is the end of a companion; it must not need more."""
        self.master.close()
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
        try:
            self.proc.wait(20 * SLOW)
        finally:
            if self.proc.poll() is None:
                self.proc.kill()
                self.proc.wait()
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


def script(companion, code):
    """Starts a Python process; it says what it wants on its standard output."""
    return subprocess.Popen([sys.executable, "-c", PREAMBLE + code, companion.link], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(companion, code, timeout=60):
    process = script(companion, code)
    out, err = process.communicate(timeout=timeout * SLOW)
    assert process.returncode == 0, err
    return out


def register_functions(directory):
    """Compiles calls_peer.erl and registers its functions with the companion of this process."""
    subprocess.run([os.environ.get("ERLC", "erlc"), "-o", directory, HERE / "calls_peer.erl"], check=True)
    assert rpc_call("local", "code", "add_patha", [list(os.fsencode(directory))]) is True
    for name in ("echo", "fine", "failed", "raises", "late", "held", "is_held", "colliding", "improper", "killed"):
        rpc_call("local", "hornbeam", "register_function", [name, Atom("calls_peer"), Atom(name)])
