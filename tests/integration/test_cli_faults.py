"""The command line where something is wrong: no server, no companion, no permission, no time."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

import harness

CONNECT, DENIED, TIMEOUT, DOWN = 3, 4, 5, 7


def hornbeam(*args, **env):
    return subprocess.run(
        [str(harness.BUILD / "hornbeam"), *args], capture_output=True, text=True, env=harness.environment(**env),
        timeout=60)


def in_time(run):
    """Waits for a time-out that costs less than the time without -t, 5 s: the machine may be busy now and then."""
    def soon():
        start = time.monotonic()
        done = run()
        assert done.returncode == TIMEOUT, done
        return time.monotonic() - start < 3 and done

    return harness.eventually(soon)


#: Those that talk to the companion, as they would be used.
TO_THE_COMPANION = [
    ["state", "get", "k"], ["publish", "t", "m"], ["subscribe", "t"], ["topics"], ["call", "f"], ["cast", "f"], ["functions"],
    ["rpc", "call", "-", "erlang", "node"], ["rpc", "cast", "-", "erlang", "node"], ["node"], ["nodes"],
]


@pytest.mark.parametrize("command", [["ping"], ["status"], ["workers"], *TO_THE_COMPANION])
def test_without_a_server(tmp_path, command):
    done = hornbeam(*command, HORNBEAM_SOCKET=str(tmp_path / "control.sock"))
    assert done.returncode == CONNECT
    cause, hint = done.stderr.splitlines()
    assert cause.startswith("hornbeam: ") and str(tmp_path / "control.sock") in cause
    assert "is hornbeamd running?" in hint


def test_with_the_socket_of_a_server_that_was_killed(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
    assert hornbeam("state", "get", "k", HORNBEAM_SOCKET=str(path)).returncode == CONNECT
    done = hornbeam("-q", "ping", HORNBEAM_SOCKET=str(path))
    assert (done.returncode, done.stderr) == (CONNECT, "")


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        s.listen()
        for command in (["ping"], *TO_THE_COMPANION):
            in_time(lambda command=command: hornbeam(*command, "-t", "200ms", HORNBEAM_SOCKET=str(path)))


def test_a_peer_that_talks_nonsense_is_told(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        s.listen()

        def answer():
            conn, _ = s.accept()
            with conn:
                conn.recv(1000)
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = hornbeam("ping", "-t", "5s", HORNBEAM_SOCKET=str(path))
        thread.join()
    assert done.returncode not in (0, 1)
    assert done.stderr.startswith("hornbeam: ")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_others_are_not_permitted():
    with harness.Daemon() as d:
        env = harness.environment(HORNBEAM_SOCKET=str(d.socket))
        for command in (["ping"], ["state", "get", "k"]):
            done = subprocess.run(
                ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                 str(harness.BUILD / "hornbeam"), *command],
                capture_output=True, text=True, env=env, timeout=60)
            if "setpriv: failed to execute" in done.stderr:
                pytest.skip("the build tree is closed to others")
            assert done.returncode == DENIED, done
            assert "hornbeam: " in done.stderr and "group hornbeam" in done.stderr


def test_a_stopped_companion_costs_no_more_than_the_time_given():
    with harness.Daemon() as d:
        assert d.hornbeam("state", "set", "k", "before").returncode == 0
        beam = d.companion_pid()
        harness.pause(beam)
        try:
            in_time(lambda: d.hornbeam("state", "set", "k", "late", "-t", "300ms"))
            for command in (["ping"], *TO_THE_COMPANION):
                assert d.hornbeam(*command, "-t", "300ms").returncode == TIMEOUT, command
            status = d.hornbeam("status", "-o", "json", "-t", "2s")
            assert status.returncode == TIMEOUT
            assert json.loads(status.stdout)["companion"] is None
            assert json.loads(status.stdout)["master"]["pid"] == d.proc.pid
        finally:
            os.kill(beam, signal.SIGCONT)
        harness.eventually(lambda: d.hornbeam("ping").returncode == 0)
        assert d.hornbeam("state", "get", "k").stdout == "before\n"


def test_a_companion_that_is_down_is_told_apart_and_comes_back():
    with harness.Daemon() as d:
        asked = [["ping"], *TO_THE_COMPANION, ["status", "-o", "json"]]
        with d.without_companion():
            seen = [d.hornbeam(*command) for command in asked]
        for done in seen:
            assert done.returncode == DOWN, done
            assert done.stderr.startswith("hornbeam: ") and "hornbeamd starts the companion again" in done.stderr
        status = json.loads(seen[-1].stdout)
        assert status["companion"] is None and status["master"]["pid"] == d.proc.pid
        assert d.hornbeam("workers").returncode == 0
        harness.eventually(lambda: d.hornbeam("ping").returncode == 0, 30)
