"""The figures that Hornbeam is held to, as ratios taken in one run.

    make bench                  everything; the table goes to tests/perf/RESULTS
    make bench BENCH="state"    some sections, printed only

Machines drift, so absolute numbers only explain: what counts is the ratio
of the two sides, measured in turns within the same run.
"""

import datetime
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import harness  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
ROWS = []


def row(what, ours, theirs, ratio, target, good):
    """Notes one line of the table and shows it."""
    verdict = "met" if good else "MISSED"
    ROWS.append((what, ours, theirs, f"{ratio:.2f}", target, verdict))
    print(f"{what:52} {ours:>14} {theirs:>14} {ratio:8.2f}  {target:12} {verdict}", flush=True)


def us(seconds):
    return f"{seconds * 1e6:.1f} us"


class Process:
    """A peer's server, ended by its process id."""

    def __init__(self, *args, ready, **more):
        self.proc = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
        harness.eventually(ready, 20, f"{args[0]} did not start")

    def __enter__(self):
        return self.proc

    def __exit__(self, *_):
        self.proc.terminate()
        self.proc.wait(20)


def redis_server(directory):
    path = f"{directory}/redis.sock"
    return path, Process("redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no",
                         "--dir", directory, ready=lambda: os.path.exists(path))


# State against redis-py, in a plain script and in a worker. The same source
# runs in both places.

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
        path, server = redis_server(directory)
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


# HTTP: the server on one core, wrk on the other.

HELLO = """
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '12')])
    return [b'hello world\\n']

async def asgi(scope, receive, send):
    await send({'type': 'http.response.start', 'status': 200,
                'headers': [(b'content-type', b'text/plain'), (b'content-length', b'12')]})
    await send({'type': 'http.response.body', 'body': b'hello world\\n'})
"""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def wrk(port, pids, seconds):
    """Requests a second and the servers' CPU seconds a request."""
    before = cpu_seconds(pids)
    out = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c50", f"-d{seconds}s", f"http://127.0.0.1:{port}/"],
                         capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(pids) - before
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    requests = int(re.search(r"(\d+) requests in", out)[1])
    return float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]), spent / requests


def http(rounds=5, seconds=3):
    directory = tempfile.mkdtemp()
    (pathlib.Path(directory) / "app.py").write_text(HELLO)
    ports = {name: harness.free_port() for name in ("gunicorn", "uvicorn", "responder")}

    def answers(port):
        return lambda: subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{port}/"],
                                      check=False).returncode == 0

    pin = ["taskset", "-c", "0"]
    commands = {
        "gunicorn": [*pin, "/usr/bin/gunicorn", "-w", "1", "-b", f"127.0.0.1:{ports['gunicorn']}", "--chdir", directory,
                     "app:application"],
        "uvicorn": [*pin, "/usr/bin/uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log",
                    "--log-level", "error", "--port", str(ports["uvicorn"]), "--app-dir", directory, "app:asgi"],
        "responder": [*pin, str(harness.BUILD / "tests/perf/responder"), str(ports["responder"])],
    }
    rates, cpu = {}, {}
    with harness.Daemon("app:application", files={"app.py": HELLO}, config={"log": {"access": "off"}, "threads": 1},
                        wrap=pin) as d:
        started = [Process(*args, ready=answers(ports[name])) for name, args in commands.items()]
        try:
            servers = {name: (ports[name], [p.proc.pid, *harness.descendants(p.proc.pid)])
                       for name, p in zip(commands, started)}
            servers["hornbeam"] = (d.port, d.worker_pids())
            for name, (port, pids) in servers.items():
                wrk(port, pids, 1)
            for _ in range(rounds):
                for name, (port, pids) in servers.items():
                    rate, spent = wrk(port, pids, seconds)
                    rates.setdefault(name, []).append(rate)
                    cpu.setdefault(name, []).append(spent)
        finally:
            for process in started:
                process.__exit__()
            shutil.rmtree(directory)

    def ratio(of, name):
        return statistics.median(a / b for a, b in zip(of["hornbeam"], of[name]))

    middle = {name: statistics.median(values) for name, values in rates.items()}
    burnt = {name: statistics.median(values) for name, values in cpu.items()}
    for name, least in (("gunicorn", 8.0), ("uvicorn", 1.5)):
        row(f"WSGI hello, requests/s / {name}", f"{middle['hornbeam']:.0f}/s", f"{middle[name]:.0f}/s",
            ratio(rates, name), f">= {least}", ratio(rates, name) >= least)
    row("CPU a request / a bare libevent responder", us(burnt["hornbeam"]), us(burnt["responder"]),
        ratio(cpu, "responder"), "reported", True)
    row("requests/s / a bare libevent responder", f"{middle['hornbeam']:.0f}/s", f"{middle['responder']:.0f}/s",
        ratio(rates, "responder"), "reported", True)


# Processes: start-up of the command line and of the daemon, resident memory.


def timed(args, env=None):
    begin = time.perf_counter()
    subprocess.run(args, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def command(rounds=200):
    with tempfile.TemporaryDirectory() as directory, harness.Daemon() as d:
        path, server = redis_server(directory)
        with server:
            env = harness.environment(HORNBEAM_SOCKET=str(d.socket))
            ours = [str(harness.BUILD / "hornbeam"), "state", "get", "k"]
            theirs = ["redis-cli", "-s", path, "get", "k"]
            d.hornbeam("state", "set", "k", "v")
            subprocess.run(["redis-cli", "-s", path, "set", "k", "v"], stdout=subprocess.DEVNULL, check=True)
            both = [(timed(ours, env), timed(theirs)) for _ in range(rounds)]
    ratio = statistics.median(a for a, _ in both) / statistics.median(b for _, b in both)
    row("process `hornbeam state get k` / `redis-cli get k`", us(statistics.median(a for a, _ in both)),
        us(statistics.median(b for _, b in both)), ratio, "<= 1", ratio <= 1)


def rss_mib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def process():
    with harness.Daemon("app:application", files={"app.py": HELLO}) as d:
        d.get("/")
        time.sleep(2)  # the companion's garbage collections after boot
        for what, pid, most in (("master", d.proc.pid, 8), ("worker with a WSGI hello", d.worker_pids()[0], 18),
                                ("idle companion", d.companion_pid(), 50)):
            size = rss_mib(pid)
            row(f"resident memory, {what}", f"{size:.1f} MiB", f"{most} MiB", size / most, "<= 1", size <= most)
    ours, theirs = [], []
    for _ in range(7):
        begin = time.perf_counter()
        with harness.Daemon("app:application", files={"app.py": HELLO}):
            ours.append(time.perf_counter() - begin)
        theirs.append(timed(["erl", "-noshell", "-eval", "halt()."]) + timed([harness.PYTHON, "-c", ""]))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    row("start to ready / (erl halt + python3 -c '')", f"{statistics.median(ours) * 1e3:.0f} ms",
        f"{statistics.median(theirs) * 1e3:.0f} ms", ratio, "<= 3", ratio <= 3)


SECTIONS = {"state": state, "http": http, "command": command, "process": process}


def write_results():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    lines = [f"Figures of make bench, {datetime.date.today()}, on {os.cpu_count()} cores ({cpu[1] if cpu else 'unknown'}).",
             "Ratios taken in one run; the absolute numbers only explain them.", "",
             f"{'what':52} {'Hornbeam':>14} {'against':>14} {'ratio':>8}  {'target':12} verdict"]
    for what, ours, theirs, ratio, target, verdict in ROWS:
        lines.append(f"{what:52} {ours:>14} {theirs:>14} {ratio:>8}  {target:12} {verdict}")
    notes = HERE / "NOTES"
    text = "\n".join(lines) + "\n"
    if notes.exists():
        text += "\n" + notes.read_text()
    (HERE / "RESULTS").write_text(text)


def main():
    chosen = sys.argv[1:] or list(SECTIONS)
    for name in chosen:
        SECTIONS[name]()
    if not sys.argv[1:]:
        write_results()
    return 0 if all(r[-1] == "met" for r in ROWS) else 1


if __name__ == "__main__":
    sys.exit(main())
