"""The loop of a worker: asyncio's, with the hot paths from C.

Compiled into the module _hornbeam_loop, whose namespace has SelectorCore,
LoopCore and StreamCore when this runs.
"""
import asyncio
import signal
import socket
import threading
from asyncio import constants, format_helpers, protocols, sslproto
from asyncio.selector_events import _SelectorSocketTransport
from collections.abc import Mapping
from selectors import BaseSelector


class SelectorMap(Mapping):
    """What get_map() returns: live, by file object or descriptor."""

    def __init__(self, selector):
        self._selector = selector

    def __len__(self):
        return len(self._selector.descriptors() or ())

    def __getitem__(self, fileobj):
        return self._selector.get_key(fileobj)

    def __iter__(self):
        return iter(self._selector.descriptors() or ())


class Selector(SelectorCore, BaseSelector):  # noqa: F821
    def get_map(self):
        return SelectorMap(self) if self.descriptors() is not None else None


class StreamTransport(StreamCore, _SelectorSocketTransport):  # noqa: F821
    """asyncio's own, but for the methods that StreamCore has, which know these slots."""

    __slots__ = ("_sock", "_sock_fd", "_protocol", "_buffer", "_conn_lost", "_eof", "_empty_waiter", "_buffered")

    _slow_write = _SelectorSocketTransport.write
    _slow_read_ready = _SelectorSocketTransport._read_ready

    def __init__(self, loop, sock, protocol, waiter=None, extra=None, server=None):
        self._sock = None
        super().__init__(loop, sock, protocol, waiter, extra, server)

    def set_protocol(self, protocol):
        super().set_protocol(protocol)
        self._buffered = isinstance(protocol, protocols.BufferedProtocol)

    def _keep(self, data):
        self._loop._add_writer(self._sock_fd, self._write_ready)
        self._buffer.extend(data)
        self._maybe_pause_protocol()


def report(loop, handle, exc):
    """What Handle._run() does with an exception of its callback."""
    callback = format_helpers._format_callback_source(handle._callback, handle._args)
    context = {"message": f"Exception in callback {callback}", "exception": exc, "handle": handle}
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    loop.call_exception_handler(context)


class Loop(LoopCore, asyncio.SelectorEventLoop):  # noqa: F821
    def __init__(self, selector=None):
        super().__init__(selector if selector is not None else Selector())

    def _make_socket_transport(self, sock, protocol, waiter=None, *, extra=None, server=None):
        make = StreamTransport if type(sock) is socket.socket else _SelectorSocketTransport
        return make(self, sock, protocol, waiter, extra, server)

    def _make_ssl_transport(self, rawsock, protocol, sslcontext, waiter=None, *,
                            server_side=False, server_hostname=None, extra=None, server=None,
                            ssl_handshake_timeout=constants.SSL_HANDSHAKE_TIMEOUT,
                            ssl_shutdown_timeout=constants.SSL_SHUTDOWN_TIMEOUT):
        tls = sslproto.SSLProtocol(self, protocol, sslcontext, waiter, server_side, server_hostname,
                                   ssl_handshake_timeout=ssl_handshake_timeout,
                                   ssl_shutdown_timeout=ssl_shutdown_timeout)
        self._make_socket_transport(rawsock, tls, extra=extra, server=server)
        return tls._app_transport

    # libevent goes on waiting when a signal interrupts it: the signal must make the self-pipe readable,
    # or Python would see it with the next event only.

    def _wake_by_signals(self):
        if threading.current_thread() is threading.main_thread():
            return signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
        return None

    def run_forever(self):
        self._check_closed()
        self._check_running()
        before = self._wake_by_signals()
        try:
            super().run_forever()
        finally:
            if before is not None and not self._signal_handlers:
                signal.set_wakeup_fd(before)

    # A signal whose handler is not Python's is the server's, and stays that: its own handler runs too.

    def add_signal_handler(self, sig, callback, *args):
        if not self._is_servers(sig):
            super().add_signal_handler(sig, callback, *args)
            return
        if asyncio.iscoroutine(callback) or asyncio.iscoroutinefunction(callback):
            raise TypeError("coroutines cannot be used with add_signal_handler()")
        self._check_closed()
        self._selector.watch_signal(sig, self._csock.fileno())
        self._signal_handlers[sig] = asyncio.Handle(callback, args, self, None)

    def remove_signal_handler(self, sig):
        if self._is_servers(sig):
            removed = self._signal_handlers.pop(sig, None) is not None
            if removed and not self.is_closed():
                self._selector.end_signal(sig)
            return removed
        removed = super().remove_signal_handler(sig)
        if self.is_running():
            self._wake_by_signals()
        return removed

    def _is_servers(self, sig):
        return isinstance(sig, int) and 0 < sig < signal.NSIG and signal.getsignal(sig) is None


def new_event_loop():
    return Loop()


class WorkerPolicy(asyncio.DefaultEventLoopPolicy):
    """A module that asks for the event loop while it is imported gets the one that the worker will run."""

    def get_event_loop(self):
        main = threading.current_thread() is threading.main_thread()
        if main and self._local._loop is None and not self._local._set_called:
            self.set_event_loop(Loop())
        return super().get_event_loop()


def get_worker_loop():
    """The loop that an application already knows, or a new one."""
    loop = getattr(getattr(asyncio.get_event_loop_policy(), "_local", None), "_loop", None)
    return loop if type(loop) is Loop and not loop.is_closed() else Loop()


FINISH = 5.0  # seconds that tasks, generators and executors have to end


async def finish(loop):
    """What asyncio.run() does at its end, but never for ever."""
    tasks = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=FINISH)
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            loop.call_exception_handler({"message": "unhandled exception while the worker ends",
                                         "exception": task.exception(), "task": task})
    await asyncio.wait([asyncio.create_task(loop.shutdown_asyncgens())], timeout=FINISH)
    loop._executor_shutdown_called = True
    if loop._default_executor is not None:
        ended = loop.create_future()
        threading.Thread(target=loop._do_shutdown, args=(ended,), daemon=True).start()
        await asyncio.wait([ended], timeout=FINISH)


async def main(loop, start, ready, stopped, stop):
    try:
        await settled(start())
        ready()
        await stopped
    finally:
        await settled(stop())
        await finish(loop)


async def settled(awaitable):
    if awaitable is not None:
        await awaitable


class Main(asyncio.Task):
    """An application that cancels all tasks means its own."""

    def cancel(self, msg=None):
        return False


def run(loop, task):
    """Until the task is done, whatever an application throws at its loop: stop(), exit(), signal handlers."""
    while not task.done():
        try:
            loop.run_until_complete(task)
        except BaseException as exc:
            if not task.done():
                loop.call_exception_handler({"message": "the worker's loop goes on", "exception": exc})


def serve(loop, start, ready, stopped, stop):
    asyncio.set_event_loop(loop)
    task = Main(main(loop, start, ready, stopped, stop), loop=loop, name="hornbeam")
    try:
        run(loop, task)
        task.result()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
