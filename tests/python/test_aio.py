"""hornbeam_erlang.aio against a real companion, on asyncio's loop, the worker's and uvloop."""

import asyncio
import gc
import inspect
import os
import random
import sys
import threading
import time
import warnings

import pytest
import uvloop
from companion import SLOW, Companion, eventually, register_functions, run, script

import hornbeam_erlang as hb
from hornbeam_erlang import (
    Atom,
    CallError,
    HornbeamConnectionError,
    HornbeamError,
    HornbeamTimeoutError,
    RemoteError,
    aio,
)

sys.path.append(os.path.join(os.environ["HORNBEAM_BUILD"], "tests", "python", ".libs"))
import _hornbeam_loop  # noqa: E402

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture(scope="module", autouse=True)
def functions(companion, tmp_path_factory):
    register_functions(tmp_path_factory.mktemp("ebin"))


def connections():
    """How many sockets this process has open."""
    count = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass
    return count


@pytest.fixture(params=[asyncio.new_event_loop, _hornbeam_loop.Loop, uvloop.new_event_loop],
                ids=["asyncio", "worker", "uvloop"])
def on_loop(request):
    """Runs a coroutine on a loop of each kind, which is closed afterwards and leaves nothing open."""
    before = connections()
    loop = request.param()

    def run_on(coroutine):
        return loop.run_until_complete(asyncio.wait_for(coroutine, 60 * SLOW))

    yield run_on
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    eventually(lambda: connections() == before)


def test_state_functions_are_those_that_block(on_loop):
    async def main():
        assert await aio.state_get("k") is None
        assert await aio.state_get("k", 5) == 5
        assert await aio.state_set("k", {"a": b"1"}) is None
        assert await aio.state_get("k") == {"a": b"1"} == hb.state_get("k")
        assert await aio.state_add("k", 1) is False
        assert await aio.state_add("new", 1, ttl=60) is True
        assert 59 < await aio.state_ttl("new") <= 60
        assert await aio.state_expire("new", None) is True
        assert await aio.state_ttl("new") == float("inf")
        assert await aio.state_incr("n") == 1
        assert await aio.state_incr("n", 10, ttl=60) == 11
        assert await aio.state_decr("n", 3) == 8
        assert await aio.state_set_multi({"m:1": 1, "m:2": [2]}) is None
        assert await aio.state_get_multi(k for k in ["m:1", "m:2", "m:3"]) == {"m:1": 1, "m:2": [2], "m:3": None}
        assert await aio.state_keys("m:") == ["m:1", "m:2"]
        assert await aio.state_keys("m:", 1) == ["m:1"]
        value, version = await aio.state_gets("m:2")
        assert value == [2]
        assert await aio.state_cas("m:2", "x", version) is True
        assert await aio.state_cas("m:2", "y", version) is False
        assert await aio.state_delete("m:2") is True
        assert await aio.state_delete("m:2") is False

    on_loop(main())


def test_calls_return_values_and_raise(on_loop):
    async def main():
        assert await aio.call("echo", {"a": 1}) == {"a": 1}
        assert await aio.call("fine", "x" * 3_000_000) == "x" * 3_000_000
        assert await aio.cast("echo", 1) is None
        assert await aio.rpc_call("local", "calls_peer", "echo", (1,)) == 1
        assert await aio.rpc_cast("local", "calls_peer", "echo", [1]) is None
        assert await aio.node() == "nonode@nohost"
        assert await aio.nodes() == []
        with pytest.raises(CallError) as failed:
            await aio.call("failed", "why")
        assert failed.value.reason == "why"
        with pytest.raises(RemoteError) as raised:
            await aio.call("raises", Atom("throw"), 1)
        assert (raised.value.kind, raised.value.reason) == ("throw", 1)
        with pytest.raises(HornbeamError, match="echo"):
            await aio.call("ecko")
        with pytest.raises(HornbeamConnectionError):
            await aio.rpc_call("nobody@127.0.0.1", "m", "f", [])
        with pytest.raises(TypeError, match="list or a tuple"):
            await aio.rpc_call("local", "m", "f", "text")
        with pytest.raises(TypeError, match="object"):
            await aio.state_set("k", object())
        with pytest.raises(ValueError):
            await aio.state_get("")
        with pytest.raises(ValueError):
            await aio.call("colliding")

    on_loop(main())


def test_every_function_is_a_coroutine_function_with_the_signature_of_its_namesake():
    assert set(aio.__all__) == {name for name in hb.__all__ if inspect.isfunction(getattr(hb, name))}
    for name in aio.__all__:
        function = getattr(aio, name)
        assert asyncio.iscoroutinefunction(function) or name == "subscription", name  # that one is for async with
        ours, theirs = inspect.signature(function), inspect.signature(getattr(hb, name))
        assert list(ours.parameters) == list(theirs.parameters), name
        if name != "register":  # which is no decorator here
            assert [p.default for p in ours.parameters.values()] == [p.default for p in theirs.parameters.values()]


def test_tasks_gather_and_timeouts_take_them(on_loop):
    async def main():
        task = asyncio.create_task(aio.call("echo", 1))
        assert await task == 1
        assert await asyncio.gather(aio.call("echo", 1), aio.state_get("k"), aio.node()) == [1, None, "nonode@nohost"]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(aio.call("late", 60_000, 1, timeout_ms=60_000), 0.05)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await aio.call("held", "timeout", timeout_ms=60_000)
        while await aio.call("is_held", "timeout"):
            await asyncio.sleep(0.001)

    on_loop(main())


def test_thousand_calls_at_once_overlap(on_loop):
    async def main():
        # One after the other they would take longer than on_loop waits.
        values = await asyncio.gather(*(aio.call("late", 1000, i, timeout_ms=60_000) for i in range(1000)))
        assert values == list(range(1000))

    on_loop(main())


def test_ten_thousand_calls_are_outstanding_at_once(on_loop):
    async def main():
        values = await asyncio.gather(*(aio.call("late", 500, i, timeout_ms=60_000) for i in range(10_000)))
        assert values == list(range(10_000))

    on_loop(main())


def test_deadline_ends_each_call_by_itself(on_loop):
    async def main():
        before = time.monotonic()
        tasks = [asyncio.create_task(aio.call("late", 60_000, i, timeout_ms=ms))
                 for i, ms in enumerate([300, 100, 200, 30_000])]
        assert await aio.call("echo", 1) == 1
        for i in (1, 2, 0):
            with pytest.raises(HornbeamTimeoutError):
                await tasks[i]
        assert time.monotonic() - before > 0.29
        assert not tasks[3].done()
        tasks[3].cancel()

    on_loop(main())


def test_cancelled_call_is_stopped_in_the_companion(on_loop):
    async def main():
        task = asyncio.create_task(aio.call("held", "cancelled", timeout_ms=60_000))
        other = asyncio.create_task(aio.call("late", 300, "other", timeout_ms=60_000))
        while not await aio.call("is_held", "cancelled"):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while await aio.call("is_held", "cancelled"):
            await asyncio.sleep(0.001)
        assert await other == "other"

    on_loop(main())


def test_call_that_is_cancelled_before_it_is_sent_harms_nobody(on_loop):
    async def main():
        for _ in range(50):
            tasks = [asyncio.create_task(aio.call("echo", i)) for i in range(20)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            values = await asyncio.gather(*tasks, return_exceptions=True)
            assert values[1::2] == list(range(1, 20, 2))

    on_loop(main())


def test_each_answer_is_its_own_however_many_are_cancelled(on_loop):
    """Thousands of calls that last differently long; a random half is cancelled at random times."""
    chance = random.Random(20261122)

    async def one(i):
        if chance.random() < 0.3:
            value = await aio.call("echo", (i, "echo"))
            assert value == (i, "echo")
        elif chance.random() < 0.5:
            value = await aio.rpc_call("local", "calls_peer", "late", [chance.randrange(30), i])
            assert value == i
        else:
            assert await aio.state_incr(f"c:{i}", i) == i
        return i

    async def main():
        answered = cancelled = 0
        for start in range(0, 5000, 500):
            tasks = [asyncio.create_task(one(i)) for i in range(start, start + 500)]
            for task in chance.sample(tasks, 250):
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.random() * 0.002)
                task.cancel()
            for i, outcome in enumerate(await asyncio.gather(*tasks, return_exceptions=True), start):
                assert outcome == i or isinstance(outcome, asyncio.CancelledError), outcome
                answered += outcome == i
                cancelled += outcome != i
        assert answered >= 2500
        assert cancelled > 50

    on_loop(main())


def test_fetch_computes_once_for_all(on_loop):
    computed = []

    async def compute():
        computed.append(1)
        await asyncio.sleep(0.05)
        return {"report": 1}

    async def main():
        values = await asyncio.gather(*(aio.state_fetch("report", compute, ttl=60) for _ in range(50)))
        assert values == [{"report": 1}] * 50
        assert len(computed) == 1
        assert await aio.state_fetch("plain", lambda: [1]) == [1]
        assert await aio.state_get("plain") == [1]

        async def inner():
            return await aio.state_fetch("self", lambda: 1) + 1

        assert await aio.state_fetch("self", inner) == 2

    on_loop(main())


def test_fetch_that_fails_or_is_cancelled_leaves_the_computation_to_the_next(on_loop):
    async def fails():
        raise KeyError("no")

    async def main():
        with pytest.raises(KeyError):
            await aio.state_fetch("f", fails)
        assert await aio.state_fetch("f", lambda: 1) == 1
        hangs = asyncio.create_task(aio.state_fetch("g", lambda: asyncio.sleep(60)))
        waits = [asyncio.create_task(aio.state_fetch("g", lambda: 0)) for _ in range(5)]
        await asyncio.sleep(0.05)
        for task in waits:
            task.cancel()
        await asyncio.wait(waits)
        hangs.cancel()
        before = time.monotonic()
        assert await aio.state_fetch("g", lambda: 2) == 2
        assert time.monotonic() - before < 10

    on_loop(main())


def test_loops_of_threads_have_connections_of_their_own():
    before = connections()
    seen, barrier, failures = [], threading.Barrier(4), []

    async def main(n):
        values = await asyncio.gather(*(aio.call("echo", (n, i)) for i in range(200)))
        assert values == [(n, i) for i in range(200)]
        barrier.wait(30)
        if n == 0:
            seen.append(connections())
        barrier.wait(30)

    def in_thread(n):
        try:
            asyncio.run(main(n))
        except BaseException as e:
            failures.append(e)
            barrier.abort()

    threads = [threading.Thread(target=in_thread, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert seen[0] >= before + 4
    eventually(lambda: connections() == before)


def test_closed_loops_leave_nothing_open():
    gc.collect()
    before = connections()
    gc.disable()
    try:
        for i in range(20):
            assert asyncio.run(aio.call("echo", i)) == i
            assert connections() == before
    finally:
        gc.enable()


def test_calls_in_flight_when_the_loop_ends_are_nobodys():
    before = connections()

    async def main():
        task = asyncio.create_task(aio.call("held", "loop_ends", timeout_ms=60_000))
        while not await aio.call("is_held", "loop_ends"):
            await asyncio.sleep(0.001)
        return task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(main())
    loop.close()
    assert connections() == before
    eventually(lambda: not hb.call("is_held", "loop_ends"))
    task._log_destroy_pending = False
    del task, loop
    gc.collect()


def test_loop_that_is_stopped_and_run_again_goes_on():
    loop = asyncio.new_event_loop()
    for i in range(3):
        assert loop.run_until_complete(aio.call("echo", i)) == i
    loop.close()


def test_without_a_running_loop_it_is_an_error():
    coroutine = aio.call("echo", 1)
    with pytest.raises(RuntimeError, match="no running event loop"):
        coroutine.send(None)


def test_coroutine_that_is_never_awaited_asks_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        aio.state_set("never", 1)
        gc.collect()
    assert hb.state_get("never") is None


def test_context_of_the_first_caller_is_not_kept(companion):
    run(companion, """
import asyncio, contextvars, gc, weakref
from hornbeam_erlang import aio
class Big: pass
variable = contextvars.ContextVar("v")
async def first():
    big = Big()
    variable.set(big)
    await aio.state_get("k")
    return weakref.ref(big)
async def main():
    ref = await asyncio.create_task(first())
    await asyncio.sleep(0)
    gc.collect()
    assert ref() is None
    await aio.state_get("k")
asyncio.run(main())
""")


def test_fork_gives_the_child_a_connection_of_its_own(companion):
    assert run(companion, """
import asyncio
from hornbeam_erlang import aio
async def child():
    assert await aio.state_incr("fork") == 2
async def main():
    await aio.state_incr("fork")
    late = asyncio.create_task(aio.rpc_call("local", "timer", "sleep", [200]))
    await asyncio.sleep(0.01)
    pid = os.fork()
    if pid == 0:
        asyncio.events._set_running_loop(None)
        status = 1
        try:
            asyncio.run(child())
            status = 0
        finally:
            os._exit(status)
    reap(pid)
    assert str(await late) == "ok"
    assert await aio.state_incr("fork") == 3
    print("done")
asyncio.run(main())
""") == "done\n"


ASYNC = """
import asyncio
from hornbeam_erlang import aio
"""


def test_companion_killed_in_flight_fails_all_and_the_next_one_serves():
    with Companion() as own:
        process = script(own, ASYNC + """
async def outcome(i):
    try:
        return await aio.rpc_call("local", "timer", "sleep", [60000], timeout_ms=60000)
    except ConnectionError as e:
        return type(e).__name__
async def main():
    tasks = [asyncio.create_task(outcome(i)) for i in range(1000)]
    await aio.node()
    print("flying", flush=True)
    print(set(await asyncio.gather(*tasks)), flush=True)
    failed = 0
    while True:
        try:
            await aio.state_set("k", 1)
            break
        except ConnectionError:
            failed += 1
            if failed == 1:
                print("down", flush=True)
            await asyncio.sleep(0.005)
    print("up", flush=True)
asyncio.run(main())
""")
        assert process.stdout.readline() == "flying\n"
        own.kill()
        assert process.stdout.readline() == "{'HornbeamConnectionError'}\n"
        assert process.stdout.readline() == "down\n"
        own.start()
        assert process.stdout.readline() == "up\n"
        assert process.communicate(timeout=30 * SLOW) == ("", "")


def test_connection_that_died_while_the_loop_rested_is_replaced_unnoticed():
    with Companion() as own:
        process = script(own, ASYNC + """
loop = asyncio.new_event_loop()
loop.run_until_complete(aio.state_set("k", 1))
print("rests", flush=True)
sys.stdin.readline()
print(loop.run_until_complete(aio.state_get("k", "new")), flush=True)
""")
        assert process.stdout.readline() == "rests\n"
        own.kill()
        own.start()
        assert process.communicate("go\n", timeout=30 * SLOW) == ("new\n", "")


def test_companion_that_hangs_ends_calls_at_their_deadlines_and_what_waits_is_bounded():
    with Companion() as own:
        process = script(own, ASYNC + """
async def main():
    await aio.state_set("k", 0)
    print("ready", flush=True)
    sys.stdin.readline()
    before = time.monotonic()
    waits = [asyncio.create_task(aio.rpc_call("local", "erlang", "self", [], timeout_ms=200)) for _ in range(100)]
    big = [asyncio.create_task(aio.state_set("big", b"x" * 8_000_000)) for _ in range(10)]
    outcomes = await asyncio.gather(*waits, return_exceptions=True)
    assert {type(e) for e in outcomes} == {HornbeamTimeoutError}, outcomes
    assert 0.19 < time.monotonic() - before
    done, pending = await asyncio.wait(big, return_when=asyncio.FIRST_EXCEPTION)
    refused = [str(t.exception()) for t in done]
    assert refused and all("wait" in text and "bytes" in text for text in refused), refused
    print("refused", flush=True)
    sys.stdin.readline()
    late = await asyncio.gather(*pending, return_exceptions=True)
    assert {type(e) for e in late} <= {type(None), HornbeamTimeoutError}, late
    assert await aio.state_get("k") == 0
    print("done", flush=True)
asyncio.run(main())
""")
        assert process.stdout.readline() == "ready\n"
        own.pause()
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "refused\n"
        own.signal(18)
        assert process.communicate("go\n", timeout=30 * SLOW) == ("done\n", "")


def test_no_companion_is_a_connection_error_at_once(tmp_path):
    with Companion() as own:
        link = own.link
        own.link = str(tmp_path / "nobody")
        assert run(own, ASYNC + """
async def main():
    for _ in range(100):
        try:
            await aio.state_get("k")
        except ConnectionError as e:
            text = str(e)
    print(text)
asyncio.run(main())
""").startswith("cannot connect to")
        own.link = link
