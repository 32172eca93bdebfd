"""A real nginx in front of a daemon, with the configuration that hornbeam-deploy(7) shows.

Only what must differ in a test is replaced: ports, the upstream's address and
the directories for temporary files.
"""

import contextlib
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from harness import SOURCE, eventually, free_port

PROGRAM = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin")
PAGE = SOURCE / "man" / "hornbeam-deploy.7"

#: What a system's nginx.conf has around the page's part; $DIR is the test's directory.
AROUND = """
daemon off;
master_process off;
worker_processes 1;
pid $DIR/nginx.pid;
error_log $DIR/error.log info;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path $DIR/body;
	proxy_temp_path $DIR/proxy;
	fastcgi_temp_path $DIR/fastcgi;
	scgi_temp_path $DIR/scgi;
	uwsgi_temp_path $DIR/uwsgi;
	$PART
}
"""


def shown(name, page=PAGE):
    """The example that the manual page marks with a comment `example NAME`, as a reader sees it."""
    text = page.read_text()
    found = re.search(rf'^\.\\" example {re.escape(name)}\n\.Bd [^\n]*\n(.*?)^\.Ed$', text, re.S | re.M)
    assert found, f"{page} has no example {name}"
    lines = (re.sub(r"^\\&", "", line) for line in found[1].splitlines())
    return "\n".join(line.replace(r"\(dq", '"').replace(r"\(aq", "'").replace(r"\-", "-").replace(r"\e", "\\")
                     for line in lines) + "\n"


class Nginx:
    """nginx on a port of its own for one upstream: "127.0.0.1:PORT" or "unix:PATH"."""

    def __init__(self, upstream):
        self.port = free_port()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hb-nginx-"))
        part = shown("nginx.conf")
        part = self.replace(part, r"server unix:[^;]*;", f"server {upstream};")
        part = self.replace(part, r"listen 80;", f"listen 127.0.0.1:{self.port};")
        conf = AROUND.replace("$PART", part).replace("$DIR", str(self.dir))
        (self.dir / "nginx.conf").write_text(conf)
        self.proc = None

    @staticmethod
    def replace(text, pattern, value):
        text, count = re.subn(pattern, lambda _: value, text)
        assert count == 1, f"{pattern} stands {count} times in the page's nginx.conf"
        return text

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def log(self):
        path = self.dir / "error.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def answers(self):
        assert self.proc.poll() is None, self.log()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def __enter__(self):
        assert PROGRAM, "nginx is not installed"
        with open(self.dir / "error.log", "ab") as log:
            self.proc = subprocess.Popen(
                [PROGRAM, "-p", str(self.dir), "-c", str(self.dir / "nginx.conf")], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        try:
            eventually(self.answers, what="nginx did not start")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __exit__(self, kind, value, trace):
        log = self.log()
        self.stop()
        assert kind is not None or "[crit]" not in log, log
