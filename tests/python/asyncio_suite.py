"""Runs one module of CPython's test.test_asyncio with every loop in it one of the worker's.

    asyncio_suite.py MODULE RESULT

Writes a JSON object to the file RESULT: run, skipped, and failed, which maps a test to its traceback.
"""
import asyncio
import asyncio.unix_events
import json
import os
import selectors
import sys
import unittest

sys.path.append(os.path.join(os.environ["HORNBEAM_BUILD"], "tests", "python", ".libs"))
import _hornbeam_loop  # noqa: E402


class Result(unittest.TestResult):
    def summary(self):
        failed = {test.id(): text for test, text in self.failures + self.errors}
        failed |= {test.id(): "passed, though marked as an expected failure" for test in self.unexpectedSuccesses}
        return {"run": self.testsRun, "skipped": len(self.skipped), "failed": failed}


def use_our_loop():
    asyncio.SelectorEventLoop = asyncio.unix_events.SelectorEventLoop = _hornbeam_loop.Loop
    asyncio.DefaultEventLoopPolicy._loop_factory = _hornbeam_loop.Loop
    selectors.EpollSelector = selectors.DefaultSelector = _hornbeam_loop.Selector
    loop = asyncio.new_event_loop()
    assert type(loop) is _hornbeam_loop.Loop
    loop.close()


def main():
    use_our_loop()
    result = Result()
    unittest.defaultTestLoader.loadTestsFromName(sys.argv[1]).run(result)
    with open(sys.argv[2], "w") as out:
        json.dump(result.summary(), out)


main()
