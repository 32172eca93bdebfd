"""The web front of the shop: prices and customers are Erlang's, the pages are Python's."""

import model  # noqa: F401 -- registers itself
from hornbeam_erlang import CallError, call, state_get, state_incr


def index(environ):
    lines = [f"{name}: {price}, sold {state_get('sold:' + name, 0)}" for name, price in sorted(call("prices").items())]
    return "200 OK", "\n".join(lines)


def buy(environ):
    name = environ["PATH_INFO"].rpartition("/")[2]
    try:
        price = call("price", name)
    except CallError:
        return "404 Not Found", f"there is no {name}"
    return "200 OK", f"{state_incr('sold:' + name)} sold at {price}"


def set_price(environ):
    _, _, _, name, price = environ["PATH_INFO"].split("/")
    call("set_price", name, int(price))
    return "200 OK", f"{name} costs {call('price', name)}, says the {environ['hornbeam.request']['role']}"


def review(environ):
    name, text = environ["PATH_INFO"].rpartition("/")[2], environ["wsgi.input"].read().decode()
    try:
        told = call("review", name, text)
    except CallError:
        return "404 Not Found", f"there is no {name}"
    return "200 OK", f"tone {told['tone']:.2f}; {told['good']} good, {told['bad']} bad"


def application(environ, start_response):
    path = environ["PATH_INFO"]
    pages = {"/buy/": buy, "/review/": review, "/admin/price/": set_price}
    page = next((page for prefix, page in pages.items() if path.startswith(prefix)), index)
    status, text = page(environ)
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [text.encode() + b"\n"]
