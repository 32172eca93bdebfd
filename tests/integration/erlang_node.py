"""A real Erlang node with the fresh application in its code path.

    with Node() as n:
        n.start_app(APP)                         # hornbeam:start, with a port and a directory of the test's own
        assert n.eval("1 + 1.") == "2"
        n.get("/").text

Its logger writes to a file, "LEVEL|STAMP|message" a line.  On leaving the block the
node must have ended, with every process that it started, and left no directory.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from harness import ASAN, BUILD, SLOW, Site, alive, descendants, environment, eventually, free_port

LOOP = r"""
Loop = fun(Self, Bindings) ->
    case io:get_line('') of
        eof -> init:stop();
        Line ->
            {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Line)),
            {Result, Kept} =
                try
                    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
                    {value, V, B} = erl_eval:exprs(Expressions, Bindings),
                    {V, B}
                catch
                    Class:Reason:Stack -> {{Class, Reason, Stack}, Bindings}
                end,
            io:format("=> ~s~n", [base64:encode(unicode:characters_to_binary(io_lib:format("~0tp", [Result])))]),
            Self(Self, Kept)
    end
end,
Loop(Loop, []).
"""


class Node(Site):
    """args: further arguments of erl; env: of its environment; files: name -> text, a directory on python.path."""

    def __init__(self, *, args=(), env=None, files=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="hb-"))
        self.runtime = self.dir / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.app = self.dir / "app"
        self.app.mkdir()
        for name, text in (files or {}).items():
            (self.app / name).write_text(text)
        self.port = free_port()
        self.args, self.env = list(args), env or {}
        self.proc = None
        self.seen = set()
        self.printed = []

    def start(self):
        handler = (f'[{{handler,default,logger_std_h,#{{config => #{{file => "{self.dir}/log"}},formatter => '
                   '{logger_formatter,#{template => [level,"|",time,"|",msg,"\\n"],single_line => true}}}}]')
        erl = os.environ.get("ERL") or "erl"
        env = environment(**{"XDG_RUNTIME_DIR": str(self.runtime), "HOME": str(self.dir), **self.env})
        with open(self.dir / "stderr", "ab") as err:
            self.proc = subprocess.Popen(
                [erl, "-noshell", "-boot", "no_dot_erlang", "-start_epmd", "false", "+S", "2:2", "-pa", f"{BUILD}/erlang/ebin",
                 "-kernel", "logger", handler, *self.args, "-eval", LOOP.replace("\n", " ")],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, env=env, cwd=self.dir, text=True, bufsize=1)
        return self

    # What the node does.

    def eval(self, code, seconds=60):
        """Evaluates expressions (with the full stop); the value as Erlang prints it."""
        self.proc.stdin.write(code.replace("\n", " ") + "\n")
        self.proc.stdin.flush()
        return self.result(seconds)

    def result(self, seconds=60):
        timer = threading.Timer(seconds * SLOW, self.proc.kill)
        timer.start()
        try:
            for line in self.proc.stdout:
                if line.startswith("=> "):
                    import base64

                    self.note()
                    return base64.b64decode(line[3:]).decode()
                self.printed.append(line)
        finally:
            timer.cancel()
        raise AssertionError(f"the node ended or was late:\n{self.log()}")

    def options(self, **more):
        """Options as Erlang text: a port and a path of the test's own, then more."""
        given = {"bind": str(self.port), "workers": "1", "pythonpath": f'"{self.app}"', **more}
        return "#{" + ", ".join(f"{k} => {v}" for k, v in given.items() if v is not None) + "}"

    def start_app(self, spec="app:application", **more):
        """hornbeam:start/2, which must succeed."""
        result = self.eval(f'hornbeam:start("{spec}", {self.options(**more)}).')
        assert re.match(r"\{ok,<[\d.]+>\}$", result), f"{result}\n{self.log()}"
        return self

    def refused(self, spec="app:application", **more):
        """hornbeam:start/2, which must fail: what it returns, and nothing must be left of it."""
        result = self.eval(f'hornbeam:start("{spec}", {self.options(**more)}).')
        assert result.startswith("{error,"), result
        assert self.eval("{hornbeam:stop(), whereis(hornbeam_attached)}.") == "{{error,not_started},undefined}"
        eventually(lambda: not self.daemons())
        assert not list(self.runtime.iterdir())
        return result

    # What can be seen.

    def log(self):
        path = self.dir / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def lines(self, level=None):
        """Messages of the log, of one level or all."""
        split = [line.split("|", 2) for line in self.log().splitlines()]
        return [s[2] for s in split if len(s) == 3 and level in (None, s[0])]

    def daemons(self):
        """The processes of hornbeamd (masters) below the node."""
        found = []
        for pid in descendants(self.proc.pid):
            with contextlib.suppress(OSError):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"--attached" in words:
                    found.append(pid)
        return found

    def note(self):
        self.seen.update(descendants(self.proc.pid))

    def control(self):
        """The control socket of the attached hornbeamd."""
        (socket,) = [s for s in self.runtime.glob("hornbeam-node-*/control.sock")]
        return socket

    def hornbeam(self, *args):
        env = environment(HORNBEAM_SOCKET=str(self.control()))
        return subprocess.run([str(BUILD / "hornbeam"), *args], env=env, check=False, text=True, capture_output=True, timeout=60)

    # The end.

    def kill(self):
        """SIGKILL of the node; what it had started must end by itself."""
        self.note()
        self.proc.send_signal(signal.SIGKILL)
        self.proc.wait()
        eventually(lambda: not any(alive(p) for p in self.seen), what=f"left behind: {self.seen}")

    def stop(self):
        try:
            if self.proc.poll() is None:
                self.note()
                self.proc.stdin.close()  # init:stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.proc.wait(60 * SLOW)
            hung = self.proc.poll() is None
            with contextlib.suppress(AssertionError):
                eventually(lambda: not any(alive(p) for p in self.seen))
            left = [p for p in self.seen if alive(p)]
            for pid in [*left, *([self.proc.pid] if hung else [])]:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.proc.wait()
            assert not hung, f"the node did not end:\n{self.log()}"
            assert not left, f"processes left behind: {left}\n{self.log()}"
            if self.proc.returncode != -signal.SIGKILL:
                assert not list(self.runtime.iterdir())
            if ASAN:
                for report in ("AddressSanitizer", "runtime error:", "LeakSanitizer"):
                    assert report not in self.log(), self.log()
        finally:
            self.proc.stdout.close()
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        else:
            print(self.log(), (self.dir / "stderr").read_text(errors="replace"), sep="\n")
            with contextlib.suppress(AssertionError):
                self.stop()
