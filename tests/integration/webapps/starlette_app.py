"""A Starlette application of many paths; test_starlette.py asks for each."""

import asyncio
import contextlib
import gc
import hashlib
import os
import pathlib

from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.endpoints import HTTPEndpoint, WebSocketEndpoint
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

DIR = pathlib.Path(os.environ["HB_TEST_DIR"])
(DIR / "static").mkdir(exist_ok=True)
(DIR / "static" / "page.txt").write_text("a static page\n" * 1000)

done = []


@contextlib.asynccontextmanager
async def lifespan(app):
    async with asyncio.timeout(5):
        gate = asyncio.Event()
    with (DIR / "lifespan").open("a") as f:
        f.write("started\n")
    yield {"gate": gate, "greeting": "hello from lifespan", "counts": {"requests": 0}}
    with (DIR / "lifespan").open("a") as f:
        f.write("stopped\n")


class Timing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        request.state.counts["requests"] += 1
        response = await call_next(request)
        response.headers["X-Through"] = "timing"
        return response


async def index(request):
    return PlainTextResponse(request.state.greeting)


async def where(request):
    return JSONResponse({
        "url": str(request.url), "base": str(request.base_url), "path": request.scope["path"],
        "root_path": request.scope["root_path"], "client": request.client.host if request.client else None,
        "scheme": request.url.scheme, "next": str(request.url_for("item", number=7)),
        "sub": str(request.url_for("sub:leaf", name="x")), "type": request.scope["type"],
        "http_version": request.scope["http_version"], "raw_path": request.scope["raw_path"].decode()})


async def item(request):
    return JSONResponse({"number": request.path_params["number"]})


async def show_done(request):
    gc.collect()  # anyio holds a failed stream's iterator in a cycle with its exception
    return JSONResponse(done)


class Account(HTTPEndpoint):
    async def post(self, request):
        async with request.form() as form:
            request.session["name"] = form["name"]
        return PlainTextResponse("ok")

    async def get(self, request):
        if "name" not in request.session:
            raise HTTPException(401, "who are you?", {"WWW-Authenticate": "None"})
        request.session["visits"] = request.session.get("visits", 0) + 1
        return JSONResponse(dict(request.session))


async def background(request):
    """The response is there before its task is: that one waits for another request."""
    name = request.query_params["name"]

    async def wait():
        await request.state.gate.wait()
        done.append(f"waited {name}")

    tasks = BackgroundTasks()
    tasks.add_task(wait)
    tasks.add_task(lambda: done.append(f"in a thread {name}"))
    return PlainTextResponse("accepted", 202, background=tasks)


async def release(request):
    request.state.gate.set()
    return PlainTextResponse("released")


async def stream(request):
    """Each part asks for the next one of another kind: at once, after a turn of the loop, after a moment."""
    async def parts():
        for n in range(int(request.query_params["parts"])):
            yield f"{n}\n" * 10
            if n % 3 == 1:
                await asyncio.sleep(0)
            if n % 100 == 50:
                await asyncio.sleep(0.001)
    return StreamingResponse(parts(), media_type="text/plain")


async def endless(request):
    name = request.query_params["name"]

    async def blocks():
        try:
            while True:
                yield b"x" * 65536
        finally:
            done.append(f"closed {name}")
    return StreamingResponse(blocks())


async def events(request):
    """Server-sent events until the client has gone, which an event that nobody sets tells."""
    name = request.query_params["name"]

    async def source():
        try:
            for n in range(3):
                yield f"data: event {n}\n\n"
                await asyncio.sleep(0.001)
            await asyncio.Event().wait()
        finally:
            done.append(f"closed {name}")
    return StreamingResponse(source(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def watch(request):
    """Answers nothing; says that the client has gone."""
    name = request.query_params["name"]
    done.append(f"came {name}")
    while not await request.is_disconnected():
        await asyncio.sleep(0.005)
    done.append(f"left {name}")
    return PlainTextResponse("to nobody")


async def form(request):
    async with request.form() as form:
        found = []
        for key, value in form.multi_items():
            if isinstance(value, str):
                found.append([key, value])
            else:
                data = await value.read()
                found.append([key, value.filename, value.content_type, len(data), hashlib.sha256(data).hexdigest()])
    return JSONResponse(found)


async def raw(request):
    size, parts, total = 0, 0, hashlib.sha256()
    async for part in request.stream():
        size += len(part)
        parts += 1
        total.update(part)
        await asyncio.sleep(0)
    return JSONResponse({"size": size, "sha256": total.hexdigest(), "parts": parts})


async def big(request):
    return PlainTextResponse("compressible " * 10_000)


async def file(request):
    path = DIR / "block"
    if not path.exists():
        path.write_bytes(bytes(range(256)) * 1200)
    return FileResponse(path, filename="a block.bin", background=BackgroundTask(done.append, "file sent"))


async def fail(request):
    raise RuntimeError("as asked")


async def half(request):
    async def parts():
        yield b"begun"
        raise RuntimeError("half way")
    return StreamingResponse(parts())


class Own(Exception):
    pass


async def own(request):
    raise Own("my own")


async def own_handler(request, error):
    return JSONResponse({"own": str(error)}, 422)


async def thread(request):
    """A plain function of another thread and a process beside it."""
    result = await asyncio.to_thread(sum, range(1000))
    child = await asyncio.create_subprocess_exec("/bin/echo", "from a child", stdout=asyncio.subprocess.PIPE)
    text, _ = await child.communicate()
    return JSONResponse({"sum": result, "child": text.decode().strip(), "status": child.returncode})


async def leaf(request):
    return JSONResponse({
        "name": request.path_params["name"], "url": str(request.url), "root_path": request.scope["root_path"],
        "self": str(request.url_for("sub:leaf", name="y"))})


class Echo(WebSocketEndpoint):
    """Text and bytes as they come; "close CODE" closes."""

    encoding = None

    async def on_connect(self, websocket):
        wanted = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol="two" if "two" in wanted else None, headers=[(b"x-greeting", b"hi")])

    async def on_receive(self, websocket, data):
        if isinstance(data, str) and data.startswith("close "):
            await websocket.close(int(data[6:]), "as asked")
        elif isinstance(data, str):
            await websocket.send_text(data)
        else:
            await websocket.send_bytes(data)

    async def on_disconnect(self, websocket, close_code):
        done.append(f"socket closed {close_code} {websocket.query_params.get('name')}")


async def talk(websocket):
    await websocket.accept()
    await websocket.send_json({
        "greeting": websocket.state.greeting, "url": str(websocket.url), "path": websocket.path_params["room"],
        "client": websocket.client.host, "session": websocket.session.get("name"),
        "header": websocket.headers.get("x-own")})
    with contextlib.suppress(WebSocketDisconnect):
        async for message in websocket.iter_json():
            await websocket.send_json({"got": message})
    done.append(f"talked in {websocket.path_params['room']}")


async def refuse(websocket):
    await websocket.close()


async def broken(websocket):
    await websocket.accept()
    raise RuntimeError("in a socket")


async def push(websocket):
    """Sends more than any buffer holds, and notes when it has to wait for the client."""
    await websocket.accept()
    for n in range(1500):
        sending = asyncio.ensure_future(websocket.send_bytes(n.to_bytes(4, "big") * 4096))
        if not (await asyncio.wait([sending], timeout=0.05))[0]:
            done.append(f"waits {websocket.query_params['name']}")
        await sending
    await websocket.close()


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", index),
        Route("/where", where),
        Route("/item/{number:int}", item, name="item"),
        Route("/done", show_done),
        Route("/account", Account),
        Route("/background", background),
        Route("/release", release, methods=["POST"]),
        Route("/stream", stream),
        Route("/endless", endless),
        Route("/events/", events),
        Route("/watch", watch),
        Route("/form", form, methods=["POST"]),
        Route("/upload/raw", raw, methods=["POST"]),
        Route("/big", big),
        Route("/file", file),
        Route("/fail", fail),
        Route("/half", half),
        Route("/own", own),
        Route("/thread", thread),
        Mount("/static", StaticFiles(directory=DIR / "static"), name="static"),
        Mount("/sub", name="sub", routes=[Route("/leaf/{name}", leaf, name="leaf")]),
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/talk/{room}", talk),
        WebSocketRoute("/refuse", refuse),
        WebSocketRoute("/broken", broken),
        WebSocketRoute("/push", push),
    ],
    exception_handlers={Own: own_handler},
    middleware=[
        Middleware(SessionMiddleware, secret_key="only for tests"),
        Middleware(CORSMiddleware, allow_origins=["https://other.example"], allow_methods=["PUT"], allow_headers=["X-Own"]),
        Middleware(GZipMiddleware, minimum_size=500),
    ],
)

#: The same behind BaseHTTPMiddleware, which gives each response a task of its own.
through = Starlette(lifespan=lifespan, routes=app.routes, middleware=[Middleware(Timing)])
