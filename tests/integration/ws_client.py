"""A WebSocket client that sends whatever a test wants: any frame, well-formed or not, cut anywhere.

    with Client(daemon.connect(), offer="permessage-deflate") as c:
        c.text("hello")
        assert c.message() == "hello"
        c.close(1000)
        assert c.closed() == (1000, "")
"""

import base64
import hashlib
import os
import struct
import zlib

from http_client import Reader

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TAIL = b"\x00\x00\xff\xff"


def mask(data, key):
    """data masked, or unmasked, with the four bytes of key."""
    whole = key * (len(data) // 4 + 1)
    n = len(data)
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole[:n], "big")).to_bytes(n, "big")


def frame(opcode, payload=b"", *, fin=True, rsv1=False, key=None, length=None):
    """A client's frame.  key: of the mask, random by default; length: said to be so long."""
    key = os.urandom(4) if key is None else key
    n = len(payload) if length is None else length
    head = bytes([fin << 7 | rsv1 << 6 | opcode])
    if n < 126:
        head += bytes([0x80 | n])
    elif n < 65536:
        head += struct.pack(">BH", 0x80 | 126, n)
    else:
        head += struct.pack(">BQ", 0x80 | 127, n)
    return head + key + mask(payload, key)


def deflate(data, level=6, bits=15):
    """data compressed as a message is, without a window from before."""
    z = zlib.compressobj(level, zlib.DEFLATED, -bits)
    out = z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH)
    assert out.endswith(TAIL)
    return out[:-4]


def inflate(data, bits=15):
    z = zlib.decompressobj(-bits)
    out = z.decompress(data + TAIL)
    assert not z.unused_data and not z.unconsumed_tail
    return out


def request(path="/", *, offer=None, protocols=None, key=None, fields=()):
    """The bytes of a handshake; fields: further lines."""
    key = key or base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
             f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *fields]
    if offer is not None:
        lines.append(f"Sec-WebSocket-Extensions: {offer}")
    if protocols is not None:
        lines.append(f"Sec-WebSocket-Protocol: {protocols}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n", key


class Refused(Exception):
    """The answer to the handshake was not 101: status, fields, body."""

    def __init__(self, status, fields, body):
        super().__init__(f"{status}: {body!r}")
        self.status, self.fields, self.body = status, fields, body


class Client(Reader):
    """A connection after its handshake.  early: bytes sent behind the handshake, before its answer."""

    def __init__(self, s, path="/", *, early=b"", **options):
        super().__init__(s)
        self.compressed = 0  # messages that came compressed
        try:
            self.shake(path, early, options)
        except BaseException:
            s.close()
            raise

    def shake(self, path, early, options):
        data, key = request(path, **options)
        self.socket.sendall(data + early)
        line, fields = self.head()
        self.fields = dict(fields)
        status = int(line.split(b" ")[1])
        if status != 101:
            raise Refused(status, self.fields, self.body(self.fields))
        digest = hashlib.sha1(key.encode() + GUID).digest()
        assert self.fields[b"sec-websocket-accept"] == base64.b64encode(digest)
        assert self.fields[b"upgrade"].lower() == b"websocket"
        assert self.fields[b"connection"].lower() == b"upgrade"
        self.protocol = self.fields.get(b"sec-websocket-protocol", b"").decode() or None
        self.extensions = self.fields.get(b"sec-websocket-extensions", b"").decode()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    # Out.

    def send(self, data, step=0):
        """Bytes as they are, in pieces of step bytes where it is not 0."""
        for at in range(0, len(data), step or len(data) or 1):
            self.socket.sendall(data[at:at + (step or len(data))])

    def text(self, text):
        self.send(frame(TEXT, text.encode()))

    def binary(self, data):
        self.send(frame(BINARY, data))

    def close(self, code=None, reason=""):
        self.send(frame(CLOSE, b"" if code is None else struct.pack(">H", code) + reason.encode()))

    # In.

    def frame(self):
        """The next frame: opcode, fin, rsv1, payload; None at the end."""
        while len(self.data) < 2:
            if not self.fill():
                assert not self.data, f"half a header: {self.data!r}"
                return None
        first, second = self.take(2)
        assert not second & 0x80, "the server masks"
        assert not first & 0x30, "a reserved bit"
        n = second & 0x7F
        if n == 126:
            n, = struct.unpack(">H", self.take(2))
            assert n > 125
        elif n == 127:
            n, = struct.unpack(">Q", self.take(8))
            assert n > 65535
        return first & 0x0F, bool(first & 0x80), bool(first & 0x40), self.take(n)

    def event(self):
        """The next one: a str or bytes of a message, or (opcode, payload) of a control frame; None at the end."""
        opcode, parts, deflated = None, [], False
        while (got := self.frame()) is not None:
            code, fin, rsv1, payload = got
            if code & 8:
                assert fin and not rsv1 and len(payload) <= 125
                assert opcode is None, "a control frame between those of a message"
                return code, payload
            assert (code == CONTINUATION) == (opcode is not None)
            if opcode is None:
                opcode, deflated = code, rsv1
            parts.append(payload)
            if fin:
                return self.whole(opcode, b"".join(parts), deflated)
        assert opcode is None, "the end in the middle of a message"
        return None

    def whole(self, opcode, data, deflated):
        if deflated:
            assert self.extensions, "compressed without an agreement"
            self.compressed += 1
            data = inflate(data)
        return data.decode() if opcode == TEXT else data

    def message(self):
        """The next message; pings and pongs are passed over."""
        while isinstance(got := self.event(), tuple):
            assert got[0] != CLOSE, f"closed: {got[1]!r}"
        assert got is not None, "the connection ended"
        return got

    def closed(self):
        """Code (None: without one) and reason of the close frame that ends the connection; messages are dropped."""
        code, payload = None, None
        while (got := self.event()) is not None:
            assert payload is None, f"something behind the close frame: {got!r}"
            if isinstance(got, tuple) and got[0] == CLOSE:
                payload = got[1]
                code = struct.unpack(">H", payload[:2])[0] if payload else None
        assert payload is not None, "the connection ended without a close frame"
        return code, payload[2:].decode()
