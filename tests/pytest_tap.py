"""A pytest plugin that writes TAP to descriptor 3, a line a test as it ends."""

import os

OUT = 3
#: Tests that took as many seconds are told apart in the log.
LONG = 2.0


class Tap:
    def __init__(self):
        os.set_inheritable(OUT, False)
        self.count = 0

    def line(self, text):
        os.write(OUT, (text + "\n").encode("utf-8", "backslashreplace"))

    def result(self, ok, name, remark=""):
        self.count += 1
        self.line(f"{'ok' if ok else 'not ok'} {self.count} - {name.replace('#', '.')}{remark}")

    def failure(self, name, report):
        self.result(False, name)
        for line in str(report.longreprtext).splitlines()[-200:]:
            self.line("# " + line)
        for title, text in report.sections:
            for line in [f"-- {title}", *text.splitlines()[-60:]]:
                self.line("# " + line)

    def pytest_collectreport(self, report):
        if report.failed:
            self.failure(f"collection of {report.nodeid}", report)

    def pytest_runtest_logreport(self, report):
        if report.failed:
            # a test may fail, and its tear-down as well
            self.failure(report.nodeid + ("" if report.when == "call" else f" ({report.when})"), report)
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "expected to fail"
            self.result(True, report.nodeid, " # SKIP " + " ".join(reason.split()))
        elif report.when == "call":
            self.result(True, report.nodeid)
        if report.duration >= LONG:
            self.line(f"# {report.duration:.1f} s: {report.when}")

    def pytest_internalerror(self, excrepr):
        self.line("Bail out! " + str(excrepr).splitlines()[-1])

    def pytest_sessionfinish(self, exitstatus):
        # "1..0" would pass for a test that was skipped
        self.line(f"1..{self.count}" if self.count else f"Bail out! no test ran (pytest's status {exitstatus})")


def pytest_configure(config):
    config.pluginmanager.register(Tap(), "tap")
