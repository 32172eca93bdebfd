"""Responses from a socket, one after the other, as they stand: for tests that look at the bytes."""


class Reader:
    def __init__(self, s):
        self.socket = s
        self.data = b""

    def fill(self):
        """Takes what comes; False at the end."""
        part = self.socket.recv(65536)
        self.data += part
        return bool(part)

    def until(self, condition):
        while not condition():
            assert self.fill(), f"connection closed in a response: {self.data!r}"

    def head(self):
        """The status line and the fields, a list of pairs with lower-case names."""
        self.until(lambda: b"\r\n\r\n" in self.data)
        start, _, self.data = self.data.partition(b"\r\n\r\n")
        line, *fields = start.split(b"\r\n")
        pairs = (field.split(b":", 1) for field in fields)
        return line, [(name.lower(), value.strip()) for name, value in pairs]

    def response(self, head=False):
        """The next final response: status, fields as a dict, and body; head: of a HEAD request."""
        while True:
            line, fields = self.head()
            status, fields = int(line.split(b" ")[1]), dict(fields)
            if status >= 200:
                return status, fields, b"" if head else self.body(fields)

    def body(self, fields):
        if fields.get(b"transfer-encoding") == b"chunked":
            return self.chunks()
        if b"content-length" in fields:
            return self.take(int(fields[b"content-length"]))
        return self.rest()

    def take(self, count):
        self.until(lambda: len(self.data) >= count)
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def chunks(self):
        parts = []
        while True:
            self.until(lambda: b"\r\n" in self.data)
            size, _, self.data = self.data.partition(b"\r\n")
            part = self.take(int(size, 16))
            assert self.take(2) == b"\r\n"
            if not part:
                return b"".join(parts)
            parts.append(part)

    def rest(self):
        """All that comes until the end."""
        while self.fill():
            pass
        taken, self.data = self.data, b""
        return taken

    def ended(self):
        """Whether the server has closed and sent nothing more; a reset is an end too."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return self.data == b""
