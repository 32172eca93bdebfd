"""Erlang's strengths for Python: state that all processes on the host share.

The module works in a Hornbeam worker and in any other Python process: it
finds the daemon by HORNBEAM_SOCKET, else the user's own running
`hornbeam run`, else the system's.  Importing it does not connect; the first
call does.  Threads, signals, os.fork and multiprocessing are fine.

Keys are str of 1 to 1,024 bytes in UTF-8.  Values are None, bool, int of any
size, float, str, bytes, list, tuple, dict, set, frozenset, complex, Decimal,
UUID, the datetime family, Atom, Pid and Ref, nested as they like; anything
else is a TypeError that names it.

Every function may raise, besides what it says itself:
  TypeError, ValueError      a key, a value or a ttl is not what it has to be
  HornbeamError              the companion refused; the text says why
  HornbeamTimeoutError       no answer within 5 seconds; also a TimeoutError
  HornbeamConnectionError    no companion, or the link was lost; also a ConnectionError
  HornbeamPermissionError    not for this user; also a PermissionError
"""

from ._calls import call, cast, node, nodes, rpc_call, rpc_cast
from ._errors import (
    CallError,
    HornbeamConnectionError,
    HornbeamDisconnectedError,
    HornbeamError,
    HornbeamPermissionError,
    HornbeamTimeoutError,
    RemoteError,
)
from ._hornbeam import Atom, Pid, Ref, Term
from ._hornbeam import version as __version__
from ._pubsub import Subscription, publish, receive_pubsub, subscribe, subscription, unsubscribe
from ._register import register, unregister
from ._state import (
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
)

__all__ = [
    "Atom",
    "CallError",
    "HornbeamConnectionError",
    "HornbeamDisconnectedError",
    "HornbeamError",
    "HornbeamPermissionError",
    "HornbeamTimeoutError",
    "Pid",
    "Ref",
    "RemoteError",
    "Subscription",
    "Term",
    "__version__",
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

# A traceback shows the name that can be imported.
for _type in (CallError, HornbeamConnectionError, HornbeamDisconnectedError, HornbeamError, HornbeamPermissionError,
              HornbeamTimeoutError, RemoteError, Subscription):
    _type.__module__ = __name__
