"""Further Erlang nodes on this machine, for tests of clusters.

    with Beam("worker@127.0.0.3", cookie, epmd=port) as node:
        ...

A node ends at the end of the block, and when the tests end in whatever way: it
reads standard input.  Each test has an epmd of its own, by ERL_EPMD_PORT.
"""

import os
import pathlib
import socket
import struct
import subprocess

from harness import SLOW, descendants, eventually

COOKIE = "a-cookie-of-the-tests"
ERL = os.environ.get("ERL", "erl")
LIFE = 'spawn(fun() -> io:get_line(""), halt() end), io:format("up~n").'


def cookie_file(directory, text=COOKIE, mode=0o400):
    """A file for erlang.cookie_file."""
    path = pathlib.Path(directory) / "cookie"
    path.write_text(text)
    path.chmod(mode)
    return path


def tuple_of(address):
    """An IP address as an Erlang term."""
    if ":" in address:
        return "{" + ",".join(f"16#{g:x}" for g in struct.unpack("!8H", socket.inet_pton(socket.AF_INET6, address))) + "}"
    return "{" + address.replace(".", ",") + "}"


class Beam:
    """name: NAME@HOST; epmd: the port of epmd, or port: where nodes listen that have none."""

    def __init__(self, name, cookie, *, epmd=None, port=None, listen=None, args=()):
        host = name.partition("@")[2]
        self.name = name
        self.env = {**os.environ, **({"ERL_EPMD_PORT": str(epmd)} if epmd else {})}
        listen = listen or (host if host.replace(".", "").isdigit() else "127.0.0.1")
        self.args = [ERL, "-noshell", "-boot", "no_dot_erlang", "-name" if "." in host else "-sname", name, "-setcookie", cookie,
                     "-start_epmd", "false", *(["-erl_epmd_port", str(port)] if port else []),
                     "-kernel", "inet_dist_use_interface", tuple_of(listen),
                     *args, "-eval", LIFE]
        self.proc = None

    def start(self):
        self.proc = subprocess.Popen(self.args, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lines = []
        while not lines or lines[-1] != "up\n":
            line = self.proc.stdout.readline()
            assert line, f"{self.name} did not start: {lines}"
            lines.append(line)
        return self

    def kill(self):
        if self.proc is not None:
            self.proc.kill()
            self.proc.wait(10 * SLOW)
            self.proc.stdin.close()
            self.proc.stdout.close()
            self.proc = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


def answers(port, host="127.0.0.1"):
    """Whether somebody listens there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as s:
        return s.connect_ex((host, port)) == 0


def listeners(pid):
    """The addresses at which a process and its descendants listen, as hexadecimal ADDRESS:PORT of /proc/net."""
    inodes = set()
    for p in [pid, *descendants(pid)]:
        for fd in pathlib.Path(f"/proc/{p}/fd").iterdir():
            try:
                inodes.add(os.readlink(fd))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.add(fields[1])
    return found


def is_loopback(address):
    host = address.rpartition(":")[0]
    return host.endswith("7F") if len(host) == 8 else host == "00000000000000000000000001000000"


def connected(daemon, *names):
    """Waits until the companion of a daemon has exactly these nodes."""
    eventually(lambda: daemon.hornbeam("nodes").stdout.split() == sorted(names), 20,
               f"not connected to {names}:\n{daemon.log()}")
