"""publish, call, cast, functions, rpc, node and nodes against a running server, with modules of a site's own."""

import json
import os
import re
import signal
import subprocess

import pytest

import harness

DONE, FALSE, USAGE, CONNECT, DENIED, TIMEOUT, REMOTE = 0, 1, 2, 3, 4, 5, 6

MODULE = """
-module(shop).
-export([add/2, echo/1, find/1, fail/1, hang/0, note/2, secret/0]).

add(A, B) -> A + B.
echo(X) -> X.
find(<<"alice">>) -> {ok, #{<<"name">> => <<"Alice">>}};
find(Name) -> {error, {not_found, Name}}.
fail(How) ->
    X = deeper(How),
    {never, X}.
deeper(exit) -> exit(gone);
deeper(throw) -> throw({ball, 1});
deeper(kill) -> exit(self(), kill), timer:sleep(60000);
deeper(error) -> erlang:error({wrong, <<"reason">>}).
hang() ->
    true = register(shop_hanging, self()),
    timer:sleep(60000).
note(Key, Value) -> hornbeam_state:set(Key, Value).
secret() -> 42.
"""

#: All but secret; there is no sum.
ALLOWED = ("add", "echo", "find", "fail", "hang", "note", "sum")


@pytest.fixture(scope="module")
def ebin(tmp_path_factory):
    path = tmp_path_factory.mktemp("ebin")
    (path / "shop.erl").write_text(MODULE)
    subprocess.run([os.environ.get("ERLC", "erlc"), "-o", str(path), str(path / "shop.erl")], check=True, timeout=60)
    return path


@pytest.fixture(scope="module")
def daemon(ebin):
    config = {
        "erlang": {"code_path": [str(ebin)]},
        "functions": {"add": "shop:add", "find": "shop:find", "fail": "shop:fail", "hang": "shop:hang",
                      "echo": "shop:echo", "note": "shop:note"},
        "rpc": {"allow": ["*:erlang:*", "*:nowhere:*", *(f"*:shop:{f}" for f in ALLOWED)]},
    }
    with harness.Daemon(config=config) as d:
        yield d


@pytest.fixture
def cli(daemon):
    def run(*args, status=DONE, **more):
        done = daemon.hornbeam(*args, **more)
        assert done.returncode == status, (args, done)
        return done

    return run


def says(done, *texts):
    """Nothing but a message, with its prefix, that holds the texts."""
    assert done.stderr.startswith("hornbeam: "), done.stderr
    for text in texts:
        assert text in done.stderr, done.stderr
    assert done.stdout == ""


# rpc


@pytest.mark.parametrize("node", ["-", "local", "nonode@nohost"])
def test_the_own_node_needs_no_distribution(cli, node):
    assert cli("rpc", "call", node, "erlang", "node", "-o", "term").stdout == "nonode@nohost\n"


@pytest.mark.parametrize("options, args, term", [
    ([], ["0123"], '<<"0123">>'),
    ([], ["true"], '<<"true">>'),
    ([], [""], "<<>>"),
    (["--int"], ["-7"], "-7"),
    (["--float"], ["1.5"], "1.5"),
    (["--json"], ['{"a": [1, null]}'], '#{<<"a">> => [1,undefined]}'),
    (["--term"], ["{a, [1, <<2>>]}"], "{a,[1,<<2>>]}"),
])
def test_an_argument_is_text_unless_an_option_says_otherwise(cli, options, args, term):
    done = cli("rpc", "call", "-", "shop", "echo", *options, "-o", "term", "--", *args)
    assert done.stdout == term + "\n"


def test_an_argument_comes_from_standard_input_or_a_file(cli, tmp_path):
    big = "x" * 1000000
    assert cli("rpc", "call", "-", "shop", "echo", "-", input=big).stdout == big + "\n"
    (tmp_path / "value").write_text('["a", 1]')
    done = cli("rpc", "call", "-", "shop", "echo", "--file", "--json", str(tmp_path / "value"))
    assert done.stdout == '["a",1]\n'
    says(cli("rpc", "call", "-", "shop", "add", "-", "-", input="1", status=USAGE), "only one argument can be -")
    says(cli("rpc", "call", "-", "shop", "echo", "--int", "seven", status=USAGE), "'seven' is not an integer")


@pytest.mark.parametrize("value, text", [
    ('"two\\nlines"', "two\nlines\n"), ("3", "3\n"), ("null", "null\n"), ("false", "false\n"),
    ('{"$tuple": [1, {"$atom": "ok"}]}', '{"$tuple":[1,{"$atom":"ok"}]}\n'),
])
def test_what_a_function_returns_is_printed_as_values_are(cli, value, text):
    done = cli("rpc", "call", "-", "shop", "echo", "--json", value)
    assert (done.stdout, done.stderr) == (text, "")


def test_rpc_returns_values_as_they_are(cli):
    assert cli("rpc", "call", "-", "shop", "find", "bob", "-o", "term").stdout == '{error,{not_found,<<"bob">>}}\n'


@pytest.mark.parametrize("how, texts", [
    ("error", ['raised error: {wrong,<<"reason">>}', "shop:deeper/1", "shop:fail/1"]),
    ("exit", ["raised exit: gone", "shop:fail/1"]),
    ("throw", ["raised throw: {ball,1}"]),
    ("kill", ["raised exit: killed"]),
])
def test_an_exception_is_told_with_its_class_reason_and_stack(cli, how, texts):
    says(cli("rpc", "call", "-", "shop", "fail", "--term", how, status=REMOTE), "hornbeam: shop:fail ", *texts)
    says(cli("call", "fail", "--term", how, status=REMOTE), "hornbeam: fail ", *texts)
    done = cli("-q", "call", "fail", "--term", how, status=REMOTE)
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("module, function", [("nowhere", "f"), ("shop", "add"), ("shop", "sum")])
def test_a_function_that_is_not_there_is_told(cli, module, function):
    says(cli("rpc", "call", "-", module, function, status=REMOTE), f"undefined function {module}:{function}/0")


def test_what_rpc_allow_excludes_is_not_permitted(cli):
    done = cli("rpc", "call", "-", "shop", "secret", status=DENIED)
    says(done, "rpc.allow")
    assert "group" not in done.stderr
    says(cli("rpc", "cast", "-", "file", "list_dir", "/", status=DENIED), "rpc.allow")


def test_a_node_that_cannot_be_reached_is_told(cli):
    done = cli("rpc", "call", "worker@nowhere", "erlang", "node", status=CONNECT)
    says(done, "worker@nowhere", "hornbeam nodes")
    assert "is hornbeamd running" not in done.stderr
    says(cli("rpc", "cast", "worker@nowhere", "erlang", "node", status=CONNECT), "worker@nowhere")


@pytest.mark.parametrize("args", [["", "m", "f"], ["-", "", "f"], ["-", "m", ""], ["-", "m" * 256, "f"]])
def test_names_that_cannot_be_are_a_wrong_use(cli, args):
    says(cli("rpc", "call", *args, status=USAGE), "name ")


def is_hanging(cli):
    return cli("rpc", "call", "-", "erlang", "whereis", "--term", "shop_hanging").stdout != "null\n"


@pytest.mark.parametrize("command", [["rpc", "call", "-", "shop", "hang"], ["call", "hang"]])
def test_a_function_is_stopped_when_its_time_is_over(cli, command):
    says(cli(*command, "-t", "2s", status=TIMEOUT), "no answer")
    harness.eventually(lambda: not is_hanging(cli))


def test_a_function_is_stopped_with_the_command(daemon, cli):
    env = harness.environment(HORNBEAM_SOCKET=str(daemon.socket))
    with subprocess.Popen([str(harness.BUILD / "hornbeam"), "call", "hang", "-t", "1m"], env=env) as proc:
        harness.eventually(lambda: is_hanging(cli))
        proc.send_signal(signal.SIGINT)
        assert proc.wait(30 * harness.SLOW) == -signal.SIGINT
    harness.eventually(lambda: not is_hanging(cli))


def test_cast_does_not_wait(cli):
    for command in (["cast", "note", "cast"], ["rpc", "cast", "-", "shop", "note", "rpc-cast"]):
        done = cli(*command, "noted")
        assert (done.stdout, done.stderr) == ("", "")
        key = command[-1]
        harness.eventually(lambda key=key: key in cli("state", "keys").stdout.split())
        assert cli("state", "get", key).stdout == "noted\n"


# Registered functions


def test_a_registered_function_is_called_with_its_arguments(cli):
    assert cli("call", "add", "--int", "1", "2").stdout == "3\n"
    assert cli("call", "find", "alice").stdout == '{"name":"Alice"}\n'
    assert cli("call", "echo", "-", "-o", "raw", input=b"\xff\x00", text=False).stdout == b"\xff\x00"


def test_an_error_that_a_function_returns_is_a_failure(cli):
    says(cli("call", "find", "bob", status=REMOTE), 'hornbeam: find returned {error,{not_found,<<"bob">>}}\n')


@pytest.mark.parametrize("command", ["call", "cast"])
def test_a_name_that_nobody_registered_is_told_with_near_ones(cli, command):
    says(cli(command, "fnd", "x", status=FALSE), "fnd", "find")


def test_functions_are_listed(cli):
    assert cli("functions").stdout.splitlines()[:2] == ["FUNCTION  KIND", "add       erlang"]
    listed = json.loads(cli("functions", "-o", "json").stdout)
    assert listed[0] == {"name": "add", "kind": "erlang"}
    assert [f["name"] for f in listed] == ["add", "echo", "fail", "find", "hang", "note"]


def test_node_and_nodes_name_the_cluster(cli):
    assert cli("node").stdout == "nonode@nohost\n"
    assert cli("node", "-o", "json").stdout == '"nonode@nohost"\n'
    assert cli("nodes").stdout == ""
    assert cli("nodes", "-o", "json").stdout == "[]\n"


# Publishing


def test_publishing_to_nobody_is_no_failure(cli):
    assert cli("publish", "nobody", "hello").stdout == "0\n"
    assert cli("topics").stdout == "TOPIC  SUBSCRIBERS  DROPPED\n"
    assert cli("topics", "-o", "json").stdout == "[]\n"


@pytest.mark.parametrize("topic, text", [("", "cannot be empty"), ("x" * 1025, "at most 1024 bytes"), (b"\xff", "UTF-8")])
def test_a_topic_that_cannot_be_is_a_wrong_use(cli, topic, text):
    says(cli("publish", topic, "m", status=USAGE), "a topic", text)


def test_a_message_over_the_cap_is_refused(cli):
    says(cli("publish", "t", "-", input="x" * (16 * 1024 * 1024), status=REMOTE), "hornbeam: a request of ")


# The manual


def examples():
    """The examples of the manual that speak of what is here, one shell script each."""
    text = (harness.SOURCE / "man" / "hornbeam.1").read_text().split(".Sh EXAMPLES")[1].split(".Sh")[0]
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.M | re.S)
    return [b for b in blocks if re.match(r"hornbeam (publish|call|rpc)", b)]


def test_the_manual_has_examples():
    assert len(examples()) == 2


@pytest.mark.parametrize("script", examples())
def test_the_examples_of_the_manual_run(daemon, script):
    env = harness.environment(HORNBEAM_SOCKET=str(daemon.socket))
    done = subprocess.run(["sh", "-ec", script], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(script.splitlines())
    assert all(line.isdigit() for line in done.stdout.splitlines())
