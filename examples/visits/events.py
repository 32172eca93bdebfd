"""What happens, as server-sent events: an ASGI application beside the one in Flask.

Each open page subscribes to two topics and waits on the worker's event loop;
thousands of them hold no thread.
"""

import json

from hornbeam_erlang import HornbeamError, aio

TOPICS = "visits", "notice"
BREATH = 15  # after so many silent seconds a comment keeps proxies from closing the stream


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    try:
        async with aio.subscription(*TOPICS) as happening:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await part(send, ": hello\n\n")
            while True:
                got = await happening.get(BREATH)
                await part(send, event(*got) if got else ": still here\n\n")
    except (HornbeamError, OSError):
        return  # the page has gone, or the companion; the browser asks again by itself


def event(topic, message):
    return f"event: {topic}\ndata: {json.dumps(message, default=str)}\n\n"


async def part(send, text):
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
