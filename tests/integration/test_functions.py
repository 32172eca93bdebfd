"""Python functions of the workers, called by Erlang, the command line, scripts and the workers themselves."""

import os
import re
import signal
import threading

import pytest
from harness import Daemon, eventually

APP = """
import asyncio, contextvars, os, threading, time
from hornbeam_erlang import HornbeamError, HornbeamTimeoutError, RemoteError, call, register, rpc_call, state_get, state_incr

var = contextvars.ContextVar("var", default="fresh")

@register("pid")
def pid():
    return os.getpid()

@register("total")
def total(prices):
    return sum(prices)

gate = threading.Event()
entered = threading.Event()

@register("held back")
def held_back():
    entered.set()
    return gate.wait(60)

@register("held")
def held():
    return entered.wait(60)

@register("let go")
def let_go():
    gate.set()

@register("hold")
def hold():
    state_incr("holding")
    while state_get("released") is None:
        time.sleep(0.01)
    return os.getpid()

meeting = threading.Barrier(4)

@register("meet")
def meet():
    meeting.wait(60)

@register("where")
def where():
    return threading.current_thread().name, var.set("left") and var.get()

@register("seen")
def seen():
    return var.get()

@register("again")
def again(depth):
    try:
        return call("again", depth - 1, timeout_ms=1500 if depth > 10 else 20000) if depth else "bottom"
    except HornbeamTimeoutError:
        return "deadline"

@register("round")
def round_and_round():
    return call("round", timeout_ms=60000)

@register("through Erlang")
def through_erlang():
    return rpc_call("local", "hornbeam", "call_python", ["through Erlang", [], 60000], timeout_ms=60000)

stopped = []

@register("later")
async def later(x):
    await asyncio.sleep(0.01)
    return x, threading.current_thread() is threading.main_thread()

@register("forever")
async def forever():
    stopped.append("running")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        stopped.append("cancelled")
        raise

@register("stopped")
def was_stopped():
    return list(stopped)

def answer(path):
    name, _, argument = path.strip("/").partition("/")
    return repr(call(name, *([int(argument)] if argument else []), timeout_ms=20000))

def application(environ, start_response):
    start_response("200 OK", [])
    return [answer(environ["PATH_INFO"]).encode()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    from hornbeam_erlang import aio
    if scope["path"].startswith("/stuck/"):
        try:
            body = repr(call("later", 5, timeout_ms=500))
        except HornbeamTimeoutError:
            body = "'deadline'"
    elif scope["path"].startswith("/blocking/"):
        body = answer(scope["path"][9:])
    else:
        name, _, argument = scope["path"].strip("/").partition("/")
        body = repr(await aio.call(name, *([int(argument)] if argument else [])))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})
"""
KINDS = {"in place": ("app:application", 1), "pool": ("app:application", 4), "asgi": ("app:asgi", 4)}


def daemon_with(kind="pool", **config):
    app, threads = KINDS[kind]
    return Daemon(app, files={"app.py": APP}, config={"threads": threads, **config})


@pytest.fixture(scope="module", params=KINDS)
def daemon(request):
    with daemon_with(request.param) as d:
        d.kind = request.param
        yield d


def call(d, name, *args, **more):
    """Through the command line."""
    return d.hornbeam("call", name, "-t", "60s", "--json", *args, **more)


def test_the_command_line_calls_a_function_of_a_worker(daemon):
    done = call(daemon, "total", "[1, 2, 3]")
    assert (done.returncode, done.stdout) == (0, "6\n"), done
    assert int(call(daemon, "pid").stdout) in daemon.worker_pids()


def test_erlang_calls_a_function_of_a_worker(daemon):
    done = daemon.hornbeam("rpc", "call", "-", "hornbeam", "call_python", "--json", '"total"', "[[4, 5]]")
    assert (done.returncode, done.stdout) == (0, "9\n"), done


def test_an_exception_shows_its_traceback_at_the_command_line(daemon):
    done = call(daemon, "total", "5")
    assert done.returncode == 6 and "TypeError" in done.stderr and "total" in done.stderr


def test_a_worker_that_calls_itself_answers(daemon):
    assert daemon.get("/pid").text == str(daemon.worker_pids()[0])
    assert daemon.get("/again/2").text == "'bottom'"


def test_a_cycle_ends_at_its_deadline(daemon):
    assert daemon.get("/again/1000", timeout=30).text == "'deadline'"
    assert daemon.get("/pid").status == 200


@pytest.mark.parametrize("name", ["round", "through Erlang"])
def test_what_a_function_calls_ends_with_its_own_deadline(daemon, name):
    assert call(daemon, name, "-t", "500ms").returncode == 5
    assert int(call(daemon, "pid").stdout) in daemon.worker_pids()  # no thread is held by the circle


def test_a_call_that_waits_for_its_own_loop_ends_at_its_deadline():
    with daemon_with("asgi") as d:
        assert d.get("/blocking/pid").text == str(d.worker_pids()[0])
        assert d.get("/stuck/later/5").text == "'deadline'"
        assert d.get("/later/5").text == "(5, True)"


def test_coroutines_run_on_the_loop_and_plain_functions_beside_it(daemon):
    assert daemon.get("/later/7").text == repr((7, daemon.kind == "asgi"))
    name, _ = eval(daemon.get("/where").text)
    assert name.startswith("hornbeam-function-")
    assert daemon.get("/seen").text == "'fresh'"


def test_a_slow_function_delays_no_request(daemon):
    def ask():
        if daemon.kind == "in place":
            return call(daemon, "held back").returncode == 0
        return daemon.get("/held%20back", timeout=30).status == 200

    answered = []
    slow = threading.Thread(target=lambda: answered.append(ask()))
    slow.start()
    assert call(daemon, "held").stdout == "true\n"
    for _ in range(5):
        assert daemon.get("/pid").status == 200
    assert not answered
    call(daemon, "let go")
    slow.join()
    assert answered == [True]


def test_calls_that_come_at_once_each_get_a_thread():
    code = ("import asyncio\nfrom hornbeam_erlang import aio\n"
            "async def main():\n"
            "    for _ in range(500): await asyncio.gather(*[aio.call('meet', timeout_ms=60000) for _ in range(4)])\n"
            "asyncio.run(main())")
    with daemon_with() as d:
        eventually(lambda: d.hornbeam("call", "pid").returncode == 0)
        done = d.python(code, timeout=300)
        assert done.returncode == 0, done


def test_a_coroutine_that_nobody_waits_for_is_cancelled():
    for kind in ("pool", "asgi"):
        with daemon_with(kind) as d:
            def runs_into_its_deadline(d=d):
                done = d.hornbeam("call", "-t", "300ms", "forever")
                assert done.returncode == 5, done
                return d.get("/stopped").text != "[]"  # that is, unless it came too late to be run

            eventually(runs_into_its_deadline)
            eventually(lambda d=d: re.fullmatch(r"\[('running', 'cancelled'(, )?)+\]", d.get("/stopped").text))


@pytest.mark.parametrize("kind", ["pool", "asgi"])
def test_a_coroutine_whose_companion_has_gone_ends_at_its_deadline(kind):
    with daemon_with(kind) as d:
        caller = threading.Thread(target=d.hornbeam, args=("call", "-t", "3s", "forever"))
        caller.start()
        eventually(lambda: call(d, "stopped").stdout == '["running"]\n')
        os.kill(d.companion_pid(), signal.SIGKILL)
        caller.join()
        eventually(lambda: call(d, "stopped").stdout == '["running","cancelled"]\n', 30)
        d.note()


@pytest.mark.parametrize("workers", [2, 3])
def test_calls_are_spread_over_the_workers(workers):
    with daemon_with(workers=workers) as d:
        eventually(lambda: d.hornbeam("status").returncode == 0)
        pids = set(d.worker_pids())
        found = d.python("from hornbeam_erlang import call\nprint([call('pid') for _ in range(30)])")
        assert set(eval(found.stdout)) == pids, found


def test_a_worker_that_is_killed_loses_only_its_calls_and_is_asked_no_more():
    with daemon_with(workers=2) as d:
        held = []
        callers = [threading.Thread(target=lambda: held.append(call(d, "hold"))) for _ in range(2)]
        for c in callers:
            c.start()
        eventually(lambda: d.hornbeam("state", "get", "holding").stdout == "2\n")  # one in each: the calls are spread
        first = d.worker_pids()[0]
        os.kill(first, signal.SIGKILL)
        eventually(lambda: held)
        assert d.hornbeam("state", "set", "released", "yes").returncode == 0
        for c in callers:
            c.join()
        lost, answered = sorted(held, key=lambda h: h.returncode, reverse=True)
        assert (lost.returncode, answered.returncode) == (3, 0) and int(answered.stdout) != first, held
        found = d.python("from hornbeam_erlang import call\nprint([call('pid') for _ in range(10)])")
        assert found.returncode == 0 and first not in eval(found.stdout), found
        d.note()


def test_a_reload_leaves_no_call_without_an_answer():
    with daemon_with(workers=2) as d:
        code = ("from hornbeam_erlang import call, state_get, state_set\npids = set()\n"
                "while state_get('reloaded') is None or len(pids) < 3:\n"
                "    pids.add(call('pid'))\n"
                "    state_set('answered', len(pids))\nprint(pids)")
        before = set(d.worker_pids())
        found = []
        caller = threading.Thread(target=lambda: found.append(d.python(code)))
        caller.start()
        eventually(lambda: d.hornbeam("state", "get", "answered").stdout == "2\n")
        assert d.hornbeam("reload").returncode == 0
        assert d.hornbeam("state", "set", "reloaded", "yes").returncode == 0
        caller.join()
        assert found[0].returncode == 0 and eval(found[0].stdout) > before, found
        d.note()


def test_the_companion_that_comes_back_knows_the_functions():
    with daemon_with() as d:
        os.kill(d.companion_pid(), signal.SIGKILL)
        eventually(lambda: call(d, "total", "[1]").stdout == "1\n", 20)
        d.note()
