"""Visits, a guest book and a rate limit in shared state.

Whichever worker answers, the numbers are the same: they live in the
companion's table, not in a Python process.  What happens is published, and
events.py streams it to the open pages.  `run` serves both.
"""

import contextlib
import os
import secrets
import time

from flask import Flask, jsonify, redirect, render_template, request, url_for

from hornbeam_erlang import (
    HornbeamError,
    call,
    publish,
    state_add,
    state_cas,
    state_fetch,
    state_get,
    state_get_multi,
    state_gets,
    state_incr,
    state_keys,
    state_set,
    state_ttl,
)

BOOK_SIZE = 50
NAME_SIZE, TEXT_SIZE = 40, 280
POSTS, PERIOD = 5, 60  # so many entries in so many seconds from one address
WORDS = 3
PRESENCE = 15  # a reader who has not asked for so many seconds has left

WELCOME = "Welcome to the guest book. Sign it, and watch the book and its words change."

app = Flask(__name__)


def begin():
    """The first worker finds nothing; without a companion the others will not either."""
    with contextlib.suppress(HornbeamError):
        state_add("visits", 0)
        state_add("guestbook", [{"name": "Hornbeam", "text": WELCOME, "time": int(time.time()), "pid": os.getpid()}])


begin()


def visitor():
    """The random id in the reader's cookie, or a new one."""
    known = request.cookies.get("visitor", "")
    return known if len(known) == 16 and known.isalnum() else secrets.token_hex(8)


def rate_key():
    return f"rate:{request.remote_addr}"


def rate_left():
    """How many entries this address may still post, and the seconds until it may post all again."""
    used = state_get(rate_key(), 0)
    return max(0, POSTS - used), (state_ttl(rate_key()) or 0) if used else 0


def sign(name, text):
    """Adds an entry; when another worker was faster, looks again, so that none is lost."""
    entry = {"name": name, "text": text, "time": int(time.time()), "pid": os.getpid()}
    while True:
        book, version = state_gets("guestbook")
        if state_cas("guestbook", [*(book or []), entry][-BOOK_SIZE:], version):
            publish("visits", {"signed": name})
            return


def words():
    """The most used words of the guest book, by a function in Erlang; none where it is not registered."""
    try:
        return call("top_words", WORDS)
    except HornbeamError:
        return []


def numbers():
    """What the page shows live."""
    served = state_get_multi(state_keys("served:"))
    left, reset = rate_left()
    return {
        "visits": state_get("visits", 0),
        "pid": os.getpid(),
        "readers": len(state_keys("reader:")),
        "served": {key.removeprefix("served:"): count for key, count in served.items() if count},
        "rate_left": left,
        "rate_limit": POSTS,
        "rate_reset": round(reset, 1),
        "since": state_fetch("since", time.time),
        "words": words(),
    }


@app.before_request
def count():
    """Each worker counts what it answers; the counter goes an hour after its first request."""
    state_incr(f"served:{os.getpid()}", ttl=3600)


@app.get("/")
def page(error=None, name="", text="", status=200):
    reader = visitor()
    publish("visits", {"visits": state_incr("visits")})
    state_set(f"reader:{reader}", True, ttl=PRESENCE)
    book, version = state_gets("guestbook")
    html = render_template(
        "page.html", now=numbers(), entries=reversed(book or []), version=version, error=error, name=name,
        text=text, name_size=NAME_SIZE, text_size=TEXT_SIZE, period=PERIOD, book_size=BOOK_SIZE)
    response = app.make_response((html, status))
    response.set_cookie("visitor", reader, httponly=True, samesite="Strict")
    return response


@app.post("/entries")
def post():
    name = request.form.get("name", "").strip()[:NAME_SIZE]
    text = request.form.get("text", "").strip()[:TEXT_SIZE]
    if not name or not text:
        return page("Please give a name and a message.", name, text, 400)
    if state_incr(rate_key(), ttl=PERIOD) > POSTS:
        return page(f"{POSTS} entries a minute are enough. Please wait a little.", name, text, 429)
    sign(name, text)
    return redirect(url_for("page") + "#book", 303)


@app.get("/live")
def live():
    """The numbers, and the guest book where it is not the version that the page has."""
    if "visitor" in request.cookies:
        state_set(f"reader:{visitor()}", True, ttl=PRESENCE)
    answer = numbers()
    book, answer["version"] = state_gets("guestbook")
    if request.args.get("version") != str(answer["version"]):
        answer["entries"] = list(reversed(book or []))
    return jsonify(answer)


@app.errorhandler(HornbeamError)
def down(error):
    """The companion is restarting: the page tries again by itself."""
    return jsonify(error=str(error)), 503, {"Retry-After": "1"}


@app.template_filter("clock")
def clock(seconds):
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


@app.after_request
def secure(response):
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.endpoint != "static":
        response.headers["Cache-Control"] = "no-store"
    return response
