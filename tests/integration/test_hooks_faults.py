"""Hooks that fail, hang or return rubbish, companions that die meanwhile, and clients that leave."""

import contextlib
import json
import os
import signal
import socket
import struct
import time

import pytest
from harness import eventually, pause
from hook_modules import ALL, KINDS, daemon
from http_client import Reader

FAILING = [("throw", "caught stop"), ("error", "caught {error,oops}"), ("exit", "caught {exit,gone}"),
           ("kill", "caught {exit,killed}"), ("sleep", "caught {timeout,on_request}"),
           ("rubbish", "caught {bad_return,{ok,42}}"), ("bad method", "caught {bad_return,#{"),
           ("bad path", "caught {bad_return,#{"), ("bad query", "caught {bad_return,#{"),
           ("bad header", "caught {bad_return,#{"), ("bad status", 'caught {bad_return,{42,<<"x">>}}'),
           ("bad body", "caught {bad_return,{200,42}}"), ("split", "caught {bad_return,{200,"),
           ("huge", "caught {bad_return,"), ("big error", "caught {error,<<"),
           ("collide", 'caught {python_error,<<"ValueError">>,')]


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return request.param


BARE = {"on_request": ALL["on_request"], "on_response": ALL["on_response"]}  # without on_error


@contextlib.contextmanager
def site(kind, tmp_path_factory, hooks):
    with daemon(tmp_path_factory.mktemp("beams"), kind, hooks) as d:
        d.kind = kind
        yield d


@pytest.fixture(scope="module")
def d(kind, tmp_path_factory):
    with site(kind, tmp_path_factory, ALL) as d:
        yield d


@pytest.fixture(scope="module")
def hasty(kind, tmp_path_factory):
    """For the hooks that never end."""
    with site(kind, tmp_path_factory, {**ALL, "timeout": "2s"}) as d:
        yield d


@pytest.fixture(scope="module")
def bare(kind, tmp_path_factory):
    with site(kind, tmp_path_factory, BARE) as d:
        yield d


@pytest.fixture(scope="module")
def hasty_bare(kind, tmp_path_factory):
    with site(kind, tmp_path_factory, {**BARE, "timeout": "2s"}) as d:
        yield d


def marked(tmp_path, name):
    eventually((tmp_path / name).exists, what=f"no mark {name}")
    return (tmp_path / name).read_text()


def held(tmp_path, header="X-Hook", path="/held"):
    """The bytes of a request whose hook waits for the mark `go`."""
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{header}: hold\r\nX-Dir: {tmp_path}\r\n\r\n".encode()


@pytest.mark.parametrize(("what", "text"), FAILING)
def test_what_on_request_does_wrong_goes_to_on_error(d, hasty, what, text):
    d = hasty if what == "sleep" else d
    r = d.get("/p", headers={"X-Hook": what})
    assert (r.status, r.headers["x-failed"]) == (599, "/p") and r.text.startswith(text), r.text
    assert len(r.body) < 20000
    assert d.get("/p").status == 200


@pytest.mark.parametrize("what", ["throw", "error", "exit", "kill", "sleep", "rubbish", "split"])
def test_without_on_error_it_is_500(bare, hasty_bare, what):
    with (hasty_bare if what == "sleep" else bare).connect() as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: h\r\nX-Hook: {what}\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        reader = Reader(s)
        status, _, body = reader.response()
        assert (status, body) == (500, b"Internal Server Error\n")
        assert json.loads(reader.response()[2])["path"] == "/next"


def test_the_log_says_what_a_hook_did(hasty):
    d = hasty
    for what, line in [("throw", "hooks: on_request: throw stop in [{shop_hooks,"), ("error", "error oops in [{shop_hooks,"),
                       ("rubbish", "a status is an integer from 200 to 999; it returned {ok,42}"), ("bad header", "control characters in the value"),
                       ("sleep", "on_request was ended: hooks.timeout is over")]:
        time_logged = d.log().count(line)
        d.get("/", headers={"X-Hook": what, "X-Password": "s3cret"})
        eventually(lambda line=line, n=time_logged: d.log().count(line) > n, what=line)
    assert "s3cret" not in d.log()


@pytest.mark.parametrize("what", ["throw", "rubbish", "request", "sleep"])
def test_a_failure_of_on_error_is_500(d, hasty, what):
    d = hasty if what == "sleep" else d
    for hook, path in (("throw", "/"), ("none", "/raise")):
        r = d.get(path, headers={"X-Hook": hook, "X-Error": what})
        assert (r.status, r.text) == (500, "Internal Server Error\n")


ON_RESPONSE = [("throw", "caught late"), ("rubbish", 'caught {bad_return,<<"rubbish">>}'),
               ("bad header", "caught {bad_return,#{"), ("sleep", "caught {timeout,on_response}")]
PATHS = ["/seen", "/stream", "/large", "/whole", "/parts", "/file", "/write", "/empty", "/unmodified"]


@pytest.mark.parametrize(("path", "what", "text"), [
    (path, what, text) for path in PATHS for what, text in ON_RESPONSE
    if what != "sleep" or path in ("/seen", "/stream", "/write")])
def test_what_on_response_does_wrong_goes_to_on_error(d, hasty, path, what, text):
    d = hasty if what == "sleep" else d
    if d.kind == "asgi" and path in ("/parts", "/file", "/write"):
        pytest.skip("WSGI alone has these")
    r = d.get(path, headers={"X-Response": what})
    assert (r.status, r.headers["x-failed"]) == (599, path) and r.text.startswith(text), r.text
    assert "x-app" not in r.headers


@pytest.mark.parametrize("path", ["/seen", "/stream", "/large", "/write"])
def test_without_on_error_a_failing_on_response_is_500(bare, path):
    if bare.kind == "asgi" and path == "/write":
        pytest.skip("WSGI alone has this")
    r = bare.get(path, headers={"X-Response": "throw"})
    assert (r.status, r.text) == (500, "Internal Server Error\n") and "x-app" not in r.headers


def test_an_endless_stream_ends_when_its_hook_fails(tmp_path):
    with daemon(tmp_path, "asgi") as d:
        assert d.get("/endless", headers={"X-Response": "throw"}).status == 599
        eventually((d.dir / "app" / "file.ended").exists)


@pytest.mark.parametrize(("hook", "line"), [
    ("no_such_module:request", "no_such_module:request/1 is not there: the module cannot be loaded from erlang.code_path (nofile)"),
    ("shop_hooks:nothing", "shop_hooks:nothing/1 is not there: the module does not export it")])
def test_a_hook_that_is_not_there_is_500_and_the_log_says_so(tmp_path, hook, line):
    with contextlib.ExitStack() as stack:
        d = daemon(tmp_path, "in place", {"on_request": hook})
        try:
            stack.enter_context(d)
        except AssertionError as refused:  # it may be refused at the start as well
            assert hook.partition(":")[0] in str(refused)
            return
        assert d.get("/").status == 500
        eventually(lambda: line in d.log())


def test_a_hook_that_fails_each_time_does_not_fill_the_log(bare):
    before, began = bare.log().count("hooks: "), time.monotonic()
    with bare.connect() as s:
        reader = Reader(s)
        for _ in range(300):
            s.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-Hook: throw\r\n\r\n")
            assert reader.response()[0] == 500
    seconds = int(time.monotonic() - began) + 2
    assert bare.log().count("hooks: ") - before <= 20 * seconds


def test_hooks_of_many_requests_overlap(d, tmp_path):
    with contextlib.ExitStack() as stack:
        all_held = [stack.enter_context(d.connect()) for _ in range(200)]
        for s in all_held:
            s.sendall(held(tmp_path))
        marked(tmp_path, "begun")
        assert d.get("/").status == 200
        (tmp_path / "go").touch()
        assert {Reader(s).response()[0] for s in all_held} == {200}


@pytest.mark.parametrize("how", ["reset", "closed"])
@pytest.mark.parametrize("header", ["X-Hook", "X-Response"])
def test_the_hook_of_a_client_that_leaves_is_ended(tmp_path, kind, how, header):
    with daemon(tmp_path, kind, {**ALL, "timeout": "60s"}) as d:
        for path in ("/seen", "/stream"):
            for mark in ("begun", "ended"):
                (tmp_path / mark).unlink(missing_ok=True)
            with d.connect() as s:
                s.sendall(held(tmp_path, header, path))
                marked(tmp_path, "begun")
                if how == "reset":
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            eventually(lambda: marked(tmp_path, "ended") == "killed")
        assert d.get("/").status == 200


def test_who_has_closed_only_his_side_gets_the_answer(d, tmp_path):
    with d.connect() as s:
        s.sendall(held(tmp_path))
        marked(tmp_path, "begun")
        s.shutdown(socket.SHUT_WR)
        (tmp_path / "go").touch()
        assert Reader(s).response()[0] == 200


@pytest.mark.parametrize("header", ["X-Hook", "X-Response"])
def test_a_companion_that_dies_while_hooks_run_is_503_then_well_again(tmp_path, kind, header):
    with daemon(tmp_path, kind, {**ALL, "timeout": "10m"}) as d, contextlib.ExitStack() as stack:
        waiting = [stack.enter_context(d.connect(30)) for _ in range(20)]
        for i, s in enumerate(waiting):
            s.sendall(held(tmp_path, header, "/stream" if i % 2 else "/seen"))
        marked(tmp_path, "begun")
        assert d.get("/").status == 200  # those before it have reached the companion, too
        os.kill(d.companion_pid(), signal.SIGKILL)
        assert {Reader(s).response()[0] for s in waiting} == {503}
        assert "the connection to the companion was lost" in d.log()
        eventually(lambda: d.get("/").status == 200, 30)
        d.note()


def test_a_companion_that_dies_while_no_hook_runs_costs_no_worker(tmp_path, kind):
    with daemon(tmp_path, kind) as d, contextlib.ExitStack() as stack:
        def get():
            s = stack.enter_context(d.connect())  # which stays: each has a number of its own
            s.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            return Reader(s).response()[0]

        assert get() == 200
        workers = d.worker_pids()
        os.kill(d.companion_pid(), signal.SIGKILL)
        eventually(lambda: d.log().count("companion: ready") == 2, 30)
        assert {get() for _ in range(10)} == {200}
        assert d.worker_pids() == workers


def test_a_companion_that_hangs_is_503(tmp_path, kind):
    with daemon(tmp_path, kind, {**ALL, "timeout": "2s"}) as d:
        eventually(lambda: d.get("/").status == 200)
        companion = d.companion_pid()
        pause(companion)
        try:
            assert d.get("/").status == 503
        finally:
            os.kill(companion, signal.SIGCONT)
        eventually(lambda: d.get("/").status == 200, 30)


@pytest.mark.parametrize(("when_down", "status"), [("refuse", 503), ("pass", 200)])
def test_a_companion_that_hangs_before_it_was_ever_asked_is_as_none(tmp_path, kind, when_down, status):
    with daemon(tmp_path, kind, {**ALL, "when_down": when_down}) as d:
        companion = d.companion_pid()
        pause(companion)
        try:
            assert d.get("/seen").status == status
            assert "hooks.timeout is over" not in d.log()
        finally:
            os.kill(companion, signal.SIGCONT)


@pytest.mark.parametrize(("when_down", "status"), [("refuse", 503), ("pass", 200)])
def test_write_while_the_companion_hangs(tmp_path, when_down, status):
    hooks = {"on_response": ALL["on_response"], "when_down": when_down, "timeout": "2s"}
    with daemon(tmp_path, "pool", hooks) as d:
        assert d.get("/write").status == 200
        companion = d.companion_pid()
        pause(companion)
        try:
            assert d.get("/write").status == status
        finally:
            os.kill(companion, signal.SIGCONT)


@pytest.mark.parametrize("path", ["/seen", "/stream", "/large"])
def test_without_a_companion_requests_pass_where_they_may(tmp_path, kind, path):
    with daemon(tmp_path, kind, {**ALL, "when_down": "pass", "timeout": "500ms"}) as d:
        eventually(lambda: d.get("/", headers={"X-Hook": "answer"}).status == 403)
        companion = d.companion_pid()
        pause(companion)
        try:
            r = d.get(path, headers={"X-Hook": "answer", "X-Response": "change"})
            assert r.status == 200 and r.headers["x-app"] == "yes"
            with d.without_companion():
                r = d.get(path, headers={"X-Hook": "answer", "X-Response": "change"})
                assert r.status == 200 and r.headers["x-app"] == "yes"
            assert "on_request was left out: " in d.log() and "on_response was left out: " in d.log()
        finally:
            with contextlib.suppress(OSError):
                os.kill(companion, signal.SIGCONT)
        eventually(lambda: d.get("/", headers={"X-Hook": "answer"}).status == 403, 30)
        d.note()


def test_write_without_a_companion(tmp_path):
    with daemon(tmp_path, "pool", {"on_response": ALL["on_response"]}) as d:
        assert d.get("/write").status == 200
        with d.without_companion():
            assert d.get("/write").status == 503
        eventually(lambda: d.get("/write").status == 200, 30)
        d.note()


@pytest.mark.parametrize("header", ["X-Hook", "X-Response"])
def test_a_drain_waits_for_hooks(tmp_path, kind, header):
    with daemon(tmp_path, kind) as d, d.connect() as s, d.connect() as t:
        s.sendall(held(tmp_path, header))
        t.sendall(held(tmp_path, header, "/stream"))
        marked(tmp_path, "begun")
        assert d.get("/").status == 200
        d.proc.send_signal(signal.SIGTERM)
        eventually(lambda: "connections are open" in d.log())
        (tmp_path / "go").touch()
        for one in (s, t):
            status, fields, _ = Reader(one).response()
            assert (status, fields[b"connection"]) == (200, b"close")
        assert d.wait() == 0


@pytest.mark.parametrize("header", ["X-Hook", "X-Response"])
def test_when_the_time_of_a_drain_is_up_hooks_are_cut(tmp_path, kind, header):
    with daemon(tmp_path, kind, {**ALL, "timeout": "60s"}, config={"timeouts": {"graceful": "500ms"}}) as d, \
            d.connect() as s, d.connect() as t:
        s.sendall(held(tmp_path, header))
        t.sendall(held(tmp_path, header, "/stream"))
        marked(tmp_path, "begun")
        assert d.get("/").status == 200
        d.proc.send_signal(signal.SIGTERM)
        assert d.wait() == 0


def test_a_reload_while_a_hook_runs(tmp_path, kind):
    with daemon(tmp_path, kind) as d, d.connect() as s:
        s.sendall(held(tmp_path))
        marked(tmp_path, "begun")
        pids = d.worker_pids()
        d.proc.send_signal(signal.SIGHUP)
        eventually(lambda: d.worker_pids() and d.worker_pids()[-1] not in pids)
        (tmp_path / "go").touch()
        assert Reader(s).response()[0] == 200
        eventually(lambda: not set(pids) & set(d.worker_pids()))
        assert d.get("/", headers={"X-Hook": "answer"}).status == 403
        d.note()


def test_an_application_that_forks_leaves_the_link_to_the_parent(tmp_path):
    with daemon(tmp_path, "in place") as d:
        (d.dir / "app" / "forks.py").write_text(
            "import os, apps\n"
            "def app(environ, start_response):\n"
            "    if environ['PATH_INFO'] == '/fork':\n"
            "        pid = os.fork()\n"
            "        if pid == 0:\n"
            "            os._exit(0)\n"
            "        os.waitpid(pid, 0)\n"
            "    return apps.wsgi(environ, start_response)\n")
        d.config["apps"] = [{"mount": "/", "app": "forks:app"}]
        d.file.write_text(json.dumps(d.config))
        assert d.hornbeam("reload").returncode == 0
        for _ in range(5):
            assert d.get("/fork").status == 200
            assert d.get("/", headers={"X-Hook": "answer"}).status == 403
        d.note()
