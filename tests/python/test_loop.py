"""The worker's asyncio loop by itself: what CPython's tests of asyncio do not ask."""
import asyncio
import contextvars
import gc
import os
import selectors
import socket
import sys
import time

import pytest

sys.path.append(os.path.join(os.environ["HORNBEAM_BUILD"], "tests", "python", ".libs"))
import _hornbeam_loop  # noqa: E402

variable = contextvars.ContextVar("variable", default="outer")


@pytest.fixture
def loop():
    loop = _hornbeam_loop.Loop()
    yield loop
    loop.close()


def in_callback(loop, function):
    """What function() returns, called by the loop outside of any task."""
    result = loop.create_future()
    loop.call_soon(lambda: result.set_result(function()))
    return loop.run_until_complete(result)


def test_a_started_task_has_taken_its_first_step(loop):
    async def quick():
        return asyncio.current_task()

    task = in_callback(loop, lambda: loop.start(quick()))
    assert type(task) is asyncio.Task
    assert task.result() is task


def test_a_started_task_goes_on_where_it_waits(loop):
    seen = []

    async def slow():
        seen.append("first")
        async with asyncio.timeout(5):
            await asyncio.sleep(0.001)
        return "second"

    def start():
        task = loop.start(slow())
        assert seen == ["first"] and not task.done()
        return task

    assert loop.run_until_complete(in_callback(loop, start)) == "second"


def test_each_started_task_has_a_context_of_its_own(loop):
    async def change(value):
        before = variable.get()
        variable.set(value)
        return before

    def start():
        return [loop.start(change(i)).result() for i in range(3)] + [variable.get()]

    assert in_callback(loop, start) == ["outer"] * 4


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, ValueError, asyncio.CancelledError])
def test_an_exception_of_the_first_step_is_in_the_task(loop, kind):
    async def fail():
        raise kind("x")

    task = in_callback(loop, lambda: loop.start(fail()))
    assert task.done()
    if kind is asyncio.CancelledError:
        assert task.cancelled()
    else:
        assert type(task.exception()) is kind


def test_inside_another_task_the_first_step_waits(loop):
    async def inner():
        return asyncio.current_task()

    async def outer():
        task = loop.start(inner())
        assert not task.done()
        return await task is task

    assert loop.run_until_complete(outer())


def test_what_a_finalizer_calls_meanwhile_is_a_callback_of_its_own(loop):
    """A cycle whose end calls call_soon, collected while the task is made."""
    called = []

    class Cycle:
        def __init__(self):
            self.itself = self

        def __del__(self):
            loop.call_soon(called.append, "finalizer")

    async def quick():
        return "task"

    def start():
        gc.collect()
        threshold = gc.get_threshold()
        gc.set_threshold(1)
        try:
            Cycle()
            return [loop.start(quick()).result() for _ in range(50)]
        finally:
            gc.set_threshold(*threshold)

    assert in_callback(loop, start) == ["task"] * 50
    loop.run_until_complete(asyncio.sleep(0))
    assert called == ["finalizer"]


def test_all_tasks_has_a_task_until_it_is_gone(loop):
    async def wait(future):
        await future

    def start():
        futures = [loop.create_future() for _ in range(3)]
        tasks = [loop.start(wait(future)) for future in futures]
        assert len({task.get_name() for task in tasks}) == 3
        assert all(task in asyncio.all_tasks(loop) for task in tasks)
        # One that goes while the set is iterated stays in it until that ends.
        for seen in asyncio.tasks._all_tasks:
            del seen
            futures.pop().cancel()
            tasks.pop().cancel()
            break
        return tasks, futures

    tasks, futures = in_callback(loop, start)
    for future in futures:
        future.set_result(None)
    loop.run_until_complete(asyncio.gather(*tasks))
    assert not asyncio.all_tasks(loop)
    del tasks
    gc.collect()
    assert not [ref for ref in asyncio.tasks._all_tasks.data if ref() is None]
    assert len(asyncio.tasks._all_tasks) == 0


def test_timers_run_in_the_order_of_their_times_whatever_was_cancelled(loop):
    seen, now = [], loop.time()
    handles = [loop.call_at(now + (i * 7919 % 500) / 1e5, seen.append, i * 7919 % 500) for i in range(500)]
    for handle in handles[::3]:
        handle.cancel()
    wanted = sorted(i * 7919 % 500 for i in range(500) if i % 3)
    loop.run_until_complete(asyncio.sleep(0.02))
    assert seen == wanted


def test_cancelled_timers_are_not_kept(loop):
    for _ in range(1000):
        loop.call_later(1000, print).cancel()
        loop.run_until_complete(asyncio.sleep(0))
    assert len(loop._scheduled) <= 101


def test_a_time_that_is_none_is_refused(loop):
    with pytest.raises(ValueError):
        loop.call_later(float("nan"), print)
    with pytest.raises(TypeError):
        loop.call_later(None, print)
    with pytest.raises(TypeError):
        loop.call_at("soon", print)


def test_a_callback_may_be_named_by_keyword(loop):
    done = loop.create_future()
    loop.call_soon(callback=lambda: done.set_result("called"))
    assert loop.run_until_complete(done) == "called"


def test_the_selector_is_one_of_the_selectors_module():
    with _hornbeam_loop.Selector() as selector:
        near, far = socket.socketpair()
        key = selector.register(near, selectors.EVENT_READ, "data")
        assert key == selectors.SelectorKey(near, near.fileno(), selectors.EVENT_READ, "data")
        assert selector.get_map()[near] == key and list(selector.get_map()) == [near.fileno()]
        assert selector.select(0) == []
        far.send(b"x")
        assert selector.select() == [(key, selectors.EVENT_READ)]
        assert selector.modify(near, selectors.EVENT_WRITE, "other").data == "other"
        assert [(k.data, events) for k, events in selector.select(1)] == [("other", selectors.EVENT_WRITE)]
        with pytest.raises(KeyError):
            selector.register(near, selectors.EVENT_READ)
        near.close()
        assert selector.unregister(near).fileobj is near
        with pytest.raises(KeyError):
            selector.get_key(far)
        with pytest.raises(ValueError):
            selector.register(far, 0)
        far.close()
    assert selector.get_map() is None
    with pytest.raises(RuntimeError):
        selector.select(0)


def test_a_loop_whose_selector_was_closed_says_so():
    loop = _hornbeam_loop.Loop()
    loop._selector.close()
    with pytest.raises(RuntimeError, match="selector is closed"):
        loop.run_until_complete(asyncio.sleep(0))
    with pytest.raises(RuntimeError, match="selector is closed"):
        loop.add_reader(loop._csock, print)


def test_a_far_deadline_does_not_hold_up_a_near_one():
    with _hornbeam_loop.Selector() as selector:
        started = time.monotonic()
        selector.select(0.001)
        near, far = socket.socketpair()
        selector.register(near, selectors.EVENT_READ)
        far.send(b"x")
        assert selector.select(100)
        near.recv(1)
        assert selector.select(0.005) == []
        assert 0.006 <= time.monotonic() - started < 50
        near.close()
        far.close()


def test_a_loop_that_is_forgotten_is_collected():
    import weakref

    loop = _hornbeam_loop.Loop()
    loop.call_later(1000, lambda: loop)
    loop.add_reader(loop._ssock, lambda: loop)
    loop.close()
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    assert gone() is None
