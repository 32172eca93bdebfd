"""asyncio in a running application: everything that its event loop can do, beside the server's own connections."""
import pathlib
import re
import signal
import time

import pytest
from harness import SLOW, Daemon, alive, eventually

APP = pathlib.Path(__file__).with_name("asyncio_app.py")

ANSWERS = {
    "loop_is_known_at_import": True,
    "current_task": {"current": True, "type": "_asyncio", "root": "hornbeam"},
    "executor": [40425, True],
    "to_thread_keeps_the_context": "mine",
    "called_from_threads": 2000,
    "coroutine_from_a_thread": "asyncio",
    "loop_in_a_thread": [True, "asyncio.unix_events"],
    "subprocess_exec": ["cba", 3],
    "subprocess_killed": -signal.SIGKILL,
    "subprocess_by_each_watcher": [7, 7, 7],
    "signal_handlers": [["SIGUSR2", "SIGUSR1"], [True, True]],
    "plain_signal_handler": True,
    "reader_and_writer": ["readable", "writable", [True, True, False]],
    "file_is_no_reader": "PermissionError",
    "server_and_client": ["StreamTransport", 3_000_000],
    "client_of_nobody": "refused",
    "unix_server": "HELLO\n",
    "datagrams": "datagram",
    "tls": [200_000, "TLSv1.3"],
    "timeouts": [["timeout", "wait_for"], True],
    "task_group": ["cancelled", "from a task"],
    "contexts": "unset",
    "anyio_tasks": [[0, 1, 2, 3, 4], True, "asyncio"],
    "background_task_exits": "SystemExit",
    "callback_interrupts": "goes on",
    "stops_the_loop": "goes on",
    "callback_fails": ["ZeroDivisionError('division by zero')"] * 2,
    "forks": "still here",
    "debug_mode": [True, 7],
}


@pytest.fixture(scope="module")
def daemon():
    with Daemon(app="asyncio_app:app", files={"asyncio_app.py": APP.read_text()}) as d:
        yield d


@pytest.mark.parametrize("name", ANSWERS)
def test_asyncio_in_a_request(daemon, name):
    before = daemon.worker_pids()
    for _ in range(2):
        answer = daemon.get(f"/{name}", timeout=30)
        assert answer.status == 200, answer.text
        assert answer.json() == ANSWERS[name]
    assert daemon.worker_pids() == before


def test_a_timer_is_exact_and_never_early(daemon):
    def exact():
        seen = daemon.get("/short_sleep").json()
        assert seen["early"] == 0
        return seen["least"] < 0.001 * SLOW

    eventually(exact)  # the machine may be busy


def test_the_threads_of_anyio_serve_more_than_one_request(daemon):
    answers = [daemon.get("/anyio_threads").json() for _ in range(5)]
    assert {library for library, _ in answers} == {"asyncio"}
    assert len({thread for _, thread in answers}) == 1


def test_a_reader_added_from_another_thread_is_an_error_and_no_crash(daemon):
    assert "not thread-safe" in daemon.get("/thread_unsafe_use_is_refused").json()


@pytest.mark.parametrize("name", ["exits", "exits_later"])
def test_exit_in_a_request_is_an_error_of_that_request(daemon, name):
    before = daemon.worker_pids()
    assert daemon.get(f"/{name}").status == 500
    assert daemon.get("/contexts").status == 200
    assert daemon.worker_pids() == before


def reports(daemon, since):
    return daemon.log()[since:]


def test_a_call_that_holds_the_loop_is_logged_with_its_stack_and_its_time(daemon):
    since = len(daemon.log())
    daemon.get("/blocks")
    took = eventually(lambda: re.search(r"the event loop was held for (\d+) ms", reports(daemon, since)))
    assert int(took[1]) >= 200
    text = reports(daemon, since)
    assert re.search(r'File ".*asyncio_app.py", line \d+ in hold\n.*\n?.*line \d+ in blocks\n', text), text
    assert "run_forever" not in text


def test_a_call_in_c_that_keeps_the_gil_is_logged_while_it_runs(daemon):
    since = len(daemon.log())
    daemon.get("/blocks_in_c", timeout=60)
    eventually(lambda: "was held for" in reports(daemon, since))
    assert re.search(r"line \d+ in blocks_in_c\n", reports(daemon, since))


def switches(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return {task.name: re.findall(r"ctxt_switches:\t(\d+)", (task / "status").read_text()) for task in tasks}


def test_an_idle_worker_does_not_wake_up(daemon):
    """No thread of it runs for a second and a half, within some seconds."""
    pid, seen = daemon.worker_pids()[0], {"at": time.monotonic(), "switches": None}

    def quiet():
        now = switches(pid)
        if now != seen["switches"]:
            seen.update(at=time.monotonic(), switches=now)
        return time.monotonic() - seen["at"] > 1.5

    eventually(quiet, 30)


def test_tasks_of_the_application_end_with_the_worker():
    app = """
import asyncio

async def forever():
    try:
        await asyncio.sleep(1000)
    finally:
        print("background ended", flush=True)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        app.task = asyncio.create_task(forever())
        app.blocked = asyncio.get_running_loop().run_in_executor(None, lambda: 1)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
"""
    with Daemon(app="app:app", files={"app.py": app}) as d:
        pid = d.worker_pids()[0]
        d.proc.send_signal(signal.SIGTERM)
        eventually(lambda: not alive(pid))
        assert d.wait() == 0
        assert "background ended" in d.output()
        assert "Task was destroyed" not in d.log()
