"""call, cast, rpc_call, rpc_cast, node and nodes against a real companion."""

import math
import signal
import time

import pytest
from companion import SLOW, Companion, eventually, register_functions, script

from hornbeam_erlang import (
    Atom,
    CallError,
    HornbeamConnectionError,
    HornbeamError,
    HornbeamTimeoutError,
    RemoteError,
    call,
    cast,
    node,
    nodes,
    rpc_call,
    rpc_cast,
)


@pytest.fixture(scope="module", autouse=True)
def functions(companion, tmp_path_factory):
    register_functions(tmp_path_factory.mktemp("ebin"))


VALUES = [None, True, 1, -(2**70), 1.5, math.inf, "text", "ž\0🌳", [], [1, [2]], (1, "a"), {"a": {1: (None,)}}, Atom("x"),
          {1, 2}, "x" * 1_000_000, [b"\0\xff"]]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
def test_argument_comes_back_as_the_value(value):
    assert call("echo", value) == value
    assert call("fine", value) == value
    assert rpc_call("local", "calls_peer", "echo", [value]) == value
    assert rpc_call("local", "calls_peer", "echo", (value,)) == value


def test_rpc_value_is_as_it_is():
    assert rpc_call("local", "calls_peer", "fine", [1]) == (Atom("ok"), 1)
    assert rpc_call("local", "calls_peer", "failed", [1]) == (Atom("error"), 1)


def test_error_of_a_function_is_a_call_error_with_its_reason():
    with pytest.raises(CallError) as e:
        call("failed", {"why": ("bad", 1)})
    assert e.value.reason == {"why": ("bad", 1)}


@pytest.mark.parametrize("how", ["call", "rpc_call"])
@pytest.mark.parametrize("kind", ["error", "exit", "throw"])
def test_exception_is_a_remote_error_with_class_and_reason(how, kind):
    with pytest.raises(RemoteError) as e:
        if how == "call":
            call("raises", Atom(kind), ("oops", 1))
        else:
            rpc_call("local", "calls_peer", "raises", [Atom(kind), ("oops", 1)])
    assert (e.value.kind, e.value.reason) == (kind, ("oops", 1))
    assert e.value.stacktrace
    assert str(e.value) == kind + ': {<<"oops">>,1}'


def test_function_that_is_not_exported_is_a_remote_error():
    with pytest.raises(RemoteError) as e:
        rpc_call("local", "calls_peer", "no_such", [])
    assert e.value.kind == "error"
    assert str(e.value) == "error: undefined function calls_peer:no_such/0"


def test_function_that_is_killed_is_a_remote_error():
    with pytest.raises(RemoteError) as e:
        call("killed")
    assert (e.value.kind, e.value.reason) == ("exit", "killed")


def test_unknown_name_suggests_a_near_one():
    with pytest.raises(HornbeamError, match="echo") as e:
        call("ecko", 1)
    assert type(e.value) is HornbeamError
    with pytest.raises(HornbeamError, match="echo"):
        cast("ecko", 1)


def test_deadline_is_a_timeout_error_and_stops_the_function():
    before = time.monotonic()
    with pytest.raises(TimeoutError) as e:
        call("held", "deadline", timeout_ms=100)
    assert isinstance(e.value, HornbeamTimeoutError)
    assert 0.09 < time.monotonic() - before < 30 * SLOW
    eventually(lambda: not call("is_held", "deadline"))
    with pytest.raises(TimeoutError):
        rpc_call("local", "timer", "sleep", [10_000], timeout_ms=50.5)


def test_node_that_is_not_there_is_a_connection_error():
    with pytest.raises(ConnectionError) as e:
        rpc_call("nobody@127.0.0.1", "erlang", "node", [])
    assert isinstance(e.value, HornbeamConnectionError)
    assert "nobody@127.0.0.1" in str(e.value)


def test_cast_runs_the_function_and_returns_at_once():
    cast("raises", Atom("error"), 1)
    assert cast("held", "cast") is None  # which never ends
    eventually(lambda: call("is_held", "cast"))
    rpc_cast("local", "calls_peer", "held", ["rpc_cast"])
    eventually(lambda: call("is_held", "rpc_cast"))


def test_node_and_nodes_without_a_cluster():
    assert node() == "nonode@nohost"
    assert nodes() == []
    assert rpc_call(node(), "calls_peer", "echo", [1]) == 1


@pytest.mark.parametrize("name", [1, None, b"echo", ["echo"]])
def test_name_that_is_no_text_is_a_type_error(name):
    for use in (lambda: call(name), lambda: cast(name), lambda: rpc_call(name, "m", "f", []),
                lambda: rpc_call("n", name, "f", []), lambda: rpc_cast("n", "m", name, [])):
        with pytest.raises(TypeError, match="name is a str"):
            use()


@pytest.mark.parametrize("name", ["", "x" * 256, "é" * 128, "\ud800"])
def test_name_of_a_wrong_length_is_a_value_error(name):
    for use in (lambda: call(name), lambda: cast(name), lambda: rpc_call(name, "m", "f", []),
                lambda: rpc_call("n", name, "f", []), lambda: rpc_cast("n", "m", name, [])):
        with pytest.raises(ValueError, match="name"):
            use()


@pytest.mark.parametrize("args", ["text", b"bytes", {"a": 1}, {1}, 1, None, iter([1])])
def test_arguments_that_are_no_list_or_tuple_are_a_type_error(args):
    with pytest.raises(TypeError, match="list or a tuple"):
        rpc_call("local", "calls_peer", "echo", args)
    with pytest.raises(TypeError, match="list or a tuple"):
        rpc_cast("local", "calls_peer", "echo", args)


def test_argument_that_is_no_term_is_a_type_error_that_names_its_place():
    with pytest.raises(TypeError, match=r"\[1\].*object"):
        call("echo", 1, object())


@pytest.mark.parametrize("timeout", ["1", None, True, 1j])
def test_timeout_that_is_no_number_is_a_type_error(timeout):
    with pytest.raises(TypeError, match="timeout"):
        call("echo", 1, timeout_ms=timeout)


@pytest.mark.parametrize("timeout", [0, -1, -0.0, math.nan, math.inf, 86_400_001, 10**400])
def test_timeout_out_of_range_is_a_value_error(timeout):
    with pytest.raises(ValueError, match="above 0"):
        rpc_call("local", "calls_peer", "echo", [1], timeout_ms=timeout)


def test_least_and_greatest_timeouts_are_taken():
    assert call("echo", 1, timeout_ms=86_400_000) == 1
    with pytest.raises(TimeoutError):
        call("held", "least", timeout_ms=1e-9)


def test_term_that_python_cannot_hold_is_a_value_error():
    for name in ("colliding", "improper"):
        with pytest.raises(ValueError):
            call(name)
    assert call("echo", 1) == 1


def test_request_beyond_a_frame_is_refused():
    with pytest.raises(ValueError, match="16 MiB"):
        call("echo", "x" * (17 << 20))
    assert call("echo", 1) == 1


def test_companion_that_dies_ends_its_calls():
    with Companion() as own:
        process = script(own, """
def call_for_long():
    try:
        rpc_call("local", "timer", "sleep", [60000], timeout_ms=60000)
    except ConnectionError as e:
        print(type(e).__name__, flush=True)
thread = threading.Thread(target=call_for_long)
thread.start()
wait_until_asleep(thread)
print(node(), flush=True)
thread.join()
""")
        assert process.stdout.readline() == "nonode@nohost\n"
        own.kill()
        assert process.communicate(timeout=30 * SLOW) == ("HornbeamConnectionError\n", "")


def test_interrupted_call_is_stopped_in_the_companion(companion):
    process = script(companion, """
try:
    call("held", "interrupted", timeout_ms=60000)
except KeyboardInterrupt:
    print("interrupted", call("echo", 1), flush=True)
    sys.stdin.read()
""")
    eventually(lambda: call("is_held", "interrupted"))
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "interrupted 1\n"
    eventually(lambda: not call("is_held", "interrupted"))
    assert process.communicate(timeout=30 * SLOW) == ("", "")
