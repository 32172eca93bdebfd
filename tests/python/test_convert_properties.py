"""Thousands of random terms and values between the BEAM, the C library and Python.

The seed of a run is in the name of each test; HORNBEAM_TEST_SEED repeats it.
"""

import datetime as dt
import decimal
import os
import random
import string
import struct
import time
import uuid
import zoneinfo

import pytest

from hornbeam_erlang import Atom, Pid, Ref, _hornbeam
from peers import Beam, Tool

SEED = int(os.environ.get("HORNBEAM_TEST_SEED", time.time_ns() % 2**31))
# The sanitizers take eight times as long; the breadth is for the build without.
COUNT = 400 if os.environ.get("HORNBEAM_ASAN") == "yes" else 2500

seeded = pytest.mark.parametrize("seed", [SEED])
encode, decode = _hornbeam.encode, _hornbeam.decode


@pytest.fixture(scope="module")
def beam(tmp_path_factory):
    with Beam(tmp_path_factory.mktemp("peer")) as b:
        yield b


@pytest.fixture(scope="module")
def tool():
    with Tool() as t:
        yield t


@pytest.fixture(scope="module")
def terms(beam):
    """Pairs of a seed and the term that the BEAM made from it."""
    return [(n, beam.make(n)) for n in range(SEED, SEED + COUNT)]


@seeded
def test_terms_of_the_beam_are_read_and_written_the_same(beam, tool, terms, seed):
    for n, term in terms:
        anew = tool.forms(term)[0]
        assert anew and beam.is_true(b"same", term, anew), n


@seeded
def test_terms_of_the_beam_go_through_json_unchanged(beam, tool, terms, seed):
    for n, term in terms:
        _, text, back, _, _ = tool.forms(term)
        assert len(back) > 1, (n, text)
        assert beam.is_true(b"same", term, back), (n, text)


@seeded
def test_terms_of_the_beam_go_through_erlangs_syntax_unchanged(beam, tool, terms, seed):
    for n, term in terms:
        text, back = tool.forms(term)[3:]
        if beam.is_true(b"open", term):
            assert len(back) > 1 and beam.is_true(b"same", term, back), (n, text)
            assert beam.is_true(b"scan", term, text), (n, text)


@seeded
def test_terms_of_the_beam_go_through_python_unchanged(beam, terms, seed):
    held = 0
    for n, term in terms:
        try:
            value = decode(term)
        except ValueError as e:
            assert any(s in str(e) for s in ("improper list", "cannot be a dict")), (n, e)
            continue
        held += 1
        assert beam.is_true(b"like", term, encode(value)), (n, value)
    assert held > COUNT / 3


class Values:
    """Random values of every type that can be kept.

    No atom has the name of some bytes: once Erlang has made text of the
    bytes, the two are equal in Python, and one key or member.
    """

    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self):
        r = self.r
        alphabet = r.choice([string.ascii_letters, string.printable, "\0é€\U0001f333\u2028\x9b"])
        return "".join(r.choices(alphabet, k=r.choice([0, 1, 5, 30, 300])))

    def zone(self):
        r = self.r
        return r.choice([
            None, dt.timezone.utc, zoneinfo.ZoneInfo("Europe/London"), zoneinfo.ZoneInfo("America/New_York"),
            dt.timezone(dt.timedelta(seconds=r.randint(-86399, 86399), microseconds=r.randint(0, 999))),
            dt.timezone(dt.timedelta(minutes=r.randint(-1439, 1439)), self.text())])

    def datetime(self):
        r = self.r
        return dt.datetime(r.randint(1, 9999), r.randint(1, 12), r.randint(1, 28), r.randint(0, 23), r.randint(0, 59),
                           r.randint(0, 59), r.randint(0, 999999), self.zone(), fold=r.randint(0, 1))

    def number(self):
        r = self.r
        return r.choice([
            r.randint(-300, 300), r.randint(-2**32, 2**32), r.randint(-2**65, 2**65),
            r.choice([-1, 1]) * r.getrandbits(r.choice([60, 64, 100, 5000])),
            r.uniform(-1e3, 1e3), r.uniform(-1, 1) * 10.0 ** r.randint(-300, 300), 0.0, -0.0, 5e-324])

    def key(self, depth=1):
        r = self.r
        kind = r.randint(0, 11)
        if kind == 0 and depth > 0:
            return tuple(self.key(depth - 1) for _ in range(r.randint(0, 3)))
        if kind == 1 and depth > 0:
            return frozenset(self.key(depth - 1) for _ in range(r.randint(0, 3)))
        return [
            None, True, self.number(), self.number(), self.text(), self.text(), self.text(), r.randbytes(r.randint(0, 9)),
            Atom("\u2603" + self.text()[:200]), self.datetime(), uuid.UUID(int=r.getrandbits(128)),
            decimal.Decimal(r.randint(-10**9, 10**9)).scaleb(r.randint(-50, 50))][kind]

    def leaf(self):
        r = self.r
        return r.choice([
            lambda: self.key(0), self.text, self.number, self.datetime,
            lambda: r.choice([True, False, None, float("nan"), float("inf"), -float("inf")]),
            lambda: r.randbytes(r.choice([0, 1, 20, 1000])),
            lambda: self.datetime().date(), lambda: self.datetime().timetz().replace(tzinfo=r.choice(
                [None, dt.timezone.utc])),
            lambda: dt.timedelta(r.randint(-999999999, 999999998), r.randint(0, 86399), r.randint(0, 999999)),
            lambda: self.zone(), lambda: complex(self.r.uniform(-9, 9), r.choice([0.0, -0.0, float("inf")])),
            lambda: decimal.Decimal(r.choice(["NaN", "sNaN123", "-Infinity", "-0", "1E+999", "0.10"])),
            lambda: Pid(b"Xw\x03a@b" + r.randbytes(12)), lambda: Ref(b"Z\0\2w\x03a@b" + r.randbytes(12))])()

    def value(self, depth=4):
        r = self.r
        if depth == 0 or r.random() < 0.4:
            return self.leaf()
        some = range(r.choice([0, 1, 2, 5, 20]) if depth < 3 else r.randint(1, 5))
        return r.choice([
            lambda: [self.value(depth - 1) for _ in some],
            lambda: tuple(self.value(depth - 1) for _ in some),
            lambda: (Atom("$py"), *(self.value(depth - 1) for _ in some)),
            lambda: ("$py", *(self.value(depth - 1) for _ in some)),
            lambda: {self.key(): self.value(depth - 1) for _ in some},
            lambda: {self.text(): self.value(depth - 1) for _ in some},
            lambda: {self.key() for _ in some},
            lambda: frozenset(self.key() for _ in some)])()


def canonical(value, plain=False):
    """A repr that tells apart whatever differs; plain: as it is after Erlang had it."""
    def c(v):
        return canonical(v, plain)

    kind = type(value).__name__
    if isinstance(value, float):
        return f"float {'nan' if value != value else struct.pack('>d', value).hex()}"
    if isinstance(value, bytes) and plain:
        try:
            return c(value.decode())
        except UnicodeDecodeError:
            pass
    if isinstance(value, complex):
        return f"complex {c(value.real)} {c(value.imag)}"
    if isinstance(value, (list, tuple)):
        return f"{kind}[{','.join(map(c, value))}]"
    if isinstance(value, (set, frozenset)):
        return f"{kind}[{','.join(sorted(set(map(c, value))))}]"
    if isinstance(value, dict):
        return f"dict[{','.join(sorted(c(k) + ':' + c(v) for k, v in value.items()))}]"
    if isinstance(value, (dt.datetime, dt.time)):
        return f"{value!r} {value.fold} {value.tzinfo!r}"
    return f"{kind} {value!r}"


def kept(seed):
    """Values and their encodings, without the dicts whose keys are one for Erlang."""
    for n in range(seed, seed + COUNT):
        value = Values(n).value()
        try:
            yield n, value, encode(value)
        except ValueError as e:
            assert "the same Erlang term" in str(e), (n, e)


@seeded
def test_values_come_back_as_they_were(seed):
    count = 0
    for n, value, term in kept(seed):
        assert canonical(decode(term)) == canonical(value), n
        assert encode(decode(term)) == term or "set" in canonical(value), n
        count += 1
    assert count > COUNT / 2


@seeded
def test_values_come_back_from_the_beam(beam, seed):
    for n, value, term in kept(seed):
        assert canonical(decode(beam.ask(b"echo", term)), plain=True) == canonical(value, plain=True), n


@seeded
def test_values_go_through_json_unchanged(tool, seed):
    for n, value, term in kept(seed):
        anew, text, back, _, _ = tool.forms(term)
        assert anew == term, n
        assert canonical(decode(back)) == canonical(value), (n, text)
