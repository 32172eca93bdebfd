"""hornbeam run --reload: what is saved is served."""

import os
import pathlib
import shutil
import subprocess

from harness import eventually
from test_cli_run import Run

SOURCE = """
import os
TEXT = b'%s'
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [TEXT]
"""


class Watched(Run):
    """A run that watches; save() writes the application as editors do."""

    def __init__(self, tmp_path, *args, **more):
        super().__init__(tmp_path, "--reload", *args, **more)
        self.file = tmp_path / "app.py"

    def __enter__(self):
        self.ready()
        return self

    def save(self, text):
        self.file.write_text(SOURCE % text)

    def serves(self, text, seconds=10):
        eventually(lambda: self.get() == text.encode(), seconds)

    def said(self, text):
        return self.log.read_text().count(text)

    def done(self):
        """How many reloads have ended well."""
        return self.said("reload: done")


def test_what_is_saved_is_served(tmp_path):
    with Watched(tmp_path) as run:
        assert run.get() == b"hello\n"
        for n in range(5):
            run.save(f"save {n}")
            run.serves(f"save {n}")


def test_a_save_of_the_same_length_in_the_same_second_is_served(tmp_path):
    with Watched(tmp_path) as run:
        for text in ("one", "two", "six", "ten"):
            run.save(text)
            run.serves(text)
        assert not (tmp_path / "__pycache__").exists()


def test_a_broken_save_keeps_the_old_code_and_the_next_one_mends_it(tmp_path):
    with Watched(tmp_path) as run:
        run.save("good")
        run.serves("good")
        run.file.write_text("def application(:\n")
        eventually(lambda: run.said("the old configuration and its workers stay"))
        assert run.said("SyntaxError: invalid syntax") and run.said("def application(:")
        assert run.get() == b"good"
        run.file.write_text("import nothing_of_this_name\n")
        eventually(lambda: run.said("ModuleNotFoundError: No module named 'nothing_of_this_name'"))
        assert run.get() == b"good"
        run.save("mended")
        run.serves("mended")


class Late(Watched):
    """One that is not ready yet, of an application that the test writes."""

    def __init__(self, tmp_path, *args):
        super().__init__(tmp_path, *args, app="late:application")
        self.file = tmp_path / "late.py"

    def __enter__(self):
        return self

    def waits(self, said, times=1):
        eventually(lambda: self.said(said) >= times, 30)
        assert self.proc.poll() is None


def test_an_application_that_is_broken_at_the_start_is_served_once_it_is_mended(tmp_path):
    with Late(tmp_path, "--workers", "2") as run:
        run.waits("waiting for a change", 2)
        assert run.said(f"ModuleNotFoundError: No module named 'late'; python.path is {tmp_path}")
        run.file.write_text("def application(:\n")
        run.waits("waiting for a change", 4)
        assert run.said("SyntaxError: invalid syntax") and run.said("def application(:")
        asked = run.hornbeam("reload")
        assert asked.returncode == 6 and "cannot start" in asked.stderr
        run.save("mended")
        run.ready()
        run.serves("mended")
        run.save("and on")
        run.serves("and on")


def test_a_start_that_fails_with_what_was_there_before_a_save_is_tried_again(tmp_path):
    (tmp_path / "late.py").write_text("""
import pathlib, time
here = pathlib.Path(__file__)
here.with_name('begun').touch()
while not here.with_name('go').exists():
    time.sleep(0.01)
raise RuntimeError('too early')
""")
    with Late(tmp_path) as run:
        eventually((tmp_path / "begun").exists, 30)
        run.save("mended")
        run.waits("sources have changed")
        (tmp_path / "go").touch()
        run.ready()
        run.serves("mended")
        assert run.said("RuntimeError: too early")


def test_ctrl_c_ends_a_start_that_waits(tmp_path):
    with Late(tmp_path) as run:
        run.waits("waiting for a change")
    assert run.proc.returncode == 0


def test_editors_that_rename_are_understood(tmp_path):
    with Watched(tmp_path) as run:
        new = tmp_path / ".app.py.swp"
        new.write_text(SOURCE % "over it")
        new.rename(run.file)
        run.serves("over it")
        run.file.rename(tmp_path / "app.py~")
        run.save("away and anew")
        run.serves("away and anew")


def test_new_packages_are_watched(tmp_path):
    with Watched(tmp_path) as run:
        package = tmp_path / "pkg" / "deep" / "er"
        package.mkdir(parents=True)
        (package / "text.py").write_text("TEXT = b'first'\n")
        run.file.write_text((SOURCE % "").replace("TEXT = b''", "from pkg.deep.er.text import TEXT"))
        run.serves("first")
        (package / "text.py").write_text("TEXT = b'second'\n")
        run.serves("second")
        moved = tmp_path / "elsewhere"
        shutil.copytree(tmp_path / "pkg", moved)
        (moved / "deep" / "er" / "text.py").write_text("TEXT = b'third'\n")
        shutil.rmtree(tmp_path / "pkg")
        moved.rename(tmp_path / "pkg")
        run.serves("third")
        (package / "text.py").write_text("TEXT = b'fourth'\n")
        run.serves("fourth")


def test_python_path_is_watched_too(tmp_path):
    lib = tmp_path / ".." / f"{tmp_path.name}-lib"
    lib.mkdir()
    (lib / "words.py").write_text("TEXT = b'a'\n")
    with Watched(tmp_path, "--python-path", str(lib)) as run:
        run.file.write_text((SOURCE % "").replace("TEXT = b''", "from words import TEXT"))
        run.serves("a")
        (lib / "words.py").write_text("TEXT = b'b'\n")
        run.serves("b")


def test_what_is_no_source_makes_no_reload(tmp_path):
    for name in (".git", "__pycache__", "node_modules", "venv", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    with Watched(tmp_path) as run:
        for name in (".git/x.py", "__pycache__/x.py", "node_modules/x.py", "venv/x.py", "data/x.txt", "app.py~",
                     ".app.py.swp", "#app.py#", ".#app.py", "app.pyc", "4913"):
            (tmp_path / name).write_text("x")
        (tmp_path / ".hg").mkdir()
        (tmp_path / ".hg" / "x.py").write_text("x")
        (tmp_path / "empty").mkdir()
        run.save("at last")
        run.serves("at last")
        assert run.said("watch: sources have changed") == 1


def test_many_files_at_once_make_few_reloads(tmp_path):
    with Watched(tmp_path) as run:
        for n in range(200):
            (tmp_path / f"module{n}.py").write_text("x = 1\n")
        run.save("all")
        run.serves("all")
        assert run.said("reload: begins") <= 3


def test_a_save_in_the_middle_of_a_slow_import_is_not_kept_waiting(tmp_path):
    with Watched(tmp_path) as run:
        run.file.write_text("import pathlib, time\npathlib.Path(__file__).with_name('begun').touch()\ntime.sleep(300)\n")
        eventually((tmp_path / "begun").exists)
        run.save("quick")
        run.serves("quick")
        assert run.said("given up for another one") == 1


def test_somebody_who_asked_for_a_reload_meanwhile_gets_the_next_one(tmp_path):
    with Watched(tmp_path) as run:
        run.file.write_text("import pathlib, time\npathlib.Path(__file__).with_name('begun').touch()\ntime.sleep(300)\n")
        eventually((tmp_path / "begun").exists)
        asked = subprocess.Popen([shutil.which("hornbeam", path=run.env["PATH"]), "reload"], env=run.env)
        run.save("quick")
        assert asked.wait(60) == 0
        assert run.get() == b"quick"


def test_the_state_lasts(tmp_path):
    with Watched(tmp_path) as run:
        assert run.hornbeam("state", "set", "k", "v").returncode == 0
        run.save("new")
        run.serves("new")
        assert run.hornbeam("state", "get", "k").stdout == "v\n"


def test_without_the_option_nothing_is_watched(tmp_path):
    with Run(tmp_path) as run:
        run.ready()
        (tmp_path / "app.py").write_text(SOURCE % "new")
        fds = pathlib.Path(f"/proc/{run.proc.pid}/fd")
        assert not [fd for fd in fds.iterdir() if "inotify" in os.readlink(fd)]
        assert run.get() == b"hello\n"


def test_a_directory_that_is_gone_is_forgotten(tmp_path):
    with Watched(tmp_path) as run:
        for n in range(20):
            package = tmp_path / "pkg"
            package.mkdir()
            (package / "m.py").write_text("x = 1\n")
            shutil.rmtree(package)
        run.save("still here")
        run.serves("still here")
