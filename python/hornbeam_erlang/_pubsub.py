"""Publish/subscribe: messages to everybody who subscribes to a topic, on every node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _hornbeam
from ._errors import HornbeamError

if TYPE_CHECKING:
    from types import TracebackType


def publish(topic: str, message: Any) -> int:
    """Sends message to all subscribers of topic; to how many.

    topic: 1 to 1,024 bytes in UTF-8.  message: any value that state_set
    takes, up to 8 MiB; each subscriber gets one of its own.  The number is exact
    for this node, and what the others announced last.  It does not say that
    anybody has read it: see Subscription.dropped.
    Raises TypeError, naming the place in it, where message cannot be sent.
    """
    return _hornbeam.publish(topic, message)


def subscribe(topic: str) -> None:
    """Lets the current process receive what is published to topic, from now on.

    The process is the WebSocket, else the HTTP request, else the lifespan
    whose code runs, in its tasks and threads too; outside of these the thread.
    With its end its subscriptions go.  Twice is once.
    Raises HornbeamError where the request has ended; HornbeamDisconnectedError
    where its client has gone.
    """
    _hornbeam.current().subscribe(topic)


def unsubscribe(topic: str) -> None:
    """Ends what subscribe began; what has come already is still received.

    Nothing happens where there is no such subscription, or no longer since
    its request has ended.
    """
    try:
        current = _hornbeam.current()
    except HornbeamError:
        return
    current.unsubscribe(topic)


def receive_pubsub(timeout: float | None = None) -> Any:
    """The next message of the topics that the current process has subscribed to; None: none came.

    timeout: seconds; 0 takes what has come and does not wait; None waits for
    as long as it takes.  On an event loop's thread a wait holds the loop: there
    use 0, aio.receive_pubsub or a Subscription.  A message that is None looks
    as if none had come, and of several topics it does not say which: a Subscription does.
    Raises HornbeamError where nothing is subscribed to, or the request has
    ended; HornbeamDisconnectedError where its client has gone, unless timeout
    is 0; ValueError for a message that Python cannot hold, which is then gone.
    """
    received = _hornbeam.current().receive(timeout)
    return None if received is None else received[1]


class Subscription(_hornbeam.Subscription):
    """A subscriber with a queue of its own: see subscription."""

    __slots__ = ("__weakref__",)

    def __init__(self, *topics: str) -> None:
        try:
            for topic in topics:
                self.subscribe(topic)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        self.close()


def subscription(*topics: str) -> Subscription:
    """A subscriber to topics beside subscribe()'s, with a queue of its own.

    Used by `with` or `async with`, which close it, and by `for` or `async for`,
    which give (topic, message), in the order of each publisher:

        with subscription("news") as news:
            for topic, message in news: ...

        async with subscription("news") as news:
            async for topic, message in news: ...

    Its methods:
      receive(timeout=None)   (topic, message), or None after timeout seconds
      get(timeout=None)       the same to be awaited; cancelling it loses nothing
      subscribe(topic), unsubscribe(topic), close()
      dropped   messages lost so far: the queue (pubsub.queue messages, 1,000 outside
                of a worker, or 32 MiB) was full, or this process read too slowly
      gaps      how often messages may have been lost that nobody counted: with the
                link to the companion, or with its connection to another node, once
                as it is lost and once as that node's messages come again

    A WebSocket that waits for its client and for a topic at once:

        client, topic = None, None
        while True:
            client = client or asyncio.ensure_future(receive())
            topic = topic or asyncio.ensure_future(news.get())
            await asyncio.wait({client, topic}, return_when=asyncio.FIRST_COMPLETED)
            ...

    It belongs to the current process, as subscribe()'s does, and ends with it at
    the latest: waiting for it then raises HornbeamError, and
    HornbeamDisconnectedError once the client has gone.  Closed, it
    ends the loops over it.  One event loop at a time waits for it.
    """
    return Subscription(*topics)
