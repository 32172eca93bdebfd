"""What hornbeam_erlang raises, besides TypeError and ValueError for arguments."""

from __future__ import annotations


class HornbeamError(Exception):
    """The root of this package's exceptions."""


class HornbeamDisconnectedError(HornbeamError):
    """The client of the request has gone, and with it the request's subscriptions.

    An application need not catch it: the server takes it for the end of the request.
    """


class HornbeamTimeoutError(HornbeamError, TimeoutError):
    """The deadline of a call passed.

    The companion does not run afterwards what had not begun by then.
    """


class HornbeamConnectionError(HornbeamError, ConnectionError):
    """There is no companion, or the link to it was lost.

    Whether a call that was under way ran is unknown; it is never sent again.
    """


class HornbeamPermissionError(HornbeamError, PermissionError):
    """This user may not do that, or not connect at all."""


class CallError(HornbeamError):
    """A registered function returned {error, Reason}.

    reason: the Reason, as a Python value, or as text in Erlang's syntax where Python cannot hold it.
    """

    def __init__(self, reason: object) -> None:
        super().__init__(reason)
        self.reason = reason


class RemoteError(HornbeamError):
    """The other side raised an exception.

    kind: Erlang's class of it, "error", "exit" or "throw";
    reason: its reason, as a Python value, or as text in Erlang's syntax where Python cannot hold it;
    stacktrace: for people to read.
    """

    def __init__(self, kind: str, reason: object, stacktrace: str = "") -> None:
        super().__init__(kind, reason, stacktrace)
        self.kind = kind
        self.reason = reason
        self.stacktrace = stacktrace

    def __str__(self) -> str:
        """As Erlang's shell says it, or as Python does where a Python function raised."""
        if isinstance(self.reason, tuple) and len(self.reason) == 3 and self.reason[0] == "python_error":
            return f"{self.reason[1]}: {self.reason[2]}"
        said = self.stacktrace.partition("\n  in ")[0]
        if not said.startswith("exception "):
            return f"{self.kind}: {self.reason!r}"
        return " ".join(said.removeprefix("exception ").split())
