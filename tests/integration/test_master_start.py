"""Starting hornbeamd: what it refuses, with which exit status and words; privileges."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import socket
import stat
import subprocess

import pytest
from harness import BUILD, HELLO, SLOW, Daemon, children, environment, eventually, readable_build

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
NOBODY = 65534


def refused(status, **daemon):
    """Starts a daemon that must end by itself with this status; what it said."""
    d = Daemon(**daemon)
    try:
        return refused_as_it_is(d, status)
    finally:
        d.stop()


def refused_as_it_is(d, status):
    d.launch()
    d.wait()
    assert d.proc.returncode == status, d.log()
    return d.log()


def hornbeamd(*args):
    return subprocess.run([str(BUILD / "hornbeamd"), *args], capture_output=True, text=True, env=environment(),
                          timeout=60, check=False)


def fake_erl(directory, body):
    """An `erl` that is a Python script: a companion with manners of its own."""
    path = pathlib.Path(directory) / "erl"
    path.write_text(f"#!/usr/bin/python3 -I\nimport os, struct, sys, time\n{body}\n")
    path.chmod(0o755)
    return {"ERL": str(path)}


@pytest.mark.parametrize("args, words", [
    (["--chekc"], "did you mean --check?"),
    (["-c"], ""),
    (["stray"], "stray"),
])
def test_wrong_usage_is_64(args, words):
    done = hornbeamd(*args)
    assert done.returncode == 64
    assert words in done.stderr
    assert done.stderr.startswith("hornbeamd: ")


def test_version_and_help_go_to_standard_output():
    assert hornbeamd("-V").stdout.startswith("hornbeamd ")
    done = hornbeamd("-h")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: hornbeamd ")


def test_worker_is_not_started_by_hand():
    done = hornbeamd("--worker", "0")
    assert done.returncode == 64
    assert "for hornbeamd itself" in done.stderr


def test_check_and_print_config_start_nothing():
    d = Daemon()
    try:
        d.file.write_text(json.dumps(d.config))
        done = hornbeamd("-c", str(d.file), "--check")
        assert (done.returncode, done.stdout) == (0, "")
        done = hornbeamd("-c", str(d.file), "--print-config=json", "--set", "workers=3")
        assert done.returncode == 0
        assert json.loads(done.stdout)["workers"] == 3
        assert not d.socket.exists()
    finally:
        d.stop()


@pytest.mark.parametrize("change, words", [
    ({"apps": []}, "apps: there is none; add `apps:"),
    ({"python": {"venv": "/nonexistent"}}, "python.venv: /nonexistent: not a virtual environment"),
    ({"control": {"socket": "/tmp/x.sock", "group": "no-such-group"}}, "there is no group 'no-such-group'"),
    pytest.param({"user": "no-such-user"}, "user: there is no user 'no-such-user'", marks=needs_root),
])
def test_check_finds_what_a_start_here_would_refuse(change, words, tmp_path):
    file = tmp_path / "hornbeam.yaml"
    file.write_text(json.dumps({"apps": "a:b", **change}))
    done = hornbeamd("-c", str(file), "--check")
    assert (done.returncode, done.stdout) == (78, "")
    assert words in done.stderr
    assert done.stderr.startswith("hornbeamd: ")
    assert done.stderr.count("\n") == 1


def test_a_start_is_logged_with_versions_and_the_configuration():
    with Daemon() as d:
        first = d.log().splitlines()[0]
        version = hornbeamd("-V").stdout.split()
        assert f"master: hornbeamd {version[1]} with Python 3." in first
        assert first.endswith(f"starts, configuration {d.file}")


def test_bad_configuration_is_78_with_its_place():
    assert "hornbeam.yaml:" in refused(78, config={"worker": 2})


def test_configuration_without_applications_is_78_with_a_hint():
    assert "add `apps:" in refused(78, apps=[])


def test_unknown_user_is_78():
    assert "there is no user 'no-such-user'" in refused(78, config={"user": "no-such-user"})


def test_unknown_control_group_is_78():
    assert "control.group: there is no group 'no-such-group'" in refused(
        78, config={"control": {"group": "no-such-group"}})


def test_port_in_use_is_73():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        address = f"127.0.0.1:{s.getsockname()[1]}"
        assert f"{address}: address already in use" in refused(73, config={"listen": [address]})


def test_control_socket_in_use_is_73_and_stays():
    with Daemon() as first:
        second = Daemon()
        try:
            second.config["control"]["socket"] = str(first.socket)
            assert "another hornbeamd is running" in refused_as_it_is(second, 73)
        finally:
            second.stop()
        assert first.hornbeam("ping").returncode == 0


def test_stale_sockets_are_replaced():
    d = Daemon()
    http = d.dir / "http.sock"
    d.config["listen"].append({"address": f"unix:{http}", "mode": "0666"})
    for path in (d.socket, http):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
    with d:
        assert d.hornbeam("ping").returncode == 0
        assert stat.S_IMODE(http.stat().st_mode) == 0o666
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10 * SLOW)
            s.connect(str(http))
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert s.recv(12) == b"HTTP/1.1 200"
    assert not http.exists()


def test_sockets_are_taken_away_at_the_end():
    d = Daemon().start()
    assert sorted(p.name for p in d.socket.parent.iterdir()) == ["control.sock", "control.sock.link"]
    keep = d.socket.parent
    d.proc.terminate()
    assert d.wait() == 0
    assert list(keep.iterdir()) == []
    d.stop()


def test_directory_of_the_control_socket_is_made():
    d = Daemon()
    d.socket.parent.rmdir()
    with d:
        assert d.hornbeam("ping").returncode == 0


def test_missing_erl_is_69_with_a_hint():
    words = refused(69, env={"ERL": "/nonexistent/erl"})
    assert "/nonexistent/erl: not found; install erlang-base" in words


def test_companion_without_its_application_is_69():
    words = refused(69, env={"HORNBEAM_BUILD": "/nonexistent"})
    assert "companion: cannot start" in words


def test_companion_that_fails_is_69_with_its_words(tmp_path):
    env = fake_erl(tmp_path, r"""
text = b"no room for the table"
term = b"\x83h\x02w\x06failedm" + struct.pack(">I", len(text)) + text
os.write(3, struct.pack(">I", len(term)) + term)
sys.stdin.buffer.read()
""")
    assert "companion: no room for the table" in refused(69, env=env)


def test_companion_that_writes_no_words_is_69_with_the_cause(tmp_path):
    env = fake_erl(tmp_path, "os.write(3, b'hello, world')\nsys.stdin.buffer.read()")
    assert "is something writing to its channel?" in refused(69, env=env)


def test_foreign_erlang_flags_do_not_reach_the_companion():
    with Daemon(env={"ERL_FLAGS": "-no_such_flag", "ERL_AFLAGS": "-sname intruder", "HOME": "/nonexistent"}) as d:
        pid = d.companion_pid()
        assert b"intruder" not in d.cmdline(pid)
        env = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert b"ERL_CRASH_DUMP_BYTES=0" in env
        assert not [e for e in env if e.startswith((b"ERL_FLAGS", b"ERL_AFLAGS", b"NOTIFY_SOCKET"))]


@pytest.mark.parametrize("source, words", [
    ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    ("1 / 0", "ZeroDivisionError: division by zero"),
    ("import sys; sys.exit(3)", ""),
])
def test_application_that_does_not_import_is_70_with_its_traceback(source, words):
    said = refused(70, app="app:application", files={"app.py": source})
    assert words in said
    assert "worker 0: cannot start" in said


def test_application_that_crashes_the_interpreter_is_70_in_the_end():
    said = refused(70, app="app:application", files={"app.py": "import os; os.abort()"})
    assert "killed by SIGABRT" in said


def test_ready_comes_after_companion_and_workers():
    with Daemon(config={"workers": 2}) as d:
        log = d.log()
        order = [log.index(words) for words in ("companion: ready", "worker 0: ready", "master: ready on")]
        assert order == sorted(order)
        assert log.index("worker 1: ready") < order[-1]
        assert f"master: ready on 127.0.0.1:{d.port} with 2 workers" in log


def test_children_inherit_nothing_but_their_own_descriptors():
    with open("/dev/null") as extra:
        os.set_inheritable(extra.fileno(), True)
        with Daemon(files=HELLO, app="app:application") as d:
            for pid in children(d.proc.pid):
                kinds = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                assert kinds.count("/dev/null") <= 1
                assert not any("hornbeamd" in k for k in kinds)


def test_master_stays_small():
    with Daemon() as d:
        status = pathlib.Path(f"/proc/{d.proc.pid}/status").read_text()
        kib = int(status.split("VmRSS:")[1].split()[0])
        assert SLOW > 1 or kib <= 8 * 1024


@pytest.mark.parametrize("connections, soft, warned", [(3000, 3256, False), (10000, 4096, True)])
def test_open_files_follow_the_connections_as_far_as_the_system_allows(connections, soft, warned):
    with Daemon(config={"limits": {"connections": connections}}, wrap=["prlimit", "--nofile=1024:4096"]) as d:
        assert ("allows 4096 (ulimit -n, LimitNOFILE)" in d.log()) == warned
        limits = pathlib.Path(f"/proc/{d.worker_pids()[0]}/limits").read_text()
        assert limits.split("Max open files")[1].split()[:2] == [str(soft), "4096"]


# Privileges.


def low_port():
    """A port that only root may bind, and that nothing listens on now; skips where there is none."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    for port in random.sample(range(600, 1024), 100):
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            if port < first:
                return port
    pytest.skip("every port is everybody's here")


def ids(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return {fields[k].strip() for k in ("Uid", "Gid")} | {fields["Groups"].strip(), fields["CapPrm"].strip()}


@needs_root
def test_privileges_are_dropped_after_the_bind():
    port = low_port()
    d = Daemon(config={"user": "nobody", "listen": [f"127.0.0.1:{port}"]})
    d.port = port
    d.socket.parent.rmdir()  # made and given away by the daemon; its parent is root's
    d.env.update(readable_build(d))
    with d:
        everyone = [d.proc.pid, *children(d.proc.pid)]
        assert len(everyone) == 3
        for pid in everyone:
            assert ids(pid) == {"\t".join([str(NOBODY)] * 4), str(NOBODY), "0" * 16}
        assert d.socket.stat().st_uid == NOBODY
        assert d.get("/").status == 200
        assert d.hornbeam("ping").returncode == 0
        os.kill(d.worker_pids()[0], 9)
        eventually(lambda: d.hornbeam("ping").returncode == 0 and d.log().count("worker 0: ready") == 2)
        assert d.get("/").status == 200
        d.note()


@needs_root
def test_directory_that_the_user_cannot_write_to_is_73():
    assert "the user 'nobody' cannot write to" in refused(73, config={"user": "nobody"})


@needs_root
def test_only_root_becomes_another_user():
    d = Daemon(config={"user": "daemon"}, wrap=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    copy = d.dir / "hornbeamd"
    shutil.copy(BUILD / "hornbeamd", copy)
    try:
        d.file.write_text(json.dumps(d.config))
        done = subprocess.run([*d.wrap, str(copy), "-c", str(d.file)], capture_output=True, text=True,
                              env=environment(), timeout=60, check=False, cwd="/")
        assert done.returncode == 77
        assert "user: only root can become 'daemon'" in done.stderr
    finally:
        d.stop()


@needs_root
def test_port_of_root_is_not_for_others():
    address = f"127.0.0.1:{low_port()}"
    d = Daemon(config={"listen": [address]})
    copy = d.dir / "hornbeamd"
    shutil.copy(BUILD / "hornbeamd", copy)
    os.chown(d.socket.parent, NOBODY, NOBODY)
    try:
        d.file.write_text(json.dumps(d.config))
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(copy), "-c",
                               str(d.file)], capture_output=True, text=True, env=environment(), timeout=60,
                              check=False, cwd="/")
        assert done.returncode == 73
        assert f"{address}: permission denied (ports below 1024 need root)" in done.stderr
    finally:
        d.stop()
