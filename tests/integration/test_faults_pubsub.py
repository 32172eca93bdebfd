"""Publish/subscribe when readers hang, workers die, connections end in any way, and over two nodes, as Python sees it."""

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
from beams import connected, cookie_file
from harness import ASAN, PRELOAD, PYTHON, SLOW, Daemon, environment, eventually, free_port, pause, resident
from hook_modules import compile_module
from ws_client import Client

APP = """
import asyncio, json, os, threading
from hornbeam_erlang import Subscription, aio, publish, receive_pubsub, subscribe, subscription

flood = []

async def lifespan(receive, send):
    await receive()
    flood.append(subscription('flood'))
    await send({'type': 'lifespan.startup.complete'})
    await receive()
    await send({'type': 'lifespan.shutdown.complete'})

async def http(path, query):
    if path == '/loop':  # a blocking wait on the loop's own thread
        subscribe(query)
        publish('ready', query)
        return receive_pubsub(30)
    if path == '/pool':
        subscribe(query)
        publish('ready', query)
        return await asyncio.to_thread(receive_pubsub, 30)
    if path == '/held':
        subscribe(query)
        return await aio.receive_pubsub()
    if path == '/unheld':  # what Python cannot hold
        await aio.subscribe(query)
        publish('ready', query)
        try:
            return [await aio.receive_pubsub(30)]
        except ValueError as e:
            return ['ValueError', str(e), await aio.receive_pubsub(30)]
    if path == '/drained':
        got = 0
        while flood[0].receive(2) is not None:  # which is long for a companion that has sent the others
            got += 1
        return got, flood[0].dropped, flood[0].gaps
    return os.getpid()

async def websocket(receive, send, path, query):
    await receive()
    await send({'type': 'websocket.accept'})
    subscribe(query)
    await send({'type': 'websocket.send', 'text': str(os.getpid())})
    message = await receive()
    if message['type'] == 'websocket.disconnect':
        return
    if message['text'] == 'raise':
        raise ValueError('on purpose')
    if message['text'] == 'close':
        await send({'type': 'websocket.close', 'code': 3000})
    if message['text'] == 'exit':
        os._exit(1)
    if message['text'] == 'wait':
        await aio.receive_pubsub()

async def application(scope, receive, send):
    query = scope.get('query_string', b'').decode()
    if scope['type'] == 'lifespan':
        await lifespan(receive, send)
    elif scope['type'] == 'websocket':
        await websocket(receive, send, scope['path'], query)
    else:
        body = json.dumps(await http(scope['path'], query)).encode()
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': body})
"""

WSGI = """
import json
from hornbeam_erlang import publish, receive_pubsub, subscribe

def application(environ, start_response):
    subscribe(environ['QUERY_STRING'])
    publish('ready', environ['QUERY_STRING'])
    start_response('200 OK', [])
    return [json.dumps(receive_pubsub(30)).encode()]
"""

#: Publishers in the BEAM, which are many times faster than one in Python.
FLOOD = """
-module(flood).
-export([publish/3]).

publish(Topic, Count, Size) ->
    Message = binary:copy(<<$x>>, Size),
    Each = Count div 4,
    Pids = [spawn_monitor(fun() -> publish(Topic, Message, Each, 1) end) || _ <- [1, 2, 3, 4]],
    [receive {'DOWN', Reference, process, Pid, normal} -> ok end || {Pid, Reference} <- Pids],
    4 * Each.

publish(_Topic, _Message, 0, _Subscribers) -> ok;
publish(Topic, Message, Left, Subscribers) ->
    Subscribers = hornbeam_pubsub:publish(Topic, Message),
    publish(Topic, Message, Left - 1, Subscribers).
"""


def topics(daemon):
    """topic -> number of subscribers."""
    out = daemon.hornbeam("topics", "-o", "json")
    assert out.returncode == 0, out.stderr
    return {row["topic"]: row["subscribers"] for row in json.loads(out.stdout)}


def subscribed(daemon, topic, count=1):
    eventually(lambda: topics(daemon).get(topic, 0) == count, 20, f"not {count} subscribers of {topic}")


@contextlib.contextmanager
def in_background(function, *args, **more):
    """Calls it in a thread, which has ended at the end of the block; its result is then in the list."""
    results = []

    def work():
        try:
            results.append(function(*args, **more))
        except OSError as e:
            results.append(e)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield results
    finally:
        thread.join(60 * SLOW)


def script(daemon, code, *args, **more):
    env = environment(HORNBEAM_SOCKET=str(daemon.socket), **PRELOAD)
    return subprocess.Popen([PYTHON, "-c", code, *map(str, args)], env=env, stdout=subprocess.PIPE, text=True, **more)


@pytest.fixture(scope="module")
def ebin(tmp_path_factory):
    path = tmp_path_factory.mktemp("ebin")
    compile_module(path, "flood", FLOOD)
    return path


@pytest.fixture(scope="module")
def daemon():
    with Daemon("app:application", files={"app.py": APP}) as d:
        yield d


# Readers that hang.

BESIDE = """
from hornbeam_erlang import publish, subscription
with subscription('beside') as s:
    assert publish('beside', 'on time') == 1
    print(s.receive(60))
"""


def test_a_stopped_worker_and_a_million_messages(ebin):
    """The companion grows by a bound, at its most too, and the subscriber sees afterwards how many it missed, to the message."""
    count = 200_000 if ASAN else 1_000_000
    with Daemon("app:application", files={"app.py": APP}, config={"erlang": {"code_path": [str(ebin)]}}) as d:
        def publish(n):
            out = d.hornbeam("rpc", "call", "-t", "9m", "-", "flood", "publish", "--json", '"flood"', str(n), "1024", timeout=600)
            assert out.stdout == f"{n}\n", out
            return n

        publish(4000)
        got, dropped, _ = d.get("/drained", timeout=60).json()
        assert got + dropped == 4000
        (worker,), companion = d.worker_pids(), d.companion_pid()
        before = most = resident(companion)
        pause(worker)
        try:
            with in_background(publish, count) as published:
                beside = d.python(BESIDE)
                while not published:
                    most = max(most, resident(companion))
                    time.sleep(0.01)
        finally:
            os.kill(worker, signal.SIGCONT)
        assert published == [count]
        assert beside.stdout == "('beside', 'on time')\n", beside
        assert most - before < 64 << 20, f"{(most - before) >> 20} MiB more"
        got, missed, gaps = d.get("/drained", timeout=120).json()
        assert got + missed - dropped == count
        assert got > 0 and missed > count // 2
        assert gaps == 0
        assert d.hornbeam("publish", "flood", "and on").stdout == "1\n"
        assert d.get("/drained").json() == [1, missed, 0]


# Each place where one may wait.


@pytest.mark.parametrize("path", ["/loop", "/pool"])
def test_a_wait_on_the_loop_or_in_its_pool_gets_its_message(daemon, path):
    """From another process, while the loop stands still in it."""
    with in_background(daemon.get, f"{path}?wait{path}", timeout=30) as results:
        subscribed(daemon, f"wait{path}")
        assert daemon.hornbeam("publish", f"wait{path}", "for you").stdout == "1\n"
    assert results[0].json() == "for you"


@pytest.mark.parametrize("threads", [1, 4])
def test_a_wait_of_wsgi_gets_its_message(threads):
    with Daemon("app:application", files={"app.py": WSGI}, config={"threads": threads}) as d:
        with in_background(d.get, "/?wsgi", timeout=30) as results:
            subscribed(d, "wsgi")
            assert d.hornbeam("publish", "wsgi", "for you").stdout == "1\n"
        assert results[0].json() == "for you"


def test_a_wait_of_a_script_gets_its_message(daemon):
    code = "from hornbeam_erlang import receive_pubsub, subscribe\nsubscribe('script')\nprint(receive_pubsub(30), receive_pubsub(0.1))"
    with in_background(daemon.python, code) as results:
        subscribed(daemon, "script")
        assert daemon.hornbeam("publish", "script", "for you").stdout == "1\n"
    assert results[0].stdout == "for you None\n", results[0]
    subscribed(daemon, "script", 0)


def test_a_message_that_python_cannot_hold_is_an_error_and_the_next_one_comes(daemon):
    with in_background(daemon.get, "/unheld?unheld", timeout=30) as results:
        subscribed(daemon, "unheld")
        out = daemon.hornbeam("rpc", "call", "-", "hornbeam_pubsub", "publish", "--term", '<<"unheld">>', "#{1 => a, 1.0 => b}")
        assert out.stdout == "1\n", out
        daemon.hornbeam("publish", "unheld", "next")
    kind, text, after = results[0].json()
    assert (kind, after) == ("ValueError", "next") and text


# What ends.


def websocket(daemon, topic):
    """A client whose WebSocket has subscribed, and the worker that has it."""
    c = Client(daemon.connect(30), path=f"/?{topic}")
    pid = int(c.message())
    assert topics(daemon)[topic] == 1
    return c, pid


def test_of_two_workers_one_is_killed_and_nothing_of_it_is_left():
    with Daemon("app:application", files={"app.py": APP}, config={"workers": 2}) as d, contextlib.ExitStack() as stack:
        subscribed(d, "flood", 2)
        of = {pid: [] for pid in d.worker_pids()}
        for n in range(100):
            c, pid = websocket(d, f"s{n}")
            stack.enter_context(c)
            of[pid].append(f"s{n}")
            if all(of.values()):
                break
        killed, other = of
        assert of[killed] and of[other]
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: not set(of[killed]) & set(topics(d)))
        assert set(of[other]) <= set(topics(d))
        subscribed(d, "flood", 2)  # that of the worker in its place
        d.note()


def reset(c):
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.socket.close()


ENDS = {
    "with a close frame": lambda c: c.close(1000),
    "without one": lambda c: c.socket.close(),
    "reset": reset,
    "half": lambda c: c.socket.shutdown(socket.SHUT_WR),
    "by a frame that is none": lambda c: c.send(b"\xff\xff\xff\xff"),
    "in the middle of a frame": lambda c: (c.send(b"\x81\xfe"), c.socket.close()),
    "by the application": lambda c: c.text("close"),
    "with the application": lambda c: c.text("return"),
    "by an exception": lambda c: c.text("raise"),
    "while it waits": lambda c: (c.text("wait"), reset(c)),
}


@pytest.mark.parametrize("how", ENDS)
def test_a_websocket_that_ends_in_any_way_subscribes_no_more(daemon, how):
    topic = "ends." + how.replace(" ", ".")
    c, _ = websocket(daemon, topic)
    with c:
        ENDS[how](c)
        subscribed(daemon, topic, 0)
    assert daemon.hornbeam("publish", topic, "anybody?").stdout == "0\n"


def test_a_websocket_of_a_peer_that_has_died_subscribes_no_more():
    with Daemon("app:application", files={"app.py": APP}, config={"websocket": {"idle": "200ms"}}) as d:
        with Client(d.connect(), path="/?silent") as c:  # pings are not answered
            assert int(c.message()) in d.worker_pids()
            subscribed(d, "silent", 0)


def test_a_websocket_of_a_worker_that_ends_or_drains_subscribes_no_more():
    with Daemon("app:application", files={"app.py": APP}, config={"timeouts": {"graceful": "500ms"}}) as d:
        c, _ = websocket(d, "exits")
        with c:
            c.text("exit")
            subscribed(d, "exits", 0)
        subscribed(d, "flood")
        c, old = websocket(d, "drains")
        with c:
            c.text("wait")
            assert d.hornbeam("reload").returncode == 0
            subscribed(d, "drains", 0)
            assert old not in d.worker_pids() or eventually(lambda: old not in d.worker_pids())
        subscribed(d, "flood")
        d.note()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, "exits", "raises"])
def test_a_script_that_ends_in_any_way_subscribes_no_more(daemon, how):
    code = ("import sys, time\nfrom hornbeam_erlang import subscribe\nsubscribe('script')\nsys.stdin.readline()\n"
            + {"exits": "sys.exit()", "raises": "raise ValueError"}.get(how, "time.sleep(600)"))
    with script(daemon, code, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        try:
            subscribed(daemon, "script")
            if isinstance(how, int):
                p.send_signal(how)
            p.communicate("go\n")
        finally:
            p.kill()
    subscribed(daemon, "script", 0)


def test_a_companion_that_comes_back_has_the_subscriptions_of_a_worker_again_and_the_gap_shows():
    with Daemon("app:application", files={"app.py": APP}) as d:
        subscribed(d, "flood")
        assert d.hornbeam("publish", "flood", "before").stdout == "1\n"
        assert d.get("/drained").json() == [1, 0, 0]
        os.kill(d.companion_pid(), signal.SIGKILL)
        eventually(lambda: d.hornbeam("publish", "flood", "after").stdout == "1\n", 30)
        assert d.get("/drained").json() == [1, 0, 1]
        d.note()


def test_a_companion_that_hangs_ends_a_publish_at_its_deadline_and_a_wait_at_its_own():
    code = """
import time
from hornbeam_erlang import publish, receive_pubsub, subscribe
subscribe('hung')
print('ready', flush=True)
input()
def waits():
    before = time.monotonic()
    assert receive_pubsub(0.2) is None
    return time.monotonic() - before
print("own" if min(waits() for _ in range(3)) < 4 else "late")
before = time.monotonic()
try:
    publish('hung', 1)
except TimeoutError:
    print(time.monotonic() - before > 4.5, flush=True)
print(receive_pubsub(60))
"""
    with Daemon() as d, script(d, code, stdin=subprocess.PIPE) as p:
        assert p.stdout.readline() == "ready\n"
        companion = d.companion_pid()
        pause(companion)
        try:
            p.stdin.write("\n")
            p.stdin.flush()
            assert [p.stdout.readline() for _ in range(2)] == ["own\n", "True\n"]
        finally:
            os.kill(companion, signal.SIGCONT)
        assert d.hornbeam("publish", "hung", "now").stdout == "1\n"
        assert p.communicate(timeout=60)[0] == "now\n"


# Two nodes.


SUBSCRIBER = """
import collections, sys
from hornbeam_erlang import subscription
publishers, count = int(sys.argv[1]), int(sys.argv[2])
got = collections.defaultdict(list)
with subscription("order") as s:
    print("ready", flush=True)
    for _ in range(publishers * count):
        _, (who, n) = s.receive(60)
        got[who].append(n)
    assert s.dropped == s.gaps == 0
assert len(got) == publishers, got.keys()
assert all(numbers == list(range(count)) for numbers in got.values())
print("in order", flush=True)
"""

PUBLISHER = """
import sys, threading
from hornbeam_erlang import publish
who, count, subscribers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def work(name):
    for n in range(count):
        assert publish("order", (name, n)) == subscribers
threads = [threading.Thread(target=work, args=(f"{who}.{i}",)) for i in range(2)]
for t in threads: t.start()
for t in threads: t.join()
"""


def test_messages_of_each_publisher_come_in_order_over_two_nodes(tmp_path):
    """400 of each: all of them fit into the queue of a subscriber, so that none may be missing."""
    cookie, port = cookie_file(tmp_path), free_port()

    def node(name, **erlang):
        return Daemon(config={"erlang": {"node": f"{name}@127.0.0.1", "cookie_file": str(cookie), "epmd": True, **erlang}},
                      env={"ERL_EPMD_PORT": str(port)})

    with node("shop") as shop, node("depot", connect=["shop@127.0.0.1"]) as depot, contextlib.ExitStack() as stack:
        connected(shop, "depot@127.0.0.1")
        readers = [stack.enter_context(script(d, SUBSCRIBER, 4, 200)) for d in (shop, depot, shop)]
        stack.callback(lambda: [r.kill() for r in readers])
        for r in readers:
            assert r.stdout.readline() == "ready\n"
        for d in (shop, depot):
            subscribed(d, "order", 3)
        writers = [stack.enter_context(script(d, PUBLISHER, name, 200, 3)) for d, name in ((shop, "shop"), (depot, "depot"))]
        stack.callback(lambda: [w.kill() for w in writers])
        for w in writers:
            assert w.wait(60 * SLOW) == 0
        for r in readers:
            assert r.stdout.readline() == "in order\n"
        for d in (shop, depot):
            subscribed(d, "order", 0)
