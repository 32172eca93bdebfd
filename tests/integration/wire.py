"""The link's frames and the terms that the master sends, for tests that speak them by hand.

Self-contained, so that a test can pass this text to a Python of another user.
"""

import array
import socket
import struct

REPLY, MORE, ERROR = 1, 2, 4
PING, LINK, STATUS, WORKERS, MASTER_PING, RELOAD, STOP, REOPEN_LOGS = 2, 128, 129, 130, 131, 132, 133, 134
COMPANION_STATUS, GET, SET, INCR, GET_MULTI, SET_MULTI, KEYS, CAS, FETCH = 3, 16, 17, 21, 22, 23, 24, 26, 30
NIL = b"\x83j"


def frame(op, payload=NIL, ident=1, version=1, flags=0, deadline=0):
    """One frame."""
    return struct.pack(">IBBBBII", 12 + len(payload), version, op, flags, 0, ident, deadline) + payload


def binary(data):
    return b"m" + struct.pack(">I", len(data)) + data


def term(body):
    """A payload of one term."""
    return b"\x83" + body


def tuple_of(*items):
    return b"h" + bytes([len(items)]) + b"".join(items)


def atom(name):
    return b"w" + bytes([len(name)]) + name


ZERO = b"a\0"


def decode(data):
    """The term in data, with its version byte; atoms and binaries become str."""
    value, end = _term(data, 1)
    assert data[0] == 131 and end == len(data), data
    return value


def _term(d, i):
    tag = d[i]
    if tag == 97:
        return d[i + 1], i + 2
    if tag == 98:
        return struct.unpack_from(">i", d, i + 1)[0], i + 5
    if tag == 110:
        n = d[i + 1]
        value = int.from_bytes(d[i + 3:i + 3 + n], "little")
        return -value if d[i + 2] else value, i + 3 + n
    if tag in (119, 115):
        return d[i + 2:i + 2 + d[i + 1]].decode(), i + 2 + d[i + 1]
    if tag == 100:
        n = struct.unpack_from(">H", d, i + 1)[0]
        return d[i + 3:i + 3 + n].decode(), i + 3 + n
    if tag == 109:
        n = struct.unpack_from(">I", d, i + 1)[0]
        return d[i + 5:i + 5 + n].decode(), i + 5 + n
    if tag == 106:
        return [], i + 1
    if tag == 104:
        return _items(d, i + 2, d[i + 1], tuple)
    if tag == 108:
        items, i = _items(d, i + 5, struct.unpack_from(">I", d, i + 1)[0], list)
        assert d[i] == 106
        return items, i + 1
    if tag == 116:
        n = struct.unpack_from(">I", d, i + 1)[0]
        items, i = _items(d, i + 5, 2 * n, list)
        return dict(zip(items[::2], items[1::2])), i
    raise AssertionError(f"tag {tag} at {i} of {d!r}")


def _items(d, i, n, kind):
    items = []
    for _ in range(n):
        item, i = _term(d, i)
        items.append(item)
    return kind(items), i


class Peer:
    """A connection that speaks frames."""

    def __init__(self, path=None, sock=None, timeout=15):
        self.sock = sock or socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.setblocking(True)
        self.sock.settimeout(timeout)
        if path is not None:
            self.sock.connect(str(path))
        self.fds = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def read(self, n):
        data = b""
        while len(data) < n:
            room = socket.CMSG_SPACE(4 * array.array("i").itemsize)
            part, ancillary, _, _ = self.sock.recvmsg(n - len(data), room)
            for level, kind, value in ancillary:
                assert (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
                fds = array.array("i")
                fds.frombytes(value[:len(value) - len(value) % fds.itemsize])
                self.fds += fds
            if not part:
                raise EOFError(f"closed after {data!r}")
            data += part
        return data

    def receive(self):
        """One frame: op, flags, id and the decoded payload."""
        length, _version, op, flags, _zero, ident, _deadline = struct.unpack(">IBBBBII", self.read(16))
        return op, flags, ident, decode(self.read(length - 12))

    def call(self, op, payload=NIL, **more):
        """One request; the reply's value, or ("error", Class, Text)."""
        self.sock.sendall(frame(op, payload, **more))
        got, flags, _ident, value = self.receive()
        assert got == op and flags & REPLY, (got, flags, value)
        return ("error", *value) if flags & ERROR else value

    def closed(self):
        """Whether the other side has closed: waits for it."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True


def link(d, **more):
    """A link of one's own, through the descriptor that the control socket hands out."""
    with Peer(d.socket) as p:
        assert p.call(LINK) == []
        return Peer(sock=socket.socket(fileno=p.fds[0]), **more)


def companion_status(d):
    """What the companion of a daemon says about itself."""
    with link(d) as peer:
        return peer.call(COMPANION_STATUS)
