"""State against redis-py, in a plain script and in a worker.

The same source runs in both places.
"""

import json
import subprocess
import tempfile

import harness
import servers
from table import row, us

STATE = """
import json, statistics, time

def measure(redis_path, rounds=15, calls=1500):
    import redis
    from hornbeam_erlang import state_get, state_set, state_incr
    r = redis.Redis(unix_socket_path=redis_path)
    r.set('k', 'value'); r.set('n', 0); state_set('k', 'value'); state_set('n', 0)
    pairs = {
        'state_get': (lambda: state_get('k'), lambda: r.get('k')),
        'state_set': (lambda: state_set('k', 'value'), lambda: r.set('k', 'value')),
        'state_incr': (lambda: state_incr('n'), lambda: r.incr('n')),
    }
    def clock(call):
        begin = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - begin) / calls
    result = {}
    for name, (ours, theirs) in pairs.items():
        clock(ours), clock(theirs)
        both = [(clock(ours), clock(theirs)) for _ in range(rounds)]
        result[name] = [statistics.median(a for a, _ in both), statistics.median(b for _, b in both),
                        statistics.median(a / b for a, b in both)]
    return result
"""

WORKER_APP = STATE + """
def application(environ, start_response):
    body = json.dumps(measure(environ['QUERY_STRING'])).encode()
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [body]
"""

BATCH = """
import json, statistics, threading, time
from hornbeam_erlang import state_get, state_get_multi, state_set

keys = [f'key:{i}' for i in range(100)]
for k in keys:
    state_set(k, 'value')

def clock(call):
    begin = time.perf_counter(); call(); return time.perf_counter() - begin

multi = [(clock(lambda: state_get_multi(keys)), clock(lambda: [state_get(k) for k in keys])) for _ in range(60)]

def spin(calls):
    for _ in range(calls):
        state_get('key:1')

def rate(threads, calls=3000):
    ts = [threading.Thread(target=spin, args=(calls,)) for _ in range(threads)]
    begin = time.perf_counter()
    for t in ts: t.start()
    for t in ts: t.join()
    return threads * calls / (time.perf_counter() - begin)

rate(1), rate(8)
both = [(rate(8), rate(1)) for _ in range(7)]
print(json.dumps({
    'multi': [statistics.median(a for a, _ in multi), statistics.median(b for _, b in multi),
              statistics.median(a / b for a, b in multi)],
    'threads': [statistics.median(a for a, _ in both), statistics.median(b for _, b in both),
                statistics.median(a / b for a, b in both)],
}))
"""

KEYS = """
import json, statistics, time
from hornbeam_erlang import state_keys, state_set_multi

def clock(rounds=200):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter(); found = state_keys('match:'); times.append(time.perf_counter() - begin)
        assert len(found) == 100
    return statistics.median(times)

state_set_multi({f'match:{i:03}': i for i in range(100)})
state_set_multi({f'other:{i:07}': i for i in range(900)})
clock()
small = clock(600)
for block in range(0, 1_000_000, 20_000):
    state_set_multi({f'other:{i:07}': i for i in range(block, block + 20_000)})
clock()
print(json.dumps([clock(600), small]))
"""


def checked(result):
    if result.returncode != 0:
        raise SystemExit(f"a measured script failed:\n{result.stderr}")
    return json.loads(result.stdout)


def pin(pid, cores):
    subprocess.run(["taskset", "-apc", cores, str(pid)], stdout=subprocess.DEVNULL, check=True)


def state():
    with tempfile.TemporaryDirectory() as directory, \
            harness.Daemon("app:application", files={"app.py": WORKER_APP}, config={"log": {"access": "off"}}) as d:
        path, server = servers.redis_server(directory)
        with server as redis:
            # NOTES tells why both sides are placed alike.
            pin(d.companion_pid(), "0")
            pin(redis.pid, "0")
            for cores, client in (("one core", "0"), ("two cores", "1")):
                pin(d.worker_pids()[0], client)
                own = f"import os\nos.sched_setaffinity(0, {{{client}}})\n"
                script = checked(d.python(own + STATE + f"\nprint(json.dumps(measure({path!r})))", timeout=300))
                worker = d.get(f"/?{path}", timeout=300).json()
                for where, result in (("script", script), ("worker", worker)):
                    for name, (ours, theirs, ratio) in result.items():
                        row(f"{name} in a {where}, {cores} / redis-py", us(ours), us(theirs), ratio, "<= 0.9",
                            ratio <= 0.9)
        for pid in (d.companion_pid(), d.worker_pids()[0]):
            pin(pid, "0,1")
        batch = checked(d.python(BATCH, timeout=300))
        ours, theirs, ratio = batch["multi"]
        row("state_get_multi of 100 / 100 state_get", us(ours), us(theirs), ratio, "<= 0.1", ratio <= 0.1)
        ours, theirs, ratio = batch["threads"]
        row("state_get: 8 threads / 1 thread", f"{ours:.0f}/s", f"{theirs:.0f}/s", ratio, ">= 1.8", ratio >= 1.8)
    with harness.Daemon() as d:
        million, thousand = checked(d.python(KEYS, timeout=600))
        row("state_keys, 100 of 1,000,000 / 100 of 1,000", us(million), us(thousand), million / thousand,
            "<= 1.5", million / thousand <= 1.5)
