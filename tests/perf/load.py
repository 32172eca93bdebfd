"""The load generators, run on the clients' core, and what they found."""

import json
import os
import pathlib
import re
import subprocess

import harness
from servers import CLIENT

TOOLS = harness.BUILD / "tests/perf"


class Broken(Exception):
    """A server that refuses, resets or errs under load has no figure."""


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def run(args):
    done = subprocess.run([*CLIENT, *map(str, args)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Broken(f"{os.path.basename(args[0])}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def with_cpu(measure):
    """measure(server, seconds), and the CPU seconds that the server spent on each of what it counts as all."""
    def measure_both(server, seconds):
        before = cpu_seconds(server.pids)
        found = measure(server, seconds)
        return {**found, "cpu": (cpu_seconds(server.pids) - before) / max(1, found["all"])}
    return measure_both


def wrk(server, seconds):
    """Closed loop, 50 connections."""
    out = run(["wrk", "-t1", "-c50", f"-d{max(1, round(seconds))}s", f"http://127.0.0.1:{server.port}/"])
    trouble = re.search(r"(Non-2xx.*|Socket errors.*)", out)
    if trouble:
        raise Broken(f"wrk: {trouble[1].strip()}")
    return {"rate": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "all": int(re.search(r"(\d+) requests in", out)[1])}


def httpload(*options):
    """Closed loop by the generator of this directory, with its options."""
    def measure(server, seconds):
        found = json.loads(run([TOOLS / "httpload", *options, "-d", seconds, server.port]))
        if found["errors"]:
            raise Broken(f"httpload: {found['errors']} errors, {found['answered']} answers")
        return found
    return measure


def open_loop(server, rate, seconds):
    """Requests at a constant rate whatever the server does; the times count from when each was due."""
    return json.loads(run([TOOLS / "httpload", "-r", rate, "-d", seconds, server.port]))


def echo(clients, size, *deflate):
    """WebSocket clients that send again once they have their echo."""
    def measure(server, seconds):
        return json.loads(run([TOOLS / "wsload", "echo", server.port, clients, seconds, size, *deflate]))
    return measure


class Idle:
    """Idle WebSocket clients, held as long as the context lasts; its value is what one more saw."""

    def __init__(self, port, clients, echoes, size):
        self.args = [*CLIENT, str(TOOLS / "wsload"), "idle", *map(str, (port, clients, echoes, size)), "deflate"]

    def __enter__(self):
        self.proc = subprocess.Popen(self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                     text=True)
        line = self.proc.stdout.readline()
        if not line:
            raise Broken(f"wsload: {self.proc.communicate()[1].strip()}")
        return json.loads(line)

    def __exit__(self, *_):
        self.proc.communicate()
