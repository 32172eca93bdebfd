"""The state functions across threads, forks, signals and a companion that dies or hangs."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import pytest
from companion import SLOW, Companion, eventually, run, script

from hornbeam_erlang import _hornbeam, state_fetch, state_get, state_incr, state_set

@pytest.fixture
def own():
    """A companion that the test may harm."""
    with Companion() as c:
        yield c


def asleep(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "S"


def in_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as e:
            failures.append(e)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


def test_eight_threads_get_their_own_answers(state):
    def work(i):
        for n in range(300):
            state_set(f"t:{i}", [i, n])
            assert state_get(f"t:{i}") == [i, n]
            state_incr("t:all")

    in_threads(8, work)
    assert state_get("t:all") == 8 * 300


def test_fetch_computes_once_for_eight_threads(state):
    calls = []
    begun = []

    def compute():
        calls.append(threading.get_ident())
        eventually(lambda: len(begun) == 8)
        return "value"

    def work(i):
        begun.append(i)
        assert state_fetch("k", compute) == "value"

    in_threads(8, work)
    assert len(calls) == 1


def test_failed_computation_passes_to_the_next_thread(state):
    calls = []

    def compute():
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("the first fails")
        return "value"

    results = []

    def work(_):
        try:
            results.append(state_fetch("k", compute))
        except LookupError:
            results.append("raised")

    in_threads(4, work)
    assert sorted(results) == ["raised", "value", "value", "value"]
    assert len(calls) == 2


def test_fork_works_on_in_parent_and_child(companion):
    assert run(companion, """
for n in range(20):
    state_incr("fork")
    pid = os.fork()
    if pid == 0:
        ok = state_incr("fork") > 0
        os._exit(0 if ok else 1)
    state_incr("fork")
    reap(pid)
print(state_get("fork"))
""") == "60\n"


def test_fork_while_threads_are_in_calls(companion):
    assert run(companion, """
stop = threading.Event()
def work():
    while not stop.is_set():
        state_incr("busy")
threads = [threading.Thread(target=work) for _ in range(4)]
for t in threads: t.start()
for n in range(30):
    pid = os.fork()
    if pid == 0:
        state_incr("forked")
        grandchild = os.fork()
        if grandchild == 0:
            state_incr("forked")
            os._exit(0)
        reap(grandchild)
        os._exit(0)
    reap(pid)
stop.set()
for t in threads: t.join()
print(state_get("forked"))
""") == "60\n"


def bump(link, key, times):
    if link is not None:  # a process that starts anew has nothing of its parent
        _hornbeam.configure(link, "direct", "client")
    for _ in range(times):
        state_incr(key)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(state, method):
    context = multiprocessing.get_context(method)
    link = None if method == "fork" else state.link
    state_incr("mp")
    workers = [context.Process(target=bump, args=(link, "mp", 50)) for _ in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join(60 * SLOW)
        assert w.exitcode == 0
    assert state_incr("mp") == 152


def test_keyboard_interrupt_ends_a_wait(own):
    own.pause()
    process = script(own, """
try:
    print("ready", flush=True)
    rpc_call("local", "erlang", "node", [], timeout_ms=600000)
except KeyboardInterrupt:
    print("interrupted")
""")
    assert process.stdout.readline() == "ready\n"
    eventually(lambda: asleep(process.pid))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30 * SLOW)
    assert out == "interrupted\n", err


def test_keyboard_interrupt_ends_a_wait_for_another_thread_that_reads(own):
    process = script(own, """
state_set("k", 1)
def slow():
    rpc_call("local", "timer", "sleep", [600000], timeout_ms=600000)
t = threading.Thread(target=slow, daemon=True)
t.start()
wait_until_asleep(t)
try:
    print("ready", flush=True)
    slow()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(0)
""")
    assert process.stdout.readline() == "ready\n"
    eventually(lambda: asleep(process.pid))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30 * SLOW)
    assert out == "interrupted\n", err


def test_signal_handler_may_use_the_state_in_the_middle_of_a_call(companion):
    assert run(companion, """
hits = 0
def handler(*_):
    global hits
    hits += 1
    state_incr("signals")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
end = time.monotonic() + 0.5
while time.monotonic() < end or hits <= 10:
    state_incr("calls")
    assert state_get("calls") > 0
signal.setitimer(signal.ITIMER_REAL, 0)
assert state_get("signals") == hits
print("ok")
""") == "ok\n"


def test_companion_that_dies_fails_calls_at_once_and_is_found_again(own):
    process = script(own, """
state_incr("n")
print("ready", flush=True)
took = []
while True:
    before = time.monotonic()
    try:
        state_incr("n")
        if took: break
    except ConnectionError as e:
        assert isinstance(e, HornbeamError)
        took.append(time.monotonic() - before)
        if len(took) == 20:
            print("lost", flush=True)
assert sorted(took)[10] < 2, took  # whatever else the machine does meanwhile
print("found", flush=True)
""")
    assert process.stdout.readline() == "ready\n"
    own.kill()
    assert process.stdout.readline() == "lost\n", process.stderr.read()  # it looks for it meanwhile
    os.unlink(own.link)
    own.start()
    assert process.communicate(timeout=30 * SLOW) == ("found\n", "")
    assert process.returncode == 0


def test_blocked_call_fails_at_once_when_the_companion_dies(own):
    process = script(own, """
state_incr("n")
print("ready", flush=True)
sys.stdin.readline()
print("calling", flush=True)
try:
    rpc_call("local", "erlang", "node", [], timeout_ms=600000)
except ConnectionError:
    print("failed")
""")
    assert process.stdout.readline() == "ready\n"
    own.pause()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "calling\n"
    eventually(lambda: asleep(process.pid))
    own.kill()
    out, err = process.communicate(timeout=30 * SLOW)
    assert out == "failed\n", err


def test_stopped_companion_keeps_deadlines_and_runs_nothing_late(own):
    process = script(own, """
assert state_incr("n") == 1
print("ready", flush=True)
sys.stdin.readline()
said = []
def blocked():
    before = time.monotonic()
    try:
        state_incr("n")
        said.append("answered")
    except TimeoutError as e:
        assert isinstance(e, HornbeamError)
        said.append(f"timed out {4.5 < time.monotonic() - before}")
threads = [threading.Thread(target=blocked) for _ in range(3)]
for t in threads: t.start()
for t in threads: t.join()
print(*said, "stopped", sep="\\n", flush=True)
sys.stdin.readline()
print(state_incr("n"))
""")
    assert process.stdout.readline() == "ready\n"
    own.pause()
    process.stdin.write("\n")
    process.stdin.flush()
    for _ in range(3):
        assert process.stdout.readline() == "timed out True\n"
    assert process.stdout.readline() == "stopped\n"
    own.signal(signal.SIGCONT)
    out, err = process.communicate("\n", timeout=30 * SLOW)
    assert out == "2\n", err


def test_calls_at_the_interpreters_end_do_no_harm(companion):
    for _ in range(5):
        run(companion, """
def work():
    while True:
        state_incr("daemon")
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
state_incr("daemon")
import atexit
atexit.register(state_incr, "end")
""")


def test_no_daemon_is_a_connection_error_that_names_the_socket(tmp_path):
    code = "from hornbeam_erlang import *\ntry: state_get('k')\nexcept ConnectionError as e: print(e)"
    path = str(tmp_path / "control.sock")
    out = subprocess.run([sys.executable, "-c", code], env=os.environ | {"HORNBEAM_SOCKET": path}, capture_output=True,
                         text=True, check=True)
    assert path in out.stdout


def test_import_does_no_io(tmp_path):
    """Nothing is opened, connected or started by the import."""
    code = ("import sys, os\nbefore = set(os.listdir('/proc/self/fd'))\nimport hornbeam_erlang\n"
            "assert set(os.listdir('/proc/self/fd')) == before\n"
            "assert len(os.listdir('/proc/self/task')) == 1")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_version_of_before_is_none_of_a_companion_that_was_started_again(own):
    code = "state_set('k', 'a'); print(state_gets('k')[1])"
    before = int(run(own, code))
    own.kill()
    own.start()
    assert run(own, f"{code}; print(state_cas('k', 'b', {before}))").split()[1] == "False"
