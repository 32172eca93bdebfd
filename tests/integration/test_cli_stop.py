"""hornbeam stop and logs reopen."""

import threading

import harness

DONE, CONNECT, TIMEOUT = 0, 3, 5

SLOW = {
    "app.py": """
import os, time

def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        print('begun', flush=True)
        while not os.path.exists('go'):
            time.sleep(0.01)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
"""
}


def test_stop_returns_when_the_server_has_ended():
    d = harness.Daemon()
    with d:
        done = d.hornbeam("stop")
        assert (done.returncode, done.stdout, done.stderr) == (DONE, "", "")
        assert not d.socket.exists()
        assert d.wait() == 0
        assert not any(harness.alive(pid) for pid in d.seen)
        again = d.hornbeam("stop")
        assert again.returncode == CONNECT
        assert "is hornbeamd running?" in again.stderr


def test_another_server_can_start_at_once():
    with harness.Daemon() as d:
        assert d.hornbeam("stop").returncode == DONE
        first = d.proc
        d.notify.close()
        (d.dir / "notify").unlink()
        d.start()
        assert d.get("/").status == 200
        assert first.wait(30 * harness.SLOW) == 0


def test_stop_waits_for_requests_in_progress_at_most_for_its_time():
    with harness.Daemon("app:application", files=SLOW) as d:
        answers = []
        thread = threading.Thread(target=lambda: answers.append(d.get("/slow")))
        thread.start()
        harness.eventually(lambda: "begun" in d.output() + d.log())
        done = d.hornbeam("stop", "-t", "100ms")
        assert done.returncode == TIMEOUT
        assert "has not ended within the time" in done.stderr
        (d.dir / "go").touch()
        assert d.hornbeam("stop").returncode == DONE
        thread.join()
        assert answers[0].status == 200
        assert d.wait() == 0


def test_logs_are_opened_again(tmp_path):
    log = tmp_path / "access.log"
    with harness.Daemon(config={"log": {"access": str(log)}}) as d:
        assert d.get("/before").status == 200
        harness.eventually(lambda: "/before" in log.read_text())
        log.rename(tmp_path / "access.log.1")
        assert d.hornbeam("logs", "reopen").returncode == DONE
        harness.eventually(log.exists)
        assert d.get("/after").status == 200
        harness.eventually(lambda: "/after" in log.read_text())
        assert "/after" not in (tmp_path / "access.log.1").read_text()
