"""The example application, with two workers, as its own script runs it."""

import concurrent.futures
import http.client
import json
import re
import signal
import subprocess
import urllib.parse

import pytest

import harness

VISITS = harness.SOURCE / "examples" / "visits"


class Example:
    """examples/visits/run; stopped with Ctrl-C's signal."""

    def __init__(self, directory):
        self.dir = directory
        self.port = harness.free_port()
        self.env = harness.environment(XDG_RUNTIME_DIR=str(directory), VISITS_EBIN=str(directory / "ebin"))
        with open(directory / "log", "ab") as log:
            self.proc = subprocess.Popen([str(VISITS / "run"), "--bind", f"127.0.0.1:{self.port}"], env=self.env,
                                         stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def hornbeam(self, *args):
        return subprocess.run([str(harness.BUILD / "hornbeam"), *args], capture_output=True, text=True, env=self.env,
                              timeout=60, check=False)

    def serves(self):
        assert self.proc.poll() is None, self.log()
        return self.hornbeam("ping", "-q").returncode == 0 and "ready on" in self.log()

    def log(self):
        return (self.dir / "log").read_text()

    def stop(self):
        pids = harness.descendants(self.proc.pid)
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGINT)
        self.proc.wait(20 * harness.SLOW)
        harness.eventually(lambda: not any(harness.alive(p) for p in pids))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    example = Example(tmp_path_factory.mktemp("visits"))
    try:
        harness.eventually(example.serves, 30)
        yield example
    finally:
        example.stop()


def ask(daemon, method, path, source="127.0.0.1", form=None, cookie=None):
    """One request from an address of one's own: the rate limit goes by address."""
    conn = http.client.HTTPConnection(
        "127.0.0.1", daemon.port, timeout=30 * harness.SLOW, source_address=(source, 0))
    headers = {"Cookie": cookie} if cookie else {}
    body = None
    if form is not None:
        body = urllib.parse.urlencode(form)
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    try:
        conn.request(method, path, body, headers)
        return harness.Response(conn.getresponse())
    finally:
        conn.close()


def live(daemon, **more):
    return ask(daemon, "GET", "/live", **more).json()


def test_the_commands_that_are_shown_work_at_once(daemon):
    """Before anybody has looked at the page."""
    assert daemon.hornbeam("state", "get", "visits").stdout == "0\n"
    assert daemon.hornbeam("publish", "notice", "Tea at four").stdout == "0\n"
    assert json.loads(daemon.hornbeam("call", "top_words", "--int", "3").stdout) == [["and", 2], ["book", 2], ["the", 2]]


def test_visits_are_counted_once_whoever_answers(daemon):
    before = live(daemon)["visits"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda _: ask(daemon, "GET", "/"), range(60)):
            assert answer.status == 200
    assert live(daemon)["visits"] == before + 60
    assert daemon.hornbeam("state", "get", "visits").stdout == f"{before + 60}\n"
    assert daemon.hornbeam("state", "incr", "visits", "10").stdout == f"{before + 70}\n"
    assert live(daemon)["visits"] == before + 70


def test_no_entry_is_lost_when_many_sign_at_once(daemon):
    daemon.hornbeam("-q", "state", "delete", "guestbook")
    names = [f"reader {n}" for n in range(40)]

    def sign(n):
        return ask(daemon, "POST", "/entries", f"127.0.1.{n + 1}", {"name": names[n], "text": "hello"}).status

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(sign, range(40))) == {303}
    entries = json.loads(daemon.hornbeam("state", "get", "guestbook").stdout)
    assert sorted(e["name"] for e in entries) == sorted(names)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(sign, range(20)))
    entries = live(daemon)["entries"]
    assert len(entries) == 50
    assert set(names[:20]) <= {e["name"] for e in entries[:20]}


def test_what_readers_write_is_text(daemon):
    form = {"name": "<b>Eve</b>", "text": "<script>alert(1)</script> & \"so\" on"}
    assert ask(daemon, "POST", "/entries", "127.0.2.1", form).status == 303
    page = ask(daemon, "GET", "/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; " in page.text
    assert "<b>Eve" not in page.text and "<script>alert" not in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_the_rate_limit_says_how_long(daemon):
    source = "127.0.3.1"
    assert live(daemon, source=source)["rate_left"] == 5
    for left in (4, 3, 2, 1, 0):
        assert ask(daemon, "POST", "/entries", source, {"name": "x", "text": "y"}).status == 303
        assert live(daemon, source=source)["rate_left"] == left
    refused = ask(daemon, "POST", "/entries", source, {"name": "x", "text": "kept <in> the form"})
    assert refused.status == 429
    assert "kept &lt;in&gt; the form</textarea>" in refused.text
    numbers = live(daemon, source=source)
    assert numbers["rate_left"] == 0 and 0 < numbers["rate_reset"] <= 60
    assert 0 < float(daemon.hornbeam("state", "ttl", f"rate:{source}").stdout) <= 60


def test_an_empty_entry_is_refused_with_what_was_typed(daemon):
    answer = ask(daemon, "POST", "/entries", "127.0.4.1", {"name": "Ada", "text": "  "})
    assert answer.status == 400
    assert 'value="Ada"' in answer.text and 'role="alert"' in answer.text
    assert live(daemon, source="127.0.4.1")["rate_left"] == 5


def test_readers_are_counted_by_their_cookies(daemon):
    for key in daemon.hornbeam("state", "keys", "reader:").stdout.split():
        daemon.hornbeam("state", "delete", key)
    cookie = ask(daemon, "GET", "/").headers["set-cookie"].split(";")[0]
    assert live(daemon, cookie=cookie)["readers"] == 1
    assert live(daemon)["readers"] == 1, "a program without a cookie is no reader"
    ask(daemon, "GET", "/")
    assert live(daemon)["readers"] == 2


def test_the_guest_book_is_sent_only_when_it_changed(daemon):
    numbers = live(daemon)
    assert "entries" in numbers
    answer = ask(daemon, "GET", f"/live?version={numbers['version']}").json()
    assert "entries" not in answer and answer["version"] == numbers["version"]


def test_the_page_needs_nothing_from_elsewhere(daemon):
    page = ask(daemon, "GET", "/").text
    links = re.findall(r'(?:src|href|action|data-live|data-events)="([^"]*)"', page)
    assert links and all(link.startswith("/") and not link.startswith("//") for link in links)
    for link in links:
        if link.startswith("/static/"):
            assert ask(daemon, "GET", link).status == 200


def next_event(stream):
    """The name and the data of the next event; comments are passed over."""
    name = None
    while line := stream.readline().decode().rstrip("\n"):
        assert line.startswith((":", "event: ", "data: "))
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            assert stream.readline() == b"\n"
            return name, json.loads(line[6:])
    return next_event(stream)


def test_open_pages_are_told_what_happens(daemon):
    conn = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30 * harness.SLOW)
    conn.request("GET", "/events")
    stream = conn.getresponse()
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.readline() == b": hello\n" and stream.readline() == b"\n"
    ask(daemon, "GET", "/")
    assert next_event(stream) == ("visits", {"visits": live(daemon)["visits"]})
    form = {"name": "Ada", "text": "hello"}
    assert ask(daemon, "POST", "/entries", "127.0.5.1", form).status == 303
    assert next_event(stream) == ("visits", {"signed": "Ada"})
    assert daemon.hornbeam("publish", "notice", "Tea at four").stdout == "1\n"
    assert next_event(stream) == ("notice", "Tea at four")
    conn.close()
    stream.close()
    harness.eventually(lambda: "notice" not in daemon.hornbeam("topics").stdout)


def test_the_words_of_the_book_are_counted_in_erlang(daemon):
    daemon.hornbeam("-q", "state", "delete", "guestbook")
    assert live(daemon)["words"] == []
    for n, text in enumerate(["Tea and cake, TEA!", "More tea & Z\u00fcrich", "cake"]):
        assert ask(daemon, "POST", "/entries", f"127.0.6.{n + 1}", {"name": "x", "text": text}).status == 303
    assert live(daemon)["words"] == [["tea", 3], ["cake", 2], ["and", 1]]
    assert "<li><span>tea</span> <b>3</b></li>" in ask(daemon, "GET", "/").text
    assert json.loads(daemon.hornbeam("call", "top_words", "--int", "1").stdout) == [["tea", 3]]
    assert "z\u00fcrich" in daemon.hornbeam("call", "top_words", "--int", "9").stdout
