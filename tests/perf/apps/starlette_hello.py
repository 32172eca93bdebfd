"""A text hello in Starlette."""

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request):
    return PlainTextResponse("hello world\n")


app = Starlette(routes=[Route("/", hello)])
