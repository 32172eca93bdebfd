"""Behind nginx, and what the guide hornbeam-deploy(7) says of it and of the configuration."""

import concurrent.futures
import contextlib
import hashlib
import json
import re
import socket
import subprocess
import threading

import harness
import nginx
import pytest
import sites
from harness import eventually

APP = """
import hashlib, json, os

seen = {}

async def application(scope, receive, send):
    if scope['type'] == 'lifespan':
        raise NotImplementedError
    name = scope['query_string'].decode()
    headers = [(b'content-type', b'application/json')]
    path = scope['path']
    answer = {'client': scope['client'], 'scheme': scope['scheme'], 'pid': os.getpid(),
              'headers': {k.decode(): v.decode() for k, v in scope['headers']}}
    if path == '/seen':
        answer = seen.get(name, 0)
    elif scope['method'] == 'POST':
        total, more = hashlib.sha256(), True
        while more:
            message = await receive()
            if message['type'] == 'http.disconnect':
                return
            total.update(message['body'])
            seen[name] = seen.get(name, 0) + len(message['body'])
            more = message.get('more_body', False)
        answer = {'size': seen[name], 'sha256': total.hexdigest(), 'pid': os.getpid()}
    elif path == '/unbuffered':
        headers.append((b'x-accel-buffering', b'no'))
        await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
        await send({'type': 'http.response.body', 'body': b'first', 'more_body': True})
        seen[name] = 'waits'
        while (await receive())['type'] != 'http.disconnect':
            pass
        seen[name] = 'left'
        return
    body = json.dumps(answer).encode()
    await send({'type': 'http.response.start', 'status': 200, 'headers': headers})
    await send({'type': 'http.response.body', 'body': body})
"""


@contextlib.contextmanager
def served(upstream="unix", **config):
    """A daemon with APP and an nginx in front of it."""
    d = harness.Daemon(files={"app.py": APP}, app="app:application", config=config)
    path = d.dir / "http.sock"
    d.config["listen"].append({"address": f"unix:{path}", "mode": "0666"})
    with d, nginx.Nginx(f"unix:{path}" if upstream == "unix" else f"127.0.0.1:{d.port}") as front:
        yield d, front


@pytest.fixture(scope="module", params=["unix", "tcp"])
def front(request):
    with served(request.param, limits={"body": "4M"}) as (_, n):
        yield n


def test_a_client_cannot_choose_its_address():
    """nginx adds the address that it saw behind what the client said."""
    with served(forwarded={"trust": ["unix:"]}) as (_, n), sites.client(n.url) as c:
        shown = c.get("/", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}).json()
    assert shown["client"][0] == "127.0.0.1" and shown["scheme"] == "http"
    assert shown["headers"]["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"


def test_a_proxy_in_front_of_nginx_is_believed_where_it_is_listed():
    trust = {"trust": ["unix:", "127.0.0.1"]}
    with served(forwarded=trust) as (_, n), sites.client(n.url) as c:
        assert c.get("/", headers={"X-Forwarded-For": "192.0.2.1"}).json()["client"][0] == "192.0.2.1"


def test_a_proxy_that_is_not_listed_is_the_client():
    with served("tcp", forwarded={"trust": ["192.0.2.9"]}) as (_, n), sites.client(n.url) as c:
        shown = c.get("/", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}).json()
        assert shown["client"][0] == "127.0.0.1" and shown["scheme"] == "http"
        ports = {c.get("/").json()["client"][1] for _ in range(30)}
        assert len(ports) == 1, "nginx keeps its connection"


def test_many_clients_share_the_connections_that_nginx_keeps(front):
    def ask(n):
        with sites.client(front.url) as c:
            return [c.post(f"/?{n}-{k}", content=b"%d" % k * 5000).json()["size"] for k in range(5)]

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(sizes == [5000] * 5 for sizes in pool.map(ask, range(40)))


def test_an_upload_reaches_the_application_while_it_is_sent(front, request):
    with socket.create_connection(("127.0.0.1", front.port), 10 * harness.SLOW) as s, sites.client(front.url) as c:
        name = request.node.callspec.id
        s.sendall(b"POST /upload/?%s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                  b"5\r\nfirst\r\n" % name.encode())
        eventually(lambda: c.get(f"/seen?{name}").json() == 5)
        s.sendall(b"6\r\nsecond\r\n0\r\n\r\n")
        answer = harness.read_all(s)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert hashlib.sha256(b"firstsecond").hexdigest().encode() in answer


def test_an_upload_whose_client_leaves_ends(front, request):
    name = f"left-{request.node.callspec.id}"
    with sites.client(front.url) as c:
        with socket.create_connection(("127.0.0.1", front.port), 10 * harness.SLOW) as s:
            s.sendall(b"POST /upload/?%s HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nfirst" % name.encode())
            eventually(lambda: c.get(f"/seen?{name}").json() == 5)
        assert c.post(f"/?{name}", content=b"x").json()["size"] == 6


@pytest.mark.parametrize("path", ["/", "/upload/"])
@pytest.mark.parametrize("known", [True, False])
def test_a_body_that_is_too_long_is_a_413_and_no_502(front, path, known):
    def parts():
        for _ in range(90):
            yield bytes(65536)

    with sites.client(front.url) as c:
        answer = c.post(path + "?long", content=b"".join(parts()) if known else parts())
        assert answer.status_code == 413
    with sites.client(front.url) as c:  # nginx ends the connection of a body that it has not read
        assert c.get("/").status_code == 200


def test_a_response_may_ask_for_no_buffer_by_itself(front, request):
    name = request.node.callspec.id
    with sites.client(front.url) as c:
        with c.stream("GET", f"/unbuffered?u-{name}") as answer:
            parts = answer.iter_raw()  # kept: without it httpx closes the connection
            assert next(parts) == b"first"
            assert c.get(f"/seen?u-{name}").json() == "waits"
        eventually(lambda: c.get(f"/seen?u-{name}").json() == "left")


def test_a_reload_behind_nginx_loses_nothing():
    """POST too, which nginx does not send a second time."""
    with served(workers=2) as (d, n):
        stop = threading.Event()
        pids = set()

        def ask(k):
            count = 0
            with sites.client(n.url) as c:
                while not stop.is_set() or count < 20:
                    answer = c.post(f"/?{k}-{count}", content=b"body" * 100)
                    assert answer.status_code == 200, answer.text
                    pids.add(answer.json()["pid"])
                    count += 1
            return count

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask, k) for k in range(4)]
            try:
                eventually(lambda: pids)
                for _ in range(3):
                    done = d.hornbeam("reload")
                    assert done.returncode == 0, done.stderr
                    d.note()
            finally:
                stop.set()
            assert all(a.result() >= 20 for a in asking)
        assert len(pids) > 2


def test_the_configurations_that_the_guide_shows_are_right(tmp_path):
    for name in ("hornbeam.yaml", "mounts.yaml"):
        text = nginx.shown(name)
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [str(harness.BUILD / "hornbeam"), "config", "check", str(tmp_path / name)], env=harness.environment(),
            capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def keys_of(value, prefix=""):
    """The keys of a configuration, with their dots."""
    for key, inner in value.items():
        yield prefix + key
        if isinstance(inner, dict):
            yield from keys_of(inner, f"{prefix}{key}.")


def test_every_key_that_the_guide_names_exists():
    done = subprocess.run(
        [str(harness.BUILD / "hornbeamd"), "-c", "/dev/null", "--print-config=json", "--set", "apps=[a:b]"],
        env=harness.environment(), capture_output=True, text=True, check=True)
    known = {*keys_of(json.loads(done.stdout)), "listen.mode", "listen.address"}
    known |= {f"apps.{key}" for key in ("mount", "app", "interface", "timeout")}
    named = set()
    for line in nginx.PAGE.read_text().splitlines():
        for words in re.findall(r"\bIc ([a-z_., ]+)", line):
            named |= {word for word in re.split(r"[ ,]+", words) if word and word != "."}
    assert len(named) > 25
    assert not named - known
