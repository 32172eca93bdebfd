"""Processes: start-up of the command line and of the daemon, resident memory."""

import statistics
import subprocess
import tempfile
import time

import harness
import servers
from table import row, us


def timed(args, env=None):
    begin = time.perf_counter()
    subprocess.run(args, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def command(rounds=200):
    with tempfile.TemporaryDirectory() as directory, harness.Daemon() as d:
        path, server = servers.redis_server(directory)
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


def process():
    with harness.Daemon("app:application", files={"app.py": servers.source("hello")}) as d:
        d.get("/")
        time.sleep(2)  # the companion's garbage collections after boot
        for what, pid, most in (("master", d.proc.pid, 8), ("worker with a WSGI hello", d.worker_pids()[0], 18),
                                ("idle companion", d.companion_pid(), 50)):
            size = harness.resident(pid) / 1048576
            row(f"resident memory, {what}", f"{size:.1f} MiB", f"{most} MiB", size / most, "<= 1", size <= most)
    ours, theirs = [], []
    for _ in range(7):
        begin = time.perf_counter()
        with harness.Daemon("app:application", files={"app.py": servers.source("hello")}):
            ours.append(time.perf_counter() - begin)
        theirs.append(timed(["erl", "-noshell", "-eval", "halt()."]) + timed([harness.PYTHON, "-c", ""]))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    row("start to ready / (erl halt + python3 -c '')", f"{statistics.median(ours) * 1e3:.0f} ms",
        f"{statistics.median(theirs) * 1e3:.0f} ms", ratio, "<= 3", ratio <= 3)
