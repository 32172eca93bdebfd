"""Raw ASGI applications for the tests of ASGI: each handler is the case of a path; and what they note."""

from harness import eventually


def notes(d):
    """What the applications have noted; it is gone then."""
    return d.get("/notes").json()


def noted(d, count):
    """The notes, once there are so many."""
    found = []

    def enough():
        found.extend(notes(d))
        return len(found) >= count

    eventually(enough)
    return found


#: GET /NAME?ARGUMENT runs `async def NAME(scope, receive, send)`; what it puts into notes, /notes gives and clears.
LAB = r"""
import asyncio, contextvars, gc, json, os, sys, threading, urllib.parse, weakref

notes = []
state = {}
var = contextvars.ContextVar('var', default='unset')

def argument(scope):
    return urllib.parse.unquote(scope['query_string'].decode())

def show(x):
    return f'{type(x).__name__}: {x}'

async def answer(send, text, status=200, headers=()):
    await send({'type': 'http.response.start', 'status': status, 'headers': list(headers)})
    await send({'type': 'http.response.body', 'body': text if isinstance(text, bytes) else str(text).encode()})

async def note_of(coroutine):
    try:
        notes.append(f'ok {await coroutine!r}')
    except BaseException as x:
        notes.append(show(x))
        if not isinstance(x, Exception):
            raise

class Cases:
    async def hello(scope, receive, send):
        await answer(send, 'hello', headers=[(b'content-type', b'text/plain')])

    async def notes(scope, receive, send):
        await answer(send, json.dumps(notes))
        notes.clear()

    async def scope(scope, receive, send):
        await answer(send, repr(scope))

    async def messages(scope, receive, send):
        for message in eval(argument(scope)):
            await note_of(send(message))

    async def body(scope, receive, send):
        parts, more = [], True
        while more:
            message = await receive()
            if message['type'] != 'http.request':
                break
            assert sorted(message) == ['body', 'more_body', 'type'], message
            parts.append(message['body'])
            more = message['more_body']
        notes.append(len(parts))
        await answer(send, f'{len(b"".join(parts))} {sum(b"".join(parts)) % 65521}')

    async def echo(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        more = True
        while more:
            message = await receive()
            more = message['more_body']
            await send({'type': 'http.response.body', 'body': message['body'], 'more_body': True})
        await send({'type': 'http.response.body'})

    async def duplex(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': b'first ', 'more_body': True})
        await send({'type': 'http.response.body', 'body': (await receive())['body']})

    async def after_body(scope, receive, send):
        await receive()
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        notes.append(task.done())
        await answer(send, 'x')
        notes.append(await task)
        notes.append(await receive())

    async def raise_early(scope, receive, send):
        raise ValueError('early failure')

    async def raise_started(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        raise ValueError('failure with a head')

    async def raise_body(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': b'begun', 'more_body': True})
        raise ValueError('failure in the body')

    async def raise_after(scope, receive, send):
        await answer(send, 'done')
        raise ValueError('failure in the background')

    async def raise_later(scope, receive, send):
        await asyncio.sleep(0.01)
        raise ValueError('late failure')

    async def exit(scope, receive, send):
        sys.exit(3)

    async def exit_later(scope, receive, send):
        await asyncio.sleep(0.01)
        sys.exit(3)

    async def interrupt(scope, receive, send):
        await asyncio.sleep(0)
        raise KeyboardInterrupt

    async def cancelled(scope, receive, send):
        asyncio.current_task().cancel()
        await asyncio.sleep(1)

    async def nothing(scope, receive, send):
        pass

    async def half(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        await send({'type': 'http.response.body', 'body': b'half', 'more_body': True})

    async def head_only(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})

    async def background(scope, receive, send):
        await answer(send, 'before')
        event = state['event'] = asyncio.Event()
        state['task'] = weakref.ref(asyncio.current_task())
        await event.wait()
        notes.append('background done')

    async def release(scope, receive, send):
        gc.collect()
        state.pop('event').set()
        await answer(send, state['task']() is not None)

    async def hold(scope, receive, send):
        event = state.setdefault(argument(scope), asyncio.Event())
        await event.wait()
        await answer(send, 'held')

    async def stubborn(scope, receive, send):
        event = state.setdefault('stubborn', asyncio.Event())
        try:
            await Cases.hold(dict(scope, query_string=b'nobody'), receive, send)
        except asyncio.CancelledError:
            await event.wait()
            await note_of(send({'type': 'http.response.start', 'status': 200}))
            notes.append((await receive())['type'])

    async def group(scope, receive, send):
        async with asyncio.TaskGroup() as group:
            group.create_task(Cases.flood(scope, receive, send))
            group.create_task(asyncio.sleep(60))

    async def let_go(scope, receive, send):
        state.pop(argument(scope), asyncio.Event()).set()
        await answer(send, 'x')

    async def early(scope, receive, send):
        await send({'type': 'http.response.early_hint', 'links': [b'</a.css>; rel=preload', b'</b.js>; rel=preload']})
        await answer(send, 'final')

    async def flood(scope, receive, send):
        state['flooded'] = 0
        await send({'type': 'http.response.start', 'status': 200})
        try:
            for n in range(int(argument(scope) or 1000)):
                await send({'type': 'http.response.body', 'body': b'x' * 1_000_000, 'more_body': True})
                state['flooded'] += 1
            await send({'type': 'http.response.body'})
        except BaseException as x:
            notes.append(f'{show(x)} {isinstance(x, OSError)}')
            await note_of(send({'type': 'http.response.body', 'body': b'more', 'more_body': True}))
            notes.append((await receive())['type'])
            raise
        finally:
            notes.append('cleaned up')

    async def endless(scope, receive, send):
        async def stream():
            await send({'type': 'http.response.start', 'status': 200})
            while True:
                await send({'type': 'http.response.body', 'body': b'x', 'more_body': True})
        task = asyncio.create_task(stream())
        await receive()
        notes.append((await receive())['type'])
        notes.append(task.done())
        task.cancel()

    async def abandon(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        tasks = [asyncio.create_task(note_of(send({'type': 'http.response.body', 'body': b'x' * 30_000_000,
                                                   'more_body': True}))) for _ in range(2)]
        state['abandoned'] = tasks
        await asyncio.sleep(0.05)
        notes.append(tasks[0].done())

    async def unaware(scope, receive, send):
        state['waiting'] = True
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.append('cancelled')
            raise

    async def elsewhere(scope, receive, send):
        for make in receive, lambda: send({'type': 'http.response.start', 'status': 500}):
            await note_of(asyncio.to_thread(lambda: asyncio.run(make())))
        done = asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(answer(send, 'x'), loop).result())
        loop = asyncio.get_running_loop()
        await done

    async def close_itself(scope, receive, send):
        coroutine = asyncio.current_task().get_coro()
        for call in coroutine.close, lambda: coroutine.send(None), lambda: coroutine.throw(OSError):
            try:
                call()
            except ValueError as x:
                notes.append(str(x))
        await answer(send, 'x')

    async def flooded(scope, receive, send):
        await answer(send, state['flooded'])

    async def cancel_flood(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})
        part = bytearray(b'y' * 30_000_000)
        task = asyncio.create_task(send({'type': 'http.response.body', 'body': part, 'more_body': True}))
        await asyncio.sleep(0.05)
        notes.append(task.done())
        task.cancel()
        part[:] = b'z' * len(part)
        await asyncio.wait([task])
        notes.append(task.cancelled())
        await send({'type': 'http.response.body', 'body': b'end'})

    async def events(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/event-stream')]})
        await send({'type': 'http.response.body', 'body': b'', 'more_body': True})
        for n in range(3):
            await state.setdefault(f'event{n}', asyncio.Event()).wait()
            await send({'type': 'http.response.body', 'body': b'data: %d\n\n' % n, 'more_body': True})
        await send({'type': 'http.response.body'})

    async def disconnected(scope, receive, send):
        await receive()
        state['waiting'] = True
        try:
            notes.append((await receive())['type'])
            notes.append((await receive())['type'])
            await note_of(send({'type': 'http.response.start', 'status': 200}))
        finally:
            notes.append('cleaned up')

    async def waiting(scope, receive, send):
        await answer(send, state.pop('waiting', False))

    async def upload_cut(scope, receive, send):
        try:
            more = True
            while more:
                state['waiting'] = True
                message = await receive()
                more = message.get('more_body', False)
            notes.append(message['type'])
        finally:
            notes.append('cleaned up')

    async def two_receives(scope, receive, send):
        tasks = [asyncio.create_task(receive()) for _ in range(2)]
        await asyncio.sleep(0)
        state['waiting'] = True
        done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        state['waiting'] = len(done)
        got = await asyncio.gather(*tasks)
        notes.append(sorted(m['body'].decode() for m in got))
        await answer(send, 'x')

    async def cancel_receive(scope, receive, send):
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        notes.append(task.done())
        task.cancel()
        await asyncio.wait([task])
        state['waiting'] = True
        try:
            await asyncio.wait_for(receive(), 0)
        except TimeoutError:
            notes.append('timeout')
        notes.append((await receive())['body'].decode())
        await answer(send, 'x')

    async def kinds(scope, receive, send):
        import collections.abc, inspect
        r, s = receive(), send({'type': 'http.response.start', 'status': 200})
        for a in r, s:
            notes.append([asyncio.iscoroutine(a), inspect.isawaitable(a), isinstance(a, collections.abc.Coroutine)])
        await r
        await s
        for again in r, s:
            await note_of(again)
        closed = receive()
        closed.close()
        await note_of(closed)
        await asyncio.create_task(send({'type': 'http.response.body', 'body': b'kinds'}))

    async def unawaited(scope, receive, send):
        send({'type': 'http.response.start', 'status': 500})
        await answer(send, 'x')

    async def thread(scope, receive, send):
        await answer(send, await asyncio.to_thread(lambda: threading.current_thread() is threading.main_thread()))

    async def context(scope, receive, send):
        before = var.get()
        var.set(argument(scope))
        await asyncio.sleep(0.001)
        await answer(send, f'{before} {var.get()}')

    async def task(scope, receive, send):
        task = asyncio.current_task()
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
        import io
        out = io.StringIO()
        task.print_stack(file=out)
        await answer(send, json.dumps([type(task).__name__, repr(task), out.getvalue()]))

    async def spoil(scope, receive, send):
        shown = repr([scope['asgi'], scope['extensions'], scope.get('state'), scope['headers'], len(scope)])
        scope['asgi']['version'] = 'spoilt'
        scope['extensions']['http.response.early_hint']['spoilt'] = True
        scope['extensions']['spoilt'] = True
        scope['headers'].append((b'spoilt', b'1'))
        scope['spoilt'] = True
        message = await receive()
        shown += repr(sorted(message))
        message['spoilt'] = message['body'] = True
        await answer(send, shown)

    async def count(scope, receive, send):
        gc.collect()
        names = {}
        for o in gc.get_objects():
            names[type(o).__name__] = names.get(type(o).__name__, 0) + 1
        await answer(send, json.dumps([sys.getallocatedblocks(), names]))

    async def keep(scope, receive, send):
        state['kept'] = receive, send, scope
        await answer(send, 'x')

    async def kept(scope, receive, send):
        r, s, old = state.pop('kept')
        await note_of(r())
        await note_of(s({'type': 'http.response.body', 'body': b'for nobody'}))
        await answer(send, old['path'])

    async def pid(scope, receive, send):
        await answer(send, os.getpid())

    async def content_length(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', argument(scope).encode())]})
        await send({'type': 'http.response.body', 'body': b'12345'})

async def application(scope, receive, send):
    if scope['type'] != 'http':
        raise RuntimeError('http alone')
    name = scope['path'][len(scope['root_path']):].split('/')[1]
    await getattr(Cases, name or 'hello')(scope, receive, send)
"""
