"""Python functions for Erlang and for other processes: see _functions, which the first one loads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])


@overload
def register(name: str) -> Callable[[F], F]: ...
@overload
def register(name: str, function: F) -> F: ...
def register(name: str, function: F | None = None) -> F | Callable[[F], F]:
    """Makes function callable by name: from Erlang, hornbeam:call_python(Name, Args), and from Python, call(name).

        register("predict", model.predict)

        @register("total")
        def total(prices):
            return sum(prices)

    The processes that have a function of this name share its calls; in an
    application each worker registers it when it is imported.  A plain function
    runs in one of four threads that the process has for this, a coroutine
    function on its event loop.  What it returns is a value as state_set takes
    it; what it raises reaches a caller in Erlang as the error
    {python_error, Type, Text}, and a caller in Python as RemoteError with that
    as its reason.  A function of Erlang with the same name comes first.  Another
    function of the same name takes the old one's place.

    At its caller's deadline a coroutine is cancelled; a plain function, which
    nothing can stop, runs on, and call and rpc_call in it raise
    HornbeamTimeoutError then, however long their own timeout_ms.

    name: 1 to 255 bytes in UTF-8.
    Returns the function; without one, a decorator.
    Raises TypeError where function cannot be called; HornbeamConnectionError
    and HornbeamTimeoutError where the companion did not take it.
    """
    from . import _functions

    check_name(name)
    if function is not None:
        return _functions.register(name, function)
    return lambda f: _functions.register(name, f)


def check_name(name: object) -> None:
    if not isinstance(name, str):
        raise TypeError(f"a function's name is a str, not {type(name).__name__}")


def unregister(name: str) -> bool:
    """Takes a function of this process back; whether there was one.  Calls under way go on."""
    from . import _functions

    return _functions.unregister(name)
