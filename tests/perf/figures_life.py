"""Reloads and the death of a worker, under load: which requests fail."""

import json
import os
import pathlib
import re
import signal
import subprocess

import harness
import load
import servers
from table import failed, row

RELOADS = 10


class Wrk:
    """wrk on fifty kept connections until stop(), which tells what it saw."""

    def __init__(self, port):
        self.proc = subprocess.Popen([*servers.CLIENT, "wrk", "-t1", "-c50", "-d600s", f"http://127.0.0.1:{port}/"],
                                     stdout=subprocess.PIPE, text=True)

    def stop(self):
        """How many requests were answered, and how many failed."""
        self.proc.send_signal(signal.SIGINT)
        out = self.proc.communicate(timeout=30)[0]
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        failures = (int(bad[1]) if bad else 0) + (sum(map(int, errors.groups())) if errors else 0)
        return int(re.search(r"(\d+) requests in", out)[1]), failures

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.communicate()


def workers(d):
    return json.loads(d.hornbeam("workers", "-o", "json").stdout)


def wait_for_load(d, of=any):
    """Until the workers, any or all of them, have answered under the load."""
    before = {w["pid"]: w["requests"] for w in workers(d)}
    harness.eventually(lambda: of(w["requests"] > before.get(w["pid"], 0) + 100 for w in workers(d)), 20,
                       "the workers get no requests")


def connections(pid, port):
    """How many connections of clients a process holds."""
    established = set()
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "01":
            established.add(f"socket:[{fields[9]}]")
    return sum(os.readlink(fd) in established for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir())


def reload():
    what = f"{RELOADS} reloads under wrk: failed requests"
    try:
        with servers.hornbeam("hello", "application", config={"workers": 2}, core=[]) as d, Wrk(d.port) as wrk:
            for i in range(RELOADS):
                wait_for_load(d)
                before = {w["pid"] for w in workers(d)}
                done = d.hornbeam("reload", "-t", "60s", timeout=120)
                if done.returncode != 0:
                    raise load.Broken(f"reload {i + 1}: {done.stderr.strip() or done.returncode}")
                d.note()
                if before & {w["pid"] for w in workers(d) if w["state"] == "ready"}:
                    raise load.Broken(f"reload {i + 1} left a worker of before in service")
            wait_for_load(d)
            answered, bad = wrk.stop()
            row(what, f"{bad}", f"of {answered}", bad, "0", bad == 0)
    except (AssertionError, load.Broken) as e:
        failed(what, "0", servers.cause(e))


def kill():
    what = "kill -9 of a worker under wrk: failed / in its hands"
    try:
        with servers.hornbeam("hello", "application", config={"workers": 2}, core=[]) as d, Wrk(d.port) as wrk:
            wait_for_load(d, all)
            pid = d.worker_pids()[0]
            # Stopped first, so that what it holds can be counted.  wrk has a request on each connection.
            harness.pause(pid)
            held = connections(pid, d.port)
            os.kill(pid, signal.SIGKILL)
            harness.eventually(lambda: sum(w["state"] == "ready" and w["pid"] != pid for w in workers(d)) == 2, 30,
                               "the worker was not replaced")
            d.note()
            wait_for_load(d)
            answered, bad = wrk.stop()
            row(what, f"{bad}", f"{held}", bad / max(held, 1), "<= 1", bad <= held and held > 0)
            print(f"    of {answered} requests")
    except (AssertionError, load.Broken) as e:
        failed(what, "<= 1", servers.cause(e))
