"""Several listeners of one daemon: IPv4, IPv6 and Unix sockets with their permissions, for WSGI and ASGI."""

import json
import socket
import stat

import pytest

import harness
from http_client import Reader

#: Answers with the server's and the client's end as it is told of them.
APPS = {
    "wsgi": """
import json

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    client = [environ["REMOTE_ADDR"], environ["REMOTE_PORT"]]
    return [json.dumps({"server": [environ["SERVER_NAME"], environ["SERVER_PORT"]], "client": client}).encode()]
""",
    "asgi": """
import json

async def application(scope, receive, send):
    server, client = (scope.get(k) and [str(v) for v in scope[k]] for k in ("server", "client"))
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps({"server": server, "client": client}).encode()})
""",
}


def ask(family, address):
    with socket.socket(family) as s:
        s.settimeout(10 * harness.SLOW)
        s.connect(address)
        name = s.getsockname()
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        status, _, body = Reader(s).response()
        assert status == 200
        return json.loads(body), name


@pytest.fixture(params=["wsgi", "asgi"])
def daemon(request):
    apps = [{"mount": "/", "app": "app:application", "interface": request.param}]
    d = harness.Daemon(apps=apps, files={"app.py": APPS[request.param]}, config={"lifespan": "off"})
    d.v6 = harness.free_port("::1")
    d.config["listen"] += [f"[::1]:{d.v6}", f"127.0.0.2:{d.port}", f"unix:{d.dir}/usual.sock",
                           {"address": f"unix:{d.dir}/open.sock", "mode": "0666"},
                           {"address": f"unix:{d.dir}/own.sock", "mode": "0600"}]
    d.interface = request.param
    with d:
        yield d


def test_each_listener_serves_and_says_what_it_is(daemon):
    for family, host, port in ((socket.AF_INET, "127.0.0.1", daemon.port), (socket.AF_INET, "127.0.0.2", daemon.port),
                               (socket.AF_INET6, "::1", daemon.v6)):
        seen, name = ask(family, (host, port))
        assert seen == {"server": [host, str(port)], "client": [name[0], str(name[1])]}
    for name in ("usual", "open", "own"):
        seen, _ = ask(socket.AF_UNIX, str(daemon.dir / f"{name}.sock"))
        assert seen == ({"server": ["localhost", "80"], "client": ["", ""]} if daemon.interface == "wsgi" else
                        {"server": [str(daemon.dir / f"{name}.sock"), "None"], "client": None})


def test_a_unix_socket_has_its_mode(daemon):
    modes = {p.stem: stat.S_IMODE(p.stat().st_mode) for p in daemon.dir.glob("*.sock")}
    assert modes == {"usual": 0o660, "open": 0o666, "own": 0o600}


def test_one_listener_in_use_stops_the_start_and_names_it():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        d = harness.Daemon()
        d.config["listen"] += [f"unix:{d.dir}/http.sock", f"127.0.0.1:{taken.getsockname()[1]}"]
        with pytest.raises(AssertionError, match=f"ended with 73:(.|\n)*127.0.0.1:{taken.getsockname()[1]}"):
            d.start()
        assert not (d.dir / "http.sock").exists()
        d.stop()
