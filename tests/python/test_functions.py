"""register and unregister against a real companion: Python functions that Erlang and other processes call."""

import asyncio
import contextlib
import selectors
import textwrap
import threading
import time

import companion as companions
import pytest
from companion import SLOW, Companion, eventually, run

import hornbeam_erlang
from hornbeam_erlang import (
    CallError,
    HornbeamError,
    HornbeamTimeoutError,
    RemoteError,
    aio,
    call,
    cast,
    register,
    rpc_call,
    unregister,
)

pytestmark = pytest.mark.usefixtures("companion")


class Script:
    """A process of its own, talked to line by line."""

    def __init__(self, process):
        self.process = process

    def line(self, seconds=20):
        with selectors.DefaultSelector() as s:
            s.register(self.process.stdout, selectors.EVENT_READ)
            assert s.select(seconds * SLOW), "nothing was said"
        text = self.process.stdout.readline()
        assert text, self.process.stderr.read()
        return text.strip()

    def say(self, text):
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def ask(self, text):
        self.say(text)
        return self.line()


@contextlib.contextmanager
def script(companion, code):
    with companions.script(companion, textwrap.dedent(code)) as process:
        try:
            yield Script(process)
        finally:
            process.kill()


@pytest.fixture
def registered():
    """register, whose functions are gone at the end of the test."""
    names = []

    def add(name, function):
        names.append(name)
        return register(name, function)

    yield add
    for name in names:
        unregister(name)


def from_erlang(name, *args):
    return rpc_call("local", "hornbeam", "call_python", [name, list(args)])


VALUES = [None, True, 2**70, -1.5, "žluť", b"\0\xff", [1, [2]], (1, "a"), {"a": {1: (None,)}}, {1, 2}, "x" * 2_000_000]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: repr(v)[:20])
def test_arguments_and_results_go_from_python_to_python_as_they_are(registered, value):
    registered("echo", lambda *args: list(args))
    assert call("echo", value, 1) == [value, 1]


def test_erlang_calls_with_a_list_of_arguments(registered):
    registered("total", lambda prices, extra: {"sum": sum(prices) + extra})
    assert from_erlang("total", [1, 2, 3], 4) == {"sum": 10}


def test_a_decorator_registers_and_gives_the_function_back(registered):
    @register("decorated")
    def decorated(x):
        return x + 1

    assert decorated(1) == 2 and call("decorated", 2) == 3
    assert unregister("decorated") and not unregister("decorated")
    with pytest.raises(HornbeamError, match="decorated"):
        call("decorated", 1)


def test_another_function_takes_the_place_of_the_first(registered):
    registered("which", lambda: "first")
    registered("which", lambda: "second")
    assert call("which") == "second"


@pytest.mark.parametrize(("name", "function", "error"), [
    ("f", 1, TypeError), (1, print, TypeError), ("", print, ValueError), ("x" * 256, print, ValueError)])
def test_what_cannot_be_registered_is_refused(name, function, error):
    with pytest.raises(error, match="^a function" if error is TypeError else None):
        register(name, function)
    with pytest.raises(error):
        register(name)(function)
    assert not any(n == name for n, _ in rpc_call("local", "hornbeam", "functions", []))


def test_a_coroutine_function_runs_on_the_loop_that_registered_it():
    async def main():
        async def where(x):
            await asyncio.sleep(0)
            return x, asyncio.get_running_loop() is loop

        loop = asyncio.get_running_loop()
        assert await aio.register("where", where) is where
        assert await aio.call("where", 1) == (1, True)
        assert await aio.register("where", lambda x: (x, threading.current_thread() is threading.main_thread()))
        assert await aio.call("where", 2) == (2, False)
        assert await aio.unregister("where") and not await aio.unregister("where")
        with pytest.raises(HornbeamError, match="no function 'where'"):
            await aio.call("where", 3)
        for name, function in ((where, None), ("where", 1), ("", where)):
            with pytest.raises((TypeError, ValueError)):
                await aio.register(name, function)

    asyncio.run(main())


def test_an_exception_is_a_remote_error_and_an_error_in_erlang(registered):
    def fails(x):
        raise ValueError(f"no {x}")

    registered("fails", fails)
    with pytest.raises(RemoteError) as e:
        call("fails", "way")
    assert e.value.kind == "error" and e.value.reason == ("python_error", "ValueError", "no way")
    assert str(e.value) == "ValueError: no way"
    assert "def fails" not in e.value.stacktrace and "raise ValueError" in e.value.stacktrace
    with pytest.raises(RemoteError) as e:
        from_erlang("fails", 1)
    assert e.value.reason == ("python_error", "ValueError", "no 1")


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_what_ends_a_program_ends_no_thread_of_the_pool(registered, error):
    def ends():
        raise error

    registered("ends", ends)
    for _ in range(6):
        with pytest.raises(RemoteError, match=type(error).__name__):
            call("ends")
    registered("lives", lambda: 1)
    assert call("lives") == 1


class OddText(str):
    __slots__ = ()

    def __getitem__(self, which):
        raise LookupError("no part")


def exits():
    raise SystemExit("no text")


@pytest.mark.parametrize("text", [lambda: [].pop(), exits, lambda: OddText("x")])
def test_an_exception_without_a_text_ends_no_thread_of_the_pool(registered, text):
    class MuteError(Exception):
        def __str__(self):
            return text()

    def fails():
        raise MuteError

    registered("fails", fails)
    for _ in range(6):
        with pytest.raises(RemoteError, match="MuteError"):
            call("fails")


def test_a_result_too_large_for_the_link_is_an_error_at_once(registered):
    registered("huge", lambda: b"x" * ((16 << 20) - 8))  # a value may be as large, a frame not
    with pytest.raises(RemoteError, match="huge.*bytes"):
        call("huge", timeout_ms=60000)


def test_a_call_without_a_thread_for_it_fails_and_the_next_one_runs(companion):
    with script(companion, """
        import threading
        from hornbeam_erlang import register
        register("f", lambda: 1)
        start = threading.Thread.start
        def no(thread):
            raise RuntimeError("can't start new thread")
        threading.Thread.start = no
        print("ready", flush=True)
        input()
        threading.Thread.start = start
        print("again", flush=True)
        input()
    """) as process:
        assert process.line() == "ready"
        with pytest.raises(RemoteError, match="can't start new thread"):
            call("f")
        assert process.ask("") == "again"
        assert call("f") == 1


def test_a_result_that_is_no_value_is_an_error_that_names_it(registered):
    registered("object", lambda: {"a": object()})
    with pytest.raises(RemoteError, match="the result of 'object'.*object"):
        call("object")


def test_wrong_arguments_are_the_callers_error(registered):
    registered("one", lambda x: x)
    with pytest.raises(RemoteError, match="TypeError"):
        call("one", 1, 2)


def test_a_coroutine_function_without_a_loop_runs_in_the_pool(registered):
    async def later(x):
        import asyncio
        await asyncio.sleep(0)
        return x

    registered("later", later)
    assert call("later", 5) == 5


def test_calls_run_at_once_and_wait_for_their_turn(registered):
    inside, gate = [], threading.Event()

    def wait(n):
        inside.append(n)
        assert gate.wait(30 * SLOW)
        return n

    registered("wait", wait)
    results = []
    threads = [threading.Thread(target=lambda n=n: results.append(call("wait", n, timeout_ms=60000))) for n in range(10)]
    for t in threads:
        t.start()
    eventually(lambda: len(inside) == 4)
    assert len(inside) == 4
    gate.set()
    for t in threads:
        t.join()
    assert sorted(results) == list(range(10))


def test_a_deadline_is_kept_and_what_waited_past_it_is_not_run(registered):
    gate, inside, ran = threading.Event(), [], []

    def hold():
        inside.append(1)
        assert gate.wait(30 * SLOW)

    registered("hold", hold)
    registered("note", ran.append)
    holders = [threading.Thread(target=lambda: call("hold", timeout_ms=60000)) for _ in range(4)]
    for t in holders:
        t.start()
    eventually(lambda: len(inside) == 4)
    with pytest.raises(HornbeamTimeoutError):
        call("note", "late", timeout_ms=100)
    # This process has a clock of its own for the call, from when it heard of it.
    eventually(lambda: [t.late() for t in list(hornbeam_erlang._functions._functions.tasks.values())
                        if t.name == "note"] == [True])
    gate.set()
    for t in holders:
        t.join()
    call("note", "then")
    assert ran == ["then"]


def test_the_deadline_of_a_call_is_not_that_of_the_next_one_on_its_thread(registered):
    outcome = []
    ended = threading.Event()

    def outer():
        try:
            outcome.append(call("quick"))
        except HornbeamTimeoutError as e:
            outcome.append(e)
        ended.set()

    def short():
        with contextlib.suppress(HornbeamTimeoutError):
            call("meet", timeout_ms=2000)

    meeting = threading.Barrier(4)
    registered("meet", lambda: meeting.wait(30 * SLOW) and None)
    registered("quick", lambda: "quick")
    registered("outer", outer)
    callers = [threading.Thread(target=short) for _ in range(4)]  # one for each thread that runs functions
    for t in callers:
        t.start()
    for t in callers:
        t.join()
    passed = time.monotonic() + 2.1
    eventually(lambda: time.monotonic() > passed)
    cast("outer")  # which has no deadline
    assert ended.wait(30 * SLOW)
    assert outcome == ["quick"]


def test_a_cast_runs_and_is_not_waited_for(registered):
    ran = threading.Event()
    registered("set", ran.set)
    cast("set")
    assert ran.wait(30 * SLOW)


def test_what_a_function_subscribes_to_goes_with_it(registered):
    registered("subscribes", lambda: hornbeam_erlang.subscribe("left behind"))
    call("subscribes")
    eventually(lambda: hornbeam_erlang.publish("left behind", 1) == 0)


def test_an_erlang_function_of_the_same_name_comes_first(registered):
    registered("twice", lambda: "python")
    assert call("twice") == "python"
    rpc_call("local", "hornbeam", "register_function", ["twice", hornbeam_erlang.Atom("lists"),
                                                        hornbeam_erlang.Atom("max")])
    try:
        assert call("twice", [1, 3, 2]) == 3
        assert from_erlang("twice") == "python"
    finally:
        rpc_call("local", "hornbeam", "unregister_function", ["twice"])
    assert call("twice") == "python"


def test_the_error_of_an_inner_call_is_the_functions_own(registered):
    def inner():
        raise CallError("why")

    registered("inner", inner)
    with pytest.raises(RemoteError) as e:
        call("inner")
    assert e.value.reason[1] == "CallError"


def test_functions_are_there_again_after_a_loss_and_a_lost_call_is_an_error():
    with Companion() as c:
        with script(c, """
            @register("answer")
            def answer(x):
                if x == "hold":
                    print("held", flush=True)
                    sys.stdin.readline()
                return x
            print("ready", flush=True)
            threading.Event().wait()
            """) as p:
            assert p.line() == "ready"
            with script(c, """
                for x in sys.stdin:
                    try:
                        print(call("answer", x.strip(), timeout_ms=20000), flush=True)
                    except HornbeamConnectionError:
                        print("lost", flush=True)
                    except HornbeamError as e:
                        print("none", flush=True)
                """) as caller:
                assert caller.ask("one") == "one"
                caller.say("hold")
                assert p.line() == "held"
                c.kill()
                assert caller.line() == "lost"
                c.start()
                eventually(lambda: caller.ask("two") == "two")


def test_an_answer_from_before_a_loss_is_nobodys():
    with Companion() as c, script(c, """
            from hornbeam_erlang import _functions
            tasks = _functions._functions.tasks
            events = {"one": threading.Event(), "two": threading.Event()}
            @register("wait")
            def wait(x):
                print("inside", flush=True)
                events[x].wait()
                return x
            @register("number")
            def number():
                return list(tasks)[-1][1]
            print("ready", flush=True)
            for line in sys.stdin:
                events[line.strip()].set()
                while len(tasks) > 1:
                    time.sleep(0.001)
                print("let go", flush=True)
            """) as p:
        assert p.line() == "ready"
        with script(c, """
                for x in sys.stdin:
                    while True:
                        try:
                            if call("number") >= 99:
                                break
                        except HornbeamError:  # it is not known again yet
                            pass
                    try:
                        print(call("wait", x.strip(), timeout_ms=60000), flush=True)
                    except HornbeamConnectionError:
                        print("lost", flush=True)
                """) as caller:
            caller.say("one")
            assert p.line() == "inside"
            c.kill()
            assert caller.line() == "lost"
            c.start()
            # The companion counts anew, and so has another call of the same number.
            caller.say("two")
            assert p.line() == "inside"
            assert p.ask("one") == "let go"
            p.say("two")
            assert caller.line() == "two"


def test_a_child_has_none_of_its_parents_functions():
    with Companion() as c, script(c, """
            register("mine", os.getpid)
            assert call("mine") == os.getpid()
            child = os.fork()
            if child == 0:
                assert call("mine") == os.getppid()
                register("childs", lambda: "child")
                assert call("childs") == "child"
                os._exit(0)
            reap(child)
            assert call("mine") == os.getpid()
            try:
                call("childs")
            except HornbeamError:
                print("done", flush=True)
            """) as p:
        assert p.line() == "done"


def test_calls_under_way_are_answered_at_the_end_of_their_process():
    with Companion() as c, script(c, """
            @register("slow")
            def slow():
                print("inside", flush=True)
                time.sleep(0.3)
                return "answered"
            print("ready", flush=True)
            sys.stdin.readline()
            """) as p:
        assert p.line() == "ready"
        with script(c, "print(call('slow', timeout_ms=20000), flush=True)") as caller:
            assert p.line() == "inside"
            p.say("go")
            assert caller.line() == "answered"


def test_an_error_in_between_ends_neither_the_thread_that_listens_nor_the_pool():
    with Companion() as c, script(c, """
            from hornbeam_erlang import _functions
            real = {name: getattr(_hornbeam, name) for name in ("take_task", "ran_raised")}
            def fails_once(name):
                def fail(*args):
                    setattr(_hornbeam, name, real[name])
                    raise MemoryError
                setattr(_hornbeam, name, fail)
            fails_once("take_task")
            register("f", lambda x: x)
            print("ready", flush=True)
            for line in sys.stdin:
                fails_once("ran_raised")
                print("set", flush=True)
            """) as p:
        assert p.line() == "ready"
        with script(c, """
                for x in sys.stdin:
                    try:
                        print(call("f", *x.split(), timeout_ms=300 if x == "a b\\n" else 20000), flush=True)
                    except HornbeamTimeoutError:
                        print("late", flush=True)
                """) as caller:
            assert caller.ask("a") == "a"
            for _ in range(5):
                assert p.ask("") == "set"
                assert caller.ask("a b") == "late"
            assert caller.ask("a") == "a"


@pytest.mark.parametrize("how", ["late", "left"])
def test_the_end_waits_for_no_call_that_nobody_waits_for(how):
    with Companion() as c, script(c, """
            import atexit
            atexit.register(lambda: print("ends", flush=True))  # after those that come later
            from hornbeam_erlang import _functions
            _functions.LAST = 3600
            register("hold", lambda: print("inside", flush=True) or threading.Event().wait())
            print("ready", flush=True)
            sys.stdin.readline()
            """) as p:
        assert p.line() == "ready"
        with script(c, f"call('hold', timeout_ms={500 if how == 'late' else 3600000})") as caller:
            assert p.line() == "inside"
            p.say("end")
            # No function is taken any more: the end waits.
            eventually(lambda: not run(c, "print(*rpc_call('local', 'hornbeam', 'functions', []))").strip())
            if how == "left":
                caller.process.kill()
            assert p.line() == "ends"


def test_what_registers_and_what_takes_back_at_once_agree_with_the_companion(companion):
    with script(companion, """
            said, entered, go = [], threading.Event(), threading.Event()
            real = _hornbeam.provide
            def provide(name, there):
                said.append(there)
                if there:
                    go.set()
                else:
                    entered.set()
                    go.wait()
                real(name, there)
                said.append(there)
            register("changes", lambda: 1)
            _hornbeam.provide = provide
            back = threading.Thread(target=unregister, args=("changes",))
            back.start()
            entered.wait()
            again = threading.Thread(target=register, args=("changes", lambda: 2))
            again.start()
            while not go.is_set():
                try:
                    wait_until_asleep(again)
                    go.set()
                except FileNotFoundError:
                    pass
            back.join()
            again.join()
            print(said, call("changes"), flush=True)
            """) as p:
        assert p.line() == "[False, False, True, True] 2"


def test_no_companion_is_an_error():
    with Companion() as c:
        with script(c, """
                sys.stdin.readline()
                try:
                    register("f", print)
                except HornbeamConnectionError:
                    print("refused", flush=True)
                """) as p:
            c.kill()
            p.say("go")
            assert p.line(20) == "refused"
