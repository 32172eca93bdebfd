"""Publish/subscribe in workers: whose subscriptions are whose, and how each of them ends."""

import json
import os
import queue
import select
import signal
import subprocess
import threading

import pytest
from harness import PRELOAD, PYTHON, SLOW, Daemon, environment, eventually
from ws_client import Client

WSGI = """
import json, threading
from hornbeam_erlang import HornbeamError, publish, receive_pubsub, subscribe, subscription, unsubscribe

outlived = []

def answer(path, query):
    if path == '/subscribe':
        subscribe(query)
        return publish(query, 'own'), receive_pubsub(30)
    if path == '/wait':
        subscribe(query)
        publish('ready', query)
        return receive_pubsub(20)
    if path == '/hang':
        subscribe(query)
        try:
            receive_pubsub()
        except HornbeamError as e:
            publish('woken', str(e))
        return 'late'
    if path == '/left':
        try:
            return receive_pubsub(0)
        except HornbeamError as e:
            return str(e)
    if path == '/thread':
        got = []
        def work():
            subscribe(query)
            publish(query, 'from a thread')
            got.append(receive_pubsub(30))
        t = threading.Thread(target=work)
        t.start()
        t.join()
        return got
    if path == '/background':
        def work():
            with subscription(query) as s:
                for topic, message in s:
                    publish('echo', message)
                    if message == 'stop':
                        return
        threading.Thread(target=work, daemon=True).start()
        return 'started'
    return publish(query, path[1:])

def stream(topic):
    with subscription(topic) as s:
        yield b'begins'
        for _, message in s:
            yield message.encode()

def application(environ, start_response):
    if environ['PATH_INFO'] == '/stream':
        start_response('200 OK', [])
        return stream(environ['QUERY_STRING'])
    body = json.dumps(answer(environ['PATH_INFO'], environ['QUERY_STRING'])).encode()
    start_response('200 OK', [('Content-Type', 'application/json'), ('Content-Length', str(len(body)))])
    return [body]
"""

ASGI = """
import asyncio, json, threading
from hornbeam_erlang import HornbeamError, aio, publish, receive_pubsub, subscribe, subscription, unsubscribe

told = []
release = asyncio.Event()

async def outlive(topic):
    subscribe(topic)
    await release.wait()
    for use in (lambda: subscribe(topic), lambda: receive_pubsub(0)):
        try:
            use()
        except HornbeamError as e:
            told.append(str(e))
    unsubscribe(topic)

async def lifespan(scope, receive, send):
    await receive()
    subscribe('life')
    async def listen():
        while True:
            told.append(await aio.receive_pubsub())
    task = asyncio.create_task(listen())
    await send({'type': 'lifespan.startup.complete'})
    await receive()
    task.cancel()
    await send({'type': 'lifespan.shutdown.complete'})

async def spec(scope, receive, send):
    # the loop of the specification
    await send({'type': 'websocket.accept'})

    user_id = scope['query_string'].decode()
    subscribe(f'user:{user_id}')

    try:
        while True:
            # Check for client messages
            message = await receive()
            if message['type'] == 'websocket.disconnect':
                break

            # Check for pub/sub messages
            pubsub_msg = receive_pubsub(timeout=0)
            if pubsub_msg:
                await send({
                    'type': 'websocket.send',
                    'text': json.dumps(pubsub_msg)
                })
    finally:
        unsubscribe(f'user:{user_id}')

async def at_once(scope, receive, send):
    await receive()
    await send({'type': 'websocket.accept'})
    async with subscription(scope['query_string'].decode()) as s:
        client = asyncio.ensure_future(receive())
        topic = asyncio.ensure_future(s.get())
        while True:
            await asyncio.wait({client, topic}, return_when=asyncio.FIRST_COMPLETED)
            if topic.done() and not topic.exception():
                await send({'type': 'websocket.send', 'text': json.dumps(topic.result())})
                topic = asyncio.ensure_future(s.get())
            if client.done():
                message = client.result()
                if message['type'] == 'websocket.disconnect':
                    break
                await send({'type': 'websocket.send', 'text': message['text']})
                client = asyncio.ensure_future(receive())
        topic.cancel()
        publish('closed', 'well')

async def only_topic(scope, receive, send):
    await receive()
    await send({'type': 'websocket.accept'})
    try:
        async for topic, message in subscription(scope['query_string'].decode()):
            await send({'type': 'websocket.send', 'text': json.dumps(message)})
    except HornbeamError as e:
        publish('closed', str(e))

async def stream(topic, send):
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    async with subscription(topic) as s:
        await send({'type': 'http.response.body', 'body': b'begins', 'more_body': True})
        async for _, message in s:
            await send({'type': 'http.response.body', 'body': message.encode(), 'more_body': True})

async def http(scope, receive, send):
    path, query = scope['path'], scope['query_string'].decode()
    if path == '/stream':
        return await stream(query, send)
    if path == '/subscribe':
        await aio.subscribe(query)
        value = [await aio.publish(query, 'own'), await aio.receive_pubsub(30)]
    elif path == '/wait':
        subscribe(query)
        await aio.publish('ready', query)
        value = await aio.receive_pubsub(20)
    elif path == '/hang':
        subscribe(query)
        await aio.publish('ready', query)
        await aio.receive_pubsub()
    elif path == '/outlive':
        asyncio.create_task(outlive(query))
        await asyncio.sleep(0)
        value = 'started'
    elif path == '/release':
        release.set()
        value = 'released'
    elif path == '/thread':
        subscribe(query)
        publish(query, 'to the request')
        value = await asyncio.to_thread(receive_pubsub, 30)
    elif path == '/told':
        value = told
    else:
        value = await aio.publish(query, path[1:])
    body = json.dumps(value).encode()
    await send({'type': 'http.response.start', 'status': 200,
                'headers': [(b'content-length', str(len(body)).encode())]})
    await send({'type': 'http.response.body', 'body': body})

async def application(scope, receive, send):
    if scope['type'] == 'lifespan':
        await lifespan(scope, receive, send)
    elif scope['type'] == 'http':
        await http(scope, receive, send)
    else:
        await {'/spec': spec, '/at_once': at_once, '/only_topic': only_topic}[scope['path']](scope, receive, send)
"""

LISTEN = """
import sys
from hornbeam_erlang import subscription
with subscription(*sys.argv[1:]) as s:
    print('ready', flush=True)
    for topic, message in s:
        print(topic, message, flush=True)
"""


def topics(daemon, what="subscribers"):
    """topic -> number of subscribers, or of messages dropped."""
    out = daemon.hornbeam("topics", "-o", "json")
    assert out.returncode == 0, out.stderr
    return {row["topic"]: row[what] for row in json.loads(out.stdout)}


@pytest.fixture(scope="module", params=["pool", "in place", "ASGI"])
def daemon(request):
    source = ASGI if request.param == "ASGI" else WSGI
    with Daemon("app:application", files={"app.py": source},
                config={"threads": 1 if request.param == "in place" else 4}) as d:
        d.kind = request.param
        yield d


def gone(daemon, *names):
    eventually(lambda: not set(names) & set(topics(daemon)))


def in_background(function, *args):
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*args)))
    thread.start()
    return thread, results


def test_a_request_receives_what_it_subscribed_to_and_its_end_is_the_end_of_that(daemon):
    for i in range(5):
        assert daemon.get(f"/subscribe?t{i}").json() == [1, "own"]
    gone(daemon, *(f"t{i}" for i in range(5)))


def test_a_request_waits_for_another_process_to_publish(daemon):
    thread, results = in_background(daemon.get, "/wait?waited")
    eventually(lambda: topics(daemon).get("waited") == 1)
    assert daemon.hornbeam("publish", "waited", "now").stdout.strip() == "1"
    thread.join(20 * SLOW)
    assert results[0].json() == "now"
    gone(daemon, "waited")


def test_a_thread_of_a_request_gets_its_own(daemon):
    expected = ["from a thread"] if daemon.kind != "ASGI" else "to the request"
    assert daemon.get("/thread?threads").json() == expected
    gone(daemon, "threads")


def test_a_request_sees_nothing_of_an_earlier_one_on_its_thread(daemon):
    if daemon.kind == "ASGI":
        pytest.skip("it has no threads")
    for i in range(8):
        assert daemon.get(f"/subscribe?earlier{i}").json()[1] == "own"
        assert daemon.get("/left").json() == "no topic is subscribed to: nothing can come"


def test_a_stream_that_waits_for_messages_ends_with_its_client_and_without_a_fuss(daemon):
    before = daemon.log()
    with daemon.connect() as s:
        s.sendall(b"GET /stream?streamed HTTP/1.1\r\nHost: x\r\n\r\n")
        got = b""
        while b"begins" not in got:
            got += s.recv(4096)
        assert daemon.hornbeam("publish", "streamed", "an event").stdout.strip() == "1"
        while b"an event" not in got:
            got += s.recv(4096)
    gone(daemon, "streamed")
    assert daemon.get("/subscribe?after").json() == [1, "own"]
    assert "Traceback" not in daemon.log()[len(before):]


def test_requests_side_by_side_are_not_mixed_up(daemon):
    if daemon.kind == "in place":
        pytest.skip("one at a time")
    waiting = [in_background(daemon.get, f"/wait?side{i}") for i in range(4)]
    eventually(lambda: all(topics(daemon).get(f"side{i}") == 1 for i in range(4)))
    for i in range(4):
        daemon.hornbeam("publish", f"side{i}", str(i))
    for i, (thread, results) in enumerate(waiting):
        thread.join(20 * SLOW)
        assert results[0].json() == str(i)


def test_a_background_thread_goes_on_after_its_request(daemon):
    if daemon.kind == "ASGI":
        pytest.skip("test_the_lifespan_subscribes is its like")
    with Listener(daemon, "echo") as listener:
        daemon.get("/background?back")
        eventually(lambda: topics(daemon).get("back") == 1)
        daemon.hornbeam("publish", "back", "on and on")
        assert listener.line() == "echo on and on"
        daemon.hornbeam("publish", "back", "stop")
        assert listener.line() == "echo stop"
        gone(daemon, "back")


class Listener:
    """A script that prints what comes."""

    def __init__(self, daemon, *names):
        self.daemon, self.names = daemon, names

    def __enter__(self):
        env = environment(HORNBEAM_SOCKET=str(self.daemon.socket), **PRELOAD)
        self.proc = subprocess.Popen([PYTHON, "-c", LISTEN, *self.names], env=env, text=True,
                                     stdout=subprocess.PIPE)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        assert self.line() == "ready"
        return self

    def read(self):
        for line in self.proc.stdout:
            self.lines.put(line.rstrip("\n"))

    def line(self):
        return self.lines.get(timeout=20 * SLOW)

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        self.reader.join()
        self.proc.stdout.close()


def test_a_hung_thread_is_woken_when_its_request_was_answered_for():
    with Daemon("app:application", files={"app.py": WSGI}, config={"threads": 2, "timeouts": {"request": "2s"}}) as d:
        with Listener(d, "woken") as listener:
            assert d.get("/hang?hung").status == 504
            # Its client closes the connection then, which a thread may notice first.
            assert listener.line().startswith(("woken the request", "woken the client has gone"))
            gone(d, "hung")
        d.note()


@pytest.fixture(scope="module")
def asgi():
    with Daemon("app:application", files={"app.py": ASGI}) as d:
        yield d


def websocket(daemon, path, query):
    return Client(daemon.connect(), path=f"{path}?{query}")


def test_the_websocket_of_the_specification_works_as_written(asgi):
    with websocket(asgi, "/spec", "17") as c:
        eventually(lambda: topics(asgi).get("user:17") == 1)
        asgi.hornbeam("publish", "--json", "user:17", '{"n": 1}')
        eventually(lambda: c.text("anything") or select.select([c.socket], [], [], 0.05)[0])  # it looks at each
        assert json.loads(c.message()) == {"n": 1}
        c.close(1000)
        c.closed()
    gone(asgi, "user:17")
    assert "Traceback" not in asgi.log()


def test_a_websocket_waits_for_client_and_topic_at_once(asgi):
    with Listener(asgi, "closed") as listener, websocket(asgi, "/at_once", "both") as c:
        eventually(lambda: topics(asgi).get("both") == 1)
        asgi.hornbeam("publish", "both", "from the topic")
        assert json.loads(c.message()) == ["both", "from the topic"]
        c.text("from the client")
        assert c.message() == "from the client"
        asgi.hornbeam("publish", "both", "again")
        assert json.loads(c.message()) == ["both", "again"]
        c.close(1000)
        assert listener.line() == "closed well"
    gone(asgi, "both")


def test_a_client_that_goes_ends_the_wait_for_a_topic(asgi):
    with Listener(asgi, "closed") as listener:
        with websocket(asgi, "/only_topic", "lonely") as c:
            eventually(lambda: topics(asgi).get("lonely") == 1)
            asgi.hornbeam("publish", "lonely", "one")
            assert c.message() == '"one"'
        assert listener.line() == "closed the client has gone, and with it the request's subscriptions"
    gone(asgi, "lonely")


def test_a_task_that_outlives_its_request_gets_an_error(asgi):
    asgi.get("/outlive?outlived")
    gone(asgi, "outlived")
    asgi.get("/release")
    told = eventually(lambda: [t for t in asgi.get("/told").json() if "request has ended" in str(t)])
    assert len(told) == 2


def test_the_lifespan_subscribes(asgi):
    assert asgi.hornbeam("publish", "life", "to all").stdout.strip() == "1"
    eventually(lambda: "to all" in asgi.get("/told").json())


def test_a_client_that_goes_ends_its_requests_subscription(asgi):
    s = asgi.connect()
    s.sendall(b"GET /hang?gone HTTP/1.1\r\nHost: a\r\n\r\n")
    eventually(lambda: topics(asgi).get("gone") == 1)
    s.close()
    gone(asgi, "gone")


def test_a_request_that_takes_too_long_ends_its_subscription():
    with Daemon("app:application", files={"app.py": ASGI}, config={"timeouts": {"request": "2s"}}) as d:
        assert d.get("/hang?slow").status == 504
        gone(d, "slow")


def test_of_a_killed_worker_no_subscription_is_left():
    with Daemon("app:application", files={"app.py": ASGI}, config={"workers": 2}) as d:
        waiting = [in_background(quiet, d.get, "/hang?killed") for _ in range(2)]
        eventually(lambda: topics(d).get("killed") == 2)
        for pid in d.worker_pids():
            os.kill(pid, signal.SIGKILL)
        gone(d, "killed")
        for thread, _ in waiting:
            thread.join(20 * SLOW)
        eventually(lambda: topics(d).get("life") == 2)
        d.note()


def quiet(function, *args):
    try:
        function(*args)
    except OSError:
        pass


def test_a_companion_that_comes_back_has_the_subscriptions_again():
    with Daemon("app:application", files={"app.py": ASGI}) as d:
        with websocket(d, "/at_once", "again") as c:
            eventually(lambda: topics(d).get("again") == 1)
            os.kill(d.companion_pid(), signal.SIGKILL)
            eventually(lambda: d.hornbeam("publish", "again", "back").stdout.strip() == "1", 30)
            assert json.loads(c.message()) == ["again", "back"]
        d.note()


QUEUE = """
from hornbeam_erlang import subscription

opened = []

def application(environ, start_response):
    start_response('200 OK', [])
    return [b'']

async def asgi(scope, receive, send):
    import json
    if scope['type'] == 'lifespan':
        await receive()
        opened.append(subscription('flood'))
        await send({'type': 'lifespan.startup.complete'})
        await receive()
        await send({'type': 'lifespan.shutdown.complete'})
        return
    got = 0
    if scope['path'] == '/dropped':
        got = None
    while got is not None and opened[0].receive(0.5 if got + opened[0].dropped >= 100_000 else 30) is not None:
        got += 1
    body = json.dumps([got, opened[0].dropped, opened[0].gaps]).encode()
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': body})
"""

FLOOD = """
import sys, time
from hornbeam_erlang import publish
count, size = int(sys.argv[1]), int(sys.argv[2])
body = b'x' * size

def timed(topic, subscribers):
    began = time.monotonic()
    for i in range(100):
        assert publish(topic, body) == subscribers
    return time.monotonic() - began

# In turns, and the median of each: so it is the same machine, however busy.
turns = [(timed('flood', 1), timed('nobody', 0)) for i in range(count // 100)]
print(*(sorted(times)[len(times) // 2] for times in zip(*turns)))
"""


def flood(daemon, count, size):
    """Publishes; how long a hundred took, and a hundred that nobody reads, in seconds."""
    out = daemon.python(f"import sys; sys.argv = ['', {count}, {size}]\n" + FLOOD, timeout=300)
    assert out.returncode == 0, out.stderr
    return map(float, out.stdout.split())


def test_a_subscriber_that_never_reads_loses_what_it_has_no_room_for_to_the_message():
    with Daemon(apps=[{"mount": "/", "app": "app:asgi"}], files={"app.py": QUEUE},
                config={"pubsub": {"queue": 100}}) as d:
        busy, idle = flood(d, 100_000, 10)
        eventually(lambda: d.get("/dropped").json() == [None, 99_900, 0], 60)
        # Workers tell it now and then, while messages come.
        more = []

        def told():
            more.append(d.hornbeam("publish", "flood", "more").stdout)
            return topics(d, "dropped")["flood"] >= 99_900

        eventually(told)
        eventually(lambda: d.get("/dropped").json() == [None, 99_900 + len(more), 0])
        assert d.get("/", timeout=60).json() == [100, 99_900 + len(more), 0]
        assert busy < 10 * idle, (busy, idle)
