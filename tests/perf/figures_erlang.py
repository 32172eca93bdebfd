"""What the Erlang side costs: calls, other nodes, many calls at once, fan-out, hooks."""

import contextlib
import os
import pathlib
import statistics
import subprocess
import tempfile

import harness
import load
import servers
from figures_process import timed
from figures_server import ROUNDS, SECONDS, in_turns, middle, ratio
from figures_state import checked, pin
from table import QUICK, failed, per_second, ratio_row, us

MODULE = r"""
-module(bench).
-export([add/2, remote/1, on_request/1]).
add(A, B) -> A + B.
on_request(Request) -> Request.
remote(Node) ->
    N = 3000,
    To = binary_to_existing_atom(Node),
    Call = fun() -> erpc:call(To, erlang, abs, [-1], 5000) end,
    {Us, ok} = timer:tc(fun() -> lists:foreach(fun(_) -> 1 = Call() end, lists:seq(1, N)) end),
    Us / N.
"""

CALLS = """
import json, time
from hornbeam_erlang import call, rpc_call, state_get, state_set

def clock(function, calls=1000):
    begin = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - begin) / calls

other = 'bench@127.0.0.1'
state_set('k', 'value')
sides = {'get': lambda: state_get('k'), 'call': lambda: call('add', 1, 2),
         'rpc': lambda: rpc_call(other, 'erlang', 'abs', [-1])}
for side in sides.values():
    clock(side)
rounds = [{**{name: clock(side) for name, side in sides.items()}, 'inside': call('remote', other) / 1e6}
          for _ in range(15)]
print(json.dumps(rounds))
"""

AT_ONCE = """
import asyncio, json, time
from hornbeam_erlang import aio

async def main():
    async def alone(n=1000):
        begin = time.perf_counter()
        for i in range(n):
            assert await aio.call('add', i, 1) == i + 1
        return n / (time.perf_counter() - begin)
    async def together(n=1000):
        begin = time.perf_counter()
        found = await asyncio.gather(*(aio.call('add', i, 1) for i in range(n)))
        assert found == [i + 1 for i in range(n)]
        return n / (time.perf_counter() - begin)
    await alone(), await together()
    return [(await together(), await alone()) for _ in range(9)]

print(json.dumps(asyncio.run(main())))
"""


def compiled(directory, name="bench", source=MODULE):
    """The directory of a compiled module, for erlang.code_path."""
    path = pathlib.Path(directory) / f"{name}.erl"
    path.write_text(source)
    subprocess.run(["erlc", "-o", str(directory), str(path)], check=True)
    os.chmod(directory, 0o755)
    return str(directory)


class Node:
    """A further node on loopback, with an epmd of its own."""

    def __init__(self, directory):
        self.cookie = pathlib.Path(directory) / "cookie"
        self.cookie.write_text("bench-" + os.urandom(12).hex())
        self.cookie.chmod(0o400)

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        env = {**os.environ, "HOME": str(self.cookie.parent)}
        dot = self.cookie.parent / ".erlang.cookie"
        if not dot.exists():
            dot.write_text(self.cookie.read_text())
            dot.chmod(0o400)
        self.stack.enter_context(servers.Process(
            "epmd", "-address", "127.0.0.1", ready=lambda: servers.listening(4369), env=env))
        self.port = harness.free_port()
        self.stack.enter_context(servers.Process(
            *servers.SERVER, "erl", "-noinput", "-boot", "no_dot_erlang", "-name", "bench@127.0.0.1", "-start_epmd", "false", "-kernel",
            "inet_dist_listen_min", str(self.port), "inet_dist_listen_max", str(self.port), "inet_dist_use_interface",
            "{127,0,0,1}", "+S", "2:2", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", ready=lambda: servers.listening(self.port), env=env))
        self.env = env
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)


def middles(rounds, of):
    return statistics.median(of(r) for r in rounds)


def calls():
    """A call of a function and of another node, against a state_get."""
    with tempfile.TemporaryDirectory() as directory, Node(directory) as node:
        config = {"log": {"access": "off"},
                  "erlang": {"code_path": [compiled(directory)], "node": "hornbeam@127.0.0.1", "epmd": True,
                             "cookie_file": str(node.cookie), "connect": ["bench@127.0.0.1"]},
                  "functions": {"add": "bench:add", "remote": "bench:remote"}}
        with harness.Daemon(config=config) as d:
            pin(d.companion_pid(), "0")
            own = "import os\nos.sched_setaffinity(0, {1})\n"
            rounds = checked(d.python(own + CALLS, timeout=300))
            get, called, rpc, inside = (middles(rounds, lambda r, k=k: r[k]) for k in ("get", "call", "rpc", "inside"))
            ratio_row("call of a function / state_get", us(called), us(get),
                      middles(rounds, lambda r: r["call"] / r["get"]), "<= 1.5")
            ratio_row("rpc_call less the erpc:call inside / state_get", us(rpc - inside), us(get),
                      middles(rounds, lambda r: (r["rpc"] - r["inside"]) / r["get"]), "<= 1.5")
            both = checked(d.python(own + AT_ONCE, timeout=300))
            ratio_row("1,000 aio.call at once / one after the other", per_second(statistics.median(a for a, _ in both)),
                      per_second(statistics.median(b for _, b in both)), statistics.median(a / b for a, b in both), ">= 4")
            command(d, node)


def command(d, node, rounds=60):
    """The command line as a process against erl_call's, for the same answer."""
    env = harness.environment(HORNBEAM_SOCKET=str(d.socket))
    ours = [str(harness.BUILD / "hornbeam"), "rpc", "call", "-", "erlang", "node"]
    theirs = ["erl_call", "-name", "bench@127.0.0.1", "-c", node.cookie.read_text(), "-a", "erlang node"]
    both = [(timed(ours, env), timed(theirs, node.env)) for _ in range(rounds)]
    ratio_row("process `hornbeam rpc call - erlang node` / erl_call", us(statistics.median(a for a, _ in both)),
              us(statistics.median(b for _, b in both)),
              statistics.median(a for a, _ in both) / statistics.median(b for _, b in both), "<= 1")


SUBSCRIBERS = 1000
MESSAGES = 20 if QUICK else 100

#: 1,000 tasks, each with a subscription of its own; the time is that of all that they were sent.
FAN_OUT = """
import asyncio, json, time
from hornbeam_erlang import subscription

async def application(scope, receive, send):
    if scope['type'] == 'http':
        body = json.dumps(state).encode()
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'application/json')]})
        await send({'type': 'http.response.body', 'body': body})
        return
    assert (await receive())['type'] == 'lifespan.startup'
    for _ in range(%d):
        tasks.append(asyncio.ensure_future(one()))
    await asyncio.sleep(0)
    await send({'type': 'lifespan.startup.complete'})
    await receive()
    await send({'type': 'lifespan.shutdown.complete'})

tasks = []
state = {"ready": 0, "got": 0, "last": 0.0}

async def one():
    with subscription('bench') as messages:
        state['ready'] += 1
        async for topic, message in messages:
            assert message['n'] >= 0
            state['got'] += 1
            state['last'] = time.monotonic()
""" % SUBSCRIBERS

PUBLISH = """
import time
from hornbeam_erlang import publish
begin = time.monotonic()
for n in range({messages}):
    publish('bench', {{'n': n, 'text': 'x' * 64}})
print(begin)
"""

REDIS = """
import asyncio, json, sys, time
import redis.asyncio as redis

async def main(path, count, messages):
    got, done = 0, asyncio.Event()
    async def one(pubsub):
        nonlocal got
        async for m in pubsub.listen():
            if m['type'] == 'message':
                assert json.loads(m['data'])['n'] >= 0
                got += 1
                if got == count * messages:
                    done.set()
    tasks = []
    for _ in range(count):
        pubsub = redis.Redis(unix_socket_path=path).pubsub()
        await pubsub.subscribe('bench')
        tasks.append(asyncio.ensure_future(one(pubsub)))
    print('ready', flush=True)
    await asyncio.wait_for(done.wait(), 300)
    print(time.monotonic(), flush=True)

asyncio.run(main(sys.argv[1], {count}, {messages}))
"""

REDIS_PUBLISH = """
import json, sys, time, redis
r = redis.Redis(unix_socket_path=sys.argv[1])
begin = time.monotonic()
for n in range({messages}):
    r.publish('bench', json.dumps({{'n': n, 'text': 'x' * 64}}))
print(begin)
"""


def fan_out_here(d):
    """Messages a second that all the subscribers of one worker got, from the first publish to the last receipt."""
    before = d.get("/").json()["got"]
    published = d.python(PUBLISH.format(messages=MESSAGES), timeout=300)
    wanted = before + SUBSCRIBERS * MESSAGES
    found = harness.eventually(lambda: (s := d.get("/", timeout=60).json())["got"] >= wanted and s, 120)
    return SUBSCRIBERS * MESSAGES / (found["last"] - checked(published))


def fan_out_redis(path):
    form = {"count": SUBSCRIBERS, "messages": MESSAGES}
    with subprocess.Popen([*servers.CLIENT, harness.PYTHON, "-c", REDIS.format(**form), path], text=True,
                          stdout=subprocess.PIPE) as reader:
        if reader.stdout.readline().strip() != "ready":
            raise load.Broken("the subscribers of redis did not start")
        published = subprocess.run([*servers.SERVER, harness.PYTHON, "-c", REDIS_PUBLISH.format(**form), path], text=True,
                                   capture_output=True, check=False)
        return SUBSCRIBERS * MESSAGES / (float(reader.stdout.readline()) - checked(published))


def fan_out(rounds=3 if QUICK else 5):
    """One publisher, 1,000 subscribers in one process: brokers on one core, subscribers on the other."""
    with tempfile.TemporaryDirectory() as directory, \
            harness.Daemon("app:application", files={"app.py": FAN_OUT},
                           config={"log": {"access": "off"}, "lifespan": "on"}) as d:
        path, server = servers.redis_server(directory)
        with server as redis:
            pin(d.companion_pid(), "0")
            pin(redis.pid, "0")
            pin(d.worker_pids()[0], "1")
            harness.eventually(lambda: d.get("/").json()["ready"] == SUBSCRIBERS, 30)
            both = [(fan_out_here(d), fan_out_redis(path)) for _ in range(rounds)]
    ratio_row(f"fan-out to {SUBSCRIBERS:,} in a worker, messages/s / redis-py asyncio",
              per_second(statistics.median(a for a, _ in both)), per_second(statistics.median(b for _, b in both)),
              statistics.median(a / b for a, b in both), ">= 3")


#: From the server's core, as the worker asks.
ONE_GET = """
import os
os.sched_setaffinity(0, {0})
import json, statistics, time
from hornbeam_erlang import state_get, state_set
state_set('k', 'value')
def clock():
    begin = time.perf_counter()
    state_get('k')
    return time.perf_counter() - begin
[clock() for _ in range(500)]
print(json.dumps(statistics.median(clock() for _ in range(3000))))
"""


def hooks():
    """Flask with a pass-through on_request: the server has one core, the companion (and the clients) the other."""
    what = "Flask hello with a pass-through on_request"
    with tempfile.TemporaryDirectory() as directory:
        hooked = {"erlang": {"code_path": [compiled(directory)]}, "hooks": {"on_request": "bench:on_request"}}
        try:
            with contextlib.ExitStack() as stack:
                running, daemons = {}, {}
                for name, config in (("with", hooked), ("without", {})):
                    daemons[name] = stack.enter_context(
                        servers.hornbeam("flask_hello", "app", config=config))
                    pin(daemons[name].companion_pid(), "1")
                    running[name] = servers.Server(daemons[name].port, daemons[name].worker_pids())
                found = in_turns(running, lambda server: load.wrk(server, SECONDS), ROUNDS)
                ratio_row(f"{what}, requests/s / without", per_second(middle(found["with"], "rate")),
                          per_second(middle(found["without"], "rate")), ratio(found["with"], found["without"], "rate"),
                          ">= 0.7")
                get = checked(daemons["with"].python(ONE_GET))
                alone = in_turns(running, lambda server: load.httpload("-c", 1)(server, SECONDS), ROUNDS)
                more = middle(alone["with"], "p50") / 1e6 - middle(alone["without"], "p50") / 1e6
                ratio_row(f"{what}, median latency added / state_get", us(more), us(get), more / get, "<= 2")
        except (AssertionError, load.Broken) as e:
            failed(what, ">= 0.7", servers.cause(e))
