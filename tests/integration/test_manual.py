"""The sessions of the manual pages, in order: Python's (>>>), Erlang's (1>) and the shell's ($).

All of a page run against one node that serves an application, and see what
the ones before them have left.
"""

import doctest
import json
import os
import re
import select
import socket
import subprocess

import pytest
from erlang_node import Node
from harness import BUILD, SLOW, SOURCE, environment, eventually
from ws_client import Client

PAGES = ["hornbeam_erlang.3", "hornbeam_pubsub.3", "hornbeam_state.3", "hornbeam.3", "hornbeam.7"]
FILES = {"app.py": """
from hornbeam_erlang import register

@register('pick')
def pick(items, n):
    return items[n]

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'hello']
"""}
ESCAPES = {r"\e": "\\", r"\&": "", r"\(aq": "'", r"\(dq": '"', r"\-": "-"}


def examples(page):
    """The literal blocks of a page, as a reader sees them, each with its comment."""
    text = (SOURCE / "man" / page).read_text()
    blocks = re.findall(r'^(?:\.\\" (.*)\n)?\.Bd -literal.*\n((?:.*\n)*?)\.Ed$', text, re.MULTILINE)
    return [(name, re.sub(r"\\(?:\((?:aq|dq)|[e&-])", lambda m: ESCAPES[m[0]], block)) for name, block in blocks]


@pytest.fixture(scope="module")
def node():
    guide = {name.removeprefix("file "): text for name, text in examples("hornbeam.7") if name.startswith("file ")}
    with Node(files=FILES | guide) as n:
        mounts = {"/": "app", **{f"/{name[:-3]}": name[:-3] for name in guide}}
        n.eval("hornbeam:start(" + n.options(workers="2", mounts="#{%s}" % ", ".join(
            f'"{path}" => "{module}:application"' for path, module in mounts.items())) + ").")
        os.environ["HORNBEAM_SOCKET"] = str(n.control())
        yield n


def python(text, names):
    told = []
    test = doctest.DocTestParser().get_doctest(text, names, "example", None, 0)
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
        test, out=told.append, clear_globs=False)
    names.update(test.globs)
    assert not told, "".join(told)


def prompts(text, pattern):
    """(input, output) of each prompt; lines of the input that go on are indented."""
    parts = re.split(pattern, text, flags=re.MULTILINE)
    assert not parts[0].strip(), text
    for part in parts[1:]:
        lines = part.splitlines()
        n = 1
        while n < len(lines) and lines[n].startswith("    "):
            n += 1
        yield "\n".join(lines[:n]), "\n".join(lines[n:]).strip()


def erlang(node, text):
    for asked, told in prompts(text, r"^\d+> "):
        assert re.sub(r"\s", "", node.eval(asked)) == re.sub(r"\s", "", told), asked


def shell(node, text):
    env = environment(HORNBEAM_SOCKET=str(node.control()))
    for asked, told in prompts(text, r"^\$ "):
        done = subprocess.run(["sh", "-c", asked], env=env, capture_output=True, text=True, timeout=60 * SLOW, check=False)
        assert done.stdout.strip() == told, (asked, done.stderr)


@pytest.mark.parametrize("page", PAGES)
def test_sessions_of(page, node):
    names, ran = {}, 0
    for kind, block in examples(page):
        if block.startswith(">>> "):
            python(block, names)
        elif re.match(r"\d+> ", block):
            erlang(node, block)
        elif block.startswith("$ "):
            shell(node, block)
        elif kind == "python":
            names.update(data=1, fallback=lambda: "fallback")
            exec(block, names)
            assert names["result"] == "fallback"
        elif kind == "yaml":
            checked = node.dir / "hornbeam.yaml"
            checked.write_text(f"apps: [{{mount: /, app: 'app:application'}}]\n{block}")
            done = subprocess.run([str(BUILD / "hornbeamd"), "--check", "-c", str(checked)], env=environment(), check=False,
                                  capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
        else:
            continue
        ran += 1
    assert ran > 0


def client(node, path):
    return Client(socket.create_connection(("127.0.0.1", node.port), 10 * SLOW), path)


def subscribers(node):
    return dict(line.split()[:2] for line in node.hornbeam("topics").stdout.splitlines()).get("news", "0")


def test_websockets_of_the_guide(node):
    with client(node, "/chat") as chat, client(node, "/live") as live, client(node, "/live") as other:
        eventually(lambda: subscribers(node) == "3")
        live.text("good morning")
        for each in (live, other):
            assert json.loads(each.message()) == "good morning"
        eventually(lambda: chat.text("anything new?") or select.select([chat.socket], [], [], 0.05)[0])
        assert json.loads(chat.message()) == "good morning"
        for each in (chat, live, other):
            each.close(1000)
            assert each.closed()[0] == 1000
    eventually(lambda: subscribers(node) == "0")
    assert "never retrieved" not in node.log()
