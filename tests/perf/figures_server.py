"""Requests a second and their tail, against the servers that people use today."""

import contextlib
import os
import statistics

import load
import servers
from table import QUICK, failed, per_second, ratio_row, us

ROUNDS, SECONDS = (3, 0.5) if QUICK else (5, 2)


def middle(rounds, key):
    return statistics.median(found[key] for found in rounds)


def ratio(ours, theirs, key):
    """Of rounds that were taken in turns."""
    return statistics.median(a[key] / b[key] for a, b in zip(ours, theirs))


def in_turns(running, measure, rounds=ROUNDS):
    """name -> what measure(server) found, round after round over all the servers."""
    found = {name: [] for name in running}
    for _ in range(rounds):
        for name, server in running.items():
            found[name].append(measure(server))
    return found


def tails(title, running, rates, peer):
    """p99 at half of the peer's peak, open-loop."""
    rate = middle(rates[peer], "rate") / 2
    pair = {name: running[name] for name in ("hornbeam", peer)}
    found = in_turns(pair, lambda server: load.open_loop(server, rate, SECONDS))
    lost = sum(r["errors"] for r in found["hornbeam"])
    what = f"{title}, p99 at half of its peak / {peer}"
    if lost:
        failed(what, "<= 1", f"{lost} requests of ours were not answered")
        return
    ratio_row(what, us(middle(found["hornbeam"], "p99") / 1e6), us(middle(found[peer], "p99") / 1e6),
              ratio(found["hornbeam"], found[peer], "p99"), "<= 1")


def race(title, module, app, peers, *, measure=load.wrk, unit=("rate", "requests/s", 1), tail=True, cpu=None):
    """Rows for an application against its peers.

    peers: name -> (target, the peer's callable).
    unit: the key that measure() gives, its name, and how much of it makes one.
    tail: also p99 against the best peer that runs the same callable.
    cpu: the target of CPU a request against the bare responder.
    """
    key, name_of, one = unit
    measure = load.with_cpu(measure)
    whats = {peer: f"{title}, {name_of} / {peer}" for peer in peers}
    try:
        with contextlib.ExitStack() as stack:
            running = {peer: stack.enter_context(servers.Peer(peer, module, call)) for peer, (_, call) in peers.items()}
            if cpu:
                running["responder"] = stack.enter_context(servers.Peer("responder"))
            running["hornbeam"] = stack.enter_context(servers.Ours(module, app))
            for server in running.values():
                measure(server, 0.5)
            found = in_turns(running, lambda server: measure(server, SECONDS))
            ours = found["hornbeam"]
            for peer, (target, _) in peers.items():
                ratio_row(whats[peer], per_second(middle(ours, key) / one), per_second(middle(found[peer], key) / one),
                          ratio(ours, found[peer], key), target)
            spent = ", ".join(f"{name} {us(middle(rounds, 'cpu'))}" for name, rounds in found.items())
            print(f"    CPU a request: {spent}", flush=True)
            if cpu:
                bare = found["responder"]
                ratio_row(f"{title}, CPU a request / a bare libevent responder", us(middle(ours, "cpu")),
                          us(middle(bare, "cpu")), ratio(ours, bare, "cpu"), cpu)
                ratio_row(f"{title}, requests/s / a bare libevent responder", per_second(middle(ours, "rate")),
                          per_second(middle(bare, "rate")), ratio(ours, bare, "rate"), "reported")
            if tail:
                same = [peer for peer, (_, call) in peers.items() if call == app]
                tails(title, running, found, max(same, key=lambda peer: middle(found[peer], "rate")))
    except (AssertionError, load.Broken) as e:
        for peer, (target, _) in peers.items():
            failed(whats[peer], target, servers.cause(e))


def wsgi():
    race("WSGI hello", "hello", "application", {
        "gunicorn": (">= 8", "application"), "uWSGI": (">= 6", "application"), "uvicorn": (">= 1.5", "asgi")},
        cpu="<= 1.2")


def asgi():
    race("ASGI hello", "hello", "asgi", {"uvicorn": (">= 2.3", "asgi")})


def fastapi():
    race("FastAPI hello (JSON)", "fastapi_hello", "app", {"uvicorn": (">= 1.4", "app")})


def starlette():
    race("Starlette hello", "starlette_hello", "app", {"uvicorn": (">= 1.8", "app")})


def flask():
    race("Flask hello", "flask_hello", "app", {"gunicorn gthread": (">= 1.5", "app")})


def backend():
    # The other server is a client's matter here: it has their core.
    with servers.Peer("responder", core=servers.CLIENT) as other:
        os.environ["BACKEND_PORT"] = str(other.port)
        race("ASGI that awaits asyncio streams", "backend", "asgi", {"uvicorn": (">= 1", "asgi")})


def large():
    race("64 KiB responses (ASGI)", "bodies", "large", {"uvicorn": (">= 1.5", "large")}, measure=load.httpload())
    race("64 KiB responses (WSGI)", "bodies", "application", {"gunicorn gthread": ("reported", "application")},
         measure=load.httpload(), tail=False)


def upload():
    race("1 MiB chunked uploads", "bodies", "upload", {"uvicorn": (">= 1.5", "upload")},
         measure=load.httpload("-c", 8, "-u", 1 << 20), tail=False)


def events():
    race("SSE, 10,000 events a response", "bodies", "events", {"uvicorn": (">= 1.5", "events")},
         measure=load.httpload("-c", 8), unit=("body_rate", "events/s", len(b"data: 0000\n\n")), tail=False)


def websocket():
    race("WebSocket echo, 100 clients", "echo", "asgi", {"uvicorn": (">= 2", "asgi")},
         measure=load.echo(100, 64), unit=("rate", "messages/s", 1), tail=False)
    race("WebSocket echo, 100 clients, deflate", "echo", "asgi", {"uvicorn": ("reported", "asgi")},
         measure=load.echo(100, 64, "deflate"), unit=("rate", "messages/s", 1), tail=False)
