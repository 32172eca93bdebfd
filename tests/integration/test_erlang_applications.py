"""erlang.code_path and erlang.applications: the user's own Erlang in the companion."""

import os
import pathlib
import signal

import pytest

from harness import Daemon, eventually
from hook_modules import compile_module

APP = """
-module(shop_app).
-behaviour(application).
-export([start/2, stop/1]).
start(_, _) -> shop_sup:start_link().
stop(_) -> file:write_file(os:getenv("SHOP_STOPPED"), "stopped").
"""
SUP = """
-module(shop_sup).
-behaviour(supervisor).
-export([start_link/0, init/1]).
start_link() -> supervisor:start_link({local, ?MODULE}, ?MODULE, []).
init([]) -> {ok, {#{intensity => 0, period => 1}, [#{id => shop_db, start => {shop_db, start_link, []}}]}}.
"""
DB = """
-module(shop_db).
-behaviour(gen_server).
-export([start_link/0, get/1, crash/0]).
-export([init/1, handle_call/3, handle_cast/2]).
start_link() -> gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).
get(Id) -> gen_server:call(?MODULE, {get, Id}).
crash() -> gen_server:cast(?MODULE, crash).
init([]) -> ok = hornbeam_state:set(<<"shop">>, <<"is open">>), {ok, none}.
handle_call({get, Id}, _, S) -> {reply, #{<<"id">> => Id}, S}.
handle_cast(crash, _) -> error(out_of_stock).
"""
MODULES = {"shop_app": APP, "shop_sup": SUP, "shop_db": DB}


def resource(name, *, needs=(), start=None):
    """The text of NAME.app."""
    needs = ", ".join(["kernel", "stdlib", *needs])
    mod = f", {{mod, {{{start}, []}}}}" if start else ""
    return f'{{application, {name}, [{{vsn, "1"}}, {{modules, []}}, {{applications, [{needs}]}}{mod}]}}.\n'


def application(directory, name, modules=(), **more):
    """A directory for erlang.code_path with one application."""
    ebin = pathlib.Path(directory) / name / "ebin"
    ebin.mkdir(parents=True)
    (ebin / f"{name}.app").write_text(resource(name, **more))
    for module, source in dict(modules).items():
        compile_module(ebin, module, source)
    return str(ebin)


@pytest.fixture
def shop(tmp_path):
    return application(tmp_path, "shop_erl", MODULES, start="shop_app")


def daemon(code_path, *applications, env=None, **config):
    return Daemon(config={"erlang": {"code_path": code_path, "applications": list(applications)}, **config}, env=env)


def refused(d):
    """What a daemon says whose companion cannot start; it exits with 69."""
    try:
        d.launch()
        assert d.wait() == 69
        return d.log()
    finally:
        d.stop()


def test_application_runs_before_the_service_is_ready(shop):
    with daemon([shop], "shop_erl", functions={"get_user": "shop_db:get"}) as d:
        assert d.hornbeam("state", "get", "shop").stdout == "is open\n"
        assert d.hornbeam("call", "get_user", "--int", "7").stdout == '{"id":7}\n'
        log = d.log()
        assert log.index("applications: starting shop_erl") < log.index("companion: ready")


def test_application_comes_after_those_that_it_needs(tmp_path):
    first = application(tmp_path, "first")
    second = application(tmp_path, "second", needs=["first", "hornbeam"])
    with daemon([first, second], "second") as d:
        running = d.hornbeam("rpc", "call", "-", "application", "which_applications").stdout
        assert "first" in running and "second" in running


def test_application_that_is_not_there_is_named(shop):
    log = refused(daemon([shop], "shop_earl"))
    assert "erlang.applications: shop_earl: there is no shop_earl.app in erlang.code_path or with Erlang itself" in log


def test_directory_above_ebin_is_seen_through(shop):
    above = str(pathlib.Path(shop).parent)
    log = refused(daemon([above, "/no/such/directory"], "shop_erl"))
    assert f"there is no shop_erl.app in erlang.code_path or with Erlang itself; {above} holds no Erlang code; {shop} may be meant" in log
    assert "; /no/such/directory is no directory" in log


def test_module_with_a_name_of_erlang_itself_is_told(tmp_path):
    ebin = application(tmp_path, "shop_erl", {"auth": "-module(auth).\n-export([verify/1]).\nverify(_) -> true."})
    told = f"erlang.code_path: {ebin}/auth.beam has the name of a module of Erlang itself"
    with daemon([ebin]) as d:
        assert f"{told}, which is now hidden" in d.log()
    cookie = tmp_path / "cookie"
    assert f"{told}, which erlang.node may need; rename it" in refused(
        Daemon(config={"erlang": {"code_path": [ebin], "node": "shop@localhost", "cookie_file": str(cookie)}}))


def test_directory_that_holds_nothing_is_warned_of(tmp_path):
    with daemon([str(tmp_path), "/no/such/directory"]) as d:
        assert f"warning companion[{d.companion_pid()}]: erlang.code_path: {tmp_path} holds no Erlang code" in d.log()
        assert "erlang.code_path: /no/such/directory is no directory" in d.log()


def test_application_that_needs_what_is_not_there_says_so(tmp_path):
    ebin = application(tmp_path, "needy", needs=["mnesiac"])
    log = refused(daemon([ebin], "needy"))
    assert "erlang.applications: needy needs mnesiac: there is no mnesiac.app" in log


def test_resource_file_that_cannot_be_read_is_named_with_its_line(tmp_path):
    ebin = application(tmp_path, "needy")
    (pathlib.Path(ebin) / "needy.app").write_text('{application, needy,\n [{vsn, "1"]}.\n')
    log = refused(daemon([ebin], "needy"))
    assert "erlang.applications: needy: needy.app:2: syntax error before: ']'" in log
    # That the master ends the process then is no cause.
    assert log.rstrip().endswith("companion: cannot start")


STARTS = {
    "error(out_of_paint)": "needy_app:start/2 has crashed: out_of_paint at [{needy_app,start,2,",
    "exit(tired)": "needy_app:start/2 has crashed: tired",
    "{error, closed_today}": "needy_app:start/2 has failed: closed_today",
    "hello": "needy_app:start/2 has returned hello, not {ok, Pid}",
    "supervisor:start_link(needy_app, [])": "needy_app:start/2 has failed: child broken: no_paint at [{needy_app,broken,0,",
}


@pytest.mark.parametrize("body", STARTS)
def test_application_that_fails_at_its_start_says_why(tmp_path, body):
    source = f"""
    -module(needy_app).
    -export([start/2, stop/1, init/1, broken/0]).
    start(_, _) -> {body}.
    stop(_) -> ok.
    init([]) -> {{ok, {{#{{}}, [#{{id => broken, start => {{?MODULE, broken, []}}}}]}}}}.
    broken() -> error(no_paint).
    """
    ebin = application(tmp_path, "needy", {"needy_app": source}, start="needy_app")
    log = refused(daemon([ebin], "needy"))
    line = next(line for line in log.splitlines() if "erlang.applications: needy: " in line)
    assert " error hornbeamd[" in line and STARTS[body] in line


def test_application_without_its_module_says_so(tmp_path):
    ebin = application(tmp_path, "needy", start="needy_app")
    assert "erlang.applications: needy: needy_app:start/2 has crashed: undef" in refused(daemon([ebin], "needy"))


def test_companion_that_cannot_start_its_application_later_tries_on(shop):
    with daemon([shop], "shop_erl") as d:
        beam = pathlib.Path(shop) / "shop_db.beam"
        away = beam.rename(beam.with_suffix(".away"))
        os.kill(d.companion_pid(), signal.SIGKILL)
        eventually(lambda: "erlang.applications: shop_erl: shop_app:start/2 has failed: child shop_db" in d.log())
        assert d.get("/").status == 200
        away.rename(beam)
        eventually(lambda: d.hornbeam("state", "get", "shop").returncode == 0, 30)
        d.note()


def test_application_that_ends_is_started_again_and_the_state_stays(shop):
    with daemon([shop], "shop_erl") as d:
        d.hornbeam("state", "set", "kept", "yes")
        companion = d.companion_pid()
        for n in (1, 2):
            d.hornbeam("state", "delete", "shop")
            assert d.hornbeam("rpc", "call", "-", "shop_db", "crash").returncode == 0
            eventually(lambda: d.hornbeam("state", "get", "shop").returncode == 0, 20)
            assert d.log().count("applications: shop_erl has ended: ") == n
        assert d.hornbeam("state", "get", "kept").stdout == "yes\n"
        assert d.companion_pid() == companion


def test_applications_are_stopped_with_the_service(shop, tmp_path):
    stopped = tmp_path / "stopped"
    with daemon([shop], "shop_erl", env={"SHOP_STOPPED": str(stopped)}) as d:
        d.note()
    assert stopped.read_text() == "stopped"


def test_hook_that_is_not_there_is_refused(shop):
    log = refused(daemon([shop], hooks={"on_request": "shop_hooks:request"}))
    assert "hooks.on_request: shop_hooks:request/1: the module is not in erlang.code_path" in log
    log = refused(daemon([shop], hooks={"on_error": "shop_db:get"}))
    assert "hooks.on_error: shop_db:get/2: the module exports no such function" in log


def test_function_that_is_not_there_is_refused(shop):
    log = refused(daemon([shop], functions={"f": "shop_db:got"}))
    assert "functions: f: shop_db:got: the module exports no such function" in log
