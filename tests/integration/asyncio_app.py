"""An ASGI application for test_asyncio_app.py: GET /name runs the coroutine of that name and answers in JSON."""
import asyncio
import contextvars
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback

import anyio
import anyio.from_thread
import anyio.to_thread
import sniffio

AT_IMPORT = asyncio.get_event_loop()
variable = contextvars.ContextVar("variable", default="unset")
signals = []
certificate = os.path.join(os.path.dirname(__import__("test").__file__), "keycert.pem")


async def loop_is_known_at_import():
    return AT_IMPORT is asyncio.get_running_loop()


async def current_task():
    task = asyncio.current_task()
    return {"current": task in asyncio.all_tasks(), "type": type(task).__module__, "root": anyio_root()}


def anyio_root():
    from anyio._backends._asyncio import find_root_task

    return find_root_task().get_name()


async def executor():
    loop = asyncio.get_running_loop()
    here = threading.get_ident()
    results = await asyncio.gather(*(loop.run_in_executor(None, lambda i=i: (i * i, threading.get_ident() != here))
                                     for i in range(50)))
    return [sum(value for value, _ in results), all(other for _, other in results)]


async def to_thread_keeps_the_context():
    variable.set("mine")
    return await asyncio.to_thread(variable.get)


async def called_from_threads():
    loop, seen, done = asyncio.get_running_loop(), [], asyncio.Event()

    def call():
        for i in range(500):
            loop.call_soon_threadsafe(seen.append, i)
        loop.call_soon_threadsafe(lambda: len(seen) == 2000 and done.set())

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(done.wait(), 10)
    return len(seen)


async def coroutine_from_a_thread():
    loop = asyncio.get_running_loop()

    async def inside():
        await asyncio.sleep(0.001)
        return sniffio.current_async_library()

    return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(inside(), loop).result(10))


async def loop_in_a_thread():
    """asyncio.run() in another thread has a loop of its own."""
    async def inside():
        await asyncio.sleep(0.001)
        return asyncio.get_running_loop()

    other = await asyncio.to_thread(lambda: asyncio.run(inside()))
    return [other is not asyncio.get_running_loop(), type(other).__module__]


async def thread_unsafe_use_is_refused():
    """A reader added from another thread while the loop waits."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    caught = []

    def add():
        while not caught:
            try:
                loop.add_reader(near.fileno(), print)
            except RuntimeError as exc:
                caught.append(str(exc))

    await asyncio.to_thread(add)
    loop.remove_reader(near.fileno())
    near.close()
    far.close()
    return caught[0]


async def subprocess_exec():
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out, _ = await process.communicate(b"abc")
    return [out.decode().strip(), process.returncode]


async def subprocess_killed():
    process = await asyncio.create_subprocess_shell("exec sleep 100")
    process.kill()
    return await asyncio.wait_for(process.wait(), 10)


async def subprocess_by_each_watcher():
    codes, before = [], asyncio.get_child_watcher()
    for kind in (asyncio.PidfdChildWatcher, asyncio.SafeChildWatcher, asyncio.MultiLoopChildWatcher):
        watcher = kind()
        watcher.attach_loop(asyncio.get_running_loop())
        asyncio.set_child_watcher(watcher)
        try:
            process = await asyncio.create_subprocess_exec("sh", "-c", "exit 7")
            codes.append(await asyncio.wait_for(process.wait(), 10))
        finally:
            watcher.close()
            asyncio.set_child_watcher(before)
    return codes


async def signal_handlers():
    """Its own, and one of the server's: that one runs beside the server's."""
    loop, seen = asyncio.get_running_loop(), []
    for number in (signal.SIGUSR2, signal.SIGUSR1):
        loop.add_signal_handler(number, seen.append, number.name)
        os.kill(os.getpid(), number)
    while len(seen) < 2:
        await asyncio.sleep(0.001)
    removed = [loop.remove_signal_handler(number) for number in (signal.SIGUSR2, signal.SIGUSR1)]
    os.kill(os.getpid(), signal.SIGUSR1)  # the server opens its logs again, and nothing more
    await asyncio.sleep(0.05)
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)
    return [seen, removed]


async def plain_signal_handler():
    """A handler of signal.signal() runs while the loop waits for events, with nothing else to wake it."""
    loop, arrived = asyncio.get_running_loop(), asyncio.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: arrived.set())
    started = loop.time()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    await asyncio.wait_for(arrived.wait(), 10)
    signal.signal(signal.SIGALRM, before)
    return loop.time() - started < 5


async def reader_and_writer():
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near.setblocking(False)
    readable, writable = loop.create_future(), loop.create_future()
    loop.add_reader(near, lambda: readable.done() or readable.set_result(near.recv(10)))
    loop.add_writer(near, lambda: writable.done() or writable.set_result("writable"))
    far.send(b"readable")
    result = [(await readable).decode(), await writable]
    result.append([loop.remove_reader(near), loop.remove_writer(near), loop.remove_writer(near)])
    near.close()
    far.close()
    return result


async def file_is_no_reader():
    with open(__file__) as file:
        try:
            asyncio.get_running_loop().add_reader(file.fileno(), print)
        except OSError as exc:
            return type(exc).__name__


async def server_and_client():
    """Streams on both ends, more than the socket takes at once, and an end in each direction."""
    size = 3_000_000

    async def echo(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        kind = type(writer.transport).__name__
        writer.write(bytes(size))
        writer.write_eof()
        data = await reader.read()
        writer.close()
        await writer.wait_closed()
    return [kind, len(data)]


async def client_of_nobody():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        try:
            await asyncio.open_connection(*unused.getsockname())
        except ConnectionRefusedError:
            return "refused"


async def unix_server():
    path = f"/tmp/hb-asyncio-{os.getpid()}"

    async def shout(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()

    async with await asyncio.start_unix_server(shout, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
    os.unlink(path)
    return answer.decode()


async def datagrams():
    loop = asyncio.get_running_loop()
    got = loop.create_future()

    class Receive(asyncio.DatagramProtocol):
        def datagram_received(self, data, address):
            got.set_result(data.decode())

    receiver, _ = await loop.create_datagram_endpoint(Receive, ("127.0.0.1", 0))
    sender, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=receiver.get_extra_info("sockname"))
    sender.sendto(b"datagram")
    result = await asyncio.wait_for(got, 10)
    sender.close()
    receiver.close()
    return result


async def tls():
    there = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    there.load_cert_chain(certificate)
    here = ssl.create_default_context(cafile=certificate)

    async def echo(reader, writer):
        writer.write(await reader.readexactly(200_000))
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=there) as server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=here, server_hostname="localhost")
        writer.write(b"x" * 200_000)
        data = await reader.readexactly(200_000)
        version = writer.get_extra_info("ssl_object").version()
        writer.close()
    return [len(data), version]


async def timeouts():
    seen = []
    started = time.monotonic()
    try:
        async with asyncio.timeout(0.02):
            await asyncio.sleep(10)
    except TimeoutError:
        seen.append("timeout")
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.02)
    except TimeoutError:
        seen.append("wait_for")
    return [seen, time.monotonic() - started > 0.03]


async def short_sleep():
    """Timers are exact, not whole milliseconds: the best of some, the machine may be busy."""
    async def once():
        started = time.perf_counter()
        await asyncio.sleep(0.0005)
        return time.perf_counter() - started

    took = [await once() for _ in range(50)]
    return {"least": min(took), "early": sum(t < 0.0005 for t in took)}


async def task_group():
    done = []

    async def fail():
        await asyncio.sleep(0.001)
        raise ValueError("from a task")

    async def wait():
        try:
            await asyncio.sleep(100)
        finally:
            done.append("cancelled")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(wait())
            group.create_task(fail())
    except* ValueError as errors:
        done.append(str(errors.exceptions[0]))
    return done


async def contexts():
    """A variable that a request sets is not seen by the next."""
    before = variable.get()
    variable.set("of an earlier request")
    await asyncio.sleep(0)
    return before


async def anyio_tasks():
    results = []

    async def child(i):
        await anyio.sleep(0.001)
        results.append(i)

    async with anyio.create_task_group() as group:
        for i in range(5):
            group.start_soon(child, i)
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep(100)
    return [sorted(results), scope.cancel_called, sniffio.current_async_library()]


async def anyio_threads():
    """Its worker threads are kept for the next request."""
    def in_thread():
        return [anyio.from_thread.run(answer), threading.get_ident()]

    async def answer():
        return sniffio.current_async_library()

    return await anyio.to_thread.run_sync(in_thread)


async def background_task_exits():
    """exit() in a task nobody waits for ends that task, not the server."""
    async def leave():
        await asyncio.sleep(0.001)
        sys.exit(5)

    task = asyncio.create_task(leave())
    await asyncio.wait([task])
    return type(task.exception()).__name__


async def callback_interrupts():
    def interrupt():
        raise KeyboardInterrupt

    asyncio.get_running_loop().call_soon(interrupt)
    await asyncio.sleep(0.01)
    return "goes on"


async def exits():
    sys.exit(3)


async def exits_later():
    await asyncio.sleep(0.001)
    sys.exit(3)


async def stops_the_loop():
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "goes on"


async def callback_fails():
    loop, seen = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: seen.append(repr(context["exception"])))
    loop.call_soon(lambda: 1 / 0)
    loop.call_later(0.001, lambda: 1 / 0)
    while len(seen) < 2:
        await asyncio.sleep(0.001)
    loop.set_exception_handler(None)
    return seen


async def forks():
    """A child that ends its copy of the loop takes nothing from the parent's."""
    loop = asyncio.get_running_loop()
    near, far = socket.socketpair()
    near.setblocking(False)
    got = loop.create_future()
    loop.add_reader(near, lambda: got.done() or got.set_result(near.recv(10)))
    pid = os.fork()
    if pid == 0:
        try:
            loop.remove_reader(near)
            loop._selector.close()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    far.send(b"still here")
    result = await asyncio.wait_for(got, 10)
    loop.remove_reader(near)
    near.close()
    far.close()
    return result.decode()


async def debug_mode():
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    try:
        await asyncio.sleep(0.001)
        handle = loop.call_later(100, print)
        traced = handle._source_traceback is not None
        handle.cancel()
        result = await asyncio.to_thread(int, "7")
    finally:
        loop.set_debug(False)
    return [traced, result]


def hold(seconds):
    time.sleep(seconds)


async def blocks():
    hold(0.25)
    return "held"


async def blocks_in_c():
    """C code that keeps the GIL."""
    import re

    re.match(r"(a+)+b", "a" * 25)
    return "held"


async def threads():
    return threading.active_count()


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http only")
    try:
        status, result = 200, await globals()[scope["path"][1:]]()
    except Exception:
        status, result = 500, traceback.format_exc()
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(result).encode()})
