"""Python values as terms: every row of the table, and what cannot be one."""

import collections
import copy
import datetime as dt
import decimal
import enum
import math
import pickle
import subprocess
import sys
import threading
import uuid
import zoneinfo

import pytest

from hornbeam_erlang import Atom, Pid, Ref, Term, _hornbeam

encode, decode = _hornbeam.encode, _hornbeam.decode

PID = b"Xw\x03a@b\0\0\0\1\0\0\0\2\0\0\0\3"
REF = b"Z\0\1w\x03a@b\0\0\0\1\0\0\0\2"


def again(value):
    return decode(encode(value))


class Colour(enum.IntEnum):
    RED = 3


class Size(str, enum.Enum):
    SMALL = "s"


Point = collections.namedtuple("Point", "x y")


class Shout(str):
    def __str__(self):
        return self.upper()


class Ten(set):
    def __iter__(self):
        return iter(range(10))


class East(dt.tzinfo):
    def utcoffset(self, when):
        return dt.timedelta(hours=2)


class Nowhere(dt.tzinfo):
    def utcoffset(self, when):
        return None


@pytest.mark.parametrize("value, term", [
    (None, b"w\x09undefined"),
    (True, b"w\4true"),
    (False, b"w\5false"),
    (255, b"a\xff"),
    (-1, b"b\xff\xff\xff\xff"),
    (2**31, b"n\4\0\0\0\0\x80"),
    (-2**64, b"n\x09\1" + bytes(8) + b"\1"),
    (1.5, b"F\x3f\xf8" + bytes(6)),
    ("", b"m\0\0\0\0"),
    ("é", b"m\0\0\0\2\xc3\xa9"),
    (b"", b"M\0\0\0\0\0"),
    (b"ab", b"M\0\0\0\2\x08ab"),
    ([], b"j"),
    ([1, 2], b"l\0\0\0\2a\1a\2j"),
    ((), b"h\0"),
    ((1,), b"h\1a\1"),
    ({}, b"t\0\0\0\0"),
    ({"k": 1}, b"t\0\0\0\1m\0\0\0\1ka\1"),
    (Atom("ok"), b"w\2ok"),
    (math.inf, b"h\3w\3$pyw\5floatw\3inf"),
    ({1}, b"h\3w\3$pyw\3setl\0\0\0\1a\1j"),
    (frozenset(), b"h\3w\3$pyw\x09frozensetj"),
    (1 + 0j, b"h\3w\3$pyw\7complexh\2F\x3f\xf0" + bytes(6) + b"F" + bytes(8)),
    (dt.date(2, 3, 4), b"h\3w\3$pyw\4dateh\3a\2a\3a\4"),
    (decimal.Decimal("1.0"), b"h\3w\3$pyw\7decimalm\0\0\0\3" + b"1.0"),
    ((Atom("$py"), 1), b"h\3w\3$pyw\5tuplel\0\0\0\2w\3$pya\1j"),
    (("$py", 1), b"h\2m\0\0\0\3$pya\1"),
])
def test_value_has_this_term_and_comes_back(value, term):
    assert encode(value) == b"\x83" + term
    assert again(value) == value
    assert type(again(value)) is type(value)


@pytest.mark.parametrize("value", [
    2**4000, -2**4000, 2**63, -2**63, -2**63 - 1, -0.0, list(range(300)), tuple(range(300)),
    {"a": [{"b": (1, b"x", None)}]}, {(1, "a"): 1, 2: 3, None: 4, 1.5: 5}, -math.inf, "\0\U0001f333", "x" * 100000,
    dt.datetime(2020, 1, 2, 3, 4, 5, 6), dt.datetime.max, dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc),
    dt.datetime(2020, 10, 25, 1, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/London")),
    dt.time(1, 2, 3, 4, fold=1), dt.time(1, tzinfo=dt.timezone(-dt.timedelta(hours=23, microseconds=7), "far")),
    dt.timedelta.min, dt.timedelta.max, dt.timezone.utc, dt.timezone(dt.timedelta(hours=1)), zoneinfo.ZoneInfo("UTC"),
    decimal.Decimal("-0E-7"), decimal.Decimal("1E+999999"), decimal.Decimal("-Infinity"), uuid.uuid4(),
    complex(math.inf, -0.0), {frozenset({1}), "a"}, (Atom("$py"),), (Atom("$py"), Atom("float"), Atom("nan")),
    Atom("é" * 255), Atom(""), Pid(PID), Ref(REF),
], ids=lambda v: type(v).__name__)
def test_value_comes_back(value):
    back = again(value)
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value)
    assert getattr(back, "fold", None) == getattr(value, "fold", None)


def test_nan_comes_back():
    assert math.isnan(again(math.nan))
    assert again(decimal.Decimal("sNaN12")).is_snan()


@pytest.mark.parametrize("value, base", [
    (Colour.RED, 3), (Size.SMALL, "s"), (Point(1, 2), (1, 2)), (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (collections.defaultdict(list, a=1), {"a": 1}), (Shout("quiet"), "quiet"), (Ten({1}), {1}),
    (bytearray(b"ab"), b"ab"), (memoryview(b"abcd")[::2], b"ac"), (memoryview(b"ab"), b"ab"),
], ids=repr)
def test_subclass_goes_as_its_base(value, base):
    if isinstance(value, memoryview) and not value.contiguous:
        value = memoryview(bytes(value))
    assert again(value) == base
    assert type(again(value)) is type(base)


def test_order_of_a_dict_is_kept():
    names = [str(n) for n in range(100, 0, -1)]
    assert list(again(dict.fromkeys(names))) == names


def test_zone_of_a_class_of_the_users_becomes_its_offset():
    when = dt.datetime(2020, 1, 1, tzinfo=East())
    assert again(when) == when
    assert again(when).tzinfo == dt.timezone(dt.timedelta(hours=2))
    with pytest.raises(TypeError, match=r"value\['at'\]: a time zone of type Nowhere"):
        encode({"at": dt.datetime(2020, 1, 1, tzinfo=Nowhere())})


@pytest.mark.parametrize("term, value", [
    (b"w\3nil", None), (b"w\4none", None), (b"k\0\2hi", [104, 105]), (b"m\0\0\0\1\xff", b"\xff"),
    (b"s\1\xe9", Atom("é")), (b"h\3w\3$pyw\3setl\0\0\0\2a\1a\1j", {1}),
])
def test_term_of_erlangs_is_this_value(term, value):
    assert decode(b"\x83" + term) == value


def nested(depth, make):
    value = None
    for _ in range(depth):
        value = make(value)
    return value


@pytest.mark.parametrize("make", [
    lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: (Atom("$py"), v)], ids=["list", "tuple", "dict", "$py"])
def test_nesting_is_bounded(make):
    for depth in (513, 10000):
        with pytest.raises(ValueError, match="nested more than 512 deep"):
            encode(nested(depth, make))
    assert again(nested(256, make)) == nested(256, make)


def test_deepest_value_that_encodes_also_decodes():
    assert again(nested(512, lambda v: [v])) == nested(512, lambda v: [v])


def test_deepest_value_fits_the_small_stack_of_a_thread():
    results = []
    before = threading.stack_size(1 << 20 if "libasan" not in open("/proc/self/maps").read() else 4 << 20)
    try:
        thread = threading.Thread(target=lambda: results.append(again(nested(512, lambda v: {"k": v}))))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert results == [nested(512, lambda v: {"k": v})]


def test_value_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="nested"):
        encode(value)


def test_value_that_unfolds_without_end_is_refused():
    value = ["leaf"]
    for _ in range(100):
        value = [value, value]
    with pytest.raises(ValueError, match="more than 16 MiB"):
        encode(value)


@pytest.mark.parametrize("value, error, text", [
    (object(), TypeError, r"^value: object cannot be an Erlang term$"),
    ({"a": [0, (1, {"b": object()})]}, TypeError, r"^value\['a'\]\[1\]\[1\]\['b'\]: object cannot"),
    ({object: 1}, TypeError, r"^a key of value: type cannot"),
    ([{object}], TypeError, r"^a member of value\[0\]: type cannot"),
    ({1 << 20000: object()}, TypeError, r"^value\[\.\.\.\]: object cannot"),
    ({"k" * 100: object()}, TypeError, r"^value\['k{39}\]: object cannot"),
    (enum.Enum("E", "A").A, TypeError, "E cannot be"),
    (test_nan_comes_back, TypeError, "function cannot be"),
    (range(3), TypeError, "range cannot be"),
    ("ab\ud800", ValueError, r"^value has a lone surrogate, U\+d800, at index 2$"),
    (["\udfff"], ValueError, r"^value\[0\] has a lone surrogate"),
    ({"\ud800": 1}, ValueError, r"^a key of value has a lone surrogate"),
    ({"a": 1, b"a": 2}, ValueError, r"^value has keys that are the same Erlang term, one of them b'a'$"),
    ([{True: 1, Atom("true"): 2}], ValueError, r"^value\[0\] has keys that are the same"),
    ({None: 1, Atom("undefined"): 2}, ValueError, "keys that are the same"),
    ({("a",): 1, (b"a",): 2}, ValueError, "keys that are the same"),
    ({math.nan: 1, float("nan"): 2}, ValueError, "keys that are the same"),
    ("x" * (17 << 20), ValueError, "more than 16 MiB"),
    (b"x" * (17 << 20), ValueError, "more than 16 MiB"),
    (["x" * (1 << 20)] * 17, ValueError, "more than 16 MiB"),
    (1 << 4_000_001, ValueError, "an integer of more than 4000000 bits"),
], ids=lambda v: v.__name__ if isinstance(v, type) else v[:30] if isinstance(v, str) else type(v).__name__)
def test_value_that_is_no_term_is_refused(value, error, text):
    with pytest.raises(error, match=text):
        encode(value)


def test_dict_with_keys_of_many_kinds_is_no_collision():
    value = {"a": 1, b"b": 2, 1: 3, 1.5: 4, None: 5, Atom("c"): 6, (): 7, frozenset(): 8, True and 2: 9}
    assert again(value) == value


@pytest.mark.parametrize("raw, text", [
    (b"", "nothing there"),
    (b"\x83", "ends early"),
    (b"\x84a\1", "no version byte"),
    (b"\x83Px\x9c", "compressed"),
    (b"\x83a\1a", "more data after the term"),
    (b"\x83h\xff" + b"a" * 9, "more elements than there are bytes"),
    (b"\x83m\xff\xff\xff\xffa", "ends early"),
    (b"\x83" + b"h\1" * 600 + b"a\1", "nested more than 512"),
    (b"\x83l\0\0\0\1a\1a\2", "an improper list cannot be a Python value"),
    (b"\x83t\0\0\0\2a\1a\1F\x3f\xf0\0\0\0\0\0\0a\1", "two keys that equal 1.0 in Python"),
    (b"\x83t\0\0\0\2w\4truea\1a\1a\1", "two keys that equal 1 in Python"),
    (b"\x83t\0\0\0\2m\0\0\0\1aa\1w\1aa\1", "two keys that equal"),
    (b"\x83t\0\0\0\1l\0\0\0\1a\1ja\1", "a key of type list cannot be a dict"),
    (b"\x83t\0\0\0\1t\0\0\0\0a\1", "a key of type dict cannot be a dict"),
    (b"\x83h\3w\3$pyw\3fooa\1", "unknown kind 'foo'"),
    (b"\x83h\2w\3$pya\1", r"starts with '\$py' but is none"),
    (b"\x83h\3w\3$pya\1a\1", r"starts with '\$py' but is none"),
    (b"\x83h\3w\3$pyw\5floatw\3huh", "of kind float"),
    (b"\x83h\3w\3$pyw\3seta\1", "of kind set"),
    (b"\x83h\3w\3$pyw\3setl\0\0\0\1jj", "of kind set: unhashable"),
    (b"\x83h\3w\3$pyw\7decimalm\0\0\0\3xyz", "of kind decimal"),
    (b"\x83h\3w\3$pyw\4uuidm\0\0\0\3xyz", "of kind uuid"),
    (b"\x83h\3w\3$pyw\4dateh\3a\1a\x0da\1", "of kind date: month must be"),
    (b"\x83h\3w\3$pyw\4dateh\2a\1a\1", "of kind date: a payload of another shape"),
    (b"\x83h\3w\3$pyw\x08timezonen\x08\0" + b"\xff" * 7 + b"\x7f", "of kind timezone: a time zone of more than a day"),
    (b"\x83h\3w\3$pyw\x08timezonem\0\0\0\x09/etc/zone", "of kind timezone"),
    (b"\x83h\3w\3$pyw\x08timezonem\0\0\0\7No/Such", "of kind timezone"),
])
def test_term_that_python_cannot_hold_is_refused(raw, text):
    with pytest.raises(ValueError, match=text):
        decode(raw)


def test_every_truncation_is_refused():
    data = encode({"a": [1, -2, 2**70, 1.5, (b"x", Atom("y"), {3})], "t": dt.datetime.now(dt.timezone.utc)})
    for n in range(len(data)):
        with pytest.raises(ValueError):
            decode(data[:n])


def test_dict_that_changes_while_it_is_encoded_is_noticed():
    class Sly(dt.tzinfo):
        def utcoffset(self, when):
            victim.clear()
            return dt.timedelta()

    for victim in ({"a": dt.datetime(2020, 1, 1, tzinfo=Sly()), "b": 1}, [dt.datetime(2020, 1, 1, tzinfo=Sly()), 1]):
        with pytest.raises(RuntimeError, match="value changed while it was encoded"):
            encode(victim)


def test_error_of_a_zone_comes_through():
    class Broken(dt.tzinfo):
        def utcoffset(self, when):
            raise LookupError("no zone today")

    with pytest.raises(LookupError, match="no zone today"):
        encode(dt.datetime(2020, 1, 1, tzinfo=Broken()))


def test_atom_is_a_str_of_its_own():
    atom = Atom("it's")
    assert atom == "it's" and hash(atom) == hash("it's") and isinstance(atom, str)
    assert repr(atom) == "Atom(\"it's\")" and str(atom) == "it's"
    assert decode(encode(Atom("x"))) is decode(encode(Atom("x")))
    for other in (pickle.loads(pickle.dumps(atom)), copy.deepcopy(atom)):
        assert other == atom and type(other) is Atom
    with pytest.raises(ValueError, match="at most 255 characters, not 256"):
        Atom("x" * 256)
    with pytest.raises(ValueError):
        Atom("\ud800")
    with pytest.raises(TypeError):
        Atom(1)
    with pytest.raises(AttributeError):
        atom.x = 1


def test_many_atoms_are_not_kept_for_good():
    for n in range(10000):
        assert decode(encode(Atom(f"atom-{n}"))) == f"atom-{n}"
    assert decode(encode(Atom("atom-9999"))) is not decode(encode(Atom("atom-9999")))


@pytest.mark.parametrize("kind, raw, text", [
    (Pid, PID, "#Pid<a@b.1.2>"), (Ref, REF, "#Ref<a@b.2>"), (Term, b"qw\1mw\1fa\2", "fun m:f/2"),
    (Term, b"M\0\0\0\1\3\xa0", "<<5:3>>"), (Term, b"xw\1n" + bytes(7) + b"\1\0\0\0\2", "#Port<n.0.1>"),
])
def test_opaque_term_is_kept(kind, raw, text):
    term = decode(b"\x83" + raw)
    assert type(term) is kind and term.raw == raw and repr(term) == text
    assert encode([term]) == b"\x83l\0\0\0\1" + raw + b"j"
    assert term == kind(raw) and hash(term) == hash(kind(raw)) and {term: 1}[kind(raw)] == 1
    assert term != raw
    for other in (pickle.loads(pickle.dumps(term)), copy.deepcopy(term)):
        assert other == term and type(other) is kind
    with pytest.raises(TypeError):
        term < term  # noqa: B015


@pytest.mark.parametrize("kind, raw", [
    (Pid, b""), (Pid, REF), (Ref, PID), (Term, PID), (Term, b"a\1"), (Pid, PID + b"a"), (Pid, PID[:-1]), (Term, b"j")])
def test_opaque_term_of_another_type_is_refused(kind, raw):
    with pytest.raises(ValueError, match=f"not the external form of a {kind.__name__}"):
        kind(raw)


def test_equal_atoms_of_both_pids_are_different_terms():
    assert Pid(PID) != Pid(PID[:-1] + b"\4")


def test_encoding_imports_nothing():
    program = """
import sys
from hornbeam_erlang import _hornbeam
before = set(sys.modules)
for value in ({"a": [1, 2.5, None, (b"x", True)], "b": {1}}, object()):
    try:
        _hornbeam.encode(value)
    except TypeError:
        pass
assert set(sys.modules) == before, set(sys.modules) - before
_hornbeam.decode(b"\\x83h\\3w\\3$pyw\\7decimalm\\0\\0\\0\\0011")
assert "decimal" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_module_can_be_imported_anew_and_collected():
    program = """
import gc, sys
for n in range(5):
    from hornbeam_erlang import _hornbeam
    atom = _hornbeam.decode(_hornbeam.encode([_hornbeam.Atom("x"), {2}]))
    for name in [m for m in sys.modules if m.startswith("hornbeam_erlang")]:
        del sys.modules[name]
    del _hornbeam
    gc.collect()
"""
    subprocess.run([sys.executable, "-c", program], check=True)
