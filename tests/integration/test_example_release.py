"""examples/erlang_release: built in a directory of the test's own, and run."""

import contextlib
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest
from harness import BUILD, SLOW, SOURCE, Response, alive, descendants, environment, eventually, free_port


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The release's directory, moved from where it was built."""
    source = tmp_path_factory.mktemp("source") / "shop"
    shutil.copytree(SOURCE / "examples" / "erlang_release", source)
    for path in [source, *source.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)  # that of a distribution may be read-only
    done = subprocess.run(["make", f"HORNBEAM_EBIN={BUILD}/erlang/ebin"], cwd=source, env=environment(), check=False,
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    moved = tmp_path_factory.mktemp("moved") / "shop"
    shutil.move(source / "_rel" / "shop", moved)
    shutil.rmtree(source)
    return moved


class Shop:
    def __init__(self, release, tmp_path):
        self.port = free_port()
        config = release / "releases" / "1.0.0" / "sys.config"
        config.write_text(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{self.port}", config.read_text()))
        self.log = tmp_path / "log"
        self.runtime = pathlib.Path(tempfile.mkdtemp(prefix="hb-"))  # a short path, as sockets need
        with open(self.log, "ab") as out:
            self.proc = subprocess.Popen([release / "bin" / "shop"], env=environment(XDG_RUNTIME_DIR=str(self.runtime)),
                                         stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")
        self.seen = set()

    def get(self, path, headers=None, method="GET", body=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10 * SLOW)
        with contextlib.closing(conn):
            conn.request(method, path, body, headers or {})
            return Response(conn.getresponse())

    def serves(self):
        assert self.proc.poll() is None, self.log.read_text()
        with contextlib.suppress(ConnectionRefusedError):
            return self.get("/").status == 200

    def started(self):
        """It serves a little before the node counts the application among those that it stops in order."""
        (control,) = self.runtime.glob("hornbeam-node-*/control.sock")
        done = subprocess.run([BUILD / "hornbeam", "rpc", "call", "local", "application", "which_applications"],
                              env=environment(HORNBEAM_SOCKET=str(control)), check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return "shop" in done.stdout


@pytest.fixture()
def shop(release, tmp_path):
    s = Shop(release, tmp_path)
    try:
        eventually(s.serves, 30)
        eventually(s.started)
        s.seen = set(descendants(s.proc.pid))
        yield s
    finally:
        if s.proc.poll() is None:
            s.proc.kill()
        s.proc.wait()
        print(s.log.read_text())  # shown with a test that failed
        eventually(lambda: not any(alive(p) for p in s.seen))
        shutil.rmtree(s.runtime, ignore_errors=True)


def test_the_shop_sells(shop):
    got = shop.get("/")
    assert got.text == "apple: 3, sold 0\npear: 4, sold 0\nquince: 7, sold 0\n"
    assert got.headers["x-served-by"] == "nonode@nohost"
    assert shop.get("/buy/apple").text == "1 sold at 3\n"
    assert shop.get("/buy/apple").text == "2 sold at 3\n"
    assert (shop.get("/buy/melon").status, shop.get("/buy/melon").text) == (404, "there is no melon\n")
    assert "apple: 3, sold 2" in shop.get("/").text


def test_the_hooks_guard_and_answer(shop):
    token = {"X-Token": "let me in"}
    assert (shop.get("/admin/price/pear/9").status, shop.get("/admin/price/pear/9").text) == (403, "not for you\n")
    assert shop.get("/admin/price/pear/9", token).text == "pear costs 9, says the admin\n"
    got = shop.get("/admin/price/pear/x", token)
    assert (got.status, got.text) == (500, "the shop is sorry\n")
    eventually(lambda: "shop: /admin/price/pear/x failed: {python_error,<<\"ValueError\">>" in shop.log.read_text())


def test_a_model_in_python_serves_erlang(shop):
    def review(name, text):
        return shop.get(f"/review/{name}", method="POST", body=text).text

    assert review("apple", "Crisp, sweet and lovely!") == "tone 0.92; 1 good, 0 bad\n"
    assert review("apple", "Rotten. The worst.") == "tone 0.13; 1 good, 1 bad\n"
    assert review("pear", "") == "tone 0.50; 1 good, 0 bad\n"
    assert review("melon", "sweet") == "there is no melon\n"


def test_sigterm_stops_it_in_order(shop):
    shop.proc.send_signal(signal.SIGTERM)
    assert shop.proc.wait(30 * SLOW) == 0
    log = shop.log.read_text()
    assert "CRASH" not in log and "Supervisor" not in log, log


def test_killed_it_leaves_no_process(shop):
    os.kill(shop.proc.pid, signal.SIGKILL)
    shop.proc.wait()
    eventually(lambda: not any(alive(p) for p in shop.seen))
