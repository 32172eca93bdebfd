"""The configuration, as hornbeamd and the command line take it."""

import json
import subprocess

import pytest
from harness import BUILD, Daemon, environment, eventually


def run(*args, program="hornbeamd", **env):
    """A program that ends by itself."""
    return subprocess.run([str(BUILD / program), *map(str, args)], env=environment(**env), check=False,
                          capture_output=True, text=True, timeout=60)


@pytest.fixture
def config(tmp_path):
    """Writes hornbeam.yaml and gives its path."""
    def write(text, name="hornbeam.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path
    return write


BAD = {
    "unparsable YAML": ("apps: [{mount: /, app: a:b\nworkers: 1\n",
                        "2: not valid YAML: while parsing a flow mapping: did not find expected ',' or '}'"),
    "wrong type": ("apps: a:b\nworkers: [2]\n", "2: workers: expected auto or a number, found a list"),
    "unknown key": ("apps: a:b\n\nworker: 2\n", "3: worker: unknown key; did you mean workers?"),
    "out of range": ("apps: a:b\nworkers: 5000\n", "2: workers: 5000 is not in the range 1 to 1024"),
    "duplicate key": ("apps: a:b\nworkers: 1\nworkers: 1\n", "3: workers: duplicate key"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("args", [[], ["--check"], ["--print-config"]], ids=["start", "check", "print"])
def test_bad_file_ends_with_78_and_names_line_key_and_cause(config, name, args):
    text, message = BAD[name]
    file = config(text)
    done = run("-c", file, *args)
    assert done.returncode == 78
    assert f"{file}:{message}\n" in done.stderr
    assert done.stdout == ""


def test_bad_variable_and_bad_set_end_with_78():
    done = run("--check", HORNBEAM_WORKRES="1")
    assert (done.returncode, done.stderr) == (
        78, "hornbeamd: HORNBEAM_WORKRES: unknown variable; did you mean HORNBEAM_WORKERS?\n")
    done = run("--check", "--set", "limits.body=big")
    assert done.returncode == 78
    assert "--set limits.body: expected a size such as 512, 8K, 64M or 1G, found \"big\"\n" in done.stderr


def test_wrong_use_ends_with_64():
    done = run("--set", "workers")
    assert (done.returncode, done.stderr) == (64, "hornbeamd: --set needs KEY=VALUE, not workers\n")
    assert run("--no-such-option").returncode == 64


def test_start_without_an_application_says_what_to_write(config):
    done = run("-c", config("workers: 1\n"))
    assert done.returncode == 78
    assert "apps: " in done.stderr


def test_printed_configuration_prints_itself_again(config):
    file = config("apps: [{mount: /x, app: 'a:f()'}]\npython: {path: [lib], env: {A: '0123', B: \"x\\ny\"}}\n"
                  "limits: {body: 1G}\n")
    config("limits: {headers: 7}\n", "conf.d/10-more.yaml")
    printed = run("-c", file, "--print-config", "--set", "workers=3")
    assert printed.returncode == 0, printed.stderr
    again = run("-c", config(printed.stdout, "again/hornbeam.yaml"), "--print-config")
    assert again.stdout == printed.stdout
    as_json = run("-c", file, "--print-config=json", "--set", "workers=3")
    value = json.loads(as_json.stdout)
    assert value["workers"] == 3
    assert value["limits"]["headers"] == 7
    assert value["limits"]["body"] == "1G"
    assert value["python"]["env"] == {"A": "0123", "B": "x\ny"}
    assert value["python"]["path"] == [str(file.parent / "lib")]
    shown = run("config", "show", file, program="hornbeam", HORNBEAM_WORKERS="3")
    assert shown.stdout == printed.stdout


ECHO = """
import json, os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(dict(os.environ)).encode()]
"""


def test_worker_gets_the_configuration_unchanged():
    odd = {"PLAIN": "x", "NUMBER": "0123", "TRUE": "true", "NULL": "null", "QUOTES": "'\"\\ #: {[",
           "LINES": "a\n  b\n\n\ttab", "UNICODE": "käse €\u2028.\ufeff", "EMPTY": ""}
    with Daemon("app:application", files={"app.py": ECHO}, config={"python": {"env": odd}},
                args=["--set", "python.env.LATE=🐝: \n"], env={"HORNBEAM_PYTHON_ENV": "{BETWEEN: 2}"}) as d:
        seen = d.get("/").json()
    assert {name: seen[name] for name in odd} == odd
    assert (seen["LATE"], seen["BETWEEN"]) == ("🐝: \n", "2")


def test_set_wins_over_variable_over_fragment_over_file():
    d = Daemon(config={"workers": 1})
    (d.dir / "conf.d").mkdir()
    (d.dir / "conf.d" / "10.yaml").write_text("workers: 2\n")
    try:
        d.start()
        assert len(d.worker_pids()) == 2
    finally:
        d.stop()
    d = Daemon(env={"HORNBEAM_WORKERS": "2"})
    try:
        d.start()
        eventually(lambda: len(d.worker_pids()) == 2)
    finally:
        d.stop()
    with Daemon(env={"HORNBEAM_WORKERS": "3"}, args=["--set", "workers=2"]) as d:
        assert len(d.worker_pids()) == 2
