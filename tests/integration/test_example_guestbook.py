"""The Django example, with two workers."""

import concurrent.futures
import json
import re

import harness
import pytest
import sites

GUESTBOOK = harness.SOURCE / "examples" / "guestbook"


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def daemon(request):
    config = {"workers": 2, "python": {"path": [str(GUESTBOOK)]}}
    with harness.Daemon(app=f"guestbook.{request.param}:application", config=config) as d:
        yield d


@pytest.fixture
def client(daemon):
    with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
        yield c


def sign(client, name, text):
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get("/").text)[1]
    return client.post("/", data={"csrfmiddlewaretoken": token, "name": name, "text": text})


def test_visits_are_counted_by_all_workers_together(daemon):
    before = int(daemon.hornbeam("state", "get", "guestbook:visits").stdout or 0)

    def visit(_):
        with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
            return c.get("/").text

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        seen = {int(re.search(r"Visit (\d+),", page)[1]) for page in pool.map(visit, range(40))}
    assert seen == set(range(before + 1, before + 41))


def test_no_entry_is_lost_and_all_are_text(daemon):
    def write(n):
        with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
            return sign(c, f"guest {n}", f"<b>number {n}</b>").status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, range(24))) == {302}
    with sites.client(f"http://127.0.0.1:{daemon.port}") as c:
        page = c.get("/").text
    for n in range(24):
        assert f"<b>guest {n}</b> &lt;b&gt;number {n}&lt;/b&gt;" in page


def test_a_session_is_known_to_every_worker(daemon, client):
    assert sign(client, "Zoë", "hello").status_code == 302
    session = client.cookies["sessionid"]
    for _ in range(10):  # on connections of their own
        with sites.client(f"http://127.0.0.1:{daemon.port}", cookies={"sessionid": session}) as c:
            assert 'value="Zoë"' in c.get("/").text


def test_a_session_may_not_post_without_end(client):
    assert sign(client, "Eve", "").status_code == 400
    for _ in range(10):
        assert sign(client, "Eve", "again").status_code == 302
    refused = sign(client, "Eve", "once <more>")
    assert refused.status_code == 400 and "once &lt;more&gt;</textarea>" in refused.text


def test_forms_of_others_are_refused(client):
    assert client.post("/", data={"name": "x", "text": "y"}).status_code == 403


def test_figures_come_from_the_cache(daemon, client):
    daemon.hornbeam("-q", "state", "set", "guestbook:cache:1:figures", "--json", '{"visits": 7, "entries": 1}')
    found = client.get("/figures").json()
    assert (found["visits"], found["entries"]) == (7, 1)
    daemon.hornbeam("-q", "state", "delete", "guestbook:cache:1:figures")
    assert client.get("/figures").json()["visits"] != 7
    assert 0 < float(daemon.hornbeam("state", "ttl", "guestbook:cache:1:figures").stdout) <= 1


def test_the_cache_is_one_that_django_can_use(daemon):
    """Django's own contract for a cache, against the daemon from outside."""
    done = daemon.python(f"""
import sys, json
sys.path.insert(0, {str(GUESTBOOK)!r})
from guestbook.cache import StateCache
c = StateCache("test:cache", {{}})
c.clear()
assert c.get("a") is None and c.get("a", 5) == 5 and "a" not in c
c.set("a", [1, "x", None]); assert c.get("a") == [1, "x", None] and "a" in c
assert not c.add("a", 2) and c.add("b", 2) and c.incr("b", 3) == 5 and c.decr("b") == 4
try:
    c.incr("none")
except ValueError:
    pass
else:
    raise AssertionError("incr made a key")
c.set_many({{"d": 1, "e": 2}}, timeout=60)
assert c.get_many(["d", "e", "f"]) == {{"d": 1, "e": 2}}
assert c.touch("d", 100) and not c.touch("none")
c.set("d", 1, timeout=0); assert "d" not in c
c.set("v", "one", version=1); c.set("v", "two", version=2)
assert (c.get("v"), c.get("v", version=2)) == ("one", "two")
assert c.delete("v") and not c.delete("v")
assert c.get_or_set("made", lambda: 3) == 3 and c.get("made") == 3
c.clear(); assert "a" not in c and "e" not in c
print("ok")
""")
    assert done.stdout == "ok\n", done.stderr


def test_what_the_readme_shows_works(daemon):
    assert "guestbook:visits" in daemon.hornbeam("state", "keys", "guestbook:").stdout.split("\n")
    before = int(daemon.hornbeam("state", "get", "guestbook:visits").stdout)
    assert json.loads(daemon.hornbeam("state", "incr", "guestbook:visits", "100").stdout) == before + 100
