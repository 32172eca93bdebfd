"""A FastAPI application of many paths; test_fastapi.py asks for each."""

import asyncio
import contextvars
import hashlib
import os
import pathlib
import threading
import time
from typing import Literal

from fastapi import (
    BackgroundTasks,
    Depends,
    FastAPI,
    Form,
    Header,
    HTTPException,
    Query,
    Request,
    Response,
    UploadFile,
    WebSocket,
    WebSocketDisconnect,
)
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

NOTES = pathlib.Path(os.environ["HB_TEST_DIR"]) / "events"

app = FastAPI(title="Orders", version="1.2.3")
done = []
caller = contextvars.ContextVar("caller", default="nobody")
store = {}


@app.on_event("startup")
async def startup():
    app.state.loop = asyncio.get_running_loop()
    app.state.thread = threading.get_ident()
    with NOTES.open("a") as f:
        f.write("startup\n")


@app.on_event("shutdown")
def shutdown():
    with NOTES.open("a") as f:
        f.write("shutdown\n")


class Line(BaseModel):
    name: str = Field(min_length=1, max_length=40)
    amount: int = Field(gt=0)
    price: float = 1.0


class Order(BaseModel):
    customer: str
    kind: Literal["new", "old"] = "new"
    lines: list[Line]


class Priced(BaseModel):
    id: int
    customer: str
    total: float


@app.post("/orders", response_model=Priced, status_code=201)
async def create(order: Order):
    number = len(store) + 1
    total = sum(line.amount * line.price for line in order.lines)
    store[number] = {"id": number, "customer": order.customer, "total": total, "secret": "not shown"}
    return store[number]


@app.get("/orders/{number}", response_model=Priced)
def read(number: int):
    if number not in store:
        raise HTTPException(404, f"no order {number}")
    return store[number]


@app.delete("/orders/{number}", status_code=204)
async def delete(number: int):
    store.pop(number, None)
    return Response(status_code=204)


@app.get("/search")
async def search(q: list[str] = Query(), limit: int = Query(10, le=100), x_own: str = Header(None)):
    return {"q": q, "limit": limit, "own": x_own}


@app.get("/where")
async def where(request: Request):
    return {"url": str(request.url), "root_path": request.scope["root_path"], "client": request.client.host,
            "order": str(request.url_for("read", number=7))}


async def asynchronous(request: Request):
    name = request.query_params.get("name")
    done.append(f"async in {name}")
    try:
        yield "async"
    except BaseException as error:
        done.append(f"async {type(error).__name__} {name}")
        raise
    finally:
        done.append(f"async out {name}")


def synchronous(request: Request, outer: str = Depends(asynchronous)):
    name = request.query_params.get("name")
    done.append(f"sync in {name}")
    try:
        yield f"{outer} and sync, {'loop' if threading.get_ident() == app.state.thread else 'thread'}"
    finally:
        done.append(f"sync out {name}")


@app.get("/dependent")
async def dependent(value: str = Depends(synchronous)):
    return {"value": value}


@app.get("/dependent/fails")
async def dependent_fails(value: str = Depends(synchronous)):
    raise HTTPException(409, value)


@app.get("/done")
async def show_done():
    return done


@app.middleware("http")
async def name_caller(request: Request, call_next):
    caller.set(request.headers.get("x-caller", "nobody"))
    response = await call_next(request)
    response.headers["X-Process"] = str(os.getpid())
    return response


@app.get("/caller/plain")
def caller_plain():
    """In one of anyio's threads, with the context of the request."""
    return {"caller": caller.get(), "loop": threading.get_ident() == app.state.thread}


@app.get("/caller/async")
async def caller_async():
    await asyncio.sleep(0.001)
    return {"caller": caller.get(), "loop": asyncio.get_running_loop() is app.state.loop}


barrier = threading.Barrier(4)


@app.get("/together")
def together():
    """Answers once four of these run at once."""
    return {"index": barrier.wait(10)}


@app.post("/background")
async def background(tasks: BackgroundTasks, name: str = Form()):
    def later():
        time.sleep(0.01)
        done.append(f"background {name}")
    tasks.add_task(later)
    return {"accepted": name}


@app.post("/upload/files")
async def upload(files: list[UploadFile], note: str = Form("none")):
    found = []
    for file in files:
        total, size = hashlib.sha256(), 0
        while part := await file.read(100_000):
            total.update(part)
            size += len(part)
        found.append({"name": file.filename, "type": file.content_type, "size": size, "sha256": total.hexdigest()})
    return {"files": found, "note": note}


@app.get("/events/")
async def events(request: Request, name: str):
    async def source():
        try:
            for n in range(3):
                yield f"data: event {n}\n\n"
            while not await request.is_disconnected():
                await asyncio.sleep(0.005)
        finally:
            done.append(f"closed {name}")
    return StreamingResponse(source(), media_type="text/event-stream")


@app.get("/fail")
async def fail():
    raise RuntimeError("as asked")


@app.get("/exit")
async def leave():
    raise SystemExit(3)


async def token(websocket: WebSocket, token: str = Query()):
    yield token.upper()
    done.append(f"token {token} out")


@app.websocket("/chat/{room}")
async def chat(websocket: WebSocket, room: str, who: str = Depends(token)):
    await websocket.accept()
    members = chat.__dict__.setdefault(room, set())
    members.add(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for member in list(members):
                await member.send_json({"room": room, "from": who, "text": text, "members": len(members)})
    except WebSocketDisconnect as left:
        done.append(f"{who} left {room} with {left.code}")
    finally:
        members.discard(websocket)
