"""The command line against a running server: each command, form and exit status."""

import json
import os
import re
import subprocess

import pytest

import harness

DONE, FALSE, USAGE, REMOTE = 0, 1, 2, 6


@pytest.fixture(scope="module")
def daemon():
    with harness.Daemon() as d:
        yield d


@pytest.fixture
def cli(daemon, request):
    """Runs hornbeam; keys are the test's own through the prefix of key()."""

    def run(*args, status=DONE, **more):
        done = daemon.hornbeam(*args, **more)
        assert done.returncode == status, (args, done)
        return done

    return run


@pytest.fixture
def key(request):
    return re.sub(r"\W", ".", request.node.name)


def python(daemon, code):
    done = daemon.python("from hornbeam_erlang import *\n" + code)
    assert done.returncode == 0, done.stderr
    return done.stdout


def says(done, text):
    """One message, with its prefix, that holds text."""
    assert done.stderr.startswith("hornbeam: "), done.stderr
    assert text in done.stderr, done.stderr
    assert done.stdout == ""


# set and get


@pytest.mark.parametrize(
    "text", ["plain", "0123", "true", "null", "", "two\nlines\n", "blätter 🍃", "-starts-with-a-dash", '{"a":1}'])
def test_a_value_is_text_as_it_stands(daemon, cli, key, text):
    done = cli("state", "set", key, "--", text)
    assert done.stdout == done.stderr == ""
    assert cli("state", "get", key).stdout == text + "\n"
    assert cli("state", "get", key, "-o", "raw").stdout == text
    assert json.loads(cli("state", "get", key, "-o", "json").stdout) == text
    assert python(daemon, f"print(ascii(state_get({key!r})))") == ascii(text) + "\n"


@pytest.mark.parametrize(
    "options, value, expected",
    [
        (["--int"], "42", "42"),
        (["--int"], "-7", "-7"),
        (["--int"], "+9223372036854775807", "9223372036854775807"),
        (["--int"], "-9223372036854775808", "-9223372036854775808"),
        (["--int"], "1" + "0" * 40, "1" + "0" * 40),
        (["--float"], "1.5", "1.5"),
        (["--float"], "-1e3", "-1000.0"),
        (["--json"], "42", "42"),
        (["--json"], '{"a": [1, null, true, 2.5, "x"]}', "{'a': [1, None, True, 2.5, 'x']}"),
        (["--json"], '{"$tuple": [1, {"$bytes": "AP8="}]}', "(1, b'\\x00\\xff')"),
        (["--json"], '"text"', "'text'"),
        (["--term"], '{1, [2.5, <<"x">>]}', "(1, [2.5, 'x'])"),
        (["--term"], "42", "42"),
        (["--term"], "undefined", "None"),
    ])
def test_value_options(daemon, cli, key, options, value, expected):
    cli("state", "set", key, *options, value)
    assert python(daemon, f"print(ascii(state_get({key!r})))") == expected + "\n"


@pytest.mark.parametrize("options", [["--int"], ["--json"], ["--term"]])
def test_an_integer_is_stored_as_one_and_counts(cli, key, options):
    cli("state", "set", key, "41", *options)
    assert cli("state", "incr", key).stdout == "42\n"


def test_text_of_digits_does_not_count(cli, key):
    cli("state", "set", key, "41")
    says(cli("state", "incr", key, status=REMOTE), "integer")
    assert cli("state", "get", key).stdout == "41\n"


def test_standard_input_and_files_are_taken_to_the_last_byte(daemon, cli, key, tmp_path):
    cli("state", "set", key, "-", input="from\nstdin\n")
    assert cli("state", "get", key, "-o", "raw").stdout == "from\nstdin\n"
    (tmp_path / "text").write_text("from a file\n")
    cli("state", "set", key, "--file", str(tmp_path / "text"))
    assert cli("state", "get", key, "-o", "raw").stdout == "from a file\n"
    (tmp_path / "n").write_text(" 12\n")
    cli("state", "set", key, "--int", "--file", str(tmp_path / "n"))
    assert cli("state", "incr", key).stdout == "13\n"
    (tmp_path / "json").write_text('{"a":\n 1}\n')
    cli("state", "set", key, "--json", "--file", str(tmp_path / "json"))
    assert cli("state", "get", key).stdout == '{"a":1}\n'


def test_bytes_go_in_and_out_unchanged(daemon, cli, key):
    data = bytes(range(256)) * 300
    done = cli("state", "set", key, "-", input=data, text=False)
    assert done.stderr == b""
    assert cli("state", "get", key, "-o", "raw", text=False).stdout == data
    assert python(daemon, f"v = state_get({key!r}); print(type(v).__name__, v == bytes(range(256)) * 300)") == \
        "bytes True\n"
    assert set(json.loads(cli("state", "get", key).stdout)) == {"$bytes"}


def test_what_python_stored_is_shown_without_loss(daemon, cli, key):
    python(daemon, f"state_set({key!r}, (Atom('ok'), b'\\xff', 2**64, {{1: 'one'}}, float('nan')))")
    shown = cli("state", "get", key).stdout
    assert json.loads(shown) == {"$tuple": [
        {"$atom": "ok"}, {"$bytes": "/w=="}, {"$int": str(2**64)}, {"$map": [[1, "one"]]}, {"$float": "nan"}]}
    assert cli("state", "get", key, "-o", "json").stdout == shown
    term = cli("state", "get", key, "-o", "term").stdout
    assert term.startswith("{ok,") and "18446744073709551616" in term and term.endswith("}\n")
    cli("state", "set", key + ".copy", "--json", "-", input=shown)
    assert python(daemon, f"a, b = state_get({key!r}), state_get({key + '.copy'!r})\n"
                          "print(type(b[0]).__name__, a[:4] == b[:4], b[4])") == "Atom True nan\n"


def test_several_keys_give_a_line_each(cli, key):
    cli("state", "set", key + "1", "one")
    cli("state", "set", key + "2", "--json", '{"n":2}')
    cli("state", "set", key + "3", "three\nlines\there")
    keys = [key + n for n in "123"]
    assert cli("state", "get", *keys).stdout == \
        f'{key}1\tone\n{key}2\t{{"n":2}}\n{key}3\t"three\\nlines\\there"\n'
    assert json.loads(cli("state", "get", *keys, "-o", "json").stdout) == \
        {key + "1": "one", key + "2": {"n": 2}, key + "3": "three\nlines\there"}
    assert cli("state", "get", *keys[:2], "-o", "raw").stdout == 'one{"n":2}'
    assert cli("state", "get", key + "1", key + "1", "-o", "term").stdout.startswith("#{")


def test_a_key_with_control_characters_stays_on_its_line(cli, key):
    strange = key + "\n\tx"
    cli("state", "set", strange, "one")
    cli("state", "set", key, "two")
    assert cli("state", "get", strange, key).stdout == f'"{key}\\n\\tx"\tone\n{key}\ttwo\n'


def test_missing_keys_are_named_and_the_others_shown(cli, key):
    says(cli("state", "get", key, status=FALSE), f"no such key: {key}")
    cli("state", "set", key, "here")
    done = cli("state", "get", key, key + ".not", key + ".nor", status=FALSE)
    assert done.stdout == f"{key}\there\n"
    assert done.stderr == f"hornbeam: no such key: {key}.not\nhornbeam: no such key: {key}.nor\n"
    done = cli("state", "get", key, key + ".not", "-o", "json", "-q", status=FALSE)
    assert (json.loads(done.stdout), done.stderr) == ({key: "here"}, "")


def test_none_is_a_value(daemon, cli, key):
    python(daemon, f"state_set({key!r}, None)")
    assert cli("state", "get", key).stdout == "null\n"
    assert cli("state", "exists", key).stdout == "true\n"


def test_nx_and_xx(cli, key):
    done = cli("state", "set", key, "1", "--xx", status=FALSE)
    assert done.stderr == f"hornbeam: no such key: {key}\n"
    cli("state", "set", key, "1", "--nx")
    done = cli("state", "set", key, "2", "--nx", status=FALSE)
    assert done.stderr == f"hornbeam: the key exists: {key}\n"
    assert cli("state", "get", key).stdout == "1\n"
    cli("state", "set", key, "3", "--xx")
    assert cli("state", "get", key).stdout == "3\n"
    assert cli("state", "set", key, "4", "--nx", "-q", "-o", "json", status=FALSE).stdout == "false\n"


def test_ttl(cli, key):
    cli("state", "set", key, "x", "--ttl", "1h")
    assert 3590 < float(cli("state", "ttl", key).stdout) <= 3600
    assert 3590 < json.loads(cli("state", "ttl", key, "-o", "json").stdout) <= 3600
    cli("state", "set", key, "x")
    assert cli("state", "ttl", key).stdout == "never\n"
    assert cli("state", "ttl", key, "-o", "json").stdout == "null\n"
    assert cli("state", "ttl", key, "-o", "term").stdout.startswith("infinity")
    says(cli("state", "ttl", key + ".not", status=FALSE), "no such key")
    cli("state", "set", key, "x", "--ttl", "50ms")
    harness.eventually(lambda: not cli_exists(cli, key))


def cli_exists(cli, key):
    try:
        return cli("state", "exists", key).stdout == "true\n"
    except AssertionError:
        assert cli("state", "exists", key, status=FALSE).stdout == "false\n"
        return False


# the other state commands


def test_counters(cli, key):
    assert cli("state", "incr", key).stdout == "1\n"
    assert cli("state", "incr", key, "10").stdout == "11\n"
    assert cli("state", "incr", key, "-5").stdout == "6\n"
    assert cli("state", "decr", key).stdout == "5\n"
    assert cli("state", "decr", key, "10", "-o", "json").stdout == "-5\n"
    assert cli("state", "incr", key, str(2**70)).stdout == f"{2**70 - 5}\n"


def test_delete(cli, key):
    cli("state", "set", key, "x")
    done = cli("state", "delete", key)
    assert done.stdout == done.stderr == ""
    cli("state", "set", key, "x")
    done = cli("state", "delete", key + ".not", key, status=FALSE)
    assert done.stderr == f"hornbeam: no such key: {key}.not\n"
    cli("state", "exists", key, status=FALSE)
    cli("state", "set", key, "x")
    assert json.loads(cli("state", "delete", key, key, "-o", "json", status=FALSE, input="").stdout) \
        in ({key: True}, {key: False})


def test_exists(cli, key):
    done = cli("state", "exists", key, status=FALSE)
    assert (done.stdout, done.stderr) == ("false\n", "")
    cli("state", "incr", key)
    assert cli("state", "exists", key).stdout == "true\n"
    assert cli("state", "exists", key, "-o", "json").stdout == "true\n"


def test_keys_are_sorted_and_limited(cli, key):
    names = [f"{key}:{n}" for n in ("b", "a", "ü", "c")]
    for name in names:
        cli("state", "incr", name)
    ordered = sorted(names, key=str.encode)
    assert cli("state", "keys", key + ":").stdout.splitlines() == ordered
    assert cli("state", "keys", key + ":", "--limit", "2").stdout.splitlines() == ordered[:2]
    assert cli("state", "keys", key + ":", "-0").stdout == "".join(k + "\0" for k in ordered)
    assert cli("state", "keys", key + ":", "-0n2").stdout == "".join(k + "\0" for k in ordered[:2])
    assert json.loads(cli("state", "keys", key + ":", "-o", "json").stdout) == ordered
    assert cli("state", "keys", key + ":nothing").stdout == ""
    assert cli("state", "keys", key + ":nothing", "-o", "json").stdout == "[]\n"
    assert set(ordered) <= set(cli("state", "keys").stdout.splitlines())


def test_a_large_listing_comes_whole(daemon, cli, key):
    python(daemon, f"state_set_multi({{f'{key}:{{n:06}}': n for n in range(60000)}})")
    lines = cli("state", "keys", key + ":", "-t", "1m").stdout.splitlines()
    assert len(lines) == 60000
    assert lines[0] == f"{key}:000000" and lines[-1] == f"{key}:059999"
    python(daemon, f"for k in state_keys({key!r}): state_delete(k)")


def test_a_reader_that_has_enough_ends_a_listing_quietly(daemon, cli, key):
    python(daemon, f"state_set_multi({{f'{key}:{{n:06}}': n for n in range(20000)}})")
    env = harness.environment(HORNBEAM_SOCKET=str(daemon.socket))
    hornbeam = str(harness.BUILD / "hornbeam")
    done = subprocess.run(
        ["sh", "-c", '"$0" state keys | head -n 1', hornbeam], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


# bad use


@pytest.mark.parametrize(
    "args, text",
    [
        ((), "usage: hornbeam"),
        (("state",), "usage: hornbeam state"),
        (("stat",), "unknown command 'stat', did you mean 'state'?"),
        (("state", "gt", "k"), "unknown command 'state gt', did you mean 'state get'?"),
        (("frobnicate",), "unknown command 'frobnicate'"),
        (("state", "get"), "state get needs KEY..."),
        (("state", "set", "k"), "state set needs KEY VALUE"),
        (("state", "ttl", "a", "b"), "unexpected argument 'b'"),
        (("ping", "x"), "unexpected argument 'x'"),
        (("state", "set", "k", "v", "--tl", "5s"), "unknown option --tl, did you mean --ttl?"),
        (("state", "set", "k", "-v"), "unknown option -v (-- goes before"),
        (("state", "set", "k", "v", "--ttl"), "--ttl takes TIME"),
        (("state", "set", "k", "v", "--ttl", "60"), "such as 500ms, 60s or 1h, not '60'"),
        (("state", "set", "k", "v", "--ttl", "0s"), "not '0s'"),
        (("state", "set", "k", "v", "--ttl", "99999999h"), "--ttl is at most 27777777h"),
        (("-s", "", "ping"), "-s takes the path of a socket"),
        (("state", "set", "k", "v", "--nx=1"), "--nx takes no value"),
        (("state", "set", "k", "v", "--nx", "--xx"), "exclude each other"),
        (("state", "set", "k", "1", "--int", "--json"), "exclude each other"),
        (("state", "set", "k", "1.5", "--int"), "'1.5' is not an integer"),
        (("state", "set", "k", "x", "--float"), "'x' is not a finite number"),
        (("state", "set", "k", "nan", "--float"), "'nan' is not a finite number"),
        (("state", "set", "k", "{", "--json"), "line 1"),
        (("state", "set", "k", "{ok", "--term"), "hornbeam: "),
        (("state", "set", "k", "/no/such/file", "--file"), "cannot open /no/such/file"),
        (("state", "incr", "k", "x"), "'x' is not an integer"),
        (("state", "get", ""), "a key cannot be empty"),
        (("state", "get", "k" * 1025), "at most 1024 bytes, this one has 1025"),
        (("state", "get", os.fsencode("k").decode() + "\udcff"), "UTF-8"),
        (("state", "keys", "--limit", "0"), "--limit takes a number above 0"),
        (("ping", "-o", "xml"), "-o takes text, json, raw or term, not 'xml'"),
        (("ping", "-t", "5"), "-t takes a time"),
        (("ping", "-t"), "-t takes TIME"),
        (("help", "nothing"), "unknown command 'nothing'"),
    ])
def test_wrong_use_is_told(cli, args, text):
    done = cli(*args, status=USAGE)
    assert text in done.stderr, done.stderr
    assert done.stdout == ""


def test_a_key_of_1024_bytes_is_fine(cli):
    cli("state", "set", "k" * 1024, "long")
    assert cli("state", "get", "k" * 1024).stdout == "long\n"


def test_a_value_larger_than_the_limit_is_refused(cli, key):
    says(cli("state", "set", key, "-", input="x" * (17 * 1024 * 1024), status=REMOTE), "16 MiB")
    says(cli("state", "set", key, "-", input="x" * (9 * 1024 * 1024), status=REMOTE), "max_value")


def test_options_may_stand_anywhere(daemon, cli, key):
    cli("state", "set", key, "x")
    for args in (["-o", "json", "state", "get", key], ["state", "-ojson", "get", key],
                 ["state", "get", "--output=json", key], ["state", "get", key, "--output", "json"],
                 ["-qo", "json", "-t", "10s", "state", "get", key]):
        assert cli(*args).stdout == '"x"\n'


def test_the_socket_option_comes_before_the_variable(daemon, cli, key):
    env = harness.environment(HORNBEAM_SOCKET="/nonexistent")
    for options, status in ((["-s", str(daemon.socket)], DONE), ([], 3)):
        done = subprocess.run(
            [str(harness.BUILD / "hornbeam"), *options, "ping"], env=env, capture_output=True, timeout=60)
        assert done.returncode == status


# the server


def test_ping(cli):
    assert cli("ping").stdout == "pong\n"


def test_status_shows_master_and_companion(daemon, cli):
    text = cli("status").stdout
    assert re.search(rf"^hornbeamd +ready, .*process {daemon.proc.pid},", text, re.M)
    assert re.search(rf"^companion +ready, process {daemon.companion_pid()},", text, re.M)
    assert re.search(r"^workers +1 of 1 ready", text, re.M)
    assert re.search(r"^state +\d+ keys", text, re.M)
    assert " -" not in text, "a fact that nobody told"
    whole = json.loads(cli("status", "-o", "json").stdout)
    assert whole["master"]["pid"] == daemon.proc.pid
    assert whole["master"]["workers"]["ready"] == 1
    assert whole["companion"]
    assert cli("status", "-o", "term").stdout.startswith("#{")


def test_workers_are_listed(daemon, cli):
    assert daemon.get("/").status == 200
    title, *rows = cli("workers").stdout.splitlines()
    assert title.split()[:3] == ["WORKER", "PID", "STATE"]
    assert len(rows) == 1
    assert rows[0].split()[1:3] == [str(daemon.worker_pids()[0]), "ready"]
    listed = json.loads(cli("workers", "-o", "json").stdout)
    assert [w["pid"] for w in listed] == daemon.worker_pids()
    assert listed[0]["requests"] >= 1


def test_a_full_disk_is_no_success(daemon, cli, key):
    cli("state", "set", key, "x")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [str(harness.BUILD / "hornbeam"), "state", "get", key], stdout=full, stderr=subprocess.PIPE, text=True,
            env=harness.environment(HORNBEAM_SOCKET=str(daemon.socket)), timeout=60)
    assert done.returncode == 74
    assert "cannot write to standard output: No space left on device" in done.stderr
