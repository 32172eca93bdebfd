"""The figures that Hornbeam is held to, as ratios taken in one run.

    make bench                        everything; the table goes to tests/perf/RESULTS
    make bench ROWS="wsgi reload"     some sections, printed only
    make bench QUICK=yes              short rounds, printed only: rough, for developers

Machines drift, so absolute numbers only explain: what counts is the ratio
of the two sides, measured in turns within the same run.  The server has one
core, what asks it the other.
"""

import pathlib
import resource
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))
import figures_erlang  # noqa: E402
import figures_idle  # noqa: E402
import figures_life  # noqa: E402
import figures_process  # noqa: E402
import figures_server  # noqa: E402
import figures_state  # noqa: E402
import table  # noqa: E402

SECTIONS = {
    "state": figures_state.state,
    "calls": figures_erlang.calls,
    "fan_out": figures_erlang.fan_out,
    "hooks": figures_erlang.hooks,
    "wsgi": figures_server.wsgi,
    "asgi": figures_server.asgi,
    "fastapi": figures_server.fastapi,
    "starlette": figures_server.starlette,
    "backend": figures_server.backend,
    "flask": figures_server.flask,
    "large": figures_server.large,
    "upload": figures_server.upload,
    "events": figures_server.events,
    "websocket": figures_server.websocket,
    "idle": figures_idle.idle,
    "reload": figures_life.reload,
    "kill": figures_life.kill,
    "command": figures_process.command,
    "process": figures_process.process,
}


def main():
    chosen = sys.argv[1:] or list(SECTIONS)
    unknown = [name for name in chosen if name not in SECTIONS]
    if unknown:
        print(f"no such section: {' '.join(unknown)}; there are {' '.join(SECTIONS)}", file=sys.stderr)
        return 64
    # A client and a worker with ten thousand connections.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in chosen:
        begin = time.monotonic()
        try:
            SECTIONS[name]()
        except Exception as e:  # the other sections still count
            traceback.print_exc()
            table.failed(f"section {name}", "", f"{type(e).__name__}: {e}")
        print(f"    {name}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    if not sys.argv[1:] and not table.QUICK:
        table.write_results()
    return 0 if table.all_met() else 1


if __name__ == "__main__":
    sys.exit(main())
