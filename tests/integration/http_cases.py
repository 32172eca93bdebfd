"""The requests of tests/data/http/requests.txt and the answers expected; the file explains its form."""

import dataclasses
import pathlib
import re

ESCAPE = re.compile(rb"\\(r|n|t|0|\\|x[0-9a-f]{2})")
PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}


def unescape(text):
    """The bytes that TEXT of the file stands for."""

    def byte(match):
        what = match[1]
        return PLAIN.get(what) or bytes([int(what[1:], 16)])

    return ESCAPE.sub(byte, text)


@dataclasses.dataclass
class Answer:
    """One expected answer: status 0 is accepted, None not complete."""

    status: int | None
    method: str = ""
    target: str = ""
    keep_alive: bool = False
    said: dict = dataclasses.field(default_factory=dict)
    body: bytes = b""


@dataclasses.dataclass
class Case:
    name: str
    line: int
    rule: str = ""
    data: bytes = b""
    answers: list = dataclasses.field(default_factory=list)


def answer(text):
    """The answer that an expect: line names."""
    if text == "more":
        return Answer(None)
    if not text.startswith("ok "):
        return Answer(int(text))
    _, method, target, connection = text.split(" ")
    return Answer(0, method, target, connection == "keep")


def load(source):
    """All cases of the tree at source."""
    cases = []
    path = pathlib.Path(source) / "tests" / "data" / "http" / "requests.txt"
    for number, line in enumerate(path.read_bytes().split(b"\n"), 1):
        if not line or line.startswith(b"#"):
            continue
        key, _, text = line.partition(b":")
        key = key.decode()
        text = text.removeprefix(b" ")
        if key == "name":
            cases.append(Case(text.decode(), number))
        elif key == "rule":
            cases[-1].rule = text.decode()
        elif key == "send":
            cases[-1].data += unescape(text)
        elif key == "repeat":
            count, _, data = text.partition(b" ")
            cases[-1].data += int(count) * unescape(data)
        elif key == "expect":
            cases[-1].answers.append(answer(text.decode()))
        elif key == "body":
            cases[-1].answers[-1].body = unescape(text)
        elif key in ("host", "path", "query", "field"):
            cases[-1].answers[-1].said[key] = unescape(text) if key == "field" else text
        elif key != "llhttp":
            raise ValueError(f"{path}:{number}: unknown key {key}")
    return cases
