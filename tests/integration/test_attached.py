"""hornbeam:start in an Erlang node: hornbeamd is the node's port, the node the companion."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import time

import pytest
from erlang_node import Node
from harness import BUILD, PRELOAD, PYTHON, SLOW, alive, descendants, environment, eventually, free_port, pause

APP = {
    "app.py": """
import os
import sys
import time

from hornbeam_erlang import call, state_get, state_incr, state_set


def application(environ, start_response):
    path, root = environ['PATH_INFO'], environ['SCRIPT_NAME']
    if path == '/slow':
        state_set('slow', True)
        while state_get('slow'):
            time.sleep(0.01)
        body = 'done'
    elif path == '/incr':
        body = str(state_incr('visits'))
    elif path == '/get':
        body = repr(state_get(environ['QUERY_STRING']))
    elif path.startswith('/call/'):
        body = repr(call(*path[6:].split('/')))
    elif path == '/own':
        body = repr(environ.get('hornbeam.request'))
    elif path == '/pid':
        body = str(os.getpid())
    elif path == '/environ':
        body = repr(sorted(os.environ))
    elif path.startswith('/print'):
        print(path[7:], flush=True)
        body = ''
    elif path == '/bytes':
        os.write(1, b'caf\\xc3\\xa9 \\xff\\x1b[31m ' + b'x' * 10000 + b'\\nnext\\n')
        body = ''
    elif path == '/unended':
        os.write(1, b'y' * 5000)
        body = ''
    elif path in ('/flood', '/burst'):
        for i in range(20000 if path == '/flood' else 250):
            print(path[1:], i)
        sys.stdout.flush()
        body = ''
    elif path == '/raise':
        raise ValueError('oh')
    elif path == '/daemon':
        if os.fork() == 0:
            os.setsid()
            os.execlp('sleep', 'sleep', '300')
        body = ''
    else:
        body = 'hello from ' + root
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [body.encode()]


async def asgi(scope, receive, send):
    if scope['type'] == 'lifespan':
        return
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'asgi'})
""",
    "broken.py": "import nothing_of_this_name\n",
    "stuck.py": "import time\ntime.sleep(600)\n",
}


@contextlib.contextmanager
def node(**more):
    with Node(files=APP, **more) as n:
        yield n


@pytest.fixture(scope="module")
def idle():
    """A node for starts that fail."""
    with node() as n:
        yield n


@pytest.fixture(scope="module")
def serving():
    with node() as n:
        n.eval("logger:set_module_level(hornbeam_attached_log, info).")
        yield n.start_app()


def wait_for_status(n, status):
    eventually(lambda: f"status => {status}" in n.eval("hornbeam_attached:info()."), 20, f"never {status}")


def command(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


# Start and stop.


def test_start_returns_when_http_is_served_and_stop_when_it_has_ended():
    with node() as n:
        n.start_app()
        assert n.get("/").text == "hello from "
        daemons = n.daemons()
        assert len(daemons) == 1
        assert n.eval("hornbeam:stop().") == "ok"
        assert not alive(daemons[0]) and not list(n.runtime.iterdir())
        with pytest.raises(ConnectionRefusedError):
            n.get("/")
        assert n.eval("hornbeam:stop().") == "{error,not_started}"


def test_start_and_stop_again_and_again_in_one_node():
    with node() as n:
        for i in range(1, 4):
            n.start_app()
            assert n.get("/incr").text == str(i)  # the state is the node's
            assert n.eval("hornbeam:stop().") == "ok"
        assert n.eval("[supervisor:which_children(S) || S <- [hornbeam_link_links_sup]].") == "[[]]"


def test_stop_of_the_application_and_of_the_node_drains():
    with node() as n:
        n.start_app()
        assert n.eval("application:stop(hornbeam).") == "ok"
        assert not n.daemons() and not list(n.runtime.iterdir())
        n.start_app()
        assert n.get("/").status == 200  # and the end of the block is init:stop()


def test_stop_lets_requests_in_progress_finish():
    with node() as n:
        n.start_app(threads="2")
        with subprocess.Popen(["curl", "-sS", "--max-time", "60", f"http://127.0.0.1:{n.port}/slow"],
                              stdout=subprocess.PIPE, text=True) as slow:
            eventually(lambda: n.eval('hornbeam_state:get(<<"slow">>).') == "true")
            n.eval("Me = self(), spawn(fun() -> Me ! {stopped, hornbeam:stop()} end).")
            wait_for_status(n, "draining")
            assert slow.poll() is None
            n.eval('hornbeam_state:set(<<"slow">>, false).')
            assert slow.communicate(timeout=20 * SLOW)[0] == "done"
        assert n.eval("receive {stopped, R} -> R end.") == "ok"
        assert not [m for m in n.lines() if "killing" in m]  # it has ended by itself


def test_a_second_start_tells_of_the_first(serving):
    pid = serving.eval("whereis(hornbeam_attached).")
    assert serving.eval('hornbeam:start("app:application").') == f"{{error,{{already_started,{pid}}}}}"
    assert serving.get("/").status == 200


def test_of_many_starts_at_once_one_wins():
    with node() as n:
        n.eval(f"O = {n.options()}.")
        got = n.eval("Me = self(), [spawn(fun() -> Me ! {r, hornbeam:start(\"app:application\", O)} end) || _ <- [1,2,3,4,5]], "
                     "lists:sort([receive {r, R} -> R end || _ <- [1,2,3,4,5]]).")
        assert got.count("{ok,") == 1 and got.count("already_started") == 4
        assert len(n.daemons()) == 1 and n.get("/").status == 200


def test_stop_in_the_middle_of_a_start():
    with node() as n:
        n.eval(f'O = {n.options()}, Me = self(), spawn(fun() -> Me ! {{r, hornbeam:start("stuck:application", O)}} end).')
        wait_for_status(n, "starting")
        eventually(n.daemons)
        assert n.eval("hornbeam:stop().") == "ok"
        assert n.eval("receive {r, R} -> R end.") == '{error,{ended,<<"stopped meanwhile">>}}'
        assert not n.daemons()


def test_the_directory_is_private_and_so_is_the_configuration(serving):
    (directory,) = serving.runtime.iterdir()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "hornbeam.json").stat().st_mode) == 0o600


def test_what_a_killed_node_left_goes_with_hornbeamd():
    with node() as n:
        n.start_app()
        assert len(list(n.runtime.iterdir())) == 1
        n.kill()
        assert not list(n.runtime.iterdir())


def test_what_a_node_and_hornbeamd_left_that_were_killed_goes_with_the_next_node():
    with node() as n:
        n.start_app()
        left = next(n.runtime.iterdir())
        (daemon,) = n.daemons()
        pause(daemon)
        n.note()
        n.proc.kill()
        n.proc.wait()
        os.kill(daemon, signal.SIGKILL)
        eventually(lambda: not any(alive(p) for p in n.seen))
        assert left.exists()
        with Node(files=APP, env={"XDG_RUNTIME_DIR": str(n.runtime)}) as other:
            other.start_app()
            assert not left.exists()


# The ends of processes.


def test_a_killed_node_leaves_no_process():
    with node() as n:
        n.start_app(workers="2", threads="2")
        n.note()
        assert len(n.seen) >= 3
        n.kill()
        with pytest.raises(ConnectionRefusedError):
            n.get("/")


def test_a_killed_hornbeamd_is_started_again_and_the_log_says_so():
    with node() as n:
        n.start_app()
        n.get("/incr")
        (first,) = n.daemons()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: n.daemons() not in ([], [first]))
        wait_for_status(n, "ready")
        assert n.get("/incr").text == "2"
        eventually(lambda: f"process {first}, has ended (killed by signal 9); starting another in 0 ms" in n.log())
        assert "restarts => 1" in n.eval("hornbeam_attached:info().")


def test_a_hornbeamd_that_cannot_come_back_is_tried_again_with_growing_pauses():
    with node() as n:
        n.start_app()
        (first,) = n.daemons()
        (n.app / "app.py").rename(n.app / "away.py")
        os.kill(first, signal.SIGKILL)
        tries = r"cannot be loaded: ModuleNotFoundError: No module named 'app'; python.path is [^ ]*\); starting another in (\d+) ms"
        eventually(lambda: len(re.findall(tries, n.log())) >= 3, 30)
        pauses = [int(ms) for ms in re.findall(tries, n.log())]
        assert pauses[0] >= 100 and pauses == sorted(set(pauses))
        (n.app / "away.py").rename(n.app / "app.py")
        wait_for_status(n, "ready")
        assert n.get("/").status == 200


def test_stop_between_two_tries():
    with node() as n:
        n.start_app()
        (first,) = n.daemons()
        (n.app / "app.py").unlink()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: "starting another in 400 ms" in n.log(), 30)
        assert n.eval("hornbeam:stop().") == "ok"
        eventually(lambda: not n.daemons())
        assert not list(n.runtime.iterdir())
        assert n.eval("hornbeam:stop().") == "{error,not_started}"


def test_the_end_is_seen_where_a_program_of_the_application_holds_the_output_open():
    with node() as n:
        n.start_app()
        assert n.get("/daemon").status == 200
        sleeper = eventually(lambda: next((p for p in descendants(n.proc.pid) if command(p) == "sleep"), None))
        (first,) = n.daemons()
        try:
            os.kill(first, signal.SIGKILL)
            eventually(lambda: n.daemons() not in ([], [first]))
            wait_for_status(n, "ready")
            assert n.get("/").status == 200
            assert n.eval("hornbeam:stop().") == "ok"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(sleeper, signal.SIGKILL)


def test_a_killed_process_of_ours_is_started_again_by_its_supervisor():
    with node() as n:
        n.start_app()
        (first,) = n.daemons()
        assert n.eval("exit(whereis(hornbeam_attached), kill).") == "true"
        eventually(lambda: n.daemons() not in ([], [first]), 20)
        eventually(lambda: not alive(first))
        wait_for_status(n, "ready")
        assert n.get("/").status == 200
        assert len(list(n.runtime.iterdir())) == 1


@pytest.mark.parametrize("victim", ["hornbeam_casts", "hornbeam_python", "hornbeam_link_sup", "hornbeam_core_sup"])
def test_hornbeamd_serves_on_while_the_companion_is_made_anew(victim):
    with node() as n:
        n.start_app()
        n.get("/incr")
        (first,) = n.daemons()
        n.note()
        before = n.eval("whereis(hornbeam_link_listener).")
        assert n.eval(f"exit(whereis({victim}), kill).") == "true"
        # All links have gone by then: none can lose the answer to a call that it has run.
        eventually(lambda: n.eval("whereis(hornbeam_link_listener).") not in ("undefined", before))
        assert n.get("/").text == "hello from "
        value = "1" if victim == "hornbeam_core_sup" else "2"  # the table went with its owner
        eventually(lambda: n.get("/incr").text == value)
        assert n.daemons() == [first] and "restarts => 0" in n.eval("hornbeam_attached:info().")
        assert n.hornbeam("state", "get", "visits").stdout == f"{value}\n"
        assert n.eval("hornbeam:stop().") == "ok"
        assert not list(n.runtime.iterdir())


def test_a_killed_root_ends_the_application_and_hornbeamd_and_both_start_again():
    with node() as n:
        n.start_app()
        n.get("/incr")
        (first,) = n.daemons()
        n.eval("hornbeam:register_function(add, fun([A, B]) -> A + B end).")
        assert n.eval("exit(whereis(hornbeam_sup), kill).") == "true"
        eventually(lambda: not alive(first))
        eventually(lambda: n.eval("lists:keymember(hornbeam, 1, application:which_applications()).") == "false")
        assert n.eval("{hornbeam_attached:info(), hornbeam:stop()}.") == "{{error,not_started},{error,not_started}}"
        assert n.eval("try hornbeam:call(add, [1, 2]) catch error:{Class, _} -> Class end.") == "system"
        n.start_app()
        assert n.get("/incr").text == "1"  # the state went with the application
        assert len(n.daemons()) == 1 and len(list(n.runtime.iterdir())) == 1


def test_a_stopped_hornbeamd_is_killed_at_the_end_of_its_time():
    with node() as n:
        n.start_app(graceful_timeout="0")
        (first,) = n.daemons()
        pause(first)
        assert n.eval("hornbeam:stop().") == "ok"
        assert not alive(first)
        eventually(lambda: [m for m in n.lines("warning") if "did not end by itself; killing it" in m])


# What goes wrong at the start.

WRONG = [
    ({"wrkers": "1"}, r"{unknown_option,wrkers,<<\"unknown option wrkers; do you mean 'workers'\?\">>}"),
    ({"foo": "1"}, r'{unknown_option,foo,<<"unknown option foo">>}'),
    ({"bind": '"nonsense"'}, r"{configuration,<<\"listen.0.: .*nonsense"),
    ({"bind": "{1,2}"}, r"{bad_option,bind,"),
    ({"bind": "70000"}, r"{bad_option,bind,"),
    ({"bind": '"1.2.3.4:80"'}, r"{address,<<\"listen: 1.2.3.4:80: "),
    ({"workers": "0"}, r"{configuration,<<\"workers: "),
    ({"workers": "many"}, r"{configuration,<<\"workers: expected auto or a number, found "),
    ({"threads": "-1"}, r"{configuration,<<\"threads: "),
    ({"worker_class": "gthread"}, r'{bad_option,worker_class,<<"worker_class: wsgi or asgi'),
    ({"timeout": "30000"}, r"{bad_option,timeout,<<.*in seconds, 3600 at most; .*30000ms"),
    ({"timeout": "forever"}, r"{bad_option,timeout,"),
    ({"timeout": '"30 parsecs"'}, r"{configuration,<<\"timeouts.request: "),
    ({"keepalive": "-1"}, r"{bad_option,keepalive,"),
    ({"max_requests": "1.5"}, r"{configuration,<<\"max_requests: "),
    ({"lifespan": "sometimes"}, r"{configuration,<<\"lifespan: "),
    ({"pythonpath": "17"}, r"{bad_option,pythonpath,"),
    ({"venv": '"/nonexistent"'}, r"{configuration,<<\"python.venv: "),
    ({"websocket_timeout": "60000"}, r"{bad_option,websocket_timeout,"),
    ({"websocket_max_frame_size": "lots"}, r"{configuration,<<\"websocket.max_message: "),
    ({"ssl": "true"}, r'{bad_option,ssl,<<"ssl: TLS is not available in this release'),
    ({"certfile": '"a.crt"'}, r"{bad_option,certfile,<<\"certfile: TLS is not available"),
    ({"keyfile": '"a.key"'}, r"{bad_option,keyfile,<<\"keyfile: TLS is not available"),
    ({"hooks": "#{on_requst => fun(R) -> R end}"}, r"{unknown_option,on_requst,<<.*do you mean 'on_request'\?"),
    ({"hooks": "#{on_request => fun(A, B) -> A end}"}, r"{bad_option,hooks,<<\"hooks: on_request is .* 1 argument"),
    ({"hooks": "[]"}, r"{bad_option,hooks,"),
    ({"hooks": "#{on_request => {no_module, f}}"}, r"{bad_option,hooks,<<\"hooks: on_request: this node has no function no_module:f/1"),
    ({"hooks": "#{on_error => {lists, nth_of}}"}, r"{bad_option,hooks,<<\"hooks: on_error: this node has no function lists:nth_of/2"),
    ({"config": "#{nonsense => 1}"}, r"{configuration,<<\"nonsense: unknown key"),
    ({"config": "#{erlang => #{node => x}}"}, r"{bad_option,config,<<\"config: erlang: this node is the companion"),
    ({"config": "#{user => www}"}, r"{bad_option,config,"),
    ({"config": "#{limits => #{body => self()}}"}, r"{bad_option,config,"),
    ({"config": "[a]"}, r"{bad_option,config,"),
    ({"config": "#{a => [b | c]}"}, r"{bad_option,config,"),
    ({"control": '"/nonexistent/x/control.sock"'}, r"{system,<<\"cannot listen on /nonexistent/x/control.sock.link"),
    ({"hornbeamd": '"/nonexistent/hornbeamd"'}, r'{not_found,<<"/nonexistent/hornbeamd: not found, or not executable">>}'),
    ({"hornbeamd": '"/bin/false"'}, r"{ended,<<\"exit status 1\">>}"),
    ({"start_timeout": "0"}, r"{bad_option,start_timeout,"),
    ({"mounts": "#{}"}, r"{bad_option,mounts,"),
]


@pytest.mark.parametrize(("options", "reason"), WRONG, ids=[" ".join(f"{k}={v}" for k, v in o.items()) for o, _ in WRONG])
def test_a_wrong_option_is_an_error_that_names_it(idle, options, reason):
    result = idle.refused(**options)
    assert re.match(r"\{error," + reason.replace("{", r"\{").replace("}", r"\}"), result), result


@pytest.mark.parametrize(("mounts", "reason"), [
    ("[]", "{bad_option,mounts,"),
    ("[x]", "{bad_option,mounts,"),
    ("#{<<\"/\">> => #{timeout => 1}}", "{bad_option,mounts,"),
    ("#{<<\"/\">> => #{app => <<\"a:b\">>, tmeout => 1}}", "{unknown_option,tmeout,"),
    ("#{<<\"/\">> => 17}", "{bad_option,app,"),
    ("#{<<\"x\">> => <<\"a:b\">>}", "{configuration,"),
    ("#{<<\"/\">> => <<\"no colon\">>}", "{configuration,"),
])
def test_wrong_mounts_are_errors(idle, mounts, reason):
    result = idle.eval(f"hornbeam:start(#{{mounts => {mounts}, bind => {idle.port}}}).")
    assert result.startswith("{error," + reason), result


def test_options_that_are_no_map_are_an_error(idle):
    assert idle.eval('hornbeam:start("app:application", [{workers, 2}]).') == (
        '{error,{bad_option,options,<<"options: a map, such as #{workers => 4}">>}}')


def test_an_application_that_cannot_be_imported_is_told_with_its_last_line(idle):
    assert idle.refused("broken:app") == (
        '{error,{application,<<"the application broken:app cannot be loaded: ModuleNotFoundError: '
        'No module named \'nothing_of_this_name\'; python.venv is not set">>}}')
    eventually(lambda: "Traceback (most recent call last)" in idle.log())


def test_a_port_in_use_is_told(idle):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        assert idle.refused(bind=str(port)) == f'{{error,{{address,<<"listen: 127.0.0.1:{port}: address already in use">>}}}}'


def test_a_start_that_takes_too_long_ends_and_leaves_nothing(idle):
    began = time.monotonic()
    result = idle.refused("stuck:application", start_timeout="1500")
    assert result.startswith('{error,{timeout,<<"hornbeamd did not serve within 1500 ms'), result
    assert time.monotonic() - began < 30 * SLOW


def test_a_failure_leaves_the_node_able_to_start(idle):
    idle.refused("broken:app")
    idle.start_app()
    assert idle.get("/").status == 200
    assert idle.eval("hornbeam:stop().") == "ok"


def test_a_node_of_another_release_is_told():
    with node() as n:
        n.eval('application:load(hornbeam), {ok, K} = application:get_all_key(hornbeam), '
               'application:unload(hornbeam), application:load({application, hornbeam, lists:keyreplace(vsn, 1, K, {vsn, "9.9.9"})}).')
        result = n.refused()
        assert result.startswith("{error,{companion,<<") and "hornbeam 9.9.9" in result, result


# Options that work.


def test_several_applications_are_mounted():
    with node() as n:
        result = n.eval(f'hornbeam:start(#{{mounts => #{{"/" => "app:application", <<"/admin">> => '
                        f'#{{app => "app:application", timeout => 30}}, "/a" => #{{app => <<"app:asgi">>, worker_class => asgi}}}}, '
                        f'bind => [{{{{127,0,0,1}}, {n.port}}}], workers => 1, pythonpath => ["{n.app}"]}}).')
        assert result.startswith("{ok,"), result
        assert n.get("/").text == "hello from "
        assert n.get("/admin/").text == "hello from /admin"
        assert n.get("/a").text == "asgi"


def test_every_familiar_option_sets_its_key():
    with node() as n:
        (n.dir / "other").mkdir()
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", n.dir / "venv"], check=True)
        n.start_app(pythonpath=f'["{n.app}", "{n.dir}/other"]', venv=f'"{n.dir}/venv"',
                    bind=f'["127.0.0.1:{n.port}", "unix:{n.dir}/http.sock"]', workers="2", threads="3", worker_class="wsgi",
                    timeout="20", keepalive="2.5", graceful_timeout='"4s"', max_requests="1000", max_requests_jitter="10",
                    lifespan="off", ssl="false", websocket_timeout="<<\"1m\">>", websocket_max_frame_size="65536",
                    config='#{limits => #{body => "2M", headers => 50}, <<"websocket">> => #{compression => false}, '
                           'python => #{env => #{"GREETING" => "hi"}}, forwarded => #{trust => []}}',
                    access_log=f'"{n.dir}/access.log"')
        (directory,) = n.runtime.iterdir()
        done = subprocess.run([str(BUILD / "hornbeamd"), "-c", str(directory / "hornbeam.json"), "--print-config=json"],
                              env=environment(), check=True, capture_output=True, text=True)
        got = json.loads(done.stdout)
        assert [item["address"] for item in got["listen"]] == [f"127.0.0.1:{n.port}", f"unix:{n.dir}/http.sock"]
        assert (got["workers"], got["threads"], got["lifespan"]) == (2, 3, "off")
        assert got["apps"][0]["interface"] == "wsgi"
        times = got["timeouts"]
        assert (times["request"], times["keepalive"], times["graceful"]) == ("20s", "2500ms", "4s")
        assert (got["max_requests"], got["max_requests_jitter"]) == (1000, 10)
        assert (got["websocket"]["idle"], got["websocket"]["compression"]) in (("1m", False), ("60s", False))
        assert got["websocket"]["max_message"] in (65536, "64K")
        assert got["limits"]["body"] in ("2M", 2 << 20) and got["limits"]["headers"] == 50
        assert (got["python"]["path"], got["python"]["venv"]) == ([str(n.app), f"{n.dir}/other"], f"{n.dir}/venv")
        assert got["python"]["env"] == {"GREETING": "hi"} and got["forwarded"]["trust"] == []
        n.get("/")
        eventually(lambda: "GET / HTTP/1.1" in (n.dir / "access.log").read_text())


def test_the_variables_of_the_node_change_nothing():
    with node(env={"HORNBEAM_WORKERS": "7", "HORNBEAM_SOCKET": "/nonexistent"}) as n:
        n.start_app()
        names = n.get("/environ").text
        assert "'HORNBEAM_WORKERS'" not in names and "'BINDIR'" not in names and "'NOTIFY_SOCKET'" not in names
        assert "workers         1 of 1 ready" in n.hornbeam("status").stdout.replace("workers        1", "workers         1")


def test_the_program_of_the_environment_of_the_application_is_taken():
    with node(args=["-hornbeam", "hornbeamd", '"/nonexistent/hornbeamd"']) as n:
        assert "{error,{not_found,<<\"/nonexistent/hornbeamd" in n.refused()
        n.start_app(hornbeamd=f'"{BUILD}/hornbeamd"')


# The control socket.


def test_the_command_line_works_on_an_attached_daemon(serving):
    serving.get("/incr")
    status = serving.hornbeam("status")
    assert status.returncode == 0, status.stderr
    assert re.search(rf"^companion +ready, process {serving.proc.pid}, attached, ", status.stdout, re.M), status.stdout
    assert serving.hornbeam("ping").returncode == 0
    assert int(serving.hornbeam("state", "get", "visits").stdout) >= 1
    assert f'control => <<"{serving.control()}">>' in serving.eval("hornbeam_attached:info().")


def test_the_control_socket_can_be_elsewhere():
    with node() as n:
        n.start_app(control=f'"{n.dir}/run/control.sock"')
        env = environment(HORNBEAM_SOCKET=f"{n.dir}/run/control.sock")
        assert subprocess.run([str(BUILD / "hornbeam"), "ping"], env=env, check=False).returncode == 0
        assert stat.S_IMODE((n.dir / "run").stat().st_mode) == 0o700
        assert n.eval("hornbeam:stop().") == "ok"
        assert not list((n.dir / "run").iterdir())


def test_reload_takes_new_code():
    with node() as n:
        n.start_app()
        (n.app / "app.py").write_text("def application(e, s):\n    s('200 OK', [])\n    return [b'new']\n")
        done = n.hornbeam("reload")
        assert done.returncode == 0, done.stderr
        assert n.get("/").text == "new"
        assert "restarts => 0" in n.eval("hornbeam_attached:info().")


def test_a_script_uses_the_state_of_the_node(serving):
    code = "import hornbeam_erlang as h; h.state_set('script', [1, 'two']); print(h.state_get('script'))"
    env = environment(HORNBEAM_SOCKET=str(serving.control()), **PRELOAD)
    done = subprocess.run([PYTHON, "-c", code], env=env, check=False, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[1, 'two']\n", done.stderr
    assert serving.eval('hornbeam_state:get(<<"script">>).') == '[1,<<"two">>]'


# Erlang and Python share.


def test_state_is_shared_between_erlang_and_the_application(serving):
    assert serving.eval("hornbeam_state:set(<<\"from_erlang\">>, #{<<\"a\">> => [1, 2.5, <<16#e4/utf8>>]}).") == "ok"
    assert serving.get("/get?from_erlang").text == "{'a': [1, 2.5, 'ä']}"
    before = int(serving.get("/incr").text)
    assert serving.eval('hornbeam_state:incr(<<"visits">>, 10).') == str(before + 10)
    assert int(serving.get("/incr").text) == before + 11


def test_functions_registered_before_and_after_the_start_are_called():
    with node() as n:
        assert n.eval("application:ensure_all_started(hornbeam), hornbeam:register_function(before, fun([X]) -> {ok, [X, 1]} end).") == "ok"
        n.start_app()
        assert n.get("/call/before/a").text == "['a', 1]"
        assert n.eval("hornbeam:register_function(after_start, erlang, byte_size).") == "ok"
        assert n.get("/call/after_start/four").text == "4"
        functions = n.hornbeam("functions").stdout
        assert "before" in functions and "after_start" in functions
        assert n.hornbeam("call", "after_start", "12345").stdout == "5\n"
        assert n.eval("hornbeam:stop().") == "ok"
        n.start_app()
        assert n.get("/call/before/b").text == "['b', 1]"


def test_hooks_of_the_options_see_requests_responses_and_errors():
    with node() as n:
        n.start_app(hooks="""#{
            on_request => fun
                (#{path := <<"/no">>}) -> {403, #{<<"x-why">> => <<"no">>}, "keep out"};
                (#{path := <<"/bad">>}) -> error(broken);
                (Request) -> Request#{role => <<"guest">>}
            end,
            on_response => fun(#{headers := H} = R) -> R#{headers := H#{<<"x-hook">> => <<"seen">>}} end,
            on_error => fun(Error, #{path := Path}) ->
                {500, [Path, " ", io_lib:format("~0p", [Error])]}
            end,
            timeout => 3000, when_down => refuse}""")
        got = n.get("/own")
        assert "'guest'" in got.text and got.headers["x-hook"] == "seen"
        got = n.get("/no")
        assert (got.status, got.headers["x-why"], got.text) == (403, "no", "keep out")
        got = n.get("/bad")
        assert got.status == 500 and got.text == "/bad {error,broken}"
        got = n.get("/raise")
        assert got.status == 500 and got.text == '/raise {python_error,<<"ValueError">>,<<"oh">>}'
        assert n.eval("hornbeam:stop().") == "ok"
        n.start_app()  # without hooks
        got = n.get("/own")
        assert got.text == "None" and "x-hook" not in got.headers


def test_hooks_of_the_environment_are_taken_where_the_options_have_none():
    with node(args=["-hornbeam", "hooks", "#{on_request=>{maps,to_list}}"]) as n:
        n.start_app()
        assert n.get("/").status == 500  # a list is no answer
        n.eval("hornbeam:stop().")
        n.start_app(hooks="#{on_request => fun(R) -> R end}")
        assert n.get("/").status == 200
        n.eval("hornbeam:stop().")
        n.start_app()
        assert n.get("/").status == 500


def test_hooks_go_on_after_hornbeamd_was_started_again():
    with node() as n:
        n.start_app(hooks="#{on_request => fun(_) -> {200, \"hooked\"} end}")
        (first,) = n.daemons()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: n.daemons() not in ([], [first]))
        wait_for_status(n, "ready")
        assert n.get("/").text == "hooked"
        n.eval("exit(whereis(hornbeam_attached), kill).")
        eventually(lambda: n.daemons() not in ([], [first]))
        wait_for_status(n, "ready")
        eventually(lambda: n.get("/").text == "hooked")


# The log.


def test_lines_reach_the_logger_with_their_level_and_one_time_stamp(serving):
    serving.get("/raise")
    eventually(lambda: [m for m in serving.lines("error") if "ValueError: oh" in m])
    (ready,) = [m for m in serving.lines("info") if "master: ready on" in m]
    assert re.match(r"hornbeamd\[\d+\]: master: ready on 127\.0\.0\.1:\d+ with 1 worker$", ready)
    (said,) = [m for m in serving.lines("error") if "GET /raise" in m]
    assert re.match(r"worker 0\[\d+\]: app: GET /raise: ValueError", said)
    stamps = [line.split("|")[1] for line in serving.log().splitlines() if "GET /raise" in line]
    assert len(re.findall(r"\d\d:\d\d:\d\d", " ".join(line for line in serving.log().splitlines() if "GET /raise" in line))) == 1
    assert abs(time.time() - time.mktime(time.strptime(stamps[0][:19], "%Y-%m-%dT%H:%M:%S"))) < 120


def test_what_an_application_prints_is_a_notice(serving):
    serving.get("/print/hello")
    eventually(lambda: "hello" in serving.lines("notice"))


def test_long_lines_are_cut_and_odd_bytes_escaped(serving):
    serving.get("/bytes")
    eventually(lambda: "next" in serving.lines("notice"))
    (line,) = [m for m in serving.lines("notice") if m.startswith("café")]
    assert line.startswith("café \\xff\\x1b[31m xxx") and line.endswith("xxx...") and len(line) < 5000


def test_a_line_that_a_death_cuts_takes_nothing_from_the_next_start():
    with node() as n:
        n.eval("logger:set_module_level(hornbeam_attached_log, info).")
        n.start_app()
        n.get("/unended")
        eventually(lambda: any(m.startswith("yyy") for m in n.lines("notice")))
        os.kill(n.daemons()[0], signal.SIGKILL)
        eventually(lambda: n.log().count(": master: ready on ") == 2)
        assert len(re.findall(r": master: hornbeamd .* starts,", n.log())) == 2


def waiting_lines(n):
    """Of hornbeamd's log, that the node has read and not looked at."""
    return int(n.eval("element(2, process_info(whereis(hornbeam_attached), message_queue_len))."))


def test_a_flood_is_dropped_and_counted_and_others_messages_stay():
    with node() as n:
        n.start_app()
        # The handler may be stopped for a second while its callers are not.
        assert n.eval("logger:update_handler_config(default, config, #{drop_mode_qlen => 400, flush_qlen => 1000}).") == "ok"
        n.eval("spawn(fun() -> [begin logger:warning(\"other ~b\", [I]), timer:sleep(10) end || I <- lists:seq(1, 50)] end).")
        began = time.monotonic()
        assert n.get("/flood", timeout=60).status == 200

        def taken():
            return len([m for m in n.lines("notice") if m.startswith("flood")])

        def dropped():
            told = [re.search(r"(\d+) lines of its log were dropped", m) for m in n.lines("warning")]
            return sum(int(t[1]) for t in told if t)

        # Not of all: what finds the pipe full is dropped, and counted, by the worker.
        eventually(lambda: dropped() > 0)
        eventually(lambda: "other 50" in n.lines("warning"))
        assert {f"other {i}" for i in range(1, 51)} <= set(n.lines("warning"))
        assert 0 < taken() < 200 * (time.monotonic() - began + 2)
        eventually(lambda: waiting_lines(n) < 100)


def test_the_last_lines_are_logged_though_the_application_stops():
    with node() as n:
        n.start_app()
        assert n.get("/burst").status == 200
        assert n.eval("hornbeam:stop().") == "ok"
        eventually(lambda: {f"burst {i}" for i in range(250)} <= set(n.lines("notice")))


def test_a_logger_that_hangs_stops_nothing():
    with node() as n:
        n.start_app()
        assert n.eval("Me = self(), logger:add_handler(stuck, logger_std_h, #{config => #{sync_mode_qlen => 1, drop_mode_qlen => "
                      "1000000, flush_qlen => 1000000, burst_limit_enable => false, file => \"stuck.log\"}}), "
                      "sys:suspend(whereis(logger_std_h_stuck)).") == "ok"
        try:
            assert n.get("/flood", timeout=60).status == 200
            assert n.get("/").status == 200
            n.eval("gen_server:call(hornbeam_attached, info).")
            eventually(lambda: waiting_lines(n) < 100)
        finally:
            n.eval("sys:resume(whereis(logger_std_h_stuck)).")


def test_the_access_log_can_go_to_the_logger():
    with node() as n:
        n.start_app(access_log="logger")
        n.get("/?x=1")
        eventually(lambda: [m for m in n.lines("notice") if '"GET /?x=1 HTTP/1.1" 200' in m])


def test_without_the_option_there_is_no_access_log(serving):
    serving.get("/unseen")
    serving.get("/print/after")
    eventually(lambda: "after" in serving.lines("notice"))
    assert "/unseen" not in serving.log()


# hornbeamd --attached by itself.


@pytest.mark.parametrize(("config", "args", "cause"), [
    ({"hooks": {"on_error": "attached"}}, [], "c.yaml: hooks.on_error: 'attached' is for a hornbeamd that a node has started"),
    ({"user": "root"}, ["--attached"], "c.yaml: user: with --attached it is that of the node; leave it out"),
    ({"group": "root"}, ["--attached"], "c.yaml: group: with --attached it is that of the node; leave it out"),
])
def test_what_cannot_go_together_is_refused(tmp_path, config, args, cause):
    (tmp_path / "c.yaml").write_text(json.dumps({"apps": [{"app": "a:b"}], "control": {"socket": f"{tmp_path}/s"}, **config}))
    for more in ["--check"], []:
        done = subprocess.run([str(BUILD / "hornbeamd"), *args, *more, "-c", str(tmp_path / "c.yaml")], env=environment(),
                              stdin=subprocess.DEVNULL, check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 78 and cause in done.stderr, done.stderr


def test_attached_without_a_node_ends_with_69(tmp_path):
    (tmp_path / "app.py").write_text(APP["app.py"])
    (tmp_path / "c.yaml").write_text(json.dumps({
        "apps": [{"app": "app:application"}], "control": {"socket": str(tmp_path / "control.sock")},
        "listen": f"127.0.0.1:{free_port()}", "python": {"path": [str(tmp_path)]}}))
    run = [str(BUILD / "hornbeamd"), "--attached", "-c", str(tmp_path / "c.yaml")]
    read, write = os.pipe()
    done = subprocess.run(run, stdin=read, env=environment(), check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 69 and "control.sock.link" in done.stderr, done.stderr
    done = subprocess.run(run, stdin=subprocess.DEVNULL, env=environment(), check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 69 and "needs a pipe or a socket" in done.stderr, done.stderr
    os.close(write)
    done = subprocess.run(run, stdin=read, env=environment(), check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "the node has gone" in done.stderr, done.stderr
    os.close(read)
