"""lifespan: auto, on and off; what it starts and ends; and which interface an application speaks."""

import signal

import pytest
from harness import Daemon

APP = r"""
import asyncio, json, os, pathlib, sys

mode = os.environ.get('MODE', 'ok').split(',')
trace = pathlib.Path(os.environ['TRACE'])

def log(text):
    with trace.open('a') as f:
        f.write(text + '\n')

async def lifespan(scope, receive, send):
    if 'assert' in mode:
        assert scope['type'] == 'http'
    if 'return' in mode:
        return
    message = await receive()
    log(message['type'])
    if 'slow' in mode:
        await asyncio.sleep(0.5)
    if 'raise' in mode:
        raise ValueError('no database')
    if 'exit' in mode:
        sys.exit(5)
    if 'fail' in mode:
        await send({'type': 'lifespan.startup.failed', 'message': 'no database\nat all'})
        raise ValueError('the same again')
    if 'hang' in mode:
        await asyncio.Event().wait()
    if 'order' in mode:
        for kind in 'lifespan.shutdown.complete', 'http.response.start', 'nonsense':
            try:
                await send({'type': kind})
            except RuntimeError as x:
                log(f'refused {kind}')
    scope['state']['shared'] = ['pool']
    scope['state']['loop'] = id(asyncio.get_running_loop())
    await send({'type': 'lifespan.startup.complete'})
    if 'die' in mode:
        raise ValueError('gone in between')
    if 'leave' in mode:
        return
    log((await receive())['type'])
    if 'hangend' in mode:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            log('cancelled')
            raise
    if 'raiseend' in mode:
        raise ValueError('bad end')
    if 'failend' in mode:
        await send({'type': 'lifespan.shutdown.failed', 'message': 'not closed'})
        return
    await asyncio.sleep(0.05)
    log('closed')
    await send({'type': 'lifespan.shutdown.complete'})
    log('returned')

async def application(scope, receive, send):
    if scope['type'] == 'lifespan':
        log('scope ' + json.dumps([scope['asgi'], scope['state']]))
        return await lifespan(scope, receive, send)
    state = scope.get('state')
    shown = json.dumps([state, state is not None and state.get('loop') == id(asyncio.get_running_loop())])
    if state is not None:
        state['own'] = True
        state.get('shared', []).append('seen')
    await send({'type': 'http.response.start', 'status': 200})
    await send({'type': 'http.response.body', 'body': shown.encode()})
"""


class Traced(Daemon):
    """A daemon whose application writes what its lifespan sees into a file."""

    def __init__(self, mode, lifespan="auto", app="app:application", **config):
        super().__init__(app, files={"app.py": APP}, config={"lifespan": lifespan, **config})
        self.env = {"MODE": mode, "TRACE": str(self.dir / "trace")}

    def trace(self):
        path = self.dir / "trace"
        return path.read_text().splitlines() if path.exists() else []

    def ended(self):
        """The trace after a whole run."""
        self.proc.send_signal(signal.SIGTERM)
        self.wait()
        return self.trace()


SCOPE = 'scope [{"version": "3.0", "spec_version": "2.0"}, {}]'


def refused(daemon, status=70):
    daemon.launch()
    try:
        assert daemon.wait() == status
        return daemon.log()
    finally:
        daemon.stop()


@pytest.mark.parametrize("lifespan", ["auto", "on"])
def test_a_lifespan_starts_before_the_first_request_and_ends_after_the_last(lifespan):
    with Traced("slow", lifespan) as d:
        assert d.trace() == [SCOPE, "lifespan.startup"]
        d.get("/")
        assert d.ended() == [SCOPE, "lifespan.startup", "lifespan.shutdown", "closed", "returned"]


def test_each_request_has_a_copy_of_the_state():
    with Traced("ok") as d:
        for n in range(3):
            state, same_loop = d.get("/").json()
            assert same_loop and set(state) == {"shared", "loop"}
            assert state["shared"] == ["pool"] + ["seen"] * n  # a shallow one


def test_off_calls_no_lifespan():
    with Traced("ok", "off") as d:
        assert d.get("/").json() == [None, False]
        assert d.ended() == []


@pytest.mark.parametrize("mode", ["assert", "return"])
def test_auto_goes_without_a_lifespan_that_is_not_supported(mode):
    with Traced(mode) as d:
        assert d.get("/").json() == [None, False]
        assert "app:application goes without a lifespan" in d.log() and "Traceback" not in d.log()


def test_auto_shows_what_a_lifespan_raised_that_had_begun():
    with Traced("raise") as d:
        assert d.get("/").json() == [None, False]
        assert "ValueError: no database" in d.log() and "Traceback" in d.log()


@pytest.mark.parametrize("mode", ["assert", "return", "raise"])
def test_on_needs_a_lifespan_that_starts(mode):
    log = refused(Traced(mode, "on"))
    assert "the application app:application did not start" in log
    assert ("Traceback" in log) == (mode != "return")


@pytest.mark.parametrize("lifespan", ["auto", "on"])
@pytest.mark.parametrize(("mode", "text"), [("fail", "at all"), ("exit", "SystemExit: 5")])
def test_a_start_that_failed_ends_the_start(lifespan, mode, text):
    log = refused(Traced(mode, lifespan))
    assert text in log and "the application app:application did not start" in log
    assert "the same again" not in log


def test_a_start_has_its_time():
    log = refused(Traced("hang", timeouts={"lifespan": "300ms"}))
    assert "did not start: not within timeouts.lifespan, 0.3 s" in log


def test_messages_out_of_order_are_refused():
    with Traced("order") as d:
        assert d.trace()[2:] == ["refused lifespan.shutdown.complete", "refused http.response.start", "refused nonsense"]


@pytest.mark.parametrize(("mode", "text"), [("raiseend", "ValueError: bad end"), ("failend", "not closed"),
                                            ("die", "ValueError: gone in between")])
def test_a_bad_end_is_logged_and_ends_all_the_same(mode, text):
    with Traced(mode) as d:
        assert d.get("/").status == 200
        d.ended()
        assert d.proc.returncode == 0 and text in d.log()


def test_a_lifespan_may_end_early():
    with Traced("leave") as d:
        assert d.get("/").json()[0]["shared"] == ["pool"]
        assert "lifespan.shutdown" not in d.ended()


def test_an_end_has_its_time_and_is_cancelled():
    with Traced("hangend", timeouts={"lifespan": "2s"}) as d:
        assert d.ended()[-2:] == ["lifespan.shutdown", "cancelled"]
        assert "its lifespan did not end: not within timeouts.lifespan" in d.log()


def test_each_mounted_application_has_a_lifespan_of_its_own():
    d = Traced("ok")
    (d.dir / "app" / "second.py").write_text(APP.replace("['pool']", "['second']"))
    (d.dir / "app" / "plain.py").write_text("def application(e, s):\n s('200 OK', [])\n return [b'wsgi']\n")
    d.config["apps"] = [{"mount": "/", "app": "app:application"}, {"mount": "/two", "app": "second:application"},
                        {"mount": "/plain", "app": "plain:application"}]
    with d:
        assert d.get("/").json()[0]["shared"] == ["pool"]
        assert d.get("/two").json()[0]["shared"] == ["second"]
        assert d.get("/plain").text == "wsgi"
        assert d.ended().count("closed") == 2


def test_one_that_does_not_start_ends_those_that_have():
    d = Traced("ok")
    (d.dir / "app" / "second.py").write_text(
        "import asyncio\n"
        "async def application(scope, receive, send):\n"
        "    await receive()\n"
        "    await asyncio.sleep(0.2)\n"
        "    await send({'type': 'lifespan.startup.failed', 'message': 'second'})\n")
    d.config["apps"] = [{"mount": "/", "app": "app:application"}, {"mount": "/two", "app": "second:application"}]
    log = ""
    d.launch()
    try:
        assert d.wait() == 70
        log, trace = d.log(), d.trace()
    finally:
        d.stop()
    assert "the application second:application did not start" in log and "closed" in trace


# Which interface.

SHAPES = """
import asyncio, functools

async def run(scope, receive, send):
    assert scope['type'] == 'http'
    await send({'type': 'http.response.start', 'status': 200})
    await send({'type': 'http.response.body', 'body': b'asgi'})

def wsgi(environ, start_response):
    start_response('200 OK', [])
    return [b'wsgi']

class Callable:
    async def __call__(self, scope, receive, send):
        await run(scope, receive, send)

class Plain:
    def __call__(self, scope, receive, send):
        return run(scope, receive, send)

    async def method(self, scope, receive, send):
        await run(scope, receive, send)

    def wsgi(self, environ, start_response):
        return wsgi(environ, start_response)

class Awaited:
    def __init__(self, scope, receive, send):
        self.coroutine = run(scope, receive, send)

    def __await__(self):
        return self.coroutine.__await__()

class Iterated:
    def __init__(self, environ, start_response):
        start_response('200 OK', [])

    def __iter__(self):
        yield b'wsgi'

class WSGI:
    def __call__(self, environ, start_response, extra=None):
        return wsgi(environ, start_response)

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

async def four(extra, scope, receive, send):
    await run(scope, receive, send)

async def optional(scope, receive, send, extra=None):
    await run(scope, receive, send)

def three(a, b, c):
    return run(a, b, c)

async def anything(*args):
    await run(*args)

def opaque(*args):
    return wsgi(*args)

class Marked:
    _is_coroutine = asyncio.coroutines._is_coroutine
    def __call__(self, *args):
        return run(*args)

marked = Marked()

def make():
    return run

def make_wsgi():
    return wsgi

instance, plain, wsgi_instance = Callable(), Plain(), WSGI()
partial = functools.partial(four, 'x')
partial_wsgi = functools.partial(lambda x, environ, start_response: wsgi(environ, start_response), 'x')
decorated_asgi, decorated_wsgi = decorated(run), decorated(wsgi)
twice = functools.partial(decorated(functools.partial(four, 'x')))
method, wsgi_method = plain.method, plain.wsgi

def named(environ, start_response, settings):
    return wsgi(environ, start_response)

def given(f):
    @functools.wraps(f)
    def inner(environ, start_response):
        return f(environ, start_response, 'x')
    return inner

partial_named = functools.partial(named, settings='x')
partial_scope = functools.partial(lambda scope, receive, send, settings: run(scope, receive, send), settings='x')
injected = given(named)

class Double:
    def __init__(self, scope):
        pass
    async def __call__(self, receive, send):
        pass

def double(scope):
    return Double(scope)

async def two(scope, receive):
    pass
"""
ASGI = ["run", "instance", "plain", "Awaited", "partial", "decorated_asgi", "twice", "method", "plain.method", "optional",
        "three", "anything", "marked", "make()", "Callable()", "partial_scope"]
WSGI = ["wsgi", "wsgi_instance", "Iterated", "partial_wsgi", "decorated_wsgi", "wsgi_method", "opaque", "make_wsgi()",
        "partial_named", "injected"]


def test_the_interface_is_told_by_the_shape_of_the_application():
    apps = [{"mount": f"/{n}", "app": f"shapes:{name}"} for n, name in enumerate(ASGI + WSGI)]
    with Daemon(apps=apps, files={"shapes.py": SHAPES}) as d:
        for n, name in enumerate(ASGI + WSGI):
            assert (name, d.get(f"/{n}").text) == (name, "asgi" if name in ASGI else "wsgi")


@pytest.mark.parametrize(("name", "interface", "text"), [
    ("Double", "auto", "ASGI 2"), ("double", "auto", "ASGI 2"), ("double", "asgi", "ASGI 2"),
    ("Callable", "auto", "is a class, whose instances are applications"), ("two", "auto", "scope, receive and send"),
    ("run", "wsgi", "speaks ASGI"), ("wsgi", "asgi", "scope, receive and send")])
def test_what_cannot_be_called_is_refused_at_the_start(name, interface, text):
    log = refused(Daemon(apps=[{"mount": "/", "app": f"shapes:{name}", "interface": interface}],
                         files={"shapes.py": SHAPES}))
    assert text in log and f"the application shapes:{name} cannot be loaded" in log


STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.middleware.cors import CORSMiddleware

async def show(request):
    return JSONResponse([str(request.url), str(request.url_for('show')), request.scope['root_path']])

inner = Starlette(routes=[Route('/show', show, name='show'), Mount('/sub', routes=[Route('/show', show)])])
application = CORSMiddleware(inner, allow_origins=['*'])
"""


def test_routes_and_urls_of_starlette_are_right_under_a_mount():
    with Daemon(apps=[{"mount": "/shop", "app": "star:application"}, {"mount": "/bare", "app": "star:inner"}],
                files={"star.py": STARLETTE}) as d:
        for mount in "/shop", "/bare":
            base = f"http://127.0.0.1:{d.port}{mount}"
            assert d.get(f"{mount}/show?a=1").json() == [f"{base}/show?a=1", f"{base}/show", mount]
            assert d.get(f"{mount}/sub/show").json()[:1] == [f"{base}/sub/show"]
            assert d.get(f"{mount}/none").status == 404
