"""How connections spread over the workers: evenly where all are free, and to those that are free where not."""

import collections
import contextlib
import os
import resource
import signal
import threading
import time

import pytest
import wire
from harness import SLOW, Daemon, eventually, pause
from http_client import Reader

# Every answer is the worker's process id; GET /wait first waits for the file `go`, having left one `here`.
APP = """
import os, pathlib, time
DIR = pathlib.Path(__file__).parent

def application(environ, start_response):
    if environ['PATH_INFO'] == '/wait':
        (DIR / 'here').touch()
        while not (DIR / 'go').exists():
            time.sleep(0.01)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(os.getpid()).encode()]
"""
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"


def daemon_with(workers, **config):
    return Daemon("app:application", files={"app.py": APP}, config={"workers": workers, "threads": 1, **config})


class Held(contextlib.ExitStack):
    """Connections that stay open; asked() is the process that answers on one."""

    def __init__(self, d):
        super().__init__()
        self.d = d

    def connect(self):
        return self.enter_context(self.d.connect())

    @staticmethod
    def asked(s):
        s.sendall(GET)
        status, _, body = Reader(s).response()
        assert status == 200
        return int(body)


def spread_of(d, count, at_once):
    """How many of count kept connections each worker has answered, most first."""
    with Held(d) as held:
        if at_once:
            sockets = [held.connect() for _ in range(count)]
            for s in sockets:
                s.sendall(GET)
            who = [int(Reader(s).response()[2]) for s in sockets]
        else:
            who = [held.asked(held.connect()) for _ in range(count)]
        found = collections.Counter(who)
        with wire.Peer(d.socket) as p:
            told = {w["pid"]: w["connections"] for w in p.call(wire.WORKERS) if w["connections"]}
        assert told == dict(found)
        return sorted(found.values(), reverse=True)


@contextlib.contextmanager
def asleep(d, wait_for_it=True):
    """One worker is in a request that does not end before this block does."""
    with d.connect(60) as s:
        s.sendall(WAIT)
        try:
            if wait_for_it:
                eventually((d.dir / "app" / "here").exists)
            yield
        finally:
            (d.dir / "app" / "go").touch()
        assert Reader(s).response()[0] == 200


def slowest(d, count, at_once):
    """The longest that one of count new connections took to be answered, and who answered."""
    taken, who = [], []

    def one():
        start = time.monotonic()
        with d.connect() as s:
            who.append(Held.asked(s))
        taken.append(time.monotonic() - start)

    if at_once:
        threads = [threading.Thread(target=one) for _ in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    else:
        for _ in range(count):
            one()
    assert len(taken) == count
    return max(taken), set(who)


def rounds(d, count, **how):
    """What spread_of() found, five times: on a busy machine a worker is not scheduled now and then, and misses one."""
    for _ in range(5):
        yield spread_of(d, count, **how)
        eventually(lambda: {w["connections"] for w in d_workers(d)} == {0})


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize("workers, most", [(2, 60), (4, 35)])
def test_kept_connections_spread_evenly_over_idle_workers(workers, most, at_once):
    with daemon_with(workers) as d:
        found = list(rounds(d, 100, at_once=at_once))
        assert sum(len(each) == workers and each[0] <= most for each in found) >= 3, found


def d_workers(d):
    with wire.Peer(d.socket) as p:
        return p.call(wire.WORKERS)


def test_few_connections_spread_too():
    with daemon_with(2) as d:
        found = list(rounds(d, 4, at_once=False))
        assert sum(each[0] <= 3 for each in found) >= 3, found


@pytest.mark.parametrize("at_once", [False, True], ids=["one after the other", "at once"])
@pytest.mark.parametrize("workers", [2, 4])
def test_new_connections_do_not_wait_for_a_worker_that_is_asleep(workers, at_once):
    with daemon_with(workers) as d, asleep(d):
        longest, who = slowest(d, 50, at_once)
        assert longest < 10 * SLOW
        assert len(who) <= workers - 1


@pytest.mark.parametrize("workers", [2, 4])
def test_connections_that_come_with_the_request_that_sleeps_do_not_wait_for_it(workers):
    for _ in range(5):
        with daemon_with(workers) as d, asleep(d, wait_for_it=False):
            assert slowest(d, 50, at_once=True)[0] < 10 * SLOW


def test_kept_connections_all_go_to_those_that_are_free():
    with daemon_with(2) as d, asleep(d), Held(d) as held:
        who = {held.asked(held.connect()) for _ in range(50)}
        assert len(who) == 1


def test_a_stopped_worker_of_four_keeps_nobody_waiting():
    with daemon_with(4) as d:
        stopped = d.worker_pids()[0]
        pause(stopped)
        try:
            found = []
            for _ in range(3):  # a busy machine may stop others, too
                with Held(d) as held:
                    taken = []
                    who = collections.Counter()
                    for _ in range(60):
                        start = time.monotonic()
                        who[held.asked(held.connect())] += 1
                        taken.append(time.monotonic() - start)
                assert max(taken) < 10 * SLOW and stopped not in who
                found.append(who)
            assert min(max(who.values()) for who in found) <= 30 and {len(who) for who in found} == {3}, found
        finally:
            os.kill(stopped, signal.SIGCONT)


def test_a_worker_that_was_asleep_gets_its_share_again():
    with daemon_with(2) as d, Held(d) as held:
        with asleep(d):
            who = collections.Counter(held.asked(held.connect()) for _ in range(20))
            assert len(who) == 1
        # the other now has less, so it gets more, until both have the same
        first, = who
        for _ in range(100):
            who[held.asked(held.connect())] += 1
            if who.total() - who[first] >= who[first] - who[first] // 8 - 2:
                return
        raise AssertionError(who)


def test_a_worker_alone_holds_all():
    with daemon_with(1) as d:
        assert spread_of(d, 100, at_once=True) == [100]


def lines(d, text):
    return [line for line in d.log().splitlines() if text in line]


@pytest.mark.parametrize("workers", [1, 2])
def test_without_descriptors_accepting_pauses_and_resumes(workers):
    with daemon_with(workers) as d, Held(d) as held:
        sockets = [held.connect() for _ in range(4)]
        for s in sockets:
            held.asked(s)
        for pid in d.worker_pids():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, 4096))  # those that are open stay
        waiting = [held.connect() for _ in range(30)]
        for s in waiting:
            s.sendall(GET)
        eventually(lambda: lines(d, "accept: Too many open files"))
        for _ in range(50):  # those it has are served meanwhile
            for s in sockets:
                held.asked(s)
        start = time.monotonic()
        eventually(lambda: time.monotonic() > start + 0.7)
        assert 1 <= len(lines(d, "accept: Too many open files")) <= workers
        assert not lines(d, "accepting again")
        for pid in d.worker_pids():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (4096, 4096))
        for s in waiting:
            assert Reader(s).response()[0] == 200
        assert 1 <= len(lines(d, "accepting again")) <= workers
