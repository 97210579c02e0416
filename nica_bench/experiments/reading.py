"""Reading what a file expects of its runs: title, source and question, [[expect]] and [seen].

`nica_bench/sweep/example.toml` explains the keys, beside those of `nica_bench.running.gridfile`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from nica_bench.errors import UsageError
from nica_bench.experiments.experiment import STATISTICS, Expectation, Experiment, Seen
from nica_bench.files.toml import FileTable
from nica_bench.registry import make_method, make_scenario
from nica_bench.running.grid import Grid, Request, resolve
from nica_bench.running.gridfile import GridFile
from nica_bench.stats import quantities

__all__ = ["read_experiment"]

_EXPECT = ("method", "scenario", "quantity", "statistic", "threshold", "low", "high", "why")
_SEEN = ("command", "versions", "result")


def read_experiment(file: GridFile) -> Experiment | None:
    """The experiment of a file: its grid, and what is expected of it; None where it expects nothing.

    Raises:
        UsageError: naming the file, the line, the key, what was expected and what came.
    """
    table = file.table
    if "expect" not in table:
        return None
    title, source, question = (table.line(key) for key in ("title", "source", "question"))
    grid = resolve(Request(), file.request)
    expectations = [e for each in table.tables("expect") for e in _expectations(each, grid)]
    if not expectations:
        raise table.wrong("expect", "one table [[expect]] or more")
    order = [scenario.label for scenario in grid.scenarios]
    seen = table.table("seen")
    return Experiment(
        name=file.name,
        title=title,
        source=source,
        question=question,
        grid=grid,
        expectations=tuple(sorted(expectations, key=lambda e: order.index(e.scenario))),
        contradicts=table.line("contradicts") if "contradicts" in table else "",
        seen=None if seen is None else _seen(seen),
    )


def _expectations(table: FileTable, grid: Grid) -> Iterator[Expectation]:
    """What a table says, of each scenario that it is about."""
    table.only(_EXPECT)
    known = quantities()
    quantity = known[table.one_of("quantity", known)]
    statistic = table.one_of("statistic", STATISTICS)
    if (statistic == "share") != ("threshold" in table):
        raise table.wrong("threshold", f"one with statistic = 'share' and none with {statistic}")
    least, most = (0.0, 1.0) if statistic == "share" else (quantity.low, quantity.high)
    if "low" not in table and "high" not in table:
        raise table.wrong("low", "low or high or both")
    low, high = table.number("low", least, most), table.number("high", least, most)
    low, high = least if low is None else low, most if high is None else high
    if low > high:
        raise table.wrong("low", f"at most high = {high:g}")
    method = _label(table, "method", [m.label for m in grid.methods], lambda text: make_method(text).label)
    threshold, why = table.number("threshold", -math.inf), table.line("why")
    for scenario in _about(table, [s.label for s in grid.scenarios]):
        yield Expectation(scenario, method, quantity.name, statistic, threshold, low, high, why)


def _about(table: FileTable, labels: list[str]) -> list[str]:
    """The scenarios that a table is about: the one it names or gives the index of, or all."""
    if "scenario" not in table:
        return labels
    if isinstance(table.values["scenario"], str):
        return [_label(table, "scenario", labels, lambda text: make_scenario(text).label)]
    index = table.whole("scenario", 0, len(labels) - 1)
    return [labels[index or 0]]


def _label(table: FileTable, key: str, labels: list[str], label: Callable[[str], str]) -> str:
    """The scenario or method that a table names, however it is written."""
    text = table.text(key)
    try:
        written = text if text is None or text in labels else label(text)
    except UsageError:
        written = text
    return written if written is not None and written in labels else table.one_of(key, labels)


def _seen(table: FileTable) -> Seen:
    table.only(_SEEN)
    command, versions, result = table.line("command"), table.line("versions"), tuple(table.texts("result"))
    if not result:
        raise table.wrong("result", "a text or a list of texts")
    return Seen(command, versions, result)
