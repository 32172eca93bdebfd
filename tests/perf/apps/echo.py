"""Sends every WebSocket message back."""


async def asgi(scope, receive, send):
    if scope["type"] != "websocket":
        raise RuntimeError("WebSocket only")
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
