"""Values and keys that cannot be kept, by each door: an application, a script and the command line."""

import json

import evaluator
import pytest
from harness import Daemon, eventually
from wire import SET, ZERO, binary, companion_status, link, term, tuple_of

MIB = 1 << 20

#: An expression, the exception that it raises, and what its text says.
REFUSED = [
    ("state_set('k', object())", "TypeError", "object"),
    ("state_set('k', {'a': [lambda: 0]})", "TypeError", "function"),
    ("state_set('k', 'a\\udcff')", "ValueError", "surrogate"),
    ("state_set('k', {'\\ud800': 1})", "ValueError", "surrogate"),
    ("state_set('k', __import__('functools').reduce(lambda v, _: [v], range(10000), []))", "ValueError", "nested"),
    ("state_set('k', __import__('functools').reduce(lambda v, _: {1: v}, range(10000), 0))", "ValueError", "nested"),
    ("state_set('k', {'a': 1, b'a': 2})", "ValueError", "same Erlang term"),
    ("state_set('k', {True: 1, Atom('true'): 2})", "ValueError", "same Erlang term"),
    ("state_set('k', b'x' * (9 << 20))", "HornbeamError", "state.max_value"),
    ("state_set('k', 'x' * (17 << 20))", "ValueError", "16 MiB"),
    ("state_set_multi({str(i): b'x' * (6 << 20) for i in range(3)})", "HornbeamError", "16777216"),
    ("state_add('k', b'x' * (9 << 20))", "HornbeamError", "state.max_value"),
    ("state_cas('k', b'x' * (9 << 20), 0)", "HornbeamError", "state.max_value"),
    ("state_fetch('k', lambda: b'x' * (9 << 20))", "HornbeamError", "state.max_value"),
    ("state_incr('text')", "TypeError", "text"),
    ("state_decr('text')", "TypeError", "text"),
    ("state_incr('k', 'x')", "TypeError", ""),
    ("state_incr('k', 1.5)", "TypeError", ""),
    ("state_set('', 1)", "ValueError", "not 0"),
    ("state_get('')", "ValueError", "not 0"),
    ("state_set('k' * 1025, 1)", "ValueError", "1024"),
    ("state_get('\u00e9' * 513)", "ValueError", "1024"),
    ("state_get('\\udc80')", "ValueError", "text"),
    ("state_get(b'k')", "TypeError", "bytes"),
    ("state_get_multi(['k', 1])", "TypeError", "int"),
    ("state_set('k', 1, ttl=0)", "ValueError", ""),
]

#: What comes back as it was.
KEPT = [
    "float('nan')", "float('inf')", "-0.0", "2**4000 - 1", "-(2**4000)", "b''", "''", "('$py', 1)", "('$py', ('$py',))",
    "b'\\0\\xff'", "'nul\\0 \U0001f333'", "[(1, {'a': {1, 2}}), None, True]", "{(1, 2): [], 1.0: 1, b'b': 2, 'c': 3}",
    "'\u00e9' * 1000000", "__import__('functools').reduce(lambda v, _: [v], range(200), [])",
]


@pytest.fixture(scope="module")
def daemon():
    with Daemon("evaluator:application", files=evaluator.FILES, config={"workers": 1}) as d:
        pids = [d.companion_pid(), *d.worker_pids()]
        d.hornbeam("state", "set", "text", "words")
        yield d
        assert [d.companion_pid(), *d.worker_pids()] == pids, "somebody died of a value"
        assert d.hornbeam("state", "keys").stdout == "text\n", "what was refused left something behind"


SCRIPT = """
import json, sys
from hornbeam_erlang import *
out = []
for code in json.load(sys.stdin):
    try:
        out.append([200, eval(code)])
    except Exception as e:
        out.append([503, [[t.__name__ for t in type(e).__mro__], str(e).encode(errors="replace").decode()]])
print(json.dumps(out))
"""


def in_worker(daemon, codes):
    return [evaluator.ask(daemon, code) for code in codes]


def in_script(daemon, codes):
    done = daemon.python(SCRIPT, input=json.dumps(codes))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("door", [in_worker, in_script])
def test_what_cannot_be_kept_raises_and_says_why(daemon, door):
    for (code, kind, words), (status, value) in zip(REFUSED, door(daemon, [c for c, _, _ in REFUSED]), strict=True):
        assert status == 503, (code, value)
        classes, text = value
        assert kind in classes, (code, value)
        assert words.replace("1024", "1,024") in text or words.replace("1024", "1024") in text, (code, text)
        assert "Error" not in text and len(text) > 10, (code, text)


@pytest.mark.parametrize("door", [in_worker, in_script])
def test_what_is_unusual_comes_back_unchanged(daemon, door):
    check = ("(lambda v: (state_set('kept', v), [(lambda w: (type(w) is type(v), repr(w) == repr(v)))(w) for w in "
             "(state_get('kept'), state_gets('kept')[0], state_get_multi(['kept'])['kept'])],"
             " state_delete('kept'))[1])(%s)")
    for code, answer in zip(KEPT, door(daemon, [check % code for code in KEPT]), strict=True):
        assert list(answer) == [200, [[True, True]] * 3], code


def test_a_value_from_one_door_is_the_same_at_the_other(daemon):
    for code in KEPT:
        evaluator.run(daemon, f"state_set('kept', {code})")
        assert in_script(daemon, [f"(repr(state_get('kept')) == repr({code}), state_delete('kept'))[0]"]) == [[200, True]]


@pytest.mark.parametrize("args, text, status, words", [
    (("set", "k", "-"), b"x" * 9 * MIB, 6, "state.max_value"),
    (("set", "k", "-", "--nx"), b"x" * 9 * MIB, 6, "state.max_value"),
    (("set", "k", "-"), b"x" * 17 * MIB, 6, "16 MiB"),
    (("set", "k", "--json", "-"), b"[" * 10000 + b"]" * 10000, 2, "depth"),
    (("set", "k", "--term", "-"), b"[" * 10000 + b"]" * 10000, 2, "nested"),
    (("set", "k", "--json", "-"), b'{"a":1,"a":2}', 2, "duplicate"),
    (("set", "k", "--json", "-"), b'"\\ud800"', 2, "Unicode"),
    (("set", "k", "--json", "-"), b"[1,", 2, "line 1"),
    (("set", "k", "--json", "-"), b"NaN", 2, "line 1"),
    (("incr", "text"), b"", 6, "text"),
    (("decr", "text", "3"), b"", 6, "text"),
    (("set", "", "v"), b"", 2, "empty"),
    (("incr", ""), b"", 2, "empty"),
    (("delete", "k" * 1025), b"", 2, "1024"),
    (("get", "\udcff"), b"", 2, "UTF-8"),
    (("set", "\udcff", "v"), b"", 2, "UTF-8"),
], ids=range(16))
def test_the_command_line_says_why(daemon, args, text, status, words):
    done = daemon.hornbeam("state", *args, input=text, text=False)
    assert done.returncode == status, done
    said = done.stderr.decode()
    assert said.startswith("hornbeam: ") and words in said and said.count("\n") <= 2, said
    assert done.stdout == b""


LIMITS = {"max_keys": 5, "max_bytes": "10K", "max_value": "4K"}


@pytest.mark.parametrize("door", ["worker", "script", "command line"])
def test_every_limit_is_named_and_holds(door):
    with Daemon("evaluator:application", files=evaluator.FILES, config={"state": LIMITS}) as d:

        def put(key, size):
            """None, or the words of the refusal."""
            code = f"state_set('{key}', 'v' * {size})"
            if door == "command line":
                done = d.hornbeam("state", "set", key, "v" * size)
                assert done.returncode in (0, 6)
                return done.stderr or None
            status, value = evaluator.ask(d, code) if door == "worker" else in_script(d, [code])[0]
            assert status == 200 or "HornbeamError" in value[0]
            return None if status == 200 else value[1]

        assert "state.max_value" in put("k1", 4096) and "4096" in put("k1", 4096)
        assert put("k1", 4000) is None
        assert put("k2", 4000) is None
        assert "state.max_bytes" in put("k3", 4000)
        assert put("k2", 100) is None  # less is always possible
        for i in (3, 4, 5):
            assert put(f"k{i}", 1) is None
        assert "state.max_keys" in put("k6", 1)
        assert put("k5", 2) is None  # a key that is there is no new one
        assert evaluator.run(d, "state_incr('k1') if state_set('k1', 5) else state_incr('k1')") == 6
        assert "state.max_keys" in evaluator.ask(d, "state_incr('k6')")[1][1]
        assert "state.max_keys" in evaluator.ask(d, "state_set_multi({'k6': 1, 'k7': 1})")[1][1]
        assert evaluator.run(d, "state_keys()") == ["k1", "k2", "k3", "k4", "k5"]
        assert evaluator.run(d, "state_delete('k4')") is True
        assert put("k6", 1) is None


def test_a_hundred_megabytes_of_values_are_kept_and_given_back(daemon):
    def memory():
        return companion_status(daemon)["memory"]["binary"]

    put = "[state_set(f'bulk:{i}', bytes([i]) * (1 << 20)) for i in range(100)] and None"
    assert evaluator.run(daemon, put) is None
    assert 100 * MIB < memory() < 200 * MIB
    assert evaluator.run(daemon, "all(state_get(f'bulk:{i}') == bytes([i]) * (1 << 20) for i in range(100))") is True
    assert evaluator.run(daemon, "[len(state_keys('bulk:')), *map(state_delete, state_keys('bulk:'))].count(True)") == 100
    eventually(lambda: memory() < 60 * MIB)


def test_what_another_client_stored_and_no_python_can_read_is_an_error_of_the_call(daemon):
    with link(daemon) as peer:
        for stored in (b"\x83\xff", b"\x83m\0\0\0\xffx", b"\x83" + b"l\0\0\0\1" * 100000, b"\x83w\1\xff"):
            value = term(tuple_of(binary(b"broken"), binary(stored), ZERO))
            assert peer.call(SET, value) == "ok"
            for code in ("state_get('broken')", "state_gets('broken')", "state_get_multi(['broken'])"):
                status, (classes, _text) = evaluator.ask(daemon, code)
                assert status == 503 and ("HornbeamError" in classes or "ValueError" in classes), classes
            assert daemon.hornbeam("state", "get", "broken").returncode == 6
            assert daemon.hornbeam("state", "delete", "broken").returncode == 0
