"""Asks another server, over connections of asyncio streams that are kept.

BACKEND_PORT says where the bare responder listens.
"""

import asyncio
import os

PORT = int(os.environ["BACKEND_PORT"])
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
idle = []


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan here")
    reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", PORT)
    writer.write(REQUEST)
    await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(12)
    idle.append((reader, writer))
    await send({"type": "http.response.start", "status": 200 if head.startswith(b"HTTP/1.1 200") else 502,
                "headers": [(b"content-type", b"text/plain"), (b"content-length", b"12")]})
    await send({"type": "http.response.body", "body": body})
