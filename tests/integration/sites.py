"""A daemon with a framework's application, reached in three ways: directly, and
through nginx over TCP and over a Unix socket.

    @pytest.fixture(scope="module")
    def site():
        with sites.Site("flask_app:app") as s:
            yield s

The fixtures `url` and `client` of conftest.py are then this site in each of WAYS.
"""

import contextlib
import subprocess

import harness
import httpx
import nginx

WAYS = ["direct", "nginx-tcp", "nginx-unix"]
APPS = harness.SOURCE / "tests" / "integration" / "webapps"


class Site:
    """app: MODULE:CALLABLE of tests/integration/webapps, mounted at "/"; or apps: the whole list.

    config, env: of harness.Daemon.
    """

    def __init__(self, app=None, *, apps=None, config=None, env=None, path=APPS):
        self.daemon = harness.Daemon(app=app, apps=apps, env=env)
        listen = [f"127.0.0.1:{self.daemon.port}", {"address": f"unix:{self.daemon.dir}/http.sock", "mode": "0666"}]
        python = {"path": [str(path)], "env": {"HB_TEST_DIR": str(self.daemon.dir)}}
        given = {"listen": listen, **(config or {}), "python": {**python, **(config or {}).get("python", {})}}
        self.daemon.config.update(given)
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.daemon)
            self.fronts = {
                "nginx-tcp": stack.enter_context(nginx.Nginx(f"127.0.0.1:{self.daemon.port}")),
                "nginx-unix": stack.enter_context(nginx.Nginx(f"unix:{self.daemon.dir}/http.sock")),
            }
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        return self.stack.__exit__(*error)

    def url(self, way="direct"):
        return f"http://127.0.0.1:{self.daemon.port}" if way == "direct" else self.fronts[way].url


def client(url, **more):
    """An httpx client with cookies and a kept connection."""
    return httpx.Client(base_url=url, timeout=10 * harness.SLOW, trust_env=False, **more)


def curl(*args, **more):
    """curl's standard output; it fails where curl does."""
    limit = 20 * harness.SLOW
    done = subprocess.run(["curl", "-q", "-sS", "--noproxy", "*", "-m", str(limit), *args], capture_output=True,
                          text=True, check=False, timeout=limit + 10, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def events(lines, count):
    """The data of the first events of a stream of server-sent events."""
    found = []
    for line in lines:
        if line.startswith("data: "):
            found.append(line[6:].rstrip())
            if len(found) == count:
                break
    return found


async def aevents(lines, count):
    """The same of an asynchronous iterator."""
    found = []
    async for line in lines:
        if line.startswith("data: "):
            found.append(line[6:].rstrip())
            if len(found) == count:
                break
    return found
