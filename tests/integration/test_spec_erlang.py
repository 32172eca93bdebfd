"""The specification beyond the state, in its order and as written: RPC, pub/sub, registered functions, hooks.

Two workers and a companion that is a node of a cluster; worker@gpu-server,
logger@log-server and the others are nodes on the loopback, whose hosts a file
gives an address.  test_spec_state.py has the snippets about the state.
"""

import contextlib
import functools
import json
import os
import pathlib
import re
import select
import subprocess
import textwrap

import pytest

import guide
from beams import Beam, connected
from erlang_node import Node
from guide import snippet
from harness import BUILD, SLOW, Daemon, environment, eventually, free_port
from ws_client import Client

COOKIE = "a-cookie-of-the-specification"
HOSTS = ["gpu-server", "log-server", "remote", "web-server"]

# What the snippets call and do not show.
SETUP = """
import json, os
from hornbeam_erlang import *
from hornbeam_erlang import state_get, state_set

logged = []

def log_error(text):
    logged.append(text)

def fallback():
    return 'fallback'

def local_embed(texts):
    return [['here', text] for text in texts]

def split_list(items, n):
    size = -(-len(items) // n)
    return [items[i:i + size] for i in range(0, len(items), size)]

def get_user_from_scope(scope):
    return scope['query_string'].decode()

def request_with(cookies):
    return type('Request', (), {'cookies': cookies})
"""

# The posted program runs as a module would; what it leaves in `answer` is answered, with the worker's id.
APP = SETUP + """
import traceback

def run(program):
    names = dict(globals())
    try:
        exec(program, names)
        return names
    except BaseException:
        return {'answer': traceback.format_exc()}

def application(environ, start_response):
    names = run(environ['wsgi.input'].read().decode())
    start_response('200 OK', [('Content-Type', 'text/plain; charset=utf-8'), ('Worker', str(os.getpid()))])
    return [repr(names.get('answer')).encode()]

async def asgi(scope, receive, send):
    if scope['type'] == 'lifespan':
        raise NotImplementedError
    names = run((await receive())['body'].decode())
    answer = await names['main']() if 'main' in names else names.get('answer')
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'worker', str(os.getpid()).encode())]})
    await send({'type': 'http.response.body', 'body': repr(answer).encode()})
"""

CLUSTER = {
    "ml_model": "-export([predict/1]).\npredict(#{<<\"x\">> := X}) -> #{label => <<\"cat\">>, score => X / 2}.\n",
    "embedding_service": "-export([encode/1]).\nencode(Texts) -> [[atom_to_binary(node()), T] || T <- Texts].\n",
    "mod": "-export([func/1]).\nfunc(<<\"hang\">>) -> timer:sleep(infinity);\n"
           "func(<<\"raise\">>) -> error(out_of_memory);\nfunc(X) -> X.\n",
    "heard": """
-export([start/0, loop/1, all/0]).
start() ->
    Pid = spawn(?MODULE, loop, [[]]),
    register(?MODULE, Pid),
    erlang:trace(new, true, [call, {tracer, Pid}]),
    erlang:trace_pattern({logger, log, 3}, true, []),
    erlang:trace_pattern({logger, log, 4}, true, []).
loop(All) ->
    receive
        {trace, _, call, {_, _, Arguments}} -> loop(All ++ [Arguments]);
        {all, From} -> From ! {all, All}, loop(All)
    end.
all() -> ?MODULE ! {all, self()}, receive {all, All} -> All end.
""",
}

# A node of a cluster needs the module `auth` of OTP; only a companion without a name can have one of its own.
LOCAL = {
    "user_db": "-export([get/1]).\nget(Id) -> #{id => Id, name => <<\"Alice\">>}.\n",
    "auth": "-export([verify/1]).\nverify(<<\"secret\">>) -> {ok, 42};\nverify(_) -> error.\n",
    "session_store": "-export([get/1]).\nget(<<\"s1\">>) -> {ok, #{user => <<\"alice\">>}};\nget(_) -> not_found.\n",
    "feature_flags": "-export([is_enabled/2]).\nis_enabled(<<\"new_ui\">>, Id) -> Id =:= 7;\n"
                     "is_enabled(<<\"beta\">>, _) -> false.\n",
    "events": "-export([log/2]).\nlog(What, Details) -> hornbeam_state:set(<<\"event\">>, {What, Details}).\n",
}


def compiled(path, modules):
    """A directory with modules, compiled."""
    path.mkdir()
    for name, text in modules.items():
        (path / f"{name}.erl").write_text(f"-module({name}).\n{text}")
    erlc = os.environ.get("ERLC", "erlc")
    subprocess.run([erlc, "-o", str(path), *(str(path / f"{name}.erl") for name in modules)], check=True)
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A directory with the compiled modules of the cluster and the addresses of the made-up hosts."""
    path = compiled(tmp_path_factory.mktemp("cluster") / "site", CLUSTER)
    hosts = ", ".join(f'"{host}"' for host in HOSTS)
    (path / "inetrc").write_text(f"{{host, {{127,0,0,1}}, [{hosts}]}}.\n{{lookup, [file, native]}}.\n")
    (path / "cookie").write_text(COOKIE)
    (path / "cookie").chmod(0o400)
    return path


@pytest.fixture(scope="module")
def daemon(site):
    epmd = free_port()
    config = {
        "workers": 2,
        "erlang": {"node": "shop@web-server", "cookie_file": str(site / "cookie"), "epmd": True, "code_path": [str(site)],
                   "connect": ["worker@gpu-server", "second@gpu-server", "logger@log-server"]},
    }
    apps = [{"mount": "/", "app": "spec:application"}, {"mount": "/async", "app": "spec:asgi"},
            {"mount": "/ws", "app": "ws:websocket_handler"}]
    loop = SETUP + snippet("WebSocket with Pub/Sub")
    with Daemon(apps=apps, files={"spec.py": APP, "ws.py": loop}, config=config,
                env={"ERL_EPMD_PORT": str(epmd)}) as d:
        d.epmd = epmd
        assert rpc(d, "-", "inet_db", "add_rc", str(site / "inetrc")) == "ok"
        yield d


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Two workers, and a companion with modules of the user's."""
    code = compiled(tmp_path_factory.mktemp("local") / "ebin", LOCAL)
    config = {"workers": 2, "functions": {"log_event": "events:log"}, "erlang": {"code_path": [str(code)]}}
    with Daemon("spec:application", files={"spec.py": APP}, config=config) as d:
        yield d


@pytest.fixture
def node(daemon, site):
    """Starts a further node of the cluster."""
    with contextlib.ExitStack() as stack:
        def start(name):
            args = ["-kernel", "inetrc", f'"{site}/inetrc"', "-pa", str(site)]
            return stack.enter_context(Beam(name, COOKIE, epmd=daemon.epmd, args=args))
        yield start


def ask(daemon, program, expression="None", mount="/"):
    """Runs a program in a worker, whichever comes, and gives the value of an expression after it."""
    response = daemon.request("POST", mount, body=f"{program}\nanswer = {expression}\n", timeout=30)
    assert response.status == 200, daemon.log()
    value = eval(response.text, {"__builtins__": {}, "Atom": str})
    assert not (isinstance(value, str) and value.startswith("Traceback")), value
    return value


@pytest.fixture
def run(daemon):
    return functools.partial(ask, daemon)


def in_function(head, text):
    """A snippet that returns, as the body of a function."""
    return f"{head}\n{textwrap.indent(text, '    ')}\n"


def rpc(daemon, *args):
    told = daemon.hornbeam("rpc", "call", "-o", "term", *args)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


# Distributed RPC.


def test_calls_of_remote_nodes(daemon, node, run):
    node("worker@gpu-server")
    node("logger@log-server")
    connected(daemon, "worker@gpu-server", "logger@log-server")
    assert rpc(daemon, "logger@log-server", "heard", "start") != ""
    values = run("input_data = {'x': 9}\n" + snippet("Distributed RPC"), "(current, connected, result)")
    assert values == ("shop@web-server", ["logger@log-server", "worker@gpu-server"], {"label": "cat", "score": 4.5})
    expected = '[<<"info">>,<<"User logged in">>,#{<<"user_id">> => 123}]'
    eventually(lambda: expected in rpc(daemon, "logger@log-server", "heard", "all"))
    # OTP's logger takes its level as an atom
    run("rpc_cast('logger@log-server', 'logger', 'log', [Atom('info'), 'User logged in', {'user_id': 124}])")
    eventually(lambda: '[info,<<"User logged in">>,#{<<"user_id">> => 124}]'
               in rpc(daemon, "logger@log-server", "heard", "all"))


def test_distributed_ml_inference(daemon, node, run):
    program = snippet("Distributed ML Inference") + textwrap.dedent("""
        async def main():
            return await distributed_embedding([f't{n}' for n in range(5)])
    """)
    connected(daemon)
    assert run(program, mount="/async") == [["here", f"t{n}"] for n in range(5)]
    node("worker@gpu-server")
    node("second@gpu-server")
    connected(daemon, "worker@gpu-server", "second@gpu-server")
    assert run(program, mount="/async") == [
        ["second@gpu-server", "t0"], ["second@gpu-server", "t1"], ["second@gpu-server", "t2"],
        ["worker@gpu-server", "t3"], ["worker@gpu-server", "t4"]]


def test_errors_of_calls(daemon, node, run):
    def tried(args):
        return run(f"args = {args!r}\n" + snippet("Error Handling"), "(result, logged)")

    assert tried("x") == ("fallback", []), "ConnectionError: the node is not there"
    node("worker@remote")
    assert tried("x") == ("x", [])
    assert tried("hang") == ("fallback", []), "TimeoutError: it did not respond in time"
    assert tried("raise") == ("fallback", ["RPC failed: error: out_of_memory"])


# Pub/sub messaging.


def test_publish_and_subscribe(run):
    message = {"type": "alert", "message": "Server restart in 5 minutes"}
    before, comment, after = snippet("Pub/Sub Messaging").partition("# Unsubscribe\n")
    program = f"{before}\nreceived = receive_pubsub(timeout=5)\n{comment}{after}"
    late = "publish('notifications', 'late')\nothers = publish('user:123:events', 1)\n"
    assert run(program + late, "(count, received, others, receive_pubsub(timeout=5))") == (1, message, 1, 1)
    # they end with their request
    eventually(lambda: run("", "(publish('notifications', 1), publish('user:123:events', 1))") == (0, 0))


def test_websocket_with_pubsub(daemon):
    with Client(daemon.connect(), "/ws?alice") as alice, Client(daemon.connect(), "/ws?bob") as bob:
        for user in ("alice", "bob"):
            eventually(lambda user=user: f"user:{user}" in daemon.hornbeam("topics").stdout)
        assert daemon.hornbeam("publish", "user:alice", "--json", '{"n": 1}').stdout == "1\n"
        # what was published is looked for at each message of the client's, once it has come
        eventually(lambda: alice.text("anything?") or select.select([alice.socket], [], [], 0.05)[0])
        assert json.loads(alice.message()) == {"n": 1}
        bob.close(1000)
        assert bob.closed()[0] == 1000
        eventually(lambda: "user:bob" not in daemon.hornbeam("topics").stdout)
        alice.close(1000)
        assert alice.closed()[0] == 1000
    eventually(lambda: "user:alice" not in daemon.hornbeam("topics").stdout)


def test_broadcasting_updates(daemon, run):
    env = environment(HORNBEAM_SOCKET=str(daemon.socket))
    other = subprocess.Popen([str(BUILD / "hornbeam"), "subscribe", "product:7", "-n", "1", "-o", "json"], env=env,
                             stdout=subprocess.PIPE, text=True)
    eventually(lambda: "product:7" in daemon.hornbeam("topics").stdout)
    program = snippet("Broadcasting Updates") + "subscribe('product:7')\nupdate_product(7, {'price': 3})\n"
    message = {"type": "updated", "product_id": 7, "data": {"price": 3}}
    assert run(program, "(receive_pubsub(timeout=5), state_get('product:7'))") == (message, {"price": 3})
    told = other.communicate(timeout=30 * SLOW)[0]
    assert message in (json.loads(told), json.loads(told).get("message"))


# Registered functions.


@pytest.fixture
def run_local(local):
    return functools.partial(ask, local)


@pytest.fixture
def erlang(local):
    """Evaluates expressions in the companion."""
    def evaluate(text):
        path = local.dir / "snippet.erl"
        path.write_text(text)
        assert rpc(local, "-", "file", "eval", str(path)) == "ok"
    return evaluate


def test_functions_registered_in_erlang_and_called_from_python(erlang, run_local):
    erlang(snippet("Register in Erlang", "erlang"))
    program = in_function("def view(user_id, token):", snippet("Call from Python") + "return result, user, user_id\n")
    assert run_local(program, "view(5, 'secret')") == (3, {"id": 5, "name": "Alice"}, 42)
    eventually(lambda: run_local("", "state_get('event')") == ("user_login", {"user_id": 123}))
    assert run_local(program, "view(5, 'guess')") == {"error": "Invalid token"}
    raised = "try:\n    call('validate_token', 'guess')\nexcept CallError as e:\n    reason = e.reason\n"
    assert run_local(raised, "(isinstance(reason, Atom), str(reason))") == (True, "invalid_token")


def test_authentication(erlang, run_local):
    erlang(snippet("Authentication", "erlang"))
    program = snippet("Authentication")
    users = [f"get_current_user(request_with({cookies}))" for cookies in ({}, {"session_id": "s1"}, {"session_id": "s2"})]
    assert run_local(program, f"[{', '.join(users)}]") == [None, "alice", None]


def test_feature_flags(erlang, run_local):
    erlang(snippet("Feature Flags", "erlang"))
    assert run_local(snippet("Feature Flags"), "[get_features(7), get_features(8)]") == [
        {"new_ui": True, "beta": False}, {"new_ui": False, "beta": False}]


def test_both_workers_served(local):
    def worker():
        return local.request("POST", "/", body="answer = 1").headers["worker"]
    seen = set()
    eventually(lambda: seen.add(worker()) or len(seen) == 2, 20)


# Hooks.


def test_hooks_of_a_start_in_an_existing_node(tmp_path):
    """As written it serves 127.0.0.1:8000; the hornbeamd of the test moves that to a port of its own."""
    app = """
def application(environ, start_response):
    if environ['PATH_INFO'] == '/raise':
        raise ValueError('no good')
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
"""
    with Node() as n:
        (n.dir / "app.py").write_text(app)
        moved = n.dir / "hornbeamd"
        moved.write_text(f'#!/bin/sh\nexec "{BUILD}/hornbeamd" "$@" --set listen=127.0.0.1:{n.port}\n')
        moved.chmod(0o755)
        assert n.eval(f'application:load(hornbeam), application:set_env(hornbeam, hornbeamd, "{moved}").') == "ok"
        (n.dir / "hooks.erl").write_text(snippet("Hooks", "erlang"))
        result = n.eval('file:script("hooks.erl").')
        assert re.match(r"\{ok,\{ok,<[\d.]+>\}\}", result), result + n.log()
        assert n.get("/").text == "hello"
        answer = n.get("/raise")
        assert (answer.status, answer.text) == (500, "Internal Error")
        eventually(lambda: any(re.match(r'Error: \{python_error,<<"ValueError">>,<<"no good">>\}', line)
                               for line in n.lines("error")))


# All of it.


def test_every_snippet_of_the_specification_runs():
    """By its heading here, or line by line in the file about the state."""
    here = pathlib.Path(__file__).read_text()
    state = set((pathlib.Path(__file__).parent / "test_spec_state.py").read_text().splitlines())
    assert len(guide.snippets()) == 23
    for heading, language, text in guide.snippets():
        call = f'snippet("{heading}")' if language == "python" else f'snippet("{heading}", "{language}")'
        lines = [line for line in text.splitlines() if line and line not in state]
        assert call in here or not lines, (heading, language, lines)
