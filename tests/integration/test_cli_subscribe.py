"""hornbeam subscribe: messages as they come, its ends, and what is lost on the way."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time

import pytest

import harness

DONE, USAGE, CONNECT, TIMEOUT = 0, 2, 3, 5


@pytest.fixture(scope="module")
def daemon():
    with harness.Daemon() as d:
        yield d


@pytest.fixture
def topic(request):
    return re.sub(r"\W", ".", request.node.name)


def topics(daemon):
    done = daemon.hornbeam("topics", "-o", "json", "-t", "2s")
    return {t["topic"]: t for t in json.loads(done.stdout)} if done.returncode == 0 else {}


@contextlib.contextmanager
def listening(daemon, *args, text=True, wait=True, **more):
    """A running `hornbeam subscribe`, once its last topic (the last of args that is no option) is there."""
    env = harness.environment(HORNBEAM_SOCKET=str(daemon.socket))
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": text, **more}
    with subprocess.Popen([str(harness.BUILD / "hornbeam"), "subscribe", *args], env=env, **options) as proc:
        try:
            if wait:
                harness.eventually(lambda: args[-1] in topics(daemon) or proc.poll() is not None)
            yield proc
        finally:
            proc.kill()


def publish(daemon, topic, *message):
    done = daemon.hornbeam("publish", topic, *message)
    assert done.returncode == DONE, done
    return int(done.stdout)


def ends(proc, status=DONE):
    """What it still had to say, when it has ended with that status."""
    out, err = proc.communicate(timeout=20 * harness.SLOW)
    assert proc.returncode == status, (out, err)
    return out, err


def test_a_message_is_a_line_at_once(daemon, topic):
    with listening(daemon, topic) as proc:
        for text in ("one", "", "two\nlines", "tab\there", "grün"):
            assert publish(daemon, topic, "--", text) == 1
            line = proc.stdout.readline()
            assert line == (json.dumps(text) if re.search(r"[\n\t]", text) else text) + "\n"
        publish(daemon, topic, "--json", '{"a": [1, null]}')
        assert proc.stdout.readline() == '{"a":[1,null]}\n'


def test_several_topics_stand_before_their_messages(daemon, topic):
    first, second = topic + ".1", topic + ".2\n"
    with listening(daemon, "-n", "2", first, second) as proc:
        publish(daemon, first, "hello")
        publish(daemon, second, "--int", "7")
        out, err = ends(proc)
    assert out == f"{first}\thello\n{json.dumps(second)}\t7\n"
    assert err == ""


def test_the_same_topic_twice_is_once(daemon, topic):
    with listening(daemon, "-n", "2", topic, topic) as proc:
        assert publish(daemon, topic, "a") == 1
        assert publish(daemon, topic, "b") == 1
        assert ends(proc)[0] == f"{topic}\ta\n{topic}\tb\n"


@pytest.mark.parametrize("form, line", [
    ("json", b'{"topic":"TOPIC","message":{"$bytes":"/wA="}}\n'),
    ("term", b'#{<<"topic">> => <<"TOPIC">>,<<"message">> => <<255,0>>}\n'),
    ("raw", b"\xff\x00\n"),
])
def test_the_forms_of_a_message(daemon, topic, form, line):
    with listening(daemon, "-n", "1", "-o", form, topic, text=False) as proc:
        daemon.hornbeam("publish", topic, "-", input=b"\xff\x00", text=False)
        assert ends(proc)[0] == line.replace(b"TOPIC", topic.encode())


def test_what_erlang_and_python_publish_is_the_same(daemon, topic):
    with listening(daemon, "-n", "1", "-o", "json", topic) as proc:
        assert daemon.hornbeam("rpc", "call", "-", "hornbeam_pubsub", "publish", "--json", json.dumps(topic),
                               '{"$tuple": [1, {"$atom": "a"}]}').stdout == "1\n"
        assert json.loads(ends(proc)[0]) == {"topic": topic, "message": {"$tuple": [1, {"$atom": "a"}]}}


def test_messages_keep_their_order(daemon, topic):
    with listening(daemon, "-n", "3000", topic) as proc:
        source = f"[hornbeam_pubsub:publish(<<\"{topic}\">>, N) || N <- lists:seq(1, 3000)], ok."
        assert erlang(daemon, source) == "ok"
        assert ends(proc) == ("".join(f"{n}\n" for n in range(1, 3001)), "")


def erlang(daemon, source):
    """Evaluates Erlang in the companion."""
    scanned = daemon.hornbeam("rpc", "call", "-", "erl_scan", "string", "-o", "term", "--term", json.dumps(source))
    tokens = re.fullmatch(r"\{ok,(\[.*\]),1\}\n", scanned.stdout).group(1)
    parsed = daemon.hornbeam("rpc", "call", "-", "erl_parse", "parse_exprs", "-o", "term", "--term", "--", tokens)
    exprs = re.fullmatch(r"\{ok,(\[.*\])\}\n", parsed.stdout).group(1)
    done = daemon.hornbeam("rpc", "call", "-", "erl_eval", "exprs", "-o", "term", "--term", "-t", "60s", "--", exprs, "[]")
    assert done.returncode == 0, done
    return re.fullmatch(r"\{value,(.*),\[.*\]\}\n", done.stdout).group(1)


# Its ends


def test_it_ends_after_so_many_messages(daemon, topic):
    with listening(daemon, "-n", "2", topic) as proc:
        for n in range(3):
            daemon.hornbeam("publish", topic, str(n))
        assert ends(proc) == ("0\n1\n", "")
    harness.eventually(lambda: topic not in topics(daemon))


def test_the_time_is_that_of_listening(daemon, topic):
    started = time.monotonic()
    with listening(daemon, "-t", "500ms", topic, wait=False) as proc:
        assert ends(proc) == ("", "")
    assert time.monotonic() - started >= 0.5


def test_messages_that_do_not_come_in_time_are_a_timeout(daemon, topic):
    with listening(daemon, "-t", "2s", "-n", "2", topic) as proc:
        publish(daemon, topic, "one")
        out, err = ends(proc, TIMEOUT)
    assert (out, err) == ("one\n", "hornbeam: 1 of 2 messages came in time\n")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_well(daemon, topic, sig):
    with listening(daemon, topic) as proc:
        publish(daemon, topic, "one")
        assert proc.stdout.readline() == "one\n"
        proc.send_signal(sig)
        assert ends(proc) == ("", "")
    harness.eventually(lambda: topic not in topics(daemon))


def test_it_ends_when_nobody_reads_any_more(daemon, topic):
    with listening(daemon, topic) as proc:
        proc.stdout.close()
        assert proc.wait(20 * harness.SLOW) == DONE
        assert proc.stderr.read() == ""
    harness.eventually(lambda: topic not in topics(daemon))


def test_head_gets_its_line_and_all_end(daemon, topic):
    env = harness.environment(HORNBEAM_SOCKET=str(daemon.socket))
    with subprocess.Popen(["sh", "-c", f"hornbeam subscribe {topic} | head -n 1"], env=env, stdout=subprocess.PIPE,
                          text=True) as proc:
        harness.eventually(lambda: topic in topics(daemon))
        publish(daemon, topic, "one")
        assert ends(proc)[0] == "one\n"


def test_a_full_disk_is_told(daemon, topic):
    with open("/dev/full", "wb") as full, listening(daemon, topic, stdout=full) as proc:
        publish(daemon, topic, "one")
        assert proc.wait(20 * harness.SLOW) == 74
        assert "cannot write to standard output" in proc.stderr.read()


@pytest.mark.parametrize("args, text", [
    ([""], "a topic cannot be empty"), (["x" * 1025], "at most 1024 bytes"), (["-n", "0", "t"], "-n takes a number above 0"),
    (["-n", "many", "t"], "-n takes a number above 0"), ([], "subscribe needs TOPIC..."),
])
def test_wrong_uses_are_told(daemon, args, text):
    done = daemon.hornbeam("subscribe", *args)
    assert done.returncode == USAGE
    assert text in done.stderr


# What is lost


def test_messages_for_one_that_does_not_read_are_counted(daemon, topic, tmp_path):
    count, marks = 100000, 0
    lines = tmp_path / "lines"
    with lines.open("wb") as out, listening(daemon, topic, stdout=out) as proc:
        harness.pause(proc.pid)
        source = f"[hornbeam_pubsub:publish(<<\"{topic}\">>, binary:copy(<<$x>>, 1000)) || _ <- lists:seq(1, {count})], ok."
        assert erlang(daemon, source) == "ok"
        os.kill(proc.pid, signal.SIGCONT)

        def is_marked():
            nonlocal marks
            marks += publish(daemon, topic, "mark")
            return lines.read_text().endswith("mark\n")

        harness.eventually(is_marked, 30)
        told = json.loads(daemon.hornbeam("topics", "-o", "json").stdout)
        proc.send_signal(signal.SIGINT)
        _, err = ends(proc)
    lost = sum(int(n) for n in re.findall(r"^hornbeam: (\d+) messages? (?:was|were) lost$", err, re.M))
    assert lost > 0
    assert [0 < row["dropped"] <= lost for row in told if row["topic"] == topic] == [True]
    assert lost + len(lines.read_text().splitlines()) == count + marks, err


def test_a_lost_companion_is_told_and_found_again():
    with harness.Daemon() as d, listening(d, "news") as proc:
        os.kill(d.companion_pid(), signal.SIGKILL)
        assert "the connection to the companion was lost" in proc.stderr.readline()

        def heard():
            return d.hornbeam("publish", "news", "again", "-t", "1s").stdout == "1\n"

        harness.eventually(heard, 30)
        assert proc.stdout.readline() == "again\n"
        d.note()


def test_a_server_that_does_not_come_back_is_not_waited_for():
    d = harness.Daemon()
    with d, listening(d, "news") as proc:
        d.stop()
        _, err = ends(proc, CONNECT)
    first, cause, hint = err.splitlines()
    assert "the connection to the companion was lost" in first
    assert cause.startswith("hornbeam: cannot connect to") and str(d.socket) in cause
    assert "is hornbeamd running?" in hint
