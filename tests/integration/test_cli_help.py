"""help, the manual page and the table of commands agree."""

import re
import subprocess

import pytest

import harness

MANUAL = harness.SOURCE / "man" / "hornbeam.1"


def hornbeam(*args):
    return subprocess.run(
        [str(harness.BUILD / "hornbeam"), *args], capture_output=True, text=True, env=harness.environment(), timeout=60)


def table():
    """The names in src/cli/commands.c."""
    source = (harness.SOURCE / "src" / "cli" / "commands.c").read_text()
    return re.findall(r'^\t\{ "([a-z ]+)", "', source[source.index("cli_commands[]"):], re.M)


def options():
    """The long options in src/cli."""
    found = set()
    for name in ("commands.c", "parse.c"):
        source = (harness.SOURCE / "src" / "cli" / name).read_text()
        found |= set(re.findall(r"""^\t\{ "([a-z-]+)", (?:0|'.'), """, source, re.M))
    return found


def test_the_table_is_found():
    assert {"state get", "ping", "run", "help"} <= set(table())
    assert {"ttl", "socket", "bind"} <= options()


def test_help_lists_every_command():
    done = hornbeam("help")
    assert (done.returncode, done.stderr) == (0, "")
    for name in table():
        assert re.search(rf"^  {name} +\S", done.stdout, re.M), name
    assert hornbeam("-h").stdout == done.stdout


@pytest.mark.parametrize("name", table())
def test_each_command_explains_itself(name):
    done = hornbeam("help", *name.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: hornbeam {name}")
    assert hornbeam(*name.split(), "-h").stdout == done.stdout


def test_help_of_a_group_lists_its_commands():
    done = hornbeam("help", "state")
    assert done.returncode == 0
    assert "state get" in done.stdout and "ping" not in done.stdout
    assert hornbeam("state", "--help").stdout == done.stdout


@pytest.mark.parametrize("name", table())
def test_the_manual_has_every_command(name):
    assert re.search(rf"^\.(It )?Nm Cm {name}\b", MANUAL.read_text(), re.M)


@pytest.mark.parametrize("name", sorted(options()))
def test_the_manual_has_every_option(name):
    assert re.search(rf"\bFl (\w , )?-{name}\b", MANUAL.read_text())


def test_the_manual_has_every_exit_status():
    header = (harness.SOURCE / "src" / "cli" / "cli.h").read_text()
    enum = header[header.index("enum cli_status"):]
    statuses = re.findall(r"CLI_[A-Z]+ = (\d+)", enum[:enum.index("}")])
    assert len(statuses) == 11
    section = MANUAL.read_text().split(".Sh EXIT STATUS")[1].split(".Sh")[0]
    assert re.findall(r"^\.It (\d+)", section, re.M) == statuses


def test_the_version_is_printed():
    assert re.fullmatch(r"hornbeam \d+\.\d+\.\d+\n", hornbeam("-V").stdout)
