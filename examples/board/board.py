"""A notice board: JSON, a WebSocket for live pages, and shared state.

    cd examples/board && hornbeam run board:app --workers 2
"""

import asyncio
import os
import pathlib
import time

from fastapi import Depends, FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from hornbeam_erlang import (
    HornbeamError,
    aio,
    publish,
    state_cas,
    state_delete,
    state_fetch,
    state_get,
    state_get_multi,
    state_gets,
    state_incr,
    state_ttl,
)

NOTES = "board:notes"
CHANGED = "board:changed"  # the topic that live pages wait for
KEPT = 100
POSTS, PERIOD = 20, 60  # so many notes in so many seconds from one address

app = FastAPI(title="Board", description="A notice board in shared state.")
page = pathlib.Path(__file__).with_name("board.html")


class NewNote(BaseModel):
    """What a client sends."""

    author: str = Field(min_length=1, max_length=40)
    text: str = Field(min_length=1, max_length=500)


class Note(NewNote):
    """What the board shows."""

    id: int
    time: float
    votes: int = 0


@app.on_event("startup")
async def count_start():
    state_incr("board:starts")


@app.exception_handler(HornbeamError)
async def down(request, error):
    """The companion is restarting."""
    return Response("the shared state is not available", 503, {"Retry-After": "1"})


def change(function):
    """Stores function(notes); when another worker was faster, looks again."""
    while True:
        notes, version = state_gets(NOTES)
        changed = function(notes or [])
        if state_cas(NOTES, changed, version):
            publish(CHANGED, None)
            return


def votes_key(number):
    return f"board:votes:{number}"


def with_votes(notes):
    votes = state_get_multi([votes_key(note["id"]) for note in notes])
    return [{**note, "votes": votes[votes_key(note["id"])] or 0} for note in notes]


async def may_post(request: Request):
    """A dependency: refuses an address that posts too much."""
    key = f"board:posts:{request.client.host if request.client else 'local'}"
    if state_incr(key, ttl=PERIOD) > POSTS:
        raise HTTPException(429, "please wait a little", {"Retry-After": str(int(state_ttl(key) or 0) + 1)})


async def known(number: int):
    """A dependency: the note of the path."""
    for note in state_get(NOTES, []):
        if note["id"] == number:
            return note
    raise HTTPException(404, f"no note {number}")


@app.get("/", include_in_schema=False)
async def show():
    return FileResponse(page)


@app.get("/notes", response_model=list[Note])
async def read():
    return with_votes(state_get(NOTES, []))


@app.post("/notes", response_model=Note, status_code=201, dependencies=[Depends(may_post)])
async def write(new: NewNote):
    note = {"id": state_incr("board:last"), "time": time.time(), **new.dict()}
    change(lambda notes: [note, *notes][:KEPT])
    return note


@app.post("/notes/{number}/votes")
async def vote(number: int, note: dict = Depends(known)):
    votes = state_incr(votes_key(number))
    publish(CHANGED, None)
    return {"id": number, "votes": votes}


@app.delete("/notes/{number}", status_code=204)
async def remove(number: int, note: dict = Depends(known)):
    change(lambda notes: [n for n in notes if n["id"] != number])
    state_delete(votes_key(number))
    return Response(status_code=204)


@app.get("/figures")
def figures():
    """Not a coroutine: another worker may be at the computation, and this one waits for it in a thread."""
    def compute():
        notes = state_get(NOTES, [])
        return {"notes": len(notes), "authors": len({n["author"] for n in notes}), "starts": state_get("board:starts", 0)}
    return {**state_fetch("board:figures", compute, ttl=1), "pid": os.getpid()}


@app.websocket("/live")
async def live(websocket: WebSocket):
    """Sends all notes at first and whenever something has changed, until the client leaves."""
    await websocket.accept()
    async with aio.subscription(CHANGED) as changes:
        leaving = asyncio.ensure_future(websocket.receive())
        try:
            while not leaving.done():
                while changes.receive(0):  # many changes at once are one
                    pass
                await websocket.send_json(with_votes(state_get(NOTES, [])))
                change = asyncio.ensure_future(changes.get())
                await asyncio.wait([leaving, change], return_when=asyncio.FIRST_COMPLETED)
                change.cancel()
        except (WebSocketDisconnect, OSError, HornbeamError):
            pass
        finally:
            leaving.cancel()
