"""What a reload changes in the companion, which goes on with its state."""

import json

import pytest

from beams import Beam, connected
from harness import Daemon, eventually, free_port
from hook_modules import compile_module

MODULE = """
-module(shop).
-export([one/0, two/0, hook/1]).
one() -> 1.
two() -> 2.
hook(#{path := <<"/closed">>}) -> {410, <<"closed">>};
hook(Request) -> Request.
"""


@pytest.fixture
def shop(tmp_path):
    compile_module(tmp_path, "shop", MODULE)
    d = Daemon(config={"erlang": {"code_path": [str(tmp_path)]}, "functions": {"a": "shop:one", "b": "shop:two"}})
    with d:
        companion = d.companion_pid()
        assert d.hornbeam("state", "set", "kept", "yes").returncode == 0
        yield d
        assert d.companion_pid() == companion
        assert d.hornbeam("state", "get", "kept").stdout == "yes\n"


def reload(d, **changes):
    """Reloads with changed keys; the CompletedProcess."""
    for key, value in changes.items():
        d.config[key] = {**d.config[key], **value} if key == "erlang" else value
    d.file.write_text(json.dumps(d.config))
    done = d.hornbeam("reload")
    d.note()
    return done


def call(d, name):
    done = d.hornbeam("call", name)
    return done.stdout.strip() if done.returncode == 0 else done.returncode


def test_functions_change_at_a_reload(shop):
    assert (call(shop, "a"), call(shop, "b"), call(shop, "c")) == ("1", "2", 1)
    assert reload(shop, functions={"a": "shop:two", "c": "shop:one"}).returncode == 0
    assert (call(shop, "a"), call(shop, "b"), call(shop, "c")) == ("2", 1, "1")


def test_function_that_was_registered_by_code_survives_a_reload(shop):
    shop.hornbeam("rpc", "call", "-", "hornbeam", "register_function", "--term", "b", "shop", "one")
    assert call(shop, "b") == "1"
    assert reload(shop, functions={"a": "shop:one"}).returncode == 0
    assert call(shop, "b") == "1"


@pytest.mark.parametrize("changes", [
    {"functions": {"a": "shop:two", "b": "shop:three"}},
    {"functions": {"a": "shop:two", "b": "stop:two"}},
    {"functions": {"a": "shop:two"}, "hooks": {"on_request": "shop:closed"}},
    {"functions": {"a": "shop:two"}, "hooks": {"on_request": "stop:hook"}},
])
def test_reload_to_what_is_not_there_is_refused_and_changes_nothing(shop, changes):
    done = reload(shop, **changes)
    assert done.returncode != 0
    assert "three" in done.stderr or "closed" in done.stderr or "stop" in done.stderr
    assert (call(shop, "a"), call(shop, "b")) == ("1", "2")
    assert shop.get("/closed").status == 200


def test_failed_workers_give_the_old_functions_back(shop):
    before = shop.worker_pids()
    done = reload(shop, functions={"a": "shop:two"}, apps=[{"mount": "/", "app": "app:missing"}])
    assert done.returncode != 0
    eventually(lambda: (call(shop, "a"), call(shop, "b")) == ("1", "2"))
    assert shop.worker_pids() == before


def test_hooks_begin_and_end_at_a_reload(shop):
    assert shop.get("/closed").status == 200
    assert reload(shop, hooks={"on_request": "shop:hook"}).returncode == 0
    assert shop.get("/closed").status == 410 and shop.get("/").status == 200
    assert reload(shop, hooks={}).returncode == 0
    assert shop.get("/closed").status == 200


def test_rpc_allow_changes_at_a_reload(shop):
    assert shop.hornbeam("rpc", "call", "-", "shop", "one").stdout == "1\n"
    assert reload(shop, rpc={"allow": ["*:shop:two"]}).returncode == 0
    assert shop.hornbeam("rpc", "call", "-", "shop", "one").returncode == 4
    assert shop.hornbeam("rpc", "call", "-", "shop", "two").stdout == "2\n"


def test_log_level_of_the_companion_changes_at_a_reload(shop):
    warn = ["rpc", "call", "-", "logger", "log", "--term", "info"]
    assert reload(shop, log={"level": "error"}).returncode == 0
    assert shop.hornbeam(*warn, '"not heard"').returncode == 0
    assert reload(shop, log={"level": "info"}).returncode == 0
    assert shop.hornbeam(*warn, '"now heard"').returncode == 0
    eventually(lambda: "now heard" in shop.log())
    assert "not heard" not in shop.log()


def test_nodes_to_connect_change_at_a_reload(tmp_path):
    port = free_port()
    (tmp_path / "cookie").write_text("monster")
    (tmp_path / "cookie").chmod(0o400)
    erlang = {"node": "shop@localhost", "epmd": True, "cookie_file": str(tmp_path / "cookie"), "connect": ["a@localhost"]}
    with Daemon(config={"erlang": erlang}, env={"ERL_EPMD_PORT": str(port)}) as d:
        with Beam("a@localhost", "monster", epmd=port) as a, Beam("b@localhost", "monster", epmd=port):
            eventually(lambda: "a@localhost is connected" in d.log())
            assert reload(d, erlang={"connect": ["b@localhost"]}).returncode == 0
            eventually(lambda: "b@localhost is connected" in d.log())
            a.kill()
            connected(d, "b@localhost")
        done = reload(d, erlang={"node": "other@localhost"})
        assert done.returncode == 1
        assert "erlang.node: cannot change at a reload; restart hornbeamd" in done.stderr
