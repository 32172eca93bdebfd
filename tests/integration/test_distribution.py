"""The companion as a node of a cluster, with real nodes on the loopback."""

import contextlib
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess

import pytest

from beams import COOKIE, Beam, answers, connected, cookie_file, is_loopback, listeners
from harness import Daemon, alive, children, descendants, eventually, free_port, readable_build

HOSTS = ["127.0.0.1", "localhost"]  # long names, short names


@pytest.fixture
def cookie(tmp_path):
    tmp_path.chmod(0o755)
    return cookie_file(tmp_path)


def cluster(cookie, *, epmd=None, config=None, **erlang):
    """A Daemon whose companion is a node; epmd: the port that it has for this test."""
    erlang = {"node": "shop@127.0.0.1", "cookie_file": str(cookie), **({"epmd": True} if epmd else {}), **erlang}
    return Daemon(config={**(config or {}), "erlang": erlang}, env={"ERL_EPMD_PORT": str(epmd or free_port())})


def fails(daemon):
    """The exit status and log of a daemon that does not start."""
    try:
        daemon.launch()
        return daemon.wait(), daemon.log()
    finally:
        daemon.stop()


def say(daemon, *args):
    told = daemon.hornbeam(*args)
    assert told.returncode == 0, told.stderr
    return told.stdout.strip()


def rpc(daemon, *args):
    """What a call of another node returns, atoms as strings."""
    told = json.loads(say(daemon, "rpc", "call", *args), object_hook=lambda o: o.get("$atom", o))
    assert told is not None
    return told


def names(port):
    """The nodes that epmd knows."""
    told = subprocess.run(["epmd", "-port", str(port), "-names"], capture_output=True, text=True, check=False)
    return set(re.findall(r"^name (\S+) at port", told.stdout, re.MULTILINE))


def epmd_pid(daemon):
    return next((p for p in children(daemon.proc.pid) if daemon.cmdline(p).startswith(b"epmd\0")), None)


@pytest.mark.parametrize("host", HOSTS)
def test_nodes_find_each_other_by_epmd_and_are_kept_connected(cookie, host):
    port = free_port()
    with cluster(cookie, node=f"shop@{host}", epmd=port, connect=[f"worker@{host}"]) as d:
        worker = Beam(f"worker@{host}", COOKIE, epmd=port)
        eventually(lambda: f"worker@{host} does not run" in d.log())
        assert say(d, "nodes") == ""
        with worker:
            connected(d, f"worker@{host}")
            assert say(d, "node") == f"shop@{host}"
            assert rpc(d, f"worker@{host}", "erlang", "node") == f"worker@{host}"
            assert rpc(d, f"worker@{host}", "erlang", "nodes") == [f"shop@{host}"]
        connected(d)
        with worker:
            connected(d, f"worker@{host}")
        connected(d)
        log = d.log()
        assert log.count(f"cluster: worker@{host} is connected") == 2
        assert log.count(f"cluster: worker@{host} has gone") == 2
        assert 1 <= log.count(f"worker@{host} does not run") <= 3  # once each time that it was away, and seen so
        assert log.count("it is tried again") <= 3


def has_ipv6_localhost():
    try:
        return any(a[4][0] == "::1" for a in socket.getaddrinfo("localhost", 0, socket.AF_INET6))
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6_localhost(), reason="localhost is no IPv6 address here")
def test_nodes_connect_by_ipv6(cookie):
    port = free_port()
    with cluster(cookie, node="shop@localhost", listen="::1", epmd=port) as d:
        with Beam("worker@localhost", COOKIE, epmd=port, listen="::1", args=["-proto_dist", "inet6_tcp"]):
            assert rpc(d, "worker@localhost", "erlang", "node") == "worker@localhost"
        assert all(is_loopback(a) for a in listeners(d.proc.pid))


def test_cluster_without_epmd_has_one_port(cookie):
    port, epmd = free_port(), free_port()
    with Beam("a@127.0.0.3", COOKIE, port=port), Beam("b@127.0.0.4", COOKIE, port=port) as b:
        with cluster(cookie, node="shop@127.0.0.2", listen="127.0.0.2", port=port, connect=["a@127.0.0.3"]) as d:
            connected(d, "a@127.0.0.3")
            assert rpc(d, "b@127.0.0.4", "erlang", "node") == "b@127.0.0.4"
            connected(d, "a@127.0.0.3", "b@127.0.0.4")
            b.kill()
            connected(d, "a@127.0.0.3")
            with Beam("c@127.0.0.5", COOKIE, port=port, args=["-eval", "true = net_kernel:connect_node('shop@127.0.0.2')."]):
                connected(d, "a@127.0.0.3", "c@127.0.0.5")
            assert not answers(epmd)
            assert "not registered with epmd" in d.log()


def test_node_without_epmd_or_port_connects_to_others(cookie):
    port = free_port()
    with cluster(cookie, epmd=port, node="first@127.0.0.1") as first:
        with Beam("worker@127.0.0.1", COOKIE, epmd=port):
            second = cluster(cookie, node="second@127.0.0.1", connect=["worker@127.0.0.1"])
            second.env["ERL_EPMD_PORT"] = str(port)
            with second:
                eventually(lambda: "worker@127.0.0.1" in say(second, "nodes"))
                assert "others cannot find it" in second.log()
                assert names(port) == {"first", "worker"}


@pytest.mark.parametrize("host", HOSTS)
def test_wrong_cookie_is_told(cookie, host):
    port = free_port()
    with cluster(cookie, node=f"shop@{host}", epmd=port, connect=[f"worker@{host}"]) as d:
        with Beam(f"worker@{host}", "another", epmd=port):
            told = d.hornbeam("rpc", "call", f"worker@{host}", "erlang", "node")
            assert told.returncode == 3
            assert "cookie" in told.stderr
            assert say(d, "nodes") == ""


@pytest.mark.parametrize("host", HOSTS[:1])
def test_a_node_that_comes_back_with_another_cookie_is_told_of(cookie, host):
    port = free_port()
    with cluster(cookie, node=f"shop@{host}", epmd=port, connect=[f"worker@{host}"]) as d:
        with Beam(f"worker@{host}", COOKIE, epmd=port):
            connected(d, f"worker@{host}")
        connected(d)
        with Beam(f"worker@{host}", "another", epmd=port):
            eventually(lambda: "most likely its cookie is not ours; it is tried again" in d.log())


def test_causes_in_the_log_name_what_is_wrong(cookie):
    port = free_port()
    names = ["worker@no.such.host.invalid", "away@127.0.0.1", "noepmd@127.0.0.9"]
    with cluster(cookie, epmd=port, connect=names) as d:
        eventually(lambda: d.log().count("it is tried again") >= 3)
        log = d.log()
        assert "cannot reach worker@no.such.host.invalid: the host no.such.host.invalid has no address" in log
        assert "away@127.0.0.1 does not run: epmd on 127.0.0.1 knows no node away" in log
        assert "noepmd@127.0.0.9 does not run: no epmd answers on 127.0.0.9" in log


def test_restarted_companion_has_its_name_cookie_and_nodes_again(cookie):
    port = free_port()
    with cluster(cookie, epmd=port, connect=["worker@127.0.0.1"]) as d, Beam("worker@127.0.0.1", COOKIE, epmd=port):
        connected(d, "worker@127.0.0.1")
        old = d.companion_pid()
        os.kill(old, signal.SIGKILL)
        eventually(lambda: d.companion_pid() not in (None, old))
        eventually(lambda: d.hornbeam("node").stdout.strip() == "shop@127.0.0.1", 20)
        connected(d, "worker@127.0.0.1")
        assert cookie.read_text() == COOKIE
        d.note()


def test_everything_listens_on_the_loopback_only(cookie):
    with cluster(cookie, epmd=free_port()) as d:
        found = listeners(d.proc.pid)
        assert len(found) >= 4  # HTTP, the node, epmd on IPv4 and IPv6
        assert all(is_loopback(a) for a in found), found


def test_epmd_ends_with_the_service(cookie):
    port = free_port()
    with cluster(cookie, epmd=port) as d:
        pid = epmd_pid(d)
        assert pid and answers(port)
    assert not answers(port) and not alive(pid)


def test_epmd_ends_with_a_master_that_is_killed(cookie):
    port = free_port()
    d = cluster(cookie, epmd=port)
    with contextlib.ExitStack() as stack:
        stack.callback(d.stop)
        d.start()
        pid = epmd_pid(d)
        d.note()
        d.proc.kill()
        d.wait()
        eventually(lambda: not alive(pid) and not answers(port))


def test_epmd_that_dies_is_started_again_and_has_the_name_again(cookie):
    port = free_port()
    with cluster(cookie, epmd=port) as d:
        old = epmd_pid(d)
        os.kill(old, signal.SIGKILL)
        eventually(lambda: epmd_pid(d) not in (None, old))
        eventually(lambda: names(port) == {"shop"}, 20)
        d.note()


def test_epmd_that_runs_already_is_used_and_left_alone(cookie):
    port = free_port()
    epmd = subprocess.Popen(["epmd", "-address", "127.0.0.1", "-port", str(port)], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(port))
        with cluster(cookie, epmd=port) as d:
            assert epmd_pid(d) is None
            assert f"epmd: one runs on port {port} already; it is used" in d.log()
            assert names(port) == {"shop"}
        assert epmd.poll() is None and answers(port)
    finally:
        epmd.kill()
        epmd.wait()


def test_name_that_epmd_has_already_is_refused(cookie):
    port = free_port()
    with cluster(cookie, epmd=port):
        status, log = fails(cluster(cookie, epmd=port))
    assert status == 69
    assert "erlang.node: this cannot become the node shop@127.0.0.1: epmd has a node of this name already" in log


def test_port_that_is_taken_is_refused(cookie):
    port = free_port()
    with cluster(cookie, port=port):
        status, log = fails(cluster(cookie, port=port, node="other@127.0.0.1"))
    assert status == 69
    assert f"erlang.listen: cannot listen on 127.0.0.1 port {port}: address already in use" in log


def test_address_that_the_name_does_not_have_is_warned_of(cookie):
    with cluster(cookie, node="shop@127.0.0.7") as d:
        assert "the host of shop@127.0.0.7 is 127.0.0.7, but erlang.listen is 127.0.0.1" in d.log()


def test_without_a_name_there_is_no_distribution():
    with Daemon() as d:
        assert say(d, "node") == "nonode@nohost"
        assert say(d, "nodes") == ""
        assert len(listeners(d.proc.pid)) == 1  # HTTP


# The cookie.


def test_cookie_is_made_for_the_user_alone_and_is_seen_nowhere(tmp_path):
    path = tmp_path / "state" / "cookie"
    with cluster(path) as d:
        made = path.stat()
        text = path.read_text()
        assert stat.S_IMODE(made.st_mode) == 0o400 and made.st_uid == os.geteuid()
        assert re.fullmatch("[0-9a-f]{64}", text)
        assert stat.S_IMODE(path.parent.stat().st_mode) & 0o007 == 0
        for pid in [d.proc.pid, *descendants(d.proc.pid)]:
            assert text.encode() not in d.cmdline(pid)
            assert text.encode() not in pathlib.Path(f"/proc/{pid}/environ").read_bytes()
        assert text not in d.log()
        assert text not in d.hornbeam("config", "show").stdout
    with cluster(path):
        assert path.read_text() == text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_cookie_made_by_root_is_the_users():
    nobody = pwd.getpwnam("nobody")
    d = Daemon(config={"user": "nobody"})
    path = d.dir / "state" / "cookie"
    d.config["erlang"] = {"node": "shop@127.0.0.1", "cookie_file": str(path)}
    d.env.update(readable_build(d))
    os.chown(d.socket.parent, nobody.pw_uid, nobody.pw_gid)
    with d:
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (nobody.pw_uid, 0o400)
        assert path.parent.stat().st_uid == nobody.pw_uid
        assert say(d, "node") == "shop@127.0.0.1"


@pytest.mark.parametrize(("text", "mode", "status", "cause"), [
    ("secret", 0o440, 77, "is open to others (mode 0440), and whoever knows it can do anything here: chmod 400 "),
    ("secret", 0o604, 77, "is open to others (mode 0604)"),
    ("", 0o400, 78, "is empty; remove it, and a new one is made"),
    ("\n", 0o400, 78, "is empty; remove it, and a new one is made"),
    ("a\nb", 0o400, 78, "is not one line of at most 255 bytes"),
    ("x" * 256, 0o400, 78, "is not one line of at most 255 bytes"),
])
def test_cookie_that_is_none_or_no_secret_is_refused(tmp_path, text, mode, status, cause):
    path = cookie_file(tmp_path, text, mode)
    got, log = fails(cluster(path))
    assert got == status
    assert f"erlang.cookie_file: {path} {cause}" in log
    assert text.strip() == "" or f"{text}:" not in log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_cookie_of_another_user_is_refused(tmp_path):
    path = cookie_file(tmp_path)
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    d = cluster(path)
    status, log = fails(d)
    assert status == 77
    assert f"erlang.cookie_file: {path} belongs to another user" in log
    check = Daemon(config=d.config)
    try:
        check.args = ["--check"]
        check.launch()
        assert check.wait() == 77
        assert f"hornbeamd: erlang.cookie_file: {path} belongs to another user" in check.log()
    finally:
        check.stop()


def test_cookie_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    status, log = fails(cluster(tmp_path / "file" / "cookie"))
    assert status == 77 or status == 73
    assert f"{tmp_path}/file/cookie" in log


# TLS.


@pytest.fixture
def tls_options(tmp_path):
    """A file for ssl_dist_optfile; both sides show and want a certificate of the same authority."""
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run([*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt"],
                   cwd=tmp_path, check=True, capture_output=True)
    subprocess.run([*new, "-subj", "/CN=node", "-CA", "ca.crt", "-CAkey", "ca.key", "-keyout", "node.key", "-out", "node.crt",
                    "-addext", "basicConstraints=critical,CA:FALSE",
                    "-addext", "subjectAltName=DNS:localhost"], cwd=tmp_path, check=True, capture_output=True)
    side = (f'{{certfile, "{tmp_path}/node.crt"}}, {{keyfile, "{tmp_path}/node.key"}}, '
            f'{{cacertfile, "{tmp_path}/ca.crt"}}, {{verify, verify_peer}}')
    path = tmp_path / "tls.conf"
    path.write_text(f"[{{server, [{side}, {{fail_if_no_peer_cert, true}}]}},\n"
                    f" {{client, [{side}]}}].\n")
    return path


def test_nodes_speak_tls(cookie, tls_options):
    port = free_port()
    tls = ["-proto_dist", "inet_tls", "-ssl_dist_optfile", str(tls_options)]
    with cluster(cookie, epmd=port, tls=str(tls_options), node="shop@localhost") as d:
        with Beam("worker@localhost", COOKIE, epmd=port, args=tls):
            assert rpc(d, "worker@localhost", "erlang", "node") == "worker@localhost"
        with Beam("plain@localhost", COOKIE, epmd=port):
            told = d.hornbeam("rpc", "call", "plain@localhost", "erlang", "node")
            assert told.returncode in (3, 5)
        assert all(is_loopback(a) for a in listeners(d.proc.pid))


@pytest.mark.parametrize(("text", "cause"), [
    (None, "no such file or directory"),
    ("[{server, [}].\n", "syntax error"),
    ("{server, []}.\n", "is not one list of options"),
])
def test_tls_options_that_cannot_be_read_are_refused(cookie, tmp_path, text, cause):
    path = tmp_path / "tls.conf"
    if text is not None:
        path.write_text(text)
    status, log = fails(cluster(cookie, tls=str(path)))
    assert status == 69
    assert f"erlang.tls: {path}" in log and cause in log
