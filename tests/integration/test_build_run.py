"""build/run CMD: every part of Hornbeam in it is the one of the build tree."""

import subprocess

from harness import BUILD, environment


def run(*command):
    done = subprocess.run([str(BUILD / "run"), *command], env=environment(PYTHONPATH=""), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_programs_are_found():
    assert run("sh", "-c", "command -v hornbeamd; command -v hornbeam").split() == [
        str(BUILD / "hornbeamd"), str(BUILD / "hornbeam")]


def test_python_is_debians_and_finds_the_module():
    code = "import hornbeam_erlang as h, sys; print(h.__file__, h.__version__, sys.version_info[:2] >= (3, 11))"
    version = run("hornbeam", "--version").split()[1]
    assert run("python3", "-c", code).split() == [str(BUILD / "pylib/hornbeam_erlang/__init__.py"), version, "True"]


def test_erlang_finds_the_application():
    code = """
        {ok, _} = application:ensure_all_started(hornbeam),
        ok = hornbeam_state:set(<<"k">>, #{a => [1, {x}]}, 60),
        #{a := [1, {x}]} = hornbeam_state:get(<<"k">>),
        3 = hornbeam_state:incr(<<"n">>, 3),
        [<<"k">>, <<"n">>] = hornbeam_state:keys(),
        io:put_chars(code:which(hornbeam_state)),
        halt()."""
    assert run("erl", "-noshell", "-boot", "no_dot_erlang", "-eval", code) == str(BUILD / "erlang/ebin/hornbeam_state.beam")
