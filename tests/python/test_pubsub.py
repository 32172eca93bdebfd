"""publish, subscribe, receive_pubsub and subscription against a real companion."""

import asyncio
import collections
import gc
import inspect
import os
import queue
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest
import uvloop
from companion import SLOW, Companion, eventually, run, script

from hornbeam_erlang import (
    HornbeamError,
    aio,
    publish,
    receive_pubsub,
    subscribe,
    subscription,
    unsubscribe,
)

sys.path.append(os.path.join(os.environ["HORNBEAM_BUILD"], "tests", "python", ".libs"))
import _hornbeam_loop  # noqa: E402

pytestmark = pytest.mark.usefixtures("companion")

SOON = 30 * SLOW


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    gc.collect()
    try:
        while receive_pubsub(0) is not None:
            pass
    except HornbeamError:
        pass


@pytest.fixture(params=[asyncio.new_event_loop, _hornbeam_loop.Loop, uvloop.new_event_loop],
                ids=["asyncio", "worker", "uvloop"])
def on_loop(request):
    loop = request.param()
    yield lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, 60 * SLOW))
    loop.close()


def test_a_message_reaches_its_subscribers_and_publish_counts_them():
    assert publish("first", "nobody") == 0
    with subscription("first") as a, subscription("first", "u") as b:
        assert publish("first", {"n": [1, 2.5, b"x", None]}) == 2
        assert publish("u", "two") == 1
        assert a.receive(SOON) == ("first", {"n": [1, 2.5, b"x", None]})
        assert [b.receive(SOON), b.receive(SOON)] == [("first", {"n": [1, 2.5, b"x", None]}), ("u", "two")]
        assert a.receive(0) is None
    assert eventually(lambda: publish("first", "nobody") == 0)


def test_subscribing_twice_is_once_and_unsubscribing_ends_it():
    subscribe("twice")
    subscribe("twice")
    assert publish("twice", 1) == 1
    assert receive_pubsub(SOON) == 1
    publish("twice", "before")
    assert receive_pubsub(SOON) == "before"
    unsubscribe("twice")
    unsubscribe("twice")
    assert eventually(lambda: publish("twice", 2) == 0)
    with pytest.raises(HornbeamError, match="no topic is subscribed to"):
        receive_pubsub(0)


def test_what_came_before_the_end_of_a_subscription_is_still_received():
    with subscription("t", "end") as s, subscription("t") as other:
        publish("t", 1)
        publish("end", 2)
        publish("t", 3)
        assert [other.receive(SOON), other.receive(SOON)] == [("t", 1), ("t", 3)]
        s.unsubscribe("t")
        assert [s.receive(0), s.receive(0), s.receive(0)] == [("t", 1), ("end", 2), ("t", 3)]
        s.unsubscribe("end")
        with pytest.raises(HornbeamError, match="no topic"):
            s.receive(0)


def test_each_subscriber_gets_a_value_of_its_own():
    with subscription("t") as a, subscription("t") as b:
        publish("t", {"list": []})
        mine = a.receive(SOON)[1]
        mine["list"].append("changed")
        assert b.receive(SOON) == ("t", {"list": []})


def test_messages_of_a_publisher_come_in_order():
    with subscription("a", "b") as s:
        for i in range(400):
            publish("a" if i % 3 else "b", i)
        assert [s.receive(SOON)[1] for _ in range(400)] == list(range(400))


def test_a_timeout_is_kept_and_the_wait_ends_with_the_message():
    with subscription("t") as s:
        began = time.monotonic()
        assert s.receive(0.05) is None
        assert 0.04 < time.monotonic() - began < SOON
        threading.Timer(0.05, publish, ("t", "late")).start()
        assert s.receive() == ("t", "late")


@pytest.mark.parametrize("topic", [b"t", 1, None])
def test_a_topic_is_a_str(topic):
    for function in (subscribe, unsubscribe, subscription, lambda t: publish(t, 1)):
        with pytest.raises(TypeError, match="a topic is a str"):
            function(topic)


@pytest.mark.parametrize("topic", ["", "x" * 1025, "\udc80"])
def test_a_topic_is_of_1_to_1024_bytes_of_text(topic):
    for function in (subscribe, unsubscribe, subscription, lambda t: publish(t, 1)):
        with pytest.raises(ValueError, match="a topic"):
            function(topic)


@pytest.mark.parametrize(("timeout", "error"), [("1", TypeError), (True, TypeError), (-1, ValueError),
                                               (float("nan"), ValueError)])
def test_a_timeout_is_a_number_of_seconds(timeout, error):
    subscribe("t")
    with pytest.raises(error, match="timeout"):
        receive_pubsub(timeout)
    with pytest.raises(TypeError, match="receive"):
        subscription("t").receive(1, 2)
    with pytest.raises(TypeError, match="get"):
        subscription("t").get(seconds=1)
    unsubscribe("t")


def test_what_cannot_be_published_is_named():
    with pytest.raises(TypeError, match=r"\['a'\]\[1\].*object"):
        publish("t", {"a": [1, object()]})
    with pytest.raises((ValueError, HornbeamError), match="8388608|8 MiB|larger|most"):
        publish("t", b"x" * (9 << 20))


def test_a_full_queue_drops_the_oldest_and_says_how_many():
    with subscription("t") as s, subscription("end") as end:
        for i in range(1500):
            publish("t", i)
        publish("end", None)
        assert end.receive(SOON) == ("end", None)
        assert s.dropped == 500
        assert s.receive(0) == ("t", 500)


def test_a_closed_subscription_ends_its_loops_and_its_waits():
    s = subscription("t")
    threading.Timer(0.05, s.close).start()
    assert list(s) == []
    assert list(s) == []
    with pytest.raises(HornbeamError, match="closed"):
        s.receive(0)
    with pytest.raises(HornbeamError, match="closed"):
        s.subscribe("u")
    assert eventually(lambda: publish("t", 1) == 0)


def test_a_subscription_that_nobody_holds_any_more_ends():
    s = subscription("t")
    assert publish("t", 1) == 1
    del s
    assert eventually(lambda: publish("t", 1) == 0)


def test_a_subscription_needs_all_its_topics():
    with pytest.raises(TypeError):
        subscription("t", 5)
    gc.collect()
    assert eventually(lambda: publish("t", 1) == 0)


def test_threads_are_processes_of_their_own_and_their_subscriptions_end_with_them():
    got = queue.Queue()
    ready = threading.Barrier(5)

    def work(number):
        subscribe("t")
        subscribe(f"t{number}")
        ready.wait(SOON)
        got.put((number, receive_pubsub(SOON), receive_pubsub(SOON)))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    ready.wait(SOON)
    assert publish("t", "all") == 4
    for i in range(4):
        publish(f"t{i}", i)
    for t in threads:
        t.join(SOON)
    assert sorted(got.get(timeout=SOON) for _ in range(4)) == [(i, "all", i) for i in range(4)]
    assert eventually(lambda: publish("t", 1) == 0)


def test_a_subscription_ends_with_the_thread_that_opened_it():
    opened = []
    thread = threading.Thread(target=lambda: opened.append(subscription("t")))
    thread.start()
    thread.join(SOON)
    with pytest.raises(HornbeamError, match="ended"):
        opened[0].receive(0)
    with pytest.raises(HornbeamError, match="ended"):
        next(opened[0])


def test_a_signal_handler_runs_while_a_script_waits(companion):
    code = """
        import os, signal, threading
        from hornbeam_erlang import receive_pubsub, subscribe

        class Stop(Exception): pass
        def stop(*_): raise Stop
        signal.signal(signal.SIGUSR1, stop)
        subscribe("t")
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        try:
            receive_pubsub()
        except Stop:
            print("stopped")
    """
    assert run(companion, dedent(code)) == "stopped\n"


def test_a_forked_child_has_none_of_its_parents_subscriptions(companion):
    code = """
        import os
        from hornbeam_erlang import HornbeamError, publish, receive_pubsub, subscribe, subscription

        subscribe("t")
        s = subscription("t")
        child = os.fork()
        if child == 0:
            try:
                receive_pubsub(0)
            except HornbeamError as e:
                print(e, flush=True)
            try:
                s.receive(0)
            except HornbeamError as e:
                print(e, flush=True)
            subscribe("t")
            print(publish("t", "from the child"), receive_pubsub(5), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(receive_pubsub(5), s.receive(5), s.gaps)
    """
    assert run(companion, dedent(code)).splitlines() == [
        "no topic is subscribed to: nothing can come",
        "the subscription belongs to the parent of this process",
        "3 from the child",
        "from the child ('t', 'from the child') 0",
    ]


# On an event loop.


def test_a_coroutine_waits_for_a_message(on_loop):
    async def main():
        async with subscription("t") as s:
            loop = asyncio.get_running_loop()
            loop.call_later(0.02, publish, "t", "late")
            assert await s.get() == ("t", "late")
            assert await s.get(0) is None
            assert await s.get(timeout=0.02) is None
            publish("t", 1)
            assert await s.get(SOON) == ("t", 1)
            publish("t", 2)
            publish("t", 3)
            got = []
            async for topic, message in s:
                got.append((topic, message))
                if message == 3:
                    break
            assert got == [("t", 2), ("t", 3)]

    on_loop(main())


def test_another_thread_that_reads_wakes_the_loop(on_loop):
    async def main():
        async with subscription("t") as s:
            stop = threading.Event()

            def read():
                with subscription("t") as other:
                    while not stop.is_set():
                        other.receive(0.01)

            thread = threading.Thread(target=read)
            thread.start()
            for i in range(200):
                await aio.publish("t", i)
                assert await s.get() == ("t", i)
            stop.set()
            thread.join(SOON)

    on_loop(main())


def test_a_cancelled_wait_loses_no_message(on_loop):
    async def main():
        got, cancelled = [], 0
        async with subscription("t") as s:
            sender = asyncio.ensure_future(asyncio.to_thread(lambda: [publish("t", i) for i in range(300)]))
            while len(got) < 300:
                task = asyncio.ensure_future(s.get())
                for _ in range(len(got) % 4):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    got.append((await task)[1])
                except asyncio.CancelledError:
                    cancelled += 1
                    if cancelled % 50 == 0:
                        got.append((await s.get())[1])
            await sender
        assert got == list(range(300))
        assert cancelled

    on_loop(main())


def test_two_tasks_share_a_subscription_and_each_message_goes_to_one(on_loop):
    async def main():
        got = []

        async def read(s):
            async for _topic, message in s:
                got.append(message)

        async with subscription("t") as s:
            tasks = [asyncio.ensure_future(read(s)) for _ in range(3)]
            await asyncio.sleep(0)
            for i in range(100):
                await aio.publish("t", i)
            while len(got) < 100:
                await asyncio.sleep(0.001)
        await asyncio.gather(*tasks)
        assert sorted(got) == list(range(100))

    on_loop(main())


def test_client_and_topic_are_waited_for_at_once(on_loop):
    async def main():
        client = asyncio.Queue()
        seen = []
        async with subscription("t") as s:
            asyncio.get_running_loop().call_later(0.01, client.put_nowait, "hello")
            asyncio.get_running_loop().call_later(0.02, publish, "t", "news")
            from_client = asyncio.ensure_future(client.get())
            from_topic = asyncio.ensure_future(s.get())
            while len(seen) < 2:
                await asyncio.wait({from_client, from_topic}, return_when=asyncio.FIRST_COMPLETED)
                if from_client.done():
                    seen.append(from_client.result())
                    from_client = asyncio.ensure_future(client.get())
                if from_topic.done():
                    seen.append(from_topic.result())
                    from_topic = asyncio.ensure_future(s.get())
            from_client.cancel()
            from_topic.cancel()
        assert seen == ["hello", ("t", "news")]

    on_loop(main())


def test_receiving_on_the_loops_own_thread_gets_its_message(on_loop):
    async def main():
        subscribe("t")
        threading.Timer(0.05, publish, ("t", "for you")).start()
        assert receive_pubsub(SOON) == "for you"
        assert receive_pubsub(0) is None
        unsubscribe("t")

    on_loop(main())


def test_the_names_of_aio(on_loop):
    async def main():
        await aio.subscribe("t")
        assert await aio.publish("t", 1) == 1
        assert await aio.receive_pubsub(SOON) == 1
        assert await aio.receive_pubsub(0) is None
        await aio.unsubscribe("t")
        with pytest.raises(HornbeamError, match="no topic"):
            await aio.receive_pubsub()
        async with aio.subscription("t", "u") as s:
            await aio.publish("u", 2)
            async for received in s:
                assert received == ("u", 2)
                break
        with pytest.raises(TypeError):
            await aio.subscribe(5)

    on_loop(main())


def test_aio_refuses_the_same_topics_and_messages(on_loop):
    async def main():
        for function in (aio.subscribe, aio.unsubscribe, lambda t: aio.publish(t, 1)):
            with pytest.raises(TypeError, match="a topic is a str"):
                await function(b"t")
            with pytest.raises(ValueError, match="a topic"):
                await function("x" * 1025)
        with pytest.raises(TypeError, match=r"\['a'\]\[1\].*object"):
            await aio.publish("t", {"a": [1, object()]})
        with pytest.raises((ValueError, HornbeamError), match="8388608|8 MiB"):
            await aio.publish("t", b"x" * (9 << 20))
        assert await aio.publish("t", 1) == 0

    on_loop(main())


def test_what_get_gives_is_a_coroutine_in_all_but_name(on_loop):
    async def main():
        s = subscription("t")
        waiting = s.get()
        assert inspect.isawaitable(waiting)
        assert isinstance(waiting, collections.abc.Coroutine)
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0)
        publish("t", 1)
        assert await task == ("t", 1)
        with pytest.raises(RuntimeError, match="already awaited"):
            await waiting
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            s.get()
        assert "never awaited" in str(caught[0].message)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(s.get(), 0.01)
        s.close()
        with pytest.raises(HornbeamError, match="closed"):
            await s.get()

    on_loop(main())


def test_a_cancelled_subscribe_leaves_what_another_one_has_subscribed(on_loop):
    async def cancelled(topic):
        """Cancelled in another thread's hands, which then goes on with it."""
        loop, gate = asyncio.get_running_loop(), threading.Event()
        held = loop.run_in_executor(None, gate.wait)
        task = asyncio.create_task(aio.subscribe(topic))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gate.set()
        await held
        await loop.run_in_executor(None, int)

    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        await cancelled("not kept")
        await aio.subscribe("kept")
        await cancelled("kept")
        # The companion has heard of the end of a subscription when it confirms another one.
        await aio.subscribe("mark")
        assert [await aio.publish(topic, 1) for topic in ("not kept", "kept")] == [0, 1]
        assert await aio.receive_pubsub(SOON) == 1
        for topic in ("kept", "mark"):
            await aio.unsubscribe(topic)
        await asyncio.get_running_loop().shutdown_default_executor()

    on_loop(main())


def test_each_subscribe_of_a_topic_is_taken_back_for_itself():
    with subscription("twice", "twice") as s:
        s.take_back("twice")
        assert publish("twice", 1) == 1
        s.take_back("twice")
        s.take_back("twice")
        eventually(lambda: publish("twice", 2) == 0)
        s.subscribe("twice")
        s.subscribe("twice")
        s.unsubscribe("twice")
        eventually(lambda: publish("twice", 3) == 0)


def test_one_loop_at_a_time_waits_for_a_subscription():
    s = subscription("t")
    refused = []

    async def wait_elsewhere():
        try:
            await s.get(1)
        except RuntimeError as e:
            refused.append(str(e))

    async def main():
        task = asyncio.create_task(s.get())
        await asyncio.sleep(0)
        await asyncio.to_thread(asyncio.run, wait_elsewhere())
        task.cancel()
        await asyncio.wait({task})
        await asyncio.to_thread(asyncio.run, wait_elsewhere())

    asyncio.run(main())
    assert refused == ["the subscription is waited for on another event loop"]


def test_loops_that_come_and_go_leave_nothing_open():
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    async def main():
        async with subscription("t") as s:
            publish("t", 1)
            assert await s.get() == ("t", 1)

    asyncio.run(main())
    before = descriptors()
    for _ in range(20):
        asyncio.run(main())
    assert descriptors() <= before + 2


# The link.


RESTARTED = """
    import asyncio, sys, threading
    from hornbeam_erlang import HornbeamConnectionError, publish, receive_pubsub, subscribe, subscription

    def read(s, found):
        found.append(s.receive())

    async def main():
        subscribe("t")
        s, idle = subscription("t"), subscription("other")
        in_thread = subscription("t")
        found = []
        thread = threading.Thread(target=read, args=(in_thread, found))
        thread.start()
        waiting = asyncio.create_task(s.get())
        await asyncio.sleep(0)
        print("ready", flush=True)
        print(await waiting, s.gaps, s.dropped)
        thread.join()
        print(found, in_thread.gaps, receive_pubsub(30))

    asyncio.run(main())
"""


TOPICS = """
from hornbeam_erlang import rpc_call
for topic, subscribers, _dropped in rpc_call("local", "hornbeam_pubsub", "topics", []):
    print(topic, subscribers)
"""


def test_after_a_restart_of_the_companion_subscriptions_are_made_again_and_the_gap_shows():
    with Companion() as c:
        other = Companion(c.dir)
        user = script(c, dedent(RESTARTED))
        assert user.stdout.readline() == "ready\n"
        c.kill()
        os.unlink(c.link)
        other.start()
        try:
            eventually(lambda: "t 3" in run(other, TOPICS))
            run(other, "from hornbeam_erlang import publish; publish('t', 'again')")
            assert user.communicate(timeout=SOON)[0] == "('t', 'again') 1 0\n[('t', 'again')] 1 again\n"
        finally:
            other.stop()


def test_what_is_lost_between_nodes_shows_as_a_gap():
    """As where the hub dies to which another node's messages were carried."""
    code = """
        from hornbeam_erlang import Atom, publish, receive_pubsub, rpc_call, subscribe, subscription

        def local(module, function, *args):
            return rpc_call('-', module, function, list(args))

        subscribe("t")
        idle = subscription()
        with subscription("t", "u") as s:
            hub = local('erlang', 'whereis', Atom('hornbeam_hub'))
            local('hornbeam_topics', 'set_source', Atom('other@node'), hub)
            local('erlang', 'exit', hub, Atom('kill'))
            while local('erlang', 'whereis', Atom('hornbeam_hub')) in (hub, Atom('undefined'), None):
                pass
            local('sys', 'get_status', Atom('hornbeam_hub'))
            publish("t", "after")
            print(s.receive(60), s.gaps, s.dropped, idle.gaps, receive_pubsub(60))
    """
    with Companion() as c:
        assert run(c, dedent(code)) == "('t', 'after') 1 0 0 after\n"


def test_without_a_companion_subscribing_fails_at_once():
    code = """
        import time
        from hornbeam_erlang import HornbeamConnectionError, _hornbeam, subscribe
        began = time.monotonic()
        for _ in range(10):
            try:
                subscribe("t")
            except HornbeamConnectionError as e:
                assert isinstance(e, ConnectionError)
        print(time.monotonic() - began < 20)  # and not ten deadlines
    """
    with Companion() as c:
        c.kill()
        os.unlink(c.link)
        assert run(c, dedent(code)) == "True\n"
