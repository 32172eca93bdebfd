"""The functions of hornbeam_erlang as coroutines, for asyncio.

    from hornbeam_erlang import aio

    total = await aio.call("add", 1, 2)
    users = await asyncio.gather(*(aio.state_get(f"user:{i}") for i in range(1000)))

They take the same arguments, return the same values and raise the same errors
as their blocking namesakes, which hold up the loop while they wait; these do
not.  Each loop has a connection of its own, which is opened by the first call
and closed with the loop.  What one pass of the loop asks is sent together.

A coroutine may be cancelled, by asyncio.timeout() too: its answer is dropped, and
the companion stops the function that call or rpc_call began; what changes something,
as state_set and register do, may have changed it.
"""

from __future__ import annotations

import contextlib
from asyncio import CancelledError, Future, get_running_loop, shield
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, TypeVar, overload

from . import _hornbeam
from ._errors import HornbeamConnectionError, HornbeamError, HornbeamTimeoutError
from ._pubsub import Subscription, unsubscribe as _unsubscribe
from ._register import check_name
from ._state import check_compute, computing, items_of, keys_of, limit_of, negated, version_of

__all__ = [
    "call",
    "cast",
    "node",
    "nodes",
    "publish",
    "receive_pubsub",
    "register",
    "rpc_call",
    "rpc_cast",
    "state_add",
    "state_cas",
    "state_decr",
    "state_delete",
    "state_expire",
    "state_fetch",
    "state_get",
    "state_get_multi",
    "state_gets",
    "state_incr",
    "state_keys",
    "state_set",
    "state_set_multi",
    "state_ttl",
    "subscribe",
    "subscription",
    "unregister",
    "unsubscribe",
]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


async def state_get(key: str, default: Any = None) -> Any:
    """See hornbeam_erlang.state_get."""
    return await _hornbeam.aio_get(key, default)


async def state_set(key: str, value: Any, ttl: float | None = None) -> None:
    """See hornbeam_erlang.state_set."""
    await _hornbeam.aio_set(key, value, ttl)


async def state_add(key: str, value: Any, ttl: float | None = None) -> bool:
    """See hornbeam_erlang.state_add."""
    return await _hornbeam.aio_add(key, value, ttl)


async def state_delete(key: str) -> bool:
    """See hornbeam_erlang.state_delete."""
    return await _hornbeam.aio_delete(key)


async def state_incr(key: str, delta: int = 1, ttl: float | None = None) -> int:
    """See hornbeam_erlang.state_incr."""
    return await _hornbeam.aio_incr(key, delta, ttl)


async def state_decr(key: str, delta: int = 1) -> int:
    """See hornbeam_erlang.state_decr."""
    return await _hornbeam.aio_incr(key, negated(delta), None)


async def state_get_multi(keys: Iterable[str]) -> dict[str, Any]:
    """See hornbeam_erlang.state_get_multi."""
    return await _hornbeam.aio_get_multi(keys_of(keys))


async def state_set_multi(mapping: Mapping[str, Any], ttl: float | None = None) -> None:
    """See hornbeam_erlang.state_set_multi."""
    await _hornbeam.aio_set_multi(items_of(mapping), ttl)


async def state_keys(prefix: str = "", limit: int | None = None) -> list[str]:
    """See hornbeam_erlang.state_keys."""
    return await _hornbeam.aio_keys(prefix, limit_of(limit))


async def state_gets(key: str) -> tuple[Any, int]:
    """See hornbeam_erlang.state_gets."""
    return await _hornbeam.aio_gets(key)


async def state_cas(key: str, value: Any, version: int) -> bool:
    """See hornbeam_erlang.state_cas."""
    return await _hornbeam.aio_cas(key, value, version_of(version))


async def state_expire(key: str, ttl: float | None) -> bool:
    """See hornbeam_erlang.state_expire."""
    return await _hornbeam.aio_expire(key, ttl)


async def state_ttl(key: str) -> float | None:
    """See hornbeam_erlang.state_ttl."""
    return await _hornbeam.aio_ttl(key)


@overload
async def state_fetch(key: str, compute: Callable[[], Awaitable[T]], ttl: float | None = None) -> T: ...
@overload
async def state_fetch(key: str, compute: Callable[[], T], ttl: float | None = None) -> T: ...
async def state_fetch(key: str, compute: Callable[[], Any], ttl: float | None = None) -> Any:
    """See hornbeam_erlang.state_fetch; compute may be a coroutine function, or a plain one.

    report = await aio.state_fetch("report", make_report, ttl=300)
    """
    check_compute(compute)
    outer = computing.get()
    if key in outer:
        # Its own caller: to wait would be to wait for itself.
        return await _computed(compute)
    there, found = await _fetched(key, ttl)
    if there:
        return found
    reset = computing.set(outer | {key})
    try:
        value = await _computed(compute)
        # A lost lease or link costs the next caller a computation, but not this one its value.
        with contextlib.suppress(HornbeamConnectionError, HornbeamTimeoutError):
            await _hornbeam.aio_fetch_put(key, found, value, ttl)
    except BaseException:
        # Not awaited: whoever is cancelled does not wait.
        _drop(key, found)
        raise
    finally:
        computing.reset(reset)
    return value


async def _computed(compute: Callable[[], Any]) -> Any:
    value = compute()
    return await value if isawaitable(value) else value


async def _fetched(key: str, ttl: float | None) -> tuple[bool, Any]:
    future = _hornbeam.aio_fetch(key, ttl)
    try:
        return await future
    except (CancelledError, GeneratorExit):
        # The lease may have come just now; one that comes later is given back in C.
        if future.done() and not future.cancelled() and future.exception() is None:
            there, found = future.result()
            if not there:
                _drop(key, found)
        raise


def _drop(key: str, token: Any) -> None:
    with contextlib.suppress(HornbeamError, RuntimeError):
        _hornbeam.aio_fetch_drop(key, token)


async def publish(topic: str, message: Any) -> int:
    """See hornbeam_erlang.publish."""
    return await _hornbeam.aio_publish(topic, message)


async def subscribe(topic: str) -> None:
    """See hornbeam_erlang.subscribe."""
    await _subscribed(_hornbeam.current(), topic)


async def unsubscribe(topic: str) -> None:
    """See hornbeam_erlang.unsubscribe."""
    _unsubscribe(topic)


async def receive_pubsub(timeout: float | None = None) -> Any:
    """See hornbeam_erlang.receive_pubsub; this one holds up nobody.  Cancelling it loses no message."""
    received = await _hornbeam.current().get(timeout)
    return None if received is None else received[1]


@contextlib.asynccontextmanager
async def subscription(*topics: str) -> AsyncIterator[Subscription]:
    """See hornbeam_erlang.subscription.

    async with aio.subscription("news") as news:
        async for topic, message in news: ...
    """
    async with Subscription() as opened:
        for topic in topics:
            await _subscribed(opened, topic)
        yield opened


async def _subscribed(subscriber: _hornbeam.Subscription, topic: str) -> None:
    """The companion's answer comes to a thread, which waits for it."""
    asked = get_running_loop().run_in_executor(None, subscriber.subscribe, topic)

    def take_back(done: Future[None]) -> None:
        if not done.cancelled() and done.exception() is None:
            subscriber.take_back(topic)

    try:
        await shield(asked)
    except CancelledError:
        asked.add_done_callback(take_back)
        raise


async def register(name: str, function: F) -> F:
    """See hornbeam_erlang.register; no decorator.  A coroutine function runs on this loop.

    await aio.register("predict", model.predict)
    """
    from . import _functions

    check_name(name)
    loop = get_running_loop()
    return await loop.run_in_executor(None, _functions.register, name, function, loop)


async def unregister(name: str) -> bool:
    """See hornbeam_erlang.unregister."""
    from . import _functions

    return await get_running_loop().run_in_executor(None, _functions.unregister, name)


async def call(name: str, *args: Any, timeout_ms: float = 5000) -> Any:
    """See hornbeam_erlang.call."""
    future, number = _hornbeam.aio_call(name, args, timeout_ms)
    try:
        return await future
    except (CancelledError, GeneratorExit):
        _hornbeam.aio_cancel(future, number)
        raise


async def cast(name: str, *args: Any) -> None:
    """See hornbeam_erlang.cast."""
    await _hornbeam.aio_cast(name, args)


async def rpc_call(node: str, module: str, function: str, args: Sequence[Any], timeout_ms: float = 5000) -> Any:
    """See hornbeam_erlang.rpc_call."""
    future, number = _hornbeam.aio_rpc_call(node, module, function, args, timeout_ms)
    try:
        return await future
    except (CancelledError, GeneratorExit):
        _hornbeam.aio_cancel(future, number)
        raise


async def rpc_cast(node: str, module: str, function: str, args: Sequence[Any]) -> None:
    """See hornbeam_erlang.rpc_cast."""
    await _hornbeam.aio_rpc_cast(node, module, function, args)


async def node() -> str:
    """See hornbeam_erlang.node."""
    return await _hornbeam.aio_node()


async def nodes() -> list[str]:
    """See hornbeam_erlang.nodes."""
    return await _hornbeam.aio_nodes()
