"""For which client a trusted proxy speaks: what the application and the access log are told.

The fields' grammar is the business of tests/unit/test_http_forwarded.c.
"""

import json
import socket

import pytest

import harness
from http_client import Reader

#: Each answers with what it was told of the client, by the names of WSGI.
APPS = {
    "wsgi": """
import json

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    names = ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_FOR")
    return [json.dumps({n: environ.get(n) for n in names}).encode()]
""",
    "asgi": """
import json

async def application(scope, receive, send):
    client = scope["client"] or ("", "")
    fields = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    seen = {"REMOTE_ADDR": client[0], "REMOTE_PORT": str(client[1]), "wsgi.url_scheme": scope["scheme"],
            "HTTP_HOST": fields.get("host"), "HTTP_X_FORWARDED_FOR": fields.get("x-forwarded-for")}
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
""",
}


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def interface(request):
    return request.param


@pytest.fixture(scope="module")
def daemon_with(interface):
    def make(unix=None, **forwarded):
        config = {"lifespan": "off", **({"forwarded": forwarded} if forwarded else {})}
        apps = [{"mount": "/", "app": "app:application", "interface": interface}]
        d = harness.Daemon(apps=apps, files={"app.py": APPS[interface]}, config=config)
        if unix:
            d.config["listen"].append(f"unix:{d.dir}/http.sock")
        return d

    return make


@pytest.fixture(scope="module")
def daemon(daemon_with):
    with daemon_with() as d:
        yield d


def ask(s, *fields, version="1.1", host=b"here"):
    """What the application saw of a request with these fields, on a connection that stays."""
    keep = b"Connection: keep-alive\r\n" if version == "1.0" else b""
    host = b"Host: %s\r\n" % host if host else b""
    lines = "".join(f"{f}\r\n" for f in fields).encode()
    s.sendall(b"GET /x HTTP/" + version.encode() + b"\r\n" + host + keep + lines + b"\r\n")
    status, _, body = Reader(s).response()
    assert status == 200
    return json.loads(body)


def ask_once(d, *fields, **more):
    with d.connect() as s:
        return ask(s, *fields, **more)


def test_a_trusted_proxy_names_client_and_scheme(daemon):
    seen = ask_once(daemon, "X-Forwarded-For: 203.0.113.9, 127.0.0.1", "X-Forwarded-Proto: https")
    assert seen["REMOTE_ADDR"] == "203.0.113.9"
    assert seen["REMOTE_PORT"] == "0"
    assert seen["wsgi.url_scheme"] == "https"
    assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9, 127.0.0.1"
    seen = ask_once(daemon, 'Forwarded: for="[2001:db8::7]:4711";proto=https;host=there')
    assert seen["REMOTE_ADDR"] == "2001:db8::7"
    assert seen["REMOTE_PORT"] == "4711"
    assert seen["wsgi.url_scheme"] == "https"


def test_each_request_of_a_connection_has_its_own_client(daemon):
    with daemon.connect() as s:
        peer = s.getsockname()
        for i in range(3):
            assert ask(s, f"X-Forwarded-For: 203.0.113.{i}", "X-Forwarded-Proto: https")["REMOTE_ADDR"] == f"203.0.113.{i}"
        seen = ask(s)
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == (peer[0], str(peer[1]))
    assert seen["wsgi.url_scheme"] == "http"


def test_what_is_malformed_is_as_if_it_were_not_there(daemon):
    with daemon.connect() as s:
        port = str(s.getsockname()[1])
        for field in ("X-Forwarded-For: 203.0.113.9, rubbish", "X-Forwarded-For: \xff", "Forwarded: for=203.0.113.9;for=1",
                      "X-Forwarded-For: " + "9" * 5000, "X-Forwarded-Proto: on", 'Forwarded: proto=https;for="'):
            seen = ask(s, field)
            assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("127.0.0.1", port), field
            assert seen["wsgi.url_scheme"] == "http", field


def test_the_host_stays_unless_told_otherwise(daemon, daemon_with):
    seen = ask_once(daemon, "X-Forwarded-Host: there.example")
    assert seen["HTTP_HOST"] == "here"
    with daemon_with(host=True) as d:
        assert ask_once(d, "X-Forwarded-Host: there.example:8443")["HTTP_HOST"] == "there.example:8443"
        assert ask_once(d, "Forwarded: for=203.0.113.9;host=there.example")["HTTP_HOST"] == "there.example"
        assert ask_once(d, "X-Forwarded-Host: there.example", version="1.0", host=None)["HTTP_HOST"] == "there.example"
        assert ask_once(d, "X-Forwarded-Host: no/host")["HTTP_HOST"] == "here"
        assert ask_once(d)["HTTP_HOST"] == "here"


@pytest.mark.parametrize("trust", [[], ["192.0.2.0/24", "unix:"], ["127.0.0.2", "::1"]])
def test_who_is_not_trusted_is_not_believed(trust, daemon_with):
    with daemon_with(trust=trust, host=True) as d:
        seen = ask_once(d, "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: there")
        assert seen["REMOTE_ADDR"] == "127.0.0.1"
        assert seen["wsgi.url_scheme"] == "http"
        assert seen["HTTP_HOST"] == "here"
        assert seen["HTTP_X_FORWARDED_FOR"] == "203.0.113.9"
        assert ask_once(d, "Forwarded: for=203.0.113.9;proto=https")["REMOTE_ADDR"] == "127.0.0.1"


def test_proxies_in_a_row_are_skipped_where_they_are_trusted(daemon_with):
    with daemon_with(trust=["127.0.0.0/8", "10.0.0.0/8"]) as d:
        assert ask_once(d, "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.9.9.9")["REMOTE_ADDR"] == "203.0.113.9"
        assert ask_once(d, "X-Forwarded-For: 10.1.1.1, 10.9.9.9")["REMOTE_ADDR"] == "10.1.1.1"


@pytest.mark.parametrize("trust,expected", [(["unix:"], "203.0.113.9"), (["127.0.0.1"], "")])
def test_a_unix_peer_is_believed_where_it_is_listed(trust, expected, daemon_with):
    with daemon_with(unix=True, trust=trust) as d, socket.socket(socket.AF_UNIX) as s:
        s.connect(f"{d.dir}/http.sock")
        assert ask(s, "X-Forwarded-For: 203.0.113.9")["REMOTE_ADDR"] == expected
        assert ask(s)["REMOTE_ADDR"] == ""


def test_the_access_log_has_the_client(daemon_with):
    with daemon_with() as d:
        with d.connect() as s:
            ask(s, "X-Forwarded-For: 203.0.113.9")
            ask(s)
            s.sendall(b"rubbish\r\n\r\n")
            harness.read_all(s)
        harness.eventually(lambda: d.output().count("\n") == 3)
        clients = [line.split()[0] for line in d.output().splitlines()]
    assert clients == ["203.0.113.9", "127.0.0.1", "127.0.0.1"]


def test_a_network_that_is_none_is_refused_with_its_place(daemon_with):
    with pytest.raises(AssertionError, match=r"hornbeam.yaml:\d+: forwarded.trust\[1\]: 10.0.0.1/8 is an address in a "
                                             r"network; did you mean 10.0.0.0/8\?"):
        with daemon_with(trust=["127.0.0.1", "10.0.0.1/8"]):
            pass
