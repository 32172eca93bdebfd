"""Ten thousand idle WebSockets in one worker: what they weigh, and what they cost the one that is not idle."""

import statistics

import harness
import load
import servers
from table import QUICK, failed, ratio_row, us

MANY, FEW = 10000, 10
WEIGHS = "an idle WebSocket, deflate negotiated, one message each"
ECHO = "echo with 10,000 idle / with ten"


def idle():
    echoes, rounds = (300, 1) if QUICK else (1000, 3)
    try:
        with servers.hornbeam("echo", "asgi", config={"limits": {"connections": MANY + 100}}) as d:
            pid = d.worker_pids()[0]

            def held(clients):
                with load.Idle(d.port, clients, echoes, 64) as times:
                    return harness.resident(pid), times["p50"]

            held(FEW)
            before = harness.resident(pid)
            found = [(held(FEW), held(MANY)) for _ in range(rounds)]
        # Memory that is used again does not show: the first time is what counts.
        each = (found[0][1][0] - before) / MANY
        ratio_row(WEIGHS, f"{each / 1024:.1f} KiB", "16 KiB", each / 16384, "<= 1")
        few, many = (statistics.median(pair[i][1] for pair in found) for i in (0, 1))
        ratio_row(ECHO, us(many / 1e6), us(few / 1e6), statistics.median(m[1] / f[1] for f, m in found), "<= 2")
    except (AssertionError, load.Broken) as e:
        failed(WEIGHS, "<= 1", servers.cause(e))
        failed(ECHO, "<= 2", servers.cause(e))
