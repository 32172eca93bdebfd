"""Calls: functions registered in the companion, and those of any node of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import _hornbeam


def call(name: str, *args: Any, timeout_ms: float = 5000) -> Any:
    """Calls the function that is registered as name, with args, and returns its value.

    {ok, Value} of the function gives Value, any other term than {error, Reason}
    itself.

        total = call("add", 1, 2)
        user = call("get_user", 123, timeout_ms=500)

    timeout_ms: milliseconds, above 0 and at most a day, after which the
    function is stopped; within a function that was called with a deadline, until
    that at most.
    Raises CallError where it returns {error, Reason}, with the Reason;
    RemoteError where it raises; HornbeamTimeoutError at the deadline;
    HornbeamError where there is no function of this name.
    """
    return _hornbeam.call(name, args, timeout_ms)


def cast(name: str, *args: Any) -> None:
    """Has the function that is registered as name called, and does not wait for it.

    What it returns or raises is not told.

        cast("log_event", "user_login", {"user_id": 123})

    Raises HornbeamError where there is no function of this name.
    """
    _hornbeam.cast(name, args)


def rpc_call(node: str, module: str, function: str, args: Sequence[Any], timeout_ms: float = 5000) -> Any:
    """Calls module:function(args...) on a node of the cluster and returns its value as it is.

        encoded = rpc_call("worker@gpu-server", "ml_model", "predict", [data], timeout_ms=30000)

    node: "local" or node() is the companion's own node, which needs no cluster.
    args: a list or a tuple.
    timeout_ms: milliseconds, above 0 and at most a day.  After that the answer
    is not waited for; what runs on another node may run on there.
    Raises RemoteError, with the Erlang class, reason and stack, where the
    function raises or is not exported; HornbeamTimeoutError at the deadline;
    HornbeamConnectionError where the node is not there or goes away;
    HornbeamPermissionError where rpc.allow does not let it.
    """
    return _hornbeam.rpc_call(node, module, function, args, timeout_ms)


def rpc_cast(node: str, module: str, function: str, args: Sequence[Any]) -> None:
    """Has module:function(args...) called on a node of the cluster, and does not wait for it.

        rpc_cast("logger@log-server", "logger", "log", ["info", "User logged in", {"user_id": 123}])

    Arguments as those of rpc_call.  A node that is not there is not told.
    Raises HornbeamPermissionError where rpc.allow does not let it.
    """
    _hornbeam.rpc_cast(node, module, function, args)


def node() -> str:
    """The name of the companion's node; "nonode@nohost" where it is not part of a cluster."""
    return _hornbeam.node()


def nodes() -> list[str]:
    """The names of the other nodes that the companion's is connected with, sorted.

    gpu_nodes = [name for name in nodes() if "gpu" in name]
    """
    return _hornbeam.nodes()
