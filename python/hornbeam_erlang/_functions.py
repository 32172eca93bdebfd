"""Python functions that Erlang, and other Python processes, call by name.

One thread waits for what the companion asks this process to run.  Plain
functions run in a small pool of their own, so that a worker which calls
itself through Erlang answers; coroutine functions run on the event loop.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import inspect
import math
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from . import _hornbeam
from ._errors import HornbeamConnectionError, HornbeamError, HornbeamTimeoutError

if TYPE_CHECKING:
    import asyncio

F = TypeVar("F", bound=Callable[..., Any])

#: Plain functions that run at once; further calls wait for their turn.
THREADS = 4
#: Characters of an exception's text, and of its traceback, that are sent.
TEXT_MAX = 8000
#: Seconds that plain functions under way have at the end of the process.
LAST = 5.0
#: Milliseconds that the deadlines of a function and of what it calls differ by where they are one.
SLACK = 5
#: Seconds after a deadline in which the companion tells that a coroutine is to stop, unless it has gone.
PATIENCE = 1.0


class _Task:
    """One call: of which function, with what, until when."""

    def __init__(self, key: tuple[int, int], name: str, args: bytes, ms: int) -> None:
        #: Its connection to the companion, and its number there.
        self.key = key
        self.name = name
        self.args = args
        self.until = time.monotonic() + ms / 1000 if ms else None
        #: Nobody waits for it any more.
        self.stopped = False
        #: A coroutine that runs, and where.
        self.running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None] | None = None

    def late(self) -> bool:
        return self.stopped or (self.until is not None and time.monotonic() > self.until)

    def left(self) -> int:
        """Milliseconds; 0 where it has no deadline."""
        return max(1, math.ceil((self.until - time.monotonic()) * 1000)) if self.until is not None else 0


class _Functions:
    """What this process provides, and the threads that run it."""

    def __init__(self) -> None:
        #: Of what is registered, here and in the companion; a signal's handler may register too.
        self.changing = threading.RLock()
        self.lock = threading.RLock()
        #: Fewer calls are under way that somebody waits for.
        self.fewer = threading.Condition(self.lock)
        self.functions: dict[str, Callable[..., Any]] = {}
        self.loop: asyncio.AbstractEventLoop | None = None
        self.tasks: dict[tuple[int, int], _Task] = {}
        self.waiting: queue.SimpleQueue[_Task] = queue.SimpleQueue()
        self.threads = 0
        #: Plain calls that wait for a thread of the pool or have one.
        self.given = 0
        self.listening = False

    def add(self, name: str, function: Callable[..., Any], loop: asyncio.AbstractEventLoop | None) -> None:
        with self.changing:
            self.take_in(name, function, loop)

    def take_in(self, name: str, function: Callable[..., Any], loop: asyncio.AbstractEventLoop | None) -> None:
        with self.lock:
            before = self.functions.get(name)
            self.functions[name] = function
            if _is_coroutine(function):
                self.loop = loop or _event_loop() or self.loop
        try:
            with self.lock:
                if not self.listening:
                    threading.Thread(target=self.listen, name="hornbeam-functions", daemon=True).start()
                    self.listening = True
            _hornbeam.provide(name, True)
        except BaseException:
            with self.lock:
                if before is None:
                    self.functions.pop(name, None)
                else:
                    self.functions[name] = before
            raise

    def remove(self, name: str) -> bool:
        with self.changing:
            with self.lock:
                there = self.functions.pop(name, None) is not None
            if there:
                _hornbeam.provide(name, False)
        return there

    def listen(self) -> None:
        """On a thread of its own, which nothing may end."""
        while True:
            with _told():
                key, name, args, ms = _hornbeam.take_task()
                if name is None:
                    self.stop(key)
                else:
                    self.begin(_Task(key, name, args, ms))

    def begin(self, task: _Task) -> None:
        refused: list[tuple[_Task, RuntimeError]] = []
        with self.lock:
            self.tasks[task.key] = task
            loop = self.loop
            if loop is not None and loop.is_running() and _is_coroutine(self.functions.get(task.name)):
                with contextlib.suppress(RuntimeError):  # it was closed meanwhile
                    loop.call_soon_threadsafe(self.start, task, loop, context=contextvars.Context())
                    task.running = (loop, None)
                    return
            self.waiting.put(task)
            self.given += 1
            if self.threads < min(self.given, THREADS):
                name = f"hornbeam-function-{self.threads + 1}"
                try:
                    threading.Thread(target=self.work, name=name, daemon=True).start()
                    self.threads += 1
                except RuntimeError as e:  # the system has no thread to give
                    if self.threads == 0:
                        self.given -= 1
                        refused.append((self.waiting.get_nowait(), e))
        for task, error in refused:
            self.raised(task, error)

    def stop(self, key: tuple[int, int]) -> None:
        with self.lock:
            task = self.tasks.get(key)
            if task is None:
                return
            task.stopped = True
            self.fewer.notify_all()
            loop, job = task.running or (None, None)
            if loop is not None and job is not None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(job.cancel)

    def work(self) -> None:
        """A thread of the pool, which nothing may end either."""
        while True:
            task = self.waiting.get()
            with _told():
                try:
                    contextvars.Context().run(self.run, task)
                finally:
                    _hornbeam.leave_thread()
            with self.lock:
                self.given -= 1
                self.forget(task)

    def run(self, task: _Task) -> None:
        if task.late():
            self.forget(task)
            return
        try:
            function, args = self.prepare(task)
            _hornbeam.limit_calls(task.left())
            if _is_coroutine(function):
                import asyncio

                value = asyncio.run(self.awaited(task, function, args))
            else:
                value = function(*args)
        except BaseException as e:
            self.raised(task, e)
        else:
            self.returned(task, value)

    def start(self, task: _Task, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop."""
        job = loop.create_task(self.run_on_loop(task), name=f"hornbeam function {task.name}")
        with self.lock:
            task.running = (loop, job)

    async def run_on_loop(self, task: _Task) -> None:
        if task.late():
            self.forget(task)
            return
        try:
            function, args = self.prepare(task)
            value = await self.awaited(task, function, args)
        except BaseException as e:
            self.raised(task, e)
        else:
            self.returned(task, value)

    async def awaited(self, task: _Task, function: Callable[..., Any], args: list[Any]) -> Any:
        import asyncio

        loop = asyncio.get_running_loop()
        with self.lock:
            task.running = (loop, asyncio.current_task())
        if task.until is None:
            return await function(*args)
        timer = loop.call_later(task.left() / 1000 + PATIENCE, self.stop, task.key)
        try:
            return await function(*args)
        finally:
            timer.cancel()

    def prepare(self, task: _Task) -> tuple[Callable[..., Any], list[Any]]:
        with self.lock:
            function = self.functions.get(task.name)
        if function is None:
            raise HornbeamError(f"this process has no function {task.name!r} any more")
        return function, _hornbeam.decode(task.args)

    def returned(self, task: _Task, value: Any) -> None:
        try:
            _hornbeam.ran(task.key, value)
        except HornbeamConnectionError:
            self.forget(task)  # which its caller knows
        except (TypeError, ValueError, HornbeamError) as e:
            self.raised(task, type(e)(f"the result of {task.name!r}: {e}"))
        except Exception as e:
            self.raised(task, e)
        else:
            self.forget(task)

    def raised(self, task: _Task, error: BaseException) -> None:
        if isinstance(error, HornbeamTimeoutError) and task.until is not None and task.left() <= SLACK:
            self.forget(task)  # the caller's own deadline, which it is told of at once
            return
        try:
            text = str(error)[:TEXT_MAX]
            trace = "".join(traceback.format_exception(error))[-TEXT_MAX:]
        except BaseException as e:  # its own code failed
            text, trace = f"no text: str() raised {type(e).__name__}", ""
        with contextlib.suppress(HornbeamError):
            _hornbeam.ran_raised(task.key, type(error).__name__, text, trace)
        self.forget(task)

    def forget(self, task: _Task) -> None:
        with self.lock:
            self.tasks.pop(task.key, None)
            self.fewer.notify_all()

    def finish(self) -> None:
        """At the end of the process: no call is taken any more, and those under way may end."""
        with self.lock:
            names = list(self.functions)
        # A companion that does not answer to the first is not waited for again.
        with contextlib.suppress(HornbeamError):
            for name in names:
                _hornbeam.provide(name, False)
        end = time.monotonic() + LAST
        with self.fewer:
            while hoped_for := [t for t in self.tasks.values() if not self.hopeless(t)]:
                now = time.monotonic()
                if now >= end:
                    break
                # Nobody says so when a call's time is up.
                self.fewer.wait(min([end, *(t.until for t in hoped_for if t.until is not None)]) - now + 0.001)

    def hopeless(self, task: _Task) -> bool:
        # A loop that has ended finishes nothing.
        return task.late() or (task.running is not None and not task.running[0].is_running())


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What comes of it is told as the end of a thread is, but the thread goes on."""
    try:
        yield
    except BaseException:
        kind, error, trace = sys.exc_info()
        threading.excepthook(threading.ExceptHookArgs((kind, error, trace, threading.current_thread())))


def _is_coroutine(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))


def _event_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs, or that a worker will run; None elsewhere."""
    import asyncio

    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    if hasattr(sys, "_hornbeam_link") and threading.current_thread() is threading.main_thread():
        with contextlib.suppress(RuntimeError):
            return asyncio.get_event_loop()
    return None


_functions = _Functions()


def _begin_again() -> None:
    """In the child of a fork: what its parent registered is the parent's."""
    global _functions
    _functions = _Functions()


def _finish() -> None:
    _functions.finish()


os.register_at_fork(after_in_child=_begin_again)
atexit.register(_finish)


def register(name: str, function: F, loop: asyncio.AbstractEventLoop | None = None) -> F:
    """loop: where a coroutine function shall run; None: on that of this thread."""
    if not callable(function):
        raise TypeError(f"a function is something that can be called, not {type(function).__name__}")
    _functions.add(name, function, loop)
    return function


def unregister(name: str) -> bool:
    return _functions.remove(name)
