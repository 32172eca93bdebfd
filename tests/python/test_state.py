"""The state functions of hornbeam_erlang against a real companion."""

import datetime
import decimal
import math
import random
import time
import uuid

import pytest
from companion import eventually

import hornbeam_erlang as hb
from hornbeam_erlang import (
    Atom,
    HornbeamError,
    _hornbeam,
    state_add,
    state_cas,
    state_decr,
    state_delete,
    state_expire,
    state_fetch,
    state_get,
    state_get_multi,
    state_gets,
    state_incr,
    state_keys,
    state_set,
    state_set_multi,
    state_ttl,
)

pytestmark = pytest.mark.usefixtures("state")


def same(a, b):
    """Equal and of the same type; NaN equals itself."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return a == b


VALUES = [
    None, True, False, 0, -1, 2**31, -(2**63), 2**64, 2**4000 - 1, -(2**4000),
    0.0, -0.0, 1.5, math.inf, -math.inf, math.nan,
    "", "text", "žluťoučký 🌳", "nul\0byte", b"", b"\0\xff", b"text",
    [], [1, "a", b"b", None], (), (1,), ("$py", 1), (Atom("$py"), 1), (Atom("$py"), Atom("set"), []),
    {}, {"name": "Alice", "n": [1, 2]}, {1: "int", b"b": "bytes", (1, 2): "tuple"},
    set(), {1, 2}, frozenset({"a"}), 1 + 2j, decimal.Decimal("1.10"), uuid.UUID(int=7),
    datetime.datetime(2026, 1, 31, 23, 59, 59, 999999), datetime.date(2026, 1, 31), datetime.timedelta(-1, 2, 3),
    datetime.datetime(2026, 1, 31, tzinfo=datetime.timezone.utc), Atom("atom"),
    {"deep": [[[[({"x": {1.5, "y"}},)]]]]},
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:30])
def test_value_comes_back_unchanged(value):
    state_set("k", value)
    assert same(state_get("k"), value)
    assert same(state_gets("k")[0], value)
    assert same(state_get_multi(["k"])["k"], value)


def test_missing_key_gives_the_default():
    assert state_get("missing") is None
    assert state_get("missing", 42) == 42
    assert state_get("missing", default=[]) == []
    state_set("none", None)
    assert state_get("none", "default") is None


def test_delete_says_whether_the_key_was_there():
    state_set("k", 1)
    assert state_delete("k") is True
    assert state_delete("k") is False
    assert state_get("k") is None


def test_counters_count():
    assert state_incr("n") == 1
    assert state_incr("n", 10) == 11
    assert state_decr("n") == 10
    assert state_decr("n", 20) == -10
    assert state_incr("n", 2**70) == 2**70 - 10
    assert state_get("n") == 2**70 - 10
    state_set("n", 5)
    assert state_incr("n") == 6


@pytest.mark.parametrize("value, kind", [
    ("1", "a string"), (1.0, "a float"), (None, r"undefined \(None\)"), (True, "a boolean"), ([1], "a list"),
    (b"1", "bytes"), ({1}, "a set"), (datetime.date(2026, 1, 2), "a date"), ((1, 2, 3), "a tuple"),
    (Atom("one"), "the atom one"),
])
def test_incr_of_what_is_no_integer_is_a_type_error(value, kind):
    state_set("k", value)
    with pytest.raises(TypeError, match=rf"^the value of 'k' is {kind}, not an integer$"):
        state_incr("k")
    assert same(state_get("k"), value)


def test_incr_applies_its_ttl_when_it_creates_the_key():
    state_incr("n", ttl=50)
    first = state_ttl("n")
    assert 49 < first <= 50
    state_incr("n", ttl=1000)
    assert state_ttl("n") <= first


def test_many_keys_at_once():
    state_set_multi({f"m:{i}": i for i in range(300)} | {"m:text": "x"}, ttl=100)
    assert state_get_multi([f"m:{i}" for i in range(301)]) == {f"m:{i}": i for i in range(300)} | {"m:300": None}
    assert state_get_multi(k for k in ("m:text", "m:text")) == {"m:text": "x"}
    assert 99 < state_ttl("m:7") <= 100
    assert state_get_multi([]) == {}
    assert state_set_multi({}) is None


def test_keys_are_sorted_and_limited():
    names = [f"p:{i:05}" for i in range(5000)] + ["p:é", "p:漢"]
    state_set_multi(dict.fromkeys(random.sample(names, len(names)), 1))
    state_set("q", 1)
    assert state_keys("p:") == sorted(names)
    assert state_keys("p:", 3) == names[:3]
    assert state_keys("p:0499") == names[4990:5000]
    assert state_keys() == [*sorted(names), "q"]
    assert state_keys("nothing") == []
    with pytest.raises(ValueError):
        state_keys("p:", 0)


def test_listing_of_more_than_one_part():
    names = [f"{'long' * 200}{i:05}" for i in range(4000)]
    for start in range(0, 4000, 1000):
        state_set_multi(dict.fromkeys(names[start:start + 1000], 1))
    assert state_keys("long") == names


def test_large_value_comes_back_in_parts():
    value = random.Random(1).randbytes(7 << 20)
    state_set("large", value)
    assert state_get("large") == value


def test_add_sets_only_what_is_not_there():
    assert state_add("k", 1) is True
    assert state_add("k", 2) is False
    assert state_get("k") == 1
    assert state_add("t", "x", ttl=0.03) is True
    eventually(lambda: state_add("t", "y"))
    assert state_get("t") == "y"


def test_compare_and_set_needs_the_version():
    assert state_gets("k") == (None, 0)
    assert state_cas("k", "a", 0) is True
    assert state_cas("k", "b", 0) is False
    value, version = state_gets("k")
    assert value == "a"
    assert isinstance(version, int)
    assert version > 0
    assert state_cas("k", "b", version) is True
    assert state_cas("k", "c", version) is False
    assert state_get("k") == "b"
    state_delete("k")
    state_set("k", "b")
    assert state_gets("k")[1] > version
    with pytest.raises(ValueError):
        state_cas("k", 1, -1)
    with pytest.raises(TypeError):
        state_cas("k", 1, "1")


def test_ttl_ends_a_key():
    state_set("k", "x", ttl=0.05)
    assert 0 < state_ttl("k") <= 0.05
    eventually(lambda: state_get("k") is None, 5)
    assert state_ttl("k") is None
    assert state_keys("k") == []


def test_set_clears_a_ttl_and_expire_changes_it():
    state_set("k", "x", ttl=10)
    state_set("k", "y")
    assert state_ttl("k") == math.inf
    assert state_expire("k", 20) is True
    assert 19 < state_ttl("k") <= 20
    assert state_expire("k", None) is True
    assert state_ttl("k") == math.inf
    assert state_expire("missing", 1) is False


def test_tiny_ttl_is_a_millisecond():
    state_set("k", "x", ttl=1e-9)
    eventually(lambda: state_get("k") is None, 5)


@pytest.mark.parametrize("ttl", [0, -1, 0.0, -0.5, math.nan, math.inf, 1.1e11, 10**400])
def test_ttl_out_of_range_is_a_value_error(ttl):
    for call in (lambda: state_set("k", 1, ttl), lambda: state_incr("k", 1, ttl), lambda: state_expire("k", ttl),
                 lambda: state_fetch("k", lambda: 1, ttl), lambda: state_set_multi({"k": 1}, ttl)):
        with pytest.raises(ValueError, match="above 0 and at most 100000000000 seconds"):
            call()
    assert state_get("k") is None


def test_longest_ttl_is_taken():
    state_set("k", 1, ttl=10**11)
    assert 10**11 - 1 < state_ttl("k") <= 10**11


@pytest.mark.parametrize("ttl", [True, "1", [], datetime.timedelta(1)])
def test_ttl_of_another_type_is_a_type_error(ttl):
    with pytest.raises(TypeError):
        state_set("k", 1, ttl)


KEY_CALLS = [
    lambda k: state_get(k), lambda k: state_set(k, 1), lambda k: state_delete(k), lambda k: state_incr(k),
    lambda k: state_decr(k), lambda k: state_get_multi([k]), lambda k: state_set_multi({k: 1}),
    lambda k: state_add(k, 1), lambda k: state_gets(k), lambda k: state_cas(k, 1, 0), lambda k: state_expire(k, 1),
    lambda k: state_ttl(k), lambda k: state_fetch(k, lambda: 1),
]


@pytest.mark.parametrize("call", KEY_CALLS)
def test_keys_are_checked(call):
    for key in (None, 1, b"bytes", ("a",)):
        with pytest.raises(TypeError):
            call(key)
    for key in ("", "x" * 1025, "é" * 513, "\ud800"):
        with pytest.raises(ValueError):
            call(key)
    call("é" * 512)


@pytest.mark.parametrize("call, text", [
    (lambda: state_get_multi("key"), "keys are an iterable of str, not one str"),
    (lambda: state_get_multi(None), "keys are an iterable of str, not one NoneType"),
    (lambda: state_set_multi([("k", 1)]), "keys and values are a mapping, not list"),
    (lambda: state_incr("k", 1.0), "a delta is an int, not float"),
    (lambda: state_decr("k", "1"), "a delta is an int, not str"),
    (lambda: state_keys("k", "1"), "a limit is an int, not str"),
    (lambda: state_keys(b"k"), "a prefix is a str, not bytes"),
    (lambda: state_cas("k", 1, None), "a version is an int, not NoneType"),
    (lambda: state_set_multi({"k": 1, "l": [Strange()]}), "'l': value[0]: Strange cannot be an Erlang term"),
])
def test_an_argument_of_another_type_is_a_type_error_that_names_it(call, text):
    with pytest.raises(TypeError) as raised:
        call()
    assert str(raised.value) == text
    assert state_get("k") is None


class Strange:
    pass


def test_value_that_cannot_be_kept_is_named():
    with pytest.raises(TypeError, match="Strange"):
        state_set("k", {"a": [Strange()]})
    with pytest.raises(ValueError, match="surrogate"):
        state_set("k", ["ok", "\udc80"])
    nested = []
    for _ in range(10000):
        nested = [nested]
    with pytest.raises(ValueError, match="nested"):
        state_set("k", nested)
    for colliding in ({"a": 1, b"a": 2}, {True: 1, Atom("true"): 2}):
        with pytest.raises(ValueError, match="same Erlang term"):
            state_set("k", colliding)
    assert state_get("k") is None


def test_value_above_max_value_names_the_limit():
    with pytest.raises(HornbeamError, match="max_value"):
        state_set("k", b"x" * (9 << 20))
    with pytest.raises((HornbeamError, ValueError), match="16 ?MiB|16777216"):
        state_set("k", b"x" * (17 << 20))
    with pytest.raises(HornbeamError, match="16777216"):
        state_set_multi({str(i): b"x" * (6 << 20) for i in range(4)})
    assert state_keys() == []


def test_fetch_computes_once_and_keeps_what_it_got():
    calls = []
    for _ in range(3):
        assert state_fetch("k", lambda: calls.append(1) or {"a": 1}, ttl=100) == {"a": 1}
    assert len(calls) == 1
    assert 99 < state_ttl("k") <= 100
    assert state_fetch("none", lambda: calls.append(1)) is None
    assert state_fetch("none", lambda: calls.append(1)) is None
    assert len(calls) == 2


def test_what_fetch_cannot_call_is_refused_also_where_the_key_is_there():
    state_fetch("k", lambda: 1)
    for key in ("k", "new"):
        with pytest.raises(TypeError, match="^compute is something that can be called, not int"):
            state_fetch(key, 5)


def test_fetch_gives_the_lease_back_when_compute_raises():
    def fail():
        raise KeyError("mine")

    before = time.monotonic()
    with pytest.raises(KeyError, match="mine"):
        state_fetch("k", fail)
    assert state_fetch("k", lambda: 1) == 1
    with pytest.raises(TypeError, match="Strange"):
        state_fetch("other", Strange)
    assert state_fetch("other", lambda: 2) == 2
    assert time.monotonic() - before < 15


def test_fetch_inside_its_own_computation_does_not_wait():
    assert state_fetch("k", lambda: state_fetch("k", lambda: 1) + 1) == 2
    assert state_get("k") == 2


def test_fetch_returns_the_value_when_its_lease_has_gone():
    def compute():
        state_set("k", "of another")
        return "mine"

    assert state_fetch("k", compute) == "mine"


def test_module_says_what_it_is():
    assert issubclass(hb.HornbeamTimeoutError, TimeoutError)
    assert issubclass(hb.HornbeamConnectionError, ConnectionError)
    assert issubclass(hb.CallError, HornbeamError)
    assert issubclass(hb.RemoteError, HornbeamError)
    for name in hb.__all__:
        thing = getattr(hb, name)
        assert thing.__doc__
        if isinstance(thing, type):
            assert f"{thing.__module__}.{thing.__qualname__}" == f"hornbeam_erlang.{name}"
    with pytest.raises(RuntimeError):
        _hornbeam.configure("/x", "direct", "client")
