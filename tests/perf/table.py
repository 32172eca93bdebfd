"""The table of the figures: its rows as they come, and RESULTS."""

import datetime
import os
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
#: Short rounds, for developers: the ratios are then rough.
QUICK = os.environ.get("QUICK") == "yes"
ROWS = []
FORMAT = "{:58} {:>14} {:>14} {:>8}  {:12} {}"


def _add(*cells):
    ROWS.append(cells)
    print(FORMAT.format(*cells), flush=True)


def row(what, ours, theirs, ratio, target, good):
    """Notes one line of the table and shows it."""
    _add(what, ours, theirs, f"{ratio:.2f}", target, "met" if good else "MISSED")


def failed(what, target, why):
    """A line for a figure that could not be taken."""
    _add(what, "failed", "", "", target, f"FAILED: {why}")


def ratio_row(what, ours, theirs, ratio, target):
    """A row whose target reads like ">= 1.5" or "<= 1"; anything else is not judged."""
    sign, _, bound = target.partition(" ")
    good = {">=": lambda b: ratio >= b, "<=": lambda b: ratio <= b}.get(sign, lambda b: True)
    row(what, ours, theirs, ratio, target, good(float(bound) if bound else 0))


def us(seconds):
    return f"{seconds * 1e6:.1f} us"


def per_second(rate):
    return f"{rate:.0f}/s"


def all_met():
    return all(cells[-1] == "met" for cells in ROWS)


def write_results():
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    lines = [f"Figures of make bench, {datetime.date.today()}, on {os.cpu_count()} cores ({cpu[1] if cpu else 'unknown'}).",
             "Ratios taken in one run; the absolute numbers only explain them.", "",
             FORMAT.format("what", "Hornbeam", "against", "ratio", "target", "verdict")]
    lines += [FORMAT.format(*cells) for cells in ROWS]
    notes = HERE / "NOTES"
    text = "\n".join(lines) + "\n"
    if notes.exists():
        text += "\n" + notes.read_text()
    (HERE / "RESULTS").write_text(text)
