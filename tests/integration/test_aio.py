"""hornbeam_erlang.aio and call in workers, on the worker's own loop, and in scripts beside them."""

import concurrent.futures
import subprocess

import harness
import pytest
from harness import Daemon, eventually

COMMON = """
import asyncio
from hornbeam_erlang import Atom, HornbeamConnectionError, aio

async def add(count):
    \"\"\"So many calls at once, and whether each got its own answer.\"\"\"
    sums = await asyncio.gather(*(aio.call('add', i, 1) for i in range(count)))
    return sums == list(range(1, count + 1))

async def register():
    for name, module, function in (('add', 'erlang', '+'), ('pause', 'timer', 'sleep'), ('whole', 'lists', 'seq')):
        await aio.rpc_call('local', 'hornbeam', 'register_function', [name, Atom(module), Atom(function)])
"""

PLAIN = """
from common import *

async def body(path):
    if path.endswith('/register'):
        await register()
        return 'registered'
    if path.endswith('/add'):
        return str(await add(500))
    if path.endswith('/meet'):
        await aio.state_incr('met')
        while await aio.state_get('met') < 20:
            await aio.call('pause', 10)
        return 'met'
    if path.endswith('/timeout'):
        try:
            async with asyncio.timeout(0.05):
                await aio.call('pause', 60000, timeout_ms=60000)
        except TimeoutError:
            return 'timeout'
    if path.endswith('/loop'):
        return type(asyncio.get_running_loop()).__module__
    if path.endswith('/state'):
        try:
            return str(await aio.state_incr('requests'))
        except HornbeamConnectionError:
            return 'down'

async def application(scope, receive, send):
    assert scope['type'] == 'http'
    text = await body(scope['path'])
    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-type', b'text/plain')]})
    await send({'type': 'http.response.body', 'body': text.encode()})
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from common import *

async def at_once(request):
    return PlainTextResponse(str(await add(500)))

async def later(request):
    return PlainTextResponse('soon', background=BackgroundTask(aio.state_set, 'background', 'done'))

application = Starlette(routes=[Route('/add', at_once), Route('/later', later)])
"""

FASTAPI = """
from fastapi import Depends, FastAPI
from common import *
import hornbeam_erlang

application = FastAPI()

async def visits():
    return await aio.state_incr('visits')

@application.get('/add')
async def at_once(count: int = Depends(visits)):
    return {'right': await add(500), 'counted': count > 0}

@application.get('/threads')
def in_a_thread():
    return hornbeam_erlang.call('add', 1, 2)
"""

WSGI = """
from hornbeam_erlang import call

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [str(call('add', 1, 2)).encode()]
"""


@pytest.fixture(scope="module")
def daemon():
    files = {"common.py": COMMON, "plain.py": PLAIN, "star.py": STARLETTE, "fast.py": FASTAPI, "wsgi.py": WSGI}
    apps = [{"mount": f"/{name}", "app": f"{name}:application"} for name in ("plain", "star", "fast", "wsgi")]
    with Daemon(apps=apps, files=files) as d:
        assert d.get("/plain/register").text == "registered"
        yield d


def test_calls_run_on_the_loop_of_the_worker(daemon):
    assert daemon.get("/plain/loop").text == "_hornbeam_loop"


def test_each_framework_gets_the_answers_of_calls_at_once(daemon):
    assert daemon.get("/plain/add").text == "True"
    assert daemon.get("/star/add").text == "True"
    assert daemon.get("/fast/add").json() == {"right": True, "counted": True}


def test_threads_of_the_worker_call_meanwhile(daemon):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        at_once = [pool.submit(daemon.get, f"/{path}") for path in ["plain/add", "fast/threads", "wsgi/"] * 8]
        assert [answer.result().text for answer in at_once] == ["True", "3", "3"] * 8


def test_requests_of_one_worker_overlap_while_they_wait(daemon):
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: daemon.get("/plain/meet"), range(20)))
    assert {a.text for a in answers} == {"met"}


def test_function_is_a_background_task(daemon):
    assert daemon.get("/star/later").text == "soon"
    eventually(lambda: daemon.hornbeam("state", "get", "background").stdout == "done\n")


def test_timeout_of_asyncio_ends_a_call(daemon):
    assert daemon.get("/plain/timeout").text == "timeout"


def test_companion_that_is_killed_is_an_error_and_the_next_one_serves(daemon):
    assert daemon.get("/plain/state").text.isdigit()
    with daemon.without_companion():
        eventually(lambda: daemon.get("/plain/state").text == "down")
    eventually(lambda: daemon.get("/plain/state").text.isdigit(), 30)
    daemon.note()
    assert daemon.get("/plain/register").text == "registered"
    assert daemon.get("/plain/add").text == "True"


def test_script_has_a_link_from_the_master(daemon):
    code = """
import asyncio
from hornbeam_erlang import aio
async def main():
    sums = await asyncio.gather(*(aio.call('add', i, 1) for i in range(500)))
    assert sums == list(range(1, 501))
    print(len(await aio.call('whole', 1, 1000000, timeout_ms=60000)), await aio.node())
asyncio.run(main())
"""
    env = harness.environment(HORNBEAM_SOCKET=str(daemon.socket), **harness.PRELOAD)
    done = subprocess.run([harness.PYTHON, "-c", code], env=env, capture_output=True, text=True,
                          timeout=60 * harness.SLOW)
    assert (done.returncode, done.stdout) == (0, "1000000 nonode@nohost\n"), done.stderr
