"""Applications that do everything wrong, one way for each path, for WSGI and for ASGI.

/NAME?ARGUMENT runs the case NAME; / answers the worker's process id and the body's length.
"""

SHARED = r"""
import asyncio, gc, os, signal, sys, threading, time, weakref

class Own(BaseException):
    pass

class Unprintable(Exception):
    def __str__(self):
        raise ValueError('no text')

def recurse():
    return recurse() + 1

RAISED = {
    'error': lambda: ValueError('plain failure'), 'exit': lambda: SystemExit(3), 'exit-text': lambda: SystemExit('bye'),
    'interrupt': KeyboardInterrupt, 'generator-exit': GeneratorExit, 'memory': MemoryError, 'own': Own,
    'unprintable': Unprintable, 'stop': StopIteration, 'stop-async': StopAsyncIteration,
    'cancelled': asyncio.CancelledError, 'timeout': asyncio.TimeoutError, 'os': lambda: BrokenPipeError(32, 'of its own'),
    'group': lambda: BaseExceptionGroup('several', [ValueError(1), Own()]),
}

def fail(name):
    if name == 'recursion':
        recurse()
    if name == 'allocation':
        bytearray(1 << 60)
    raise RAISED[name]()

def end_process(name):
    if name == '_exit':
        os._exit(3)
    if name == 'abort':
        os.abort()
    if name == 'segv':
        import ctypes
        ctypes.string_at(0)
    if name == 'kill':
        os.kill(os.getpid(), signal.SIGKILL)
    if name == 'close-all':
        os.closerange(3, 65536)

class Lasting:
    'Something whose end raises.'
    def __del__(self):
        raise Own('in __del__')
"""

WSGI = SHARED + r"""
PLAIN = [('Content-Type', 'text/plain')]

class Parts:
    def __init__(self, close, parts=(b'part',)):
        self.parts, self.on_close = iter(parts), close
    def __iter__(self):
        return self
    def __next__(self):
        return next(self.parts)
    def close(self):
        self.on_close()

def raise_before(environ, start, argument):
    fail(argument)

def raise_started(environ, start, argument):
    start('200 OK', PLAIN)
    fail(argument)

def raise_written(environ, start, argument):
    start('200 OK', PLAIN)(b'begun')
    fail(argument)

def raise_body(environ, start, argument):
    start('200 OK', PLAIN)
    def parts():
        yield b'begun'
        fail(argument)
    return parts()

def raise_first(environ, start, argument):
    start('200 OK', PLAIN)
    class First:
        def __iter__(self):
            return self
        def __next__(self):
            fail(argument)
    return First()

def raise_close(environ, start, argument):
    start('200 OK', PLAIN)
    return Parts(lambda: fail(argument))

def raise_both(environ, start, argument):
    start('200 OK', PLAIN)
    def parts():
        yield b'begun'
        raise ValueError('in the body')
    return Parts(lambda: fail(argument), parts())

def returns(environ, start, argument):
    start('200 OK', PLAIN)
    return {'none': None, 'int': 7, 'text': 'text', 'texts': ['text'], 'ints': [1, 2], 'object': object(),
            'coroutine': asyncio.sleep(0), 'dict': {'a': 1}, 'nested': [[b'x']], 'type': bytes}[argument]

def never_starts(environ, start, argument):
    return {'empty': [], 'body': [b'body'], 'generator': (b'x' for _ in range(2))}[argument]

def starts_wrongly(environ, start, argument):
    start(*{'none': (), 'status': (200, PLAIN), 'bytes': (b'200 OK', PLAIN), 'short': ('20', PLAIN),
            'headers': ('200 OK', None), 'pairs': ('200 OK', [('a',)]), 'names': ('200 OK', [(1, 2)]),
            'twice': ('200 OK', PLAIN), 'exc': ('200 OK', PLAIN, 'no exception'), 'line': ('200 a\r\nb', PLAIN)}[argument])
    start('200 OK', PLAIN)
    return [b'body']

def ignores_body(environ, start, argument):
    start('200 OK', PLAIN)
    return [b'ignored']

def lasting(environ, start, argument):
    start('200 OK', PLAIN)
    environ['lasting'] = Lasting()
    return [b'body']

def end(environ, start, argument):
    end_process(argument)
    start('200 OK', PLAIN)
    return [b'still there']

def close_descriptor(environ, start, argument):
    try:
        os.close(int(argument))
    except OSError:
        pass
    start('200 OK', PLAIN)
    return [b'closed']

def hold(environ, start, argument):
    open(argument + '.begun', 'w').close()
    while not os.path.exists(argument):
        time.sleep(0.01)
    start('200 OK', PLAIN)
    return [b'held']

def stream(environ, start, argument):
    'Parts for as long as they are taken.'
    start('200 OK', PLAIN)
    def parts():
        try:
            while True:
                yield argument.encode() * 16384
        finally:
            open('stream.ended', 'a').write('x')
    return parts()

def application(environ, start):
    name = environ['PATH_INFO'][1:].replace('-', '_')
    if name:
        return globals()[name](environ, start, environ['QUERY_STRING'])
    body = environ['wsgi.input'].read()
    start('200 OK', PLAIN)
    return [f'{os.getpid()} {len(body)}'.encode()]
"""

ASGI = SHARED + r"""
import json

kept = []
notes = []

START = {'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/plain')]}

def part(data, more=False):
    return {'type': 'http.response.body', 'body': data, 'more_body': more}

async def answer(send, text):
    await send(START)
    await send(part(text.encode()))

async def raise_before(receive, send, argument):
    fail(argument)

async def raise_later(receive, send, argument):
    await asyncio.sleep(0)
    fail(argument)

async def raise_started(receive, send, argument):
    await send(START)
    fail(argument)

async def raise_body(receive, send, argument):
    await send(START)
    await send(part(b'begun', True))
    fail(argument)

async def raise_after(receive, send, argument):
    await answer(send, 'done')
    await asyncio.sleep(0)
    fail(argument)

async def raise_in_task(receive, send, argument):
    async def child():
        fail(argument)
    task = asyncio.create_task(child())
    try:
        await task
    except BaseException:
        pass
    await answer(send, 'caught')

async def raise_in_lost_task(receive, send, argument):
    async def child():
        fail(argument)
    asyncio.create_task(child())
    await asyncio.sleep(0.01)
    await answer(send, 'alive')

async def raise_in_callback(receive, send, argument):
    asyncio.get_running_loop().call_soon(fail, argument)
    await asyncio.sleep(0.01)
    await answer(send, 'alive')

async def raise_in_timer(receive, send, argument):
    asyncio.get_running_loop().call_later(0.001, fail, argument)
    await asyncio.sleep(0.02)
    await answer(send, 'alive')

async def raise_in_reader(receive, send, argument):
    loop = asyncio.get_running_loop()
    r, w = os.pipe()
    def ready():
        loop.remove_reader(r)
        fail(argument)
    loop.add_reader(r, ready)
    os.write(w, b'x')
    await asyncio.sleep(0.01)
    os.close(r)
    os.close(w)
    await answer(send, 'alive')

async def ignores_body(receive, send, argument):
    await answer(send, 'ignored')

async def late_reader(receive, send, argument):
    'Reads the body once it has begun to answer.'
    await send(START)
    await send(part(b'begun ', True))
    message = await receive()
    await send(part(message['body'], False))

async def lasting(receive, send, argument):
    kept.append(Lasting())
    kept.clear()
    await answer(send, 'body')

async def swallows(receive, send, argument):
    'Whatever it is told, it goes on until the file is there.'
    open(argument + '.begun', 'w').close()
    while not os.path.exists(argument):
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            open(argument + '.cancelled', 'w').close()
    try:
        await answer(send, 'late')
    finally:
        open(argument + '.ended', 'w').close()

async def leaves_tasks(receive, send, argument):
    async def outlive():
        while True:
            message = await receive()
            if message['type'] == 'http.disconnect':
                break
        try:
            await send(part(b'nobody', True))
            notes.append('sent')
        except Exception as x:
            notes.append(type(x).__name__)
    kept.append(asyncio.create_task(outlive()))
    await answer(send, 'left')

async def leaves_sender(receive, send, argument):
    async def outlive():
        for _ in range(50):
            try:
                await send(part(b'FOREIGN', True))
            except Exception as x:
                notes.append(type(x).__name__)
                break
            await asyncio.sleep(0.001)
    await send(START)
    kept.append(asyncio.create_task(outlive()))
    await send(part(b'left'))

async def cancels_itself(receive, send, argument):
    asyncio.current_task().cancel()
    await answer(send, 'uncancelled')

async def cancels_all(receive, send, argument):
    me = asyncio.current_task()
    for task in asyncio.all_tasks():
        if task is not me:
            task.cancel()
    await asyncio.sleep(0.01)
    await answer(send, 'alone')

async def loop_stop(receive, send, argument):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    await answer(send, 'goes on')

async def loop_close(receive, send, argument):
    try:
        asyncio.get_running_loop().close()
    except RuntimeError:
        pass
    await answer(send, 'goes on')

async def loop_handler(receive, send, argument):
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: fail(argument))
    loop.call_soon(fail, 'error')
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    await answer(send, 'handled')

async def awaits_itself(receive, send, argument):
    await asyncio.current_task()

async def generator(receive, send, argument):
    'One that is left in the middle.'
    async def values():
        try:
            yield 1
        finally:
            notes.append('generator closed')
    async for _ in values():
        break
    gc.collect()
    await asyncio.sleep(0.01)
    await answer(send, 'left')

async def end(receive, send, argument):
    end_process(argument)
    await asyncio.sleep(0)
    await answer(send, 'still there')

async def close_descriptor(receive, send, argument):
    try:
        os.close(int(argument))
    except OSError:
        pass
    await answer(send, 'closed')

async def hold(receive, send, argument):
    open(argument + '.begun', 'w').close()
    while not os.path.exists(argument):
        await asyncio.sleep(0.01)
    await answer(send, 'held')

async def never(receive, send, argument):
    open(argument + '.begun', 'w').close()
    try:
        await asyncio.Event().wait()
    finally:
        open(argument + '.ended', 'w').close()

async def stream(receive, send, argument):
    await send(START)
    try:
        while True:
            await send(part(argument.encode() * 16384, True))
    finally:
        open('stream.ended', 'a').write('x')

async def events(receive, send, argument):
    'An event now and then, until the client goes.'
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/event-stream')]})
    try:
        n = 0
        while True:
            await send(part(b'data: %d\n\n' % n, True))
            n += 1
            await asyncio.sleep(0.05)
    finally:
        open('stream.ended', 'a').write('x')

async def noted(receive, send, argument):
    text = json.dumps(notes)
    notes.clear()
    await answer(send, text)

async def http(scope, receive, send):
    name = scope['path'][1:].replace('-', '_')
    if name:
        return await globals()[name](receive, send, scope['query_string'].decode())
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message['body'])
        more = message['more_body']
    await answer(send, f'{os.getpid()} {length}')

async def application(scope, receive, send):
    if scope['type'] == 'http':
        await http(scope, receive, send)
    elif scope['type'] == 'websocket':
        await globals()[scope['path'][1:].replace('-', '_')](receive, send, scope['query_string'].decode())
    else:
        raise RuntimeError('no lifespan')
"""

#: The cases of WebSockets, for the end of ASGI.
WEBSOCKET = r"""
async def accepted(receive, send):
    await receive()
    await send({'type': 'websocket.accept'})

async def ws_echo(receive, send, argument):
    await accepted(receive, send)
    while (message := await receive())['type'] == 'websocket.receive':
        await send(dict(message, type='websocket.send'))
    notes.append(message['code'])

async def ws_raise_before(receive, send, argument):
    fail(argument)

async def ws_raise_open(receive, send, argument):
    await accepted(receive, send)
    fail(argument)

async def ws_raise_receiving(receive, send, argument):
    await accepted(receive, send)
    await receive()
    fail(argument)

async def ws_raise_closed(receive, send, argument):
    await accepted(receive, send)
    await send({'type': 'websocket.close', 'code': 4000})
    fail(argument)

async def ws_end(receive, send, argument):
    await accepted(receive, send)
    end_process(argument)

async def ws_deaf(receive, send, argument):
    'Receives nothing until the file is there, then counts.'
    await accepted(receive, send)
    while not os.path.exists(argument):
        await asyncio.sleep(0.01)
    count = size = 0
    while (message := await receive())['type'] == 'websocket.receive':
        data = message.get('text') or message.get('bytes')
        if data == 'end':
            break
        count, size = count + 1, size + len(data)
    await send({'type': 'websocket.send', 'text': f'{count} {size}'})

async def ws_flood(receive, send, argument):
    await accepted(receive, send)
    sent = 0
    try:
        while True:
            await send({'type': 'websocket.send', 'bytes': os.urandom(64) * 1024})
            sent += 1
            notes[:] = [sent]
    finally:
        open('stream.ended', 'a').write('x')

async def ws_silent(receive, send, argument):
    await accepted(receive, send)
    await send({'type': 'websocket.send', 'text': 'open'})
    try:
        message = await receive()
        open(argument, 'w').write(json.dumps(message))
    finally:
        open('stream.ended', 'a').write('x')

async def ws_swallows(receive, send, argument):
    await accepted(receive, send)
    await swallows(receive, send, argument)
"""
