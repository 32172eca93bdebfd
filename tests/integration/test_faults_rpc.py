"""Other nodes that are down, hang, go away or refuse, and functions that fail: what Python and the shell are told.

Each through every door: a thread of a worker, its event loop (aio), a script and the command line.
"""

import concurrent.futures
import json
import os
import signal
import subprocess

import evaluator
import pytest
from beams import COOKIE, Beam, cookie_file
from harness import PRELOAD, PYTHON, Daemon, environment, eventually, free_port, pause
from hook_modules import compile_module

DOORS = ["worker", "loop", "script", "shell"]

LOOP = """
import json
import hornbeam_erlang
from hornbeam_erlang import aio

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    code = (await receive())["body"].decode()
    try:
        status, result = 200, await eval(code, vars(hornbeam_erlang) | vars(aio))
    except Exception as e:
        status, result = 503, [[t.__name__ for t in type(e).__mro__], str(e)]
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(result).encode()})
"""

SCRIPT = """
import json, sys
from hornbeam_erlang import *
try:
    out = [200, eval(sys.argv[1])]
except Exception as e:
    out = [503, [[t.__name__ for t in type(e).__mro__], str(e)]]
print(json.dumps(out))
"""

#: What the functions of a site do wrong.
FAULTY = """
-module(faulty).
-export([held/1, is_held/1, release/1, mark/1, colliding/0, improper/0, bad_reason/1, bad_error/0]).

held(Name) ->
    true = register(binary_to_atom(Name), self()),
    timer:sleep(infinity).

is_held(Name) -> whereis(binary_to_atom(Name)) =/= undefined.

release(Name) -> exit(whereis(binary_to_atom(Name)), kill).

mark(Key) -> hornbeam_state:incr(Key).

colliding() -> #{1 => a, 1.0 => b}.

improper() -> [1 | 2].

bad_reason(Class) -> erlang:raise(Class, improper(), []).

bad_error() -> {error, colliding()}.
"""


@pytest.fixture(scope="module")
def ebin(tmp_path_factory):
    path = tmp_path_factory.mktemp("ebin")
    compile_module(path, "faulty", FAULTY)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory, ebin):
    """A node of a cluster with its applications."""
    cookie, port = cookie_file(tmp_path_factory.mktemp("cookie")), free_port()
    with Daemon(
        apps=[{"mount": "/", "app": "evaluator:application"}, {"mount": "/loop", "app": "loop:application"}],
        files={**evaluator.FILES, "loop.py": LOOP},
        config={"workers": 1,
                "erlang": {"node": "shop@127.0.0.1", "cookie_file": str(cookie), "epmd": True, "code_path": [str(ebin)]},
                "functions": {name: f"faulty:{name}" for name in
                              ("held", "is_held", "release", "mark", "colliding", "improper", "bad_reason", "bad_error")},
                "rpc": {"allow": ["*:erlang:*", "*:faulty:*", "*:made_up_*:*"]}},
        env={"ERL_EPMD_PORT": str(port)},
    ) as d:
        d.epmd, d.ebin = port, str(ebin)
        pids = [d.companion_pid(), *d.worker_pids()]
        yield d
        assert [d.companion_pid(), *d.worker_pids()] == pids, "somebody died of a fault"


def ask(site, door, code):
    """200 and the value, or 503, the names of the exception's classes and its text."""
    if door == "worker":
        return evaluator.ask(site, code)
    if door == "loop":
        answer = site.request("POST", "/loop", body=code.encode(), timeout=30)
        return answer.status, answer.json()
    done = site.python(f"import sys; sys.argv = ['', {code!r}]\n" + SCRIPT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rpc(site, door, node, module, function, args, ms=5000):
    """(class of the failure, its text); the shell's class is its exit status."""
    if door == "shell":
        done = site.hornbeam("rpc", "call", "-t", f"{ms}ms", "--json", node, module, function, *map(json.dumps, args))
        text = done.stderr.removeprefix("hornbeam: ").splitlines()
        return {3: "ConnectionError", 4: "PermissionError", 5: "TimeoutError"}.get(done.returncode, done), text[0]
    status, value = ask(site, door, f"rpc_call({node!r}, {module!r}, {function!r}, {args!r}, timeout_ms={ms})")
    assert status == 503, value
    kinds, text = value
    assert "HornbeamError" in kinds
    return next(k for k in kinds if k in ("ConnectionError", "PermissionError", "TimeoutError")), text


@pytest.mark.parametrize("door", DOORS)
def test_each_way_not_to_reach_a_node_has_its_own_message(site, door):
    with Beam("hangs@127.0.0.1", COOKIE, epmd=site.epmd) as hangs, Beam("stranger@127.0.0.1", "another", epmd=site.epmd):
        pause(hangs.proc.pid)
        names = ("nobody@127.0.0.1", "stranger@127.0.0.1", "worker@no-such-host.invalid", "a@short")
        told = {name: rpc(site, door, name, "erlang", "node", [], 20000) for name in names}

        def from_the_companion():
            told[hangs.name] = rpc(site, door, hangs.name, "erlang", "node", [], 300)
            return told[hangs.name][1] != "no answer before the deadline"  # that is, unless the companion is late as well

        eventually(from_the_companion)
    for name, (kind, text) in told.items():
        assert kind == ("TimeoutError" if name == "hangs@127.0.0.1" else "ConnectionError"), (name, kind, text)
        assert name in text
    assert "does not run: epmd on 127.0.0.1 knows no node nobody" in told["nobody@127.0.0.1"][1]
    assert "no answer from hangs@127.0.0.1 within" in told["hangs@127.0.0.1"][1]
    assert "its cookie is not ours" in told["stranger@127.0.0.1"][1]
    assert "the host no-such-host.invalid has no address" in told["worker@no-such-host.invalid"][1]
    assert "short node name" in told["a@short"][1]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("how", ["halts", "killed"])
def test_a_node_that_goes_away_during_a_call_is_a_connection_error(site, door, how):
    with node_of(site, how) as node, concurrent.futures.ThreadPoolExecutor() as pool:
        if how == "halts":
            told = rpc(site, door, node.name, "erlang", "halt", [0], 30000)
        else:
            call = pool.submit(rpc, site, door, node.name, "faulty", "held", ["call"], 60000)
            eventually(lambda: is_held(site, "call", node.name))
            node.kill()
            told = call.result()
    assert told == ("ConnectionError", f"the connection to {how}@127.0.0.1 was lost during the call")


def node_of(site, name):
    """Another node, with the module."""
    return Beam(f"{name}@127.0.0.1", COOKIE, epmd=site.epmd, args=["-pa", site.ebin])


def is_held(site, name, node="-"):
    """Whether the function held runs under that name."""
    return json.loads(site.hornbeam("rpc", "call", node, "faulty", "is_held", "--json", json.dumps(name)).stdout)


@pytest.mark.parametrize("door", DOORS)
def test_what_rpc_allow_excludes_is_a_permission_error(site, door):
    for node in ("local", "elsewhere@127.0.0.1"):
        kind, text = rpc(site, door, node, "os", "cmd", ["true"])
        assert kind == "PermissionError"
        assert "rpc.allow does not permit " in text and ":os:cmd" in text
    if door == "shell":
        assert site.hornbeam("rpc", "cast", "-", "os", "cmd", "true").returncode == 4
    else:
        status, (kinds, text) = ask(site, door, "rpc_cast('local', 'os', 'cmd', ['true'])")
        assert status == 503 and "PermissionError" in kinds and "rpc.allow" in text


# A client that goes.


HOLD = """
import asyncio, sys
from hornbeam_erlang import aio, call, rpc_call
exec(sys.argv[1])
"""


@pytest.mark.parametrize("code", [
    "call('held', 'gone', timeout_ms=60000)",
    "rpc_call('far@127.0.0.1', 'faulty', 'held', ['gone'], timeout_ms=60000)",
    "asyncio.run(aio.call('held', 'gone', timeout_ms=60000))",
    "asyncio.run(aio.rpc_call('far@127.0.0.1', 'faulty', 'held', ['gone'], timeout_ms=60000))",
])
def test_a_call_whose_script_is_killed_ends(site, code):
    with node_of(site, "far") as far:
        where = far.name if "far" in code else "-"
        with subprocess.Popen([PYTHON, "-c", HOLD, code], env=environment(HORNBEAM_SOCKET=str(site.socket), **PRELOAD)) as script:
            try:
                eventually(lambda: is_held(site, "gone", where))
            finally:
                script.kill()
        eventually(lambda: not is_held(site, "gone", where))


def test_a_call_of_a_killed_worker_ends(ebin):
    with Daemon("evaluator:application", files=evaluator.FILES, config={
            "workers": 1, "erlang": {"code_path": [str(ebin)]}, "functions": {"held": "faulty:held"}}) as d:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            call = pool.submit(evaluator.ask, d, "call('held', 'gone', timeout_ms=60000)")
            eventually(lambda: is_held(d, "gone"))
            (worker,) = d.worker_pids()
            os.kill(worker, signal.SIGKILL)
            assert isinstance(call.exception(), OSError)
        eventually(lambda: not is_held(d, "gone"))
        d.note()


# Functions.


@pytest.mark.parametrize("door", DOORS[:3])
def test_a_slow_function_delays_no_other(site, door):
    names = [f"slow {other}" for other in ("loop", "script")]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = [pool.submit(ask, site, name.split()[1], f"call('held', {name!r}, timeout_ms=60000)") for name in names]
        for name in names:
            eventually(lambda name=name: is_held(site, name))
        for _ in range(5):
            assert list(ask(site, door, f"call('is_held', {names[0]!r}, timeout_ms=5000)")) == [200, True]
        for name in names:
            site.hornbeam("call", "release", name)
        for one in slow:
            status, (kinds, text) = one.result()
            assert status == 503 and kinds[0] == "RemoteError" and "killed" in text


@pytest.mark.parametrize("door", DOORS[:3])
@pytest.mark.parametrize("name", ["colliding", "improper"])
def test_a_value_that_python_cannot_hold_is_an_error_of_its_call_alone(site, door, name):
    for code in (f"call({name!r})", f"rpc_call('local', 'faulty', {name!r}, [])"):
        status, (kinds, text) = ask(site, door, code)
        assert status == 503 and "ValueError" in kinds and text
    assert list(ask(site, door, "call('is_held', 'nothing')")) == [200, False]


@pytest.mark.parametrize("door", DOORS[:3])
def test_a_failure_whose_reason_python_cannot_hold_is_that_failure(site, door):
    for kind in ("error", "exit", "throw"):
        for code in (f"call('bad_reason', Atom({kind!r}))", f"rpc_call('local', 'faulty', 'bad_reason', [Atom({kind!r})])"):
            status, (kinds, text) = ask(site, door, code)
            assert status == 503 and kinds[0] == "RemoteError", (kinds, text)
            assert kind in text and "[1|2]" in text
    status, (kinds, text) = ask(site, door, "call('bad_error')")
    assert status == 503 and kinds[0] == "CallError", (kinds, text)


def test_ten_thousand_made_up_modules_come_to_an_end():
    code = """
import asyncio, collections, sys
from hornbeam_erlang import RemoteError, aio, call, rpc_call
async def one(i):
    try:
        await aio.rpc_call("local", f"made_up_{i}", "f", [], timeout_ms=60000)
    except Exception as e:
        return type(e).__name__, (getattr(e, "stacktrace", "") or str(e)).replace(f"made_up_{i}", "made_up_N")
async def main():
    # Each module is looked for in every directory of the path: a short one.
    kept = [p for p in rpc_call("local", "code", "get_path", []) if any(n in bytes(p) for n in (b"hornbeam", b"/ebin/..", b"kernel-", b"stdlib-"))]
    assert rpc_call("local", "code", "set_path", [kept]) is True
    found = collections.Counter()
    for start in range(0, 10_500, 500):
        found.update(await asyncio.gather(*(one(i) for i in range(start, start + 500))))
    return found
for (kind, text), n in asyncio.run(main()).items():
    print(kind, n, text.splitlines()[0], sep="|")
assert rpc_call("local", "lists", "reverse", [[1, 2]]) == [2, 1]
assert rpc_call("local", "hornbeam_names", "made", []) == 10_000
"""
    with Daemon(config={"log": {"level": "error"}}) as d:
        atoms = int(d.hornbeam("rpc", "call", "-", "erlang", "system_info", "--term", "atom_count").stdout)
        done = d.python(code, timeout=120)
        assert done.returncode == 0, done.stderr
        told = {line.split("|")[0]: line.split("|")[1:] for line in done.stdout.splitlines()}
        assert set(told) == {"RemoteError", "HornbeamError"}, told
        assert "undefined function made_up_N:f/0" in told["RemoteError"][1]
        assert "new to this node, which makes at most 10000" in told["HornbeamError"][1]
        assert int(told["RemoteError"][0]) + int(told["HornbeamError"][0]) == 10_500
        assert 490 < int(told["HornbeamError"][0]) <= 500, "what was made besides are names of the test's own"
        after = int(d.hornbeam("rpc", "call", "-", "erlang", "system_info", "--term", "atom_count").stdout)
        assert after - atoms < 10_500
        assert d.hornbeam("call", "made_up_function").returncode == 1


# A companion that hangs.


@pytest.mark.parametrize("door", DOORS[:3])
def test_a_call_that_a_hanging_companion_got_too_late_is_not_run(ebin, door):
    with Daemon(
        apps=[{"mount": "/", "app": "evaluator:application"}, {"mount": "/loop", "app": "loop:application"}],
        files={**evaluator.FILES, "loop.py": LOOP},
        config={"erlang": {"code_path": [str(ebin)]}, "functions": {"mark": "faulty:mark"}},
    ) as d:
        assert list(ask(d, door, "call('mark', 'n')")) == [200, 1]
        companion = d.companion_pid()
        pause(companion)
        try:
            for code in ("call('mark', 'n', timeout_ms=300)", "rpc_call('local', 'faulty', 'mark', ['n'], timeout_ms=300)"):
                status, (kinds, _) = ask(d, door, code)
                assert status == 503 and "TimeoutError" in kinds
        finally:
            os.kill(companion, signal.SIGCONT)
        assert list(ask(d, door, "call('mark', 'n')")) == [200, 2]
