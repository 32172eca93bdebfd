"""The two peers of the property tests: the BEAM itself, and the C library without Python."""

import os
import pathlib
import struct
import subprocess

HERE = pathlib.Path(__file__).parent


class Peer:
    """A program that answers frames of a length of four bytes."""

    def __init__(self, *command, **options):
        self.proc = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.stdin.close()
        self.proc.stdout.close()
        self.proc.wait(timeout=30)

    def send(self, data):
        self.proc.stdin.write(struct.pack(">I", len(data)) + data)
        self.proc.stdin.flush()

    def receive(self):
        size = struct.unpack(">I", self.proc.stdout.read(4))[0]
        return self.proc.stdout.read(size)


class Beam(Peer):
    """term_peer.erl, compiled into directory."""

    def __init__(self, directory):
        subprocess.run([os.environ.get("ERLC", "erlc"), "-o", directory, HERE / "term_peer.erl"], check=True)
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | {"HOME": str(directory)}
        super().__init__(os.environ.get("ERL", "erl"), "-noshell", "-noinput", "-boot", "no_dot_erlang", "+S", "1:1",
                         "+sbwt", "none", "-pa", str(directory), "-s", "term_peer", "main", env=env)

    def ask(self, what, first, second=None):
        if second is not None:
            first = struct.pack(">I", len(first)) + first + second
        self.send(what + first)
        answer = self.receive()
        assert not answer.startswith(b"error"), (what, first, answer.decode())
        return answer

    def make(self, seed):
        return self.ask(b"make", struct.pack(">I", seed))

    def is_true(self, what, first, second=None):
        return self.ask(what, first, second) == b"true"


class Tool(Peer):
    """term_tool.c: all forms of a term."""

    def __init__(self):
        super().__init__(os.environ["top_builddir"] + "/tests/python/term_tool")

    def forms(self, term):
        """The term encoded anew, its JSON, the term of that, its Erlang syntax, the term of that."""
        self.send(term)
        return [self.receive() for _ in range(5)]
