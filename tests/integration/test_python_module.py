"""hornbeam_erlang in workers and in other processes, on one daemon."""

import json
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import BUILD, PRELOAD, PYTHON, SLOW, Daemon, environment, eventually, pause

APP = {
    "app.py": '''
import json, multiprocessing, os, subprocess, sys, threading
from urllib.parse import parse_qsl
from hornbeam_erlang import *

def fork():
    pid = os.fork()
    if pid == 0:
        state_incr("forks")
        os._exit(0)
    os.waitpid(pid, 0)
    return state_incr("forks")

def bump():
    state_incr("processes")

def processes(method):
    context = multiprocessing.get_context(method)
    all = [context.Process(target=bump) for _ in range(3)]
    for p in all: p.start()
    for p in all: p.join()
    return [p.exitcode for p in all] + [state_get("processes")]

def threads():
    def work():
        for _ in range(50): state_incr("threads")
    all = [threading.Thread(target=work) for _ in range(4)]
    for t in all: t.start()
    for t in all: t.join()
    return state_get("threads")

def script():
    code = "from hornbeam_erlang import state_incr; print(state_incr('scripts'))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout

def application(environ, start_response):
    args = dict(parse_qsl(environ["QUERY_STRING"]))
    try:
        result = eval(args["do"], globals())
        status = "200 OK"
    except Exception as e:
        result, status = [type(e).__name__, str(e)], "503 Service Unavailable"
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps(result).encode()]
'''
}


@pytest.fixture(scope="module")
def daemon():
    with Daemon("app:application", files=APP, config={"workers": 2, "python": {"env": PRELOAD}}) as d:
        yield d


def do(daemon, code, status=200):
    answer = daemon.request("GET", "/?do=" + "".join(f"%{b:02x}" for b in code.encode()), timeout=30)
    assert answer.status == status, answer.body
    return answer.json()


def listens(path):
    with socket.socket(socket.AF_UNIX) as s:
        return s.connect_ex(path) == 0


def test_one_state_through_every_door(daemon):
    do(daemon, "state_set('user:1', {'name': 'Alice', 'n': 1})")
    assert daemon.python("from hornbeam_erlang import *; print(state_get('user:1')['name'])").stdout == "Alice\n"
    shown = daemon.hornbeam("state", "get", "user:1")
    assert json.loads(shown.stdout) == {"name": "Alice", "n": 1}
    assert daemon.hornbeam("state", "incr", "visits", "10").stdout == "10\n"
    assert do(daemon, "state_incr('visits')") == 11
    assert do(daemon, "state_keys('user:')") == ["user:1"]


def test_fork_in_an_application(daemon):
    assert do(daemon, "fork()") == 2
    assert do(daemon, "fork()") == 4


def test_multiprocessing_in_an_application(daemon):
    assert do(daemon, "processes('fork')") == [0, 0, 0, 3]
    assert do(daemon, "processes('fork')") == [0, 0, 0, 6]


def test_threads_of_an_application(daemon):
    assert do(daemon, "threads()") == 200


def test_subprocess_of_an_application_finds_the_same_daemon(daemon):
    assert do(daemon, "script()") == "1\n"
    assert do(daemon, "script()") == "2\n"


def test_a_virtual_environment_without_the_systems_packages_takes_a_path_file(daemon, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", venv], check=True)
    env = {k: v for k, v in environment(HORNBEAM_SOCKET=str(daemon.socket), **PRELOAD).items() if k != "PYTHONPATH"}
    code = "from hornbeam_erlang import state_incr; print(state_incr('venv'))"

    def run():
        return subprocess.run([venv / "bin/python", "-c", code], env=env, capture_output=True, text=True)

    assert "No module named 'hornbeam_erlang'" in run().stderr
    (site,) = venv.glob("lib/python3*/site-packages")
    (site / "hornbeam.pth").write_text(str(BUILD / "pylib") + "\n")
    assert run().stdout == "1\n"


def test_companion_killed_in_the_middle_of_calls():
    with Daemon("app:application", files=APP, config={"workers": 1}) as d:
        stop = threading.Event()
        outcomes = []

        def call():
            while not stop.is_set():
                before = time.monotonic()
                answer = d.request("GET", "/?do=state_incr('n')", timeout=30)
                outcomes.append((answer.status, answer.json(), time.monotonic() - before))

        do(d, "state_incr('n')")
        threads = [threading.Thread(target=call) for _ in range(3)]
        for t in threads:
            t.start()
        eventually(lambda: len(outcomes) > 50)
        seen = len(outcomes)
        try:
            os.kill(d.companion_pid(), signal.SIGKILL)
            eventually(lambda: any(s == 503 for s, _, _ in outcomes[seen:]))
            eventually(lambda: listens(f"{d.socket}.link"), 30)
            eventually(lambda: outcomes[-1][0] == 200)
        finally:
            stop.set()
            for t in threads:
                t.join()
        failed = [(value, took) for status, value, took in outcomes if status == 503]
        assert {value[0] for value, _ in failed} == {"HornbeamConnectionError"}
        assert min(took for _, took in failed) < 3 * SLOW  # not their deadlines, 5 s
        d.note()


def test_script_waits_out_a_companion_that_is_stopped():
    with Daemon("app:application", files=APP, config={"workers": 1}) as d:
        assert do(d, "state_incr('n')") == 1
        pause(d.companion_pid())
        process = subprocess.Popen(
            [PYTHON, "-c", "from hornbeam_erlang import *\ntry: state_incr('n')\nexcept TimeoutError: print('late')"],
            env=environment(HORNBEAM_SOCKET=str(d.socket), **PRELOAD), stdout=subprocess.PIPE, text=True)
        assert do(d, "state_incr('n')", 503)[0] == "HornbeamTimeoutError"
        assert process.communicate(timeout=30 * SLOW)[0] == "late\n"
        os.kill(d.companion_pid(), signal.SIGCONT)
        assert do(d, "state_incr('n')") == 2
