"""A JSON hello in FastAPI."""

import fastapi

app = fastapi.FastAPI()


@app.get("/")
async def hello():
    return {"hello": "world"}
