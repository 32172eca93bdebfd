"""The cases of tests/data/http/websocket.txt; the file explains its form."""

import dataclasses
import pathlib

import ws_client


def data(text):
    """What DATA of the file stands for."""
    count, star, rest = text.partition("*")
    return bytes.fromhex(rest) * int(count) if star else bytes.fromhex(text)


@dataclasses.dataclass
class Case:
    name: str
    line: int
    rule: str = ""
    deflate: bool = False
    data: bytes = b""
    #: (word, code or None, data)
    events: list = dataclasses.field(default_factory=list)

    def of(self, *words):
        """The data of the events of these kinds."""
        return [e[2] for e in self.events if e[0] in words]

    @property
    def messages(self):
        """What the application gets: str and bytes."""
        return [e[2].decode() if e[0] == "text" else e[2] for e in self.events if e[0] in ("text", "binary")]

    @property
    def end(self):
        """The close code that the last event says, or None."""
        return self.events[-1][1] if self.events else None


def event(text):
    word, _, rest = text.partition(" ")
    if word in ("close", "error"):
        code, _, rest = rest.partition(" ")
        return word, int(code), data(rest)
    return word, None, data(rest)


def load(source):
    """All cases of the tree at source."""
    cases = []
    path = pathlib.Path(source) / "tests" / "data" / "http" / "websocket.txt"
    for number, line in enumerate(path.read_text().split("\n"), 1):
        if not line or line.startswith("#"):
            continue
        key, _, text = line.partition(":")
        text = text.removeprefix(" ")
        if key == "name":
            cases.append(Case(text, number))
        elif key == "rule":
            cases[-1].rule = text
        elif key == "deflate":
            cases[-1].deflate = text == "yes"
        elif key == "send":
            cases[-1].data += data(text)
        elif key == "masked":
            mask, _, rest = text.partition(" ")
            mask = bytes.fromhex(mask)
            cases[-1].data += mask + ws_client.mask(data(rest), mask)
        elif key == "expect":
            cases[-1].events.append(event(text))
        else:
            raise ValueError(f"{path}:{number}: unknown key {key}")
    return cases
