"""CPython's own tests of asyncio (Debian's libpython3.11-testsuite) pass on the worker's loop.

tests/data/asyncio-exceptions.txt lists the tests that cannot, each with its reason.
"""
import concurrent.futures
import importlib.util
import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
EXCEPTIONS = HERE.parent / "data" / "asyncio-exceptions.txt"
MOST_EXCEPTIONS = 10
LONGEST = "test_tasks"
OTHER_SYSTEMS = {"test_windows_events", "test_windows_utils", "test_proactor_events"}


def modules():
    if importlib.util.find_spec("test.test_asyncio") is None:
        return [pytest.param(None, marks=pytest.mark.skip("libpython3.11-testsuite is not installed"))]
    package = pathlib.Path(importlib.util.find_spec("test.test_asyncio").submodule_search_locations[0])
    return sorted(path.stem for path in package.glob("test_*.py") if path.stem not in OTHER_SYSTEMS)


def exceptions():
    lines = [line.split("#")[0].strip() for line in EXCEPTIONS.read_text().splitlines()]
    return dict(line.split(None, 1) for line in lines if line)


@pytest.fixture(scope="module")
def results(request, tmp_path_factory):
    """A future of each chosen module's result.  Two run at once: most of their time is waits, a minute of them."""
    chosen = [item.callspec.params["module"] for item in request.session.items
              if item.function is test_passes_on_the_loop_of_a_worker]
    directory = tmp_path_factory.mktemp("results")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        # The longest goes first, or the end would wait for it alone.
        first = sorted(chosen, key=lambda module: module != LONGEST)
        yield {module: pool.submit(run, module, directory / module) for module in first}
        pool.shutdown(cancel_futures=True)


def run(module, result):
    command = [sys.executable, str(HERE / "asyncio_suite.py"), f"test.test_asyncio.{module}", str(result)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=170)
    assert result.exists(), f"{module} did not run to its end:\n{done.stdout[-5000:]}"
    return json.loads(result.read_text())


def test_the_exceptions_are_few_and_each_has_a_reason():
    assert len(exceptions()) <= MOST_EXCEPTIONS
    assert all(len(reason) > 20 for reason in exceptions().values())


@pytest.mark.parametrize("module", modules())
def test_passes_on_the_loop_of_a_worker(module, results):
    result = results[module].result()
    prefix = f"test.test_asyncio.{module}."
    excepted = {name for name in exceptions() if name.startswith(prefix)}
    unexpected = {name: text for name, text in result["failed"].items() if name not in excepted}
    assert result["run"] > 0
    assert not unexpected, "\n".join(unexpected.values())
    assert not excepted - set(result["failed"]), "passes now: take it off the list"
