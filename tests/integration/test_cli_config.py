"""hornbeam config check and show."""

import json
import subprocess

import harness


def hornbeam(*args):
    return subprocess.run(
        [str(harness.BUILD / "hornbeam"), *args], capture_output=True, text=True, env=harness.environment(), timeout=60)


def test_a_good_file_is_fine(tmp_path):
    file = tmp_path / "hornbeam.yaml"
    file.write_text("listen: [127.0.0.1:9000]\nworkers: 2\n")
    done = hornbeam("config", "check", str(file))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{file}: ok\n", "")


def test_a_bad_file_is_told_with_its_place(tmp_path):
    file = tmp_path / "hornbeam.yaml"
    file.write_text("listen: [127.0.0.1:9000]\nworkrs: 2\n")
    done = hornbeam("config", "check", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"hornbeam: {file}:2: workrs: ")
    assert "workers" in done.stderr
    assert hornbeam("config", "show", str(file)).returncode == 1


def test_conf_d_is_read_too(tmp_path):
    (tmp_path / "hornbeam.yaml").write_text("workers: 2\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-more.yaml").write_text("workers: 3\n")
    shown = json.loads(hornbeam("config", "show", str(tmp_path / "hornbeam.yaml"), "-o", "json").stdout)
    assert shown["workers"] == 3


def test_show_prints_what_loads_again(tmp_path):
    file = tmp_path / "hornbeam.yaml"
    file.write_text("workers: 2\n")
    shown = hornbeam("config", "show", str(file)).stdout
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert hornbeam("config", "show", str(again)).stdout == shown


def test_a_file_that_is_not_there(tmp_path):
    done = hornbeam("config", "check", str(tmp_path / "none.yaml"))
    assert done.returncode == 1
    assert str(tmp_path / "none.yaml") in done.stderr
