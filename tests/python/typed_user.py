"""A user's program for mypy --strict: what the types of hornbeam_erlang promise.  It is never run."""

from __future__ import annotations

import asyncio
from typing import Any, assert_type

import hornbeam_erlang
from hornbeam_erlang import (
    Atom,
    HornbeamConnectionError,
    HornbeamTimeoutError,
    Subscription,
    aio,
    call,
    cast,
    node,
    nodes,
    publish,
    receive_pubsub,
    rpc_call,
    rpc_cast,
    state_add,
    state_cas,
    state_decr,
    state_delete,
    state_expire,
    state_fetch,
    state_get,
    state_get_multi,
    state_gets,
    state_incr,
    state_keys,
    state_set,
    state_set_multi,
    state_ttl,
    subscribe,
    subscription,
    unsubscribe,
)


def single(name: str) -> None:
    state_set(f"user:{name}", {"name": name, "tags": (b"raw", Atom("new"))}, ttl=1.5)
    assert_type(state_get("user", default=3), Any)
    assert_type(state_add("user", 1, ttl=60), bool)
    assert_type(state_delete("user"), bool)
    assert_type(state_incr("visits", ttl=60) + state_decr("visits", 2), int)
    assert_type(state_expire("user", None), bool)
    assert_type(state_ttl("user"), "float | None")


def several() -> None:
    state_set_multi({"a": 1, "b": "x"}, ttl=5)
    assert_type(state_keys("user:", limit=10), "list[str]")
    assert_type(state_get_multi(key for key in state_keys()), "dict[str, Any]")


def together() -> bool:
    value, version = state_gets("cart")
    assert_type(version, int)
    assert_type(state_fetch("report", lambda: [1, 2], ttl=300), "list[int]")
    return state_cas("cart", value, version)


def calls() -> None:
    assert_type(call("add", 1, 2, timeout_ms=500), Any)
    cast("log_event", "user_login", {"user_id": 123})
    assert_type(rpc_call("worker@gpu-server", "ml_model", "predict", [[1.5]], timeout_ms=30000), Any)
    rpc_cast(node(), "logger", "log", ("info", "text"))
    assert_type(nodes(), "list[str]")


def topics() -> None:
    subscribe("news")
    assert_type(publish("news", {"a": [1]}), int)
    assert_type(receive_pubsub(timeout=0.5), Any)
    unsubscribe("news")
    with subscription("news", "sport") as s:
        assert_type(s.receive(1), "tuple[str, Any] | None")
        for topic, _message in s:
            assert_type(topic, str)
        assert_type(s.dropped + s.gaps, int)


async def topics_without_blocking() -> None:
    await aio.subscribe("news")
    assert_type(await aio.receive_pubsub(), Any)
    async with aio.subscription("news") as s:
        assert_type(s, Subscription)
        assert_type(await s.get(), "tuple[str, Any]")
        assert_type(await s.get(timeout=1), "tuple[str, Any] | None")
        task = asyncio.create_task(s.get())
        async for topic, _message in s:
            assert_type(topic, str)
        await asyncio.wait({task}, return_when=asyncio.FIRST_COMPLETED)


async def number() -> int:
    return 1


async def without_blocking() -> None:
    assert_type(await aio.state_get("user", default=3), Any)
    assert_type(await aio.state_incr("visits", ttl=60), int)
    assert_type(await aio.state_get_multi({"a": 1}), "dict[str, Any]")
    assert_type(await aio.state_fetch("plain", lambda: "text", ttl=5), str)
    assert_type(await aio.state_fetch("number", number), int)
    assert_type(await asyncio.gather(aio.node(), aio.publish("topic", {"a": 1})), "tuple[str, int]")
    assert_type(await asyncio.create_task(aio.call("add", 1, 2, timeout_ms=500)), Any)
    await aio.rpc_cast(await aio.node(), "logger", "log", ["info", "text"])


def errors() -> str:
    try:
        together()
    except (HornbeamConnectionError, HornbeamTimeoutError) as error:
        assert_type(hornbeam_erlang.__version__, str)
        return str(error)
    return ""
