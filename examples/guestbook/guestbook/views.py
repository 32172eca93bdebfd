"""The one page: the entries, a form for another, and some figures."""

import os
import time

from django.core.cache import cache
from django.http import JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from hornbeam_erlang import state_cas, state_fetch, state_get, state_gets, state_incr

ENTRIES = "guestbook:entries"
KEPT, LENGTH = 100, 500  # so many entries of so many characters
POSTS, PERIOD = 10, 60  # so many posts in so many seconds from one session


def words():
    """What is dear to compute: the most frequent words; one worker does it for all, every 10 seconds."""
    counts = {}
    for entry in state_get(ENTRIES, []):
        for word in entry["text"].lower().split():
            counts[word] = counts.get(word, 0) + 1
    return sorted(counts, key=lambda word: (-counts[word], word))[:5]


def add(name, text):
    """Adds an entry; if another worker was faster, looks again."""
    entry = {"name": name, "text": text, "time": time.time()}
    while True:
        entries, version = state_gets(ENTRIES)
        if state_cas(ENTRIES, [entry, *(entries or [])][:KEPT], version):
            return


def too_many(session):
    """Whether the session has posted too much; the count goes by itself."""
    if not session.session_key:
        session.create()
    return state_incr(f"guestbook:posts:{session.session_key}", ttl=PERIOD) > POSTS


def book(request):
    error, text = None, ""
    if request.method == "POST":
        name = request.POST.get("name", "").strip()[:40]
        text = request.POST.get("text", "").strip()[:LENGTH]
        if not name or not text:
            error = "Please give a name and a message."
        elif too_many(request.session):
            error = "That is enough for a minute."
        else:
            add(name, text)
            request.session["name"] = name
            return redirect("book")
    return render(request, "book.html", {
        "entries": state_get(ENTRIES, []),
        "visits": state_incr("guestbook:visits"),
        "words": state_fetch("guestbook:words", words, ttl=10),
        "name": request.session.get("name", ""),
        "error": error,
        "text": text,
        "pid": os.getpid(),
    }, status=400 if error else 200)


@require_safe
def figures(request):
    """The same for programs, from the cache for a second."""
    def made():
        return {"visits": state_get("guestbook:visits", 0), "entries": len(state_get(ENTRIES, []))}
    return JsonResponse({**cache.get_or_set("figures", made, 1), "pid": os.getpid()})
