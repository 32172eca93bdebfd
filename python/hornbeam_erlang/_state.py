"""Shared state: keys and values in the companion's ETS table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from . import _hornbeam
from ._errors import HornbeamConnectionError, HornbeamError, HornbeamTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: The keys whose values this context is computing in state_fetch.
computing: ContextVar[frozenset[str]] = ContextVar("hornbeamcomputing", default=frozenset())


def negated(delta: int) -> int:
    """What is no int comes back as it is, for the error to name it."""
    return -delta if isinstance(delta, int) else delta


def keys_of(keys: Iterable[str]) -> list[str]:
    """A list that nobody else has; TypeError for a single str."""
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise TypeError(f"keys are an iterable of str, not one {type(keys).__name__}")
    return list(keys)


def items_of(mapping: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A list of pairs that nobody else has."""
    if not isinstance(mapping, Mapping):
        raise TypeError(f"keys and values are a mapping, not {type(mapping).__name__}")
    return list(mapping.items())


def limit_of(limit: int | None) -> int:
    """0, for no limit, where it is None."""
    if isinstance(limit, int) and limit < 1:
        raise ValueError(f"a limit is above 0, not {limit}")
    return 0 if limit is None else limit


def version_of(version: int) -> int:
    if isinstance(version, int) and version < 0:
        raise ValueError(f"a version is 0 or more, not {version}")
    return version


def state_get(key: str, default: Any = None) -> Any:
    """The value of key, or default where there is none."""
    return _hornbeam.get(key, default)


def state_set(key: str, value: Any, ttl: float | None = None) -> None:
    """Sets key to value.

    ttl: seconds, above 0, after which the key is gone; None: it stays, and a
    ttl that it had is cleared.
    Raises HornbeamError where a limit of the daemon's configuration
    (max_keys, max_bytes, max_value) is hit; the text names it.  A value of
    more than 16 MiB is a ValueError whatever the limits.
    """
    _hornbeam.set(key, value, ttl)


def state_add(key: str, value: Any, ttl: float | None = None) -> bool:
    """Sets key as state_set does, but only where there is none; whether it did."""
    return _hornbeam.add(key, value, ttl)


def state_delete(key: str) -> bool:
    """Deletes key; whether it was there."""
    return _hornbeam.delete(key)


def state_incr(key: str, delta: int = 1, ttl: float | None = None) -> int:
    """Adds delta to the integer at key, in one step, and returns the sum.

    A key that is not there counts from 0, and ttl (seconds) applies to it.
    Raises TypeError where the value is not an integer.
    """
    return _hornbeam.incr(key, delta, ttl)


def state_decr(key: str, delta: int = 1) -> int:
    """Subtracts delta from the integer at key: see state_incr."""
    return _hornbeam.incr(key, negated(delta), None)


def state_get_multi(keys: Iterable[str]) -> dict[str, Any]:
    """The values of several keys in one exchange; None for those that are not there."""
    return _hornbeam.get_multi(keys_of(keys))


def state_set_multi(mapping: Mapping[str, Any], ttl: float | None = None) -> None:
    """Sets several keys at once: others see none or all of them.  See state_set."""
    _hornbeam.set_multi(items_of(mapping), ttl)


def state_keys(prefix: str = "", limit: int | None = None) -> list[str]:
    """The keys that start with prefix, sorted; at most limit of them."""
    return _hornbeam.keys(prefix, limit_of(limit))


def state_gets(key: str) -> tuple[Any, int]:
    """The value of key and its version for state_cas; (None, 0) where there is none."""
    return _hornbeam.gets(key)


def state_cas(key: str, value: Any, version: int) -> bool:
    """Sets key only while it has the version that state_gets gave; whether it did.

    Version 0 sets a key that is not there.  A ttl that the key has goes on.
    """
    return _hornbeam.cas(key, value, version_of(version))


def state_expire(key: str, ttl: float | None) -> bool:
    """Lets key end after ttl seconds, or never (None); whether it is there."""
    return _hornbeam.expire(key, ttl)


def state_ttl(key: str) -> float | None:
    """The seconds that key still has, math.inf if it never ends, None if it is not there."""
    return _hornbeam.ttl(key)


def check_compute(compute: object) -> None:
    """TypeError for what cannot be called, also where the key is there and it need not be."""
    if not callable(compute):
        raise TypeError(f"compute is something that can be called, not {type(compute).__name__}")


def state_fetch(key: str, compute: Callable[[], T], ttl: float | None = None) -> T:
    """The value of key; where there is none, compute() makes it and it is kept for ttl seconds.

    However many callers, in whatever processes, ask meanwhile: one of them
    computes, the others wait, for at most 60 seconds, and get its value.
    Where compute raises, the exception is this caller's and the next one
    computes.  Whatever it returns is kept, None too.  A computation of more
    than 30 seconds may be begun again by another caller.
    """
    check_compute(compute)
    outer = computing.get()
    if key in outer:
        # Its own caller: to wait would be to wait for itself.
        return compute()
    there, found = _hornbeam.fetch(key, ttl)
    if there:
        value: T = found
        return value
    reset = computing.set(outer | {key})
    try:
        value = compute()
        # A lost lease or link costs the next caller a computation, but not this one its value.
        with contextlib.suppress(HornbeamConnectionError, HornbeamTimeoutError):
            _hornbeam.fetch_put(key, found, value, ttl)
    except BaseException:
        with contextlib.suppress(HornbeamError):
            _hornbeam.fetch_drop(key, found)
        raise
    finally:
        computing.reset(reset)
    return value
