"""Reading experiments from their files.

```toml
title = "Five conditions, 100,000 points"
source = "Sorrenson et al. 2020, section 4.3.1, figures 2 and 6"
question = "Does GIN recover the latents where the theory's conditions hold?"
contradicts = "..."                                # optional: what is found here against the source
scenarios = ["gauss-2of10[samples=100000]"]
methods = ["gin", "raw-x"]
seeds = "0:10"

[[expect]]
method = "gin"                                     # one of the methods
scenario = "gauss-2of10[samples=100000]"           # one of the scenarios, or its index from 0; without: each of them
quantity = "mcc"                                   # a metric, or what else `nica_bench.stats.quantities` knows
statistic = "share"                                # over datasets: median, iqm, mean, or share with a threshold
threshold = 0.95                                   # of a share only: a value from it on counts
low = 0.5                                          # low or high or both; without, the end of the quantity's range
why = "..."                                        # where the range comes from

[seen]                                             # optional: what a run gave
command = "nica-bench run --experiment gin-fig6"
versions = "nica-bench 0.1.0, torch 2.13.0, CPU"
result = ["gin: median mcc .990 [.987 .993]"]
```
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.experiments.experiment import STATISTICS, Expectation, Experiment, Seen
from nica_bench.registry import make_method, make_scenario
from nica_bench.running.plan import parse_seeds
from nica_bench.stats import quantities

__all__ = ["read_experiment"]

T = TypeVar("T")

_FILE = ("title", "source", "question", "contradicts", "scenarios", "methods", "seeds", "expect", "seen")
_EXPECT = ("method", "scenario", "quantity", "statistic", "threshold", "low", "high", "why")
_SEEN = ("command", "versions", "result")


def read_experiment(name: str, data: bytes, path: str) -> Experiment:
    """An experiment from the bytes of its file; see the module for what stands there.

    Args:
        name: of the experiment.
        data: TOML, UTF-8.
        path: of the file, for messages.

    Raises:
        UsageError: naming the file, the key, what was expected and what came.
    """
    try:
        values = tomllib.loads(data.decode())
    except ValueError as error:  # no UTF-8, or no TOML
        raise UsageError(f"{path} is not TOML: {error}") from error
    file = _Table(path, values, _FILE)
    scenarios = {text: file.made("scenarios", make_scenario, text).label for text in file.texts("scenarios")}
    methods = {text: file.made("methods", make_method, text).label for text in file.texts("methods")}
    seeds = file.text("seeds")
    file.made("seeds", parse_seeds, seeds)
    expectations = [
        expectation
        for i, table in enumerate(file.tables("expect"))
        for expectation in _expectations(_Table(path, table, _EXPECT, f"expect[{i}]."), scenarios, methods)
    ]
    order = list(scenarios.values())
    return Experiment(
        name=name,
        title=file.text("title"),
        source=file.text("source"),
        question=file.text("question"),
        scenarios=tuple(scenarios),
        methods=tuple(methods),
        seeds=seeds,
        expectations=tuple(sorted(expectations, key=lambda e: order.index(e.scenario))),
        contradicts=file.text("contradicts") if "contradicts" in file else "",
        seen=_seen(_Table(path, file.get("seen"), _SEEN, "seen.")) if "seen" in file else None,
    )


def _expectations(table: _Table, scenarios: Mapping[str, str], methods: Mapping[str, str]) -> Iterable[Expectation]:
    """What a table says, of each scenario that it is about."""
    known = quantities()
    quantity = known[table.one_of("quantity", known)]
    statistic = table.one_of("statistic", STATISTICS)
    if (statistic == "share") != ("threshold" in table):
        raise table.error(
            "threshold", f"one with statistic = 'share' and none with {statistic}", table.get("threshold")
        )
    threshold = table.number("threshold", -math.inf, math.inf) if statistic == "share" else None
    least, most = (0.0, 1.0) if statistic == "share" else (quantity.low, quantity.high)
    if "low" not in table and "high" not in table:
        raise table.error("low", "low or high or both", None)
    low = table.number("low", least, most) if "low" in table else least
    high = table.number("high", least, most) if "high" in table else most
    if low > high:
        raise table.error("low", f"at most high = {high:g}", low)
    method, why = methods[table.one_of("method", methods)], table.text("why")
    for text in _about(table, list(scenarios)):
        yield Expectation(scenarios[text], method, quantity.name, statistic, threshold, low, high, why)


def _about(table: _Table, scenarios: list[str]) -> list[str]:
    """The scenarios that a table is about: the one it names or gives the index of, or all."""
    if "scenario" not in table:
        return scenarios
    index = table.get("scenario")
    if isinstance(index, int) and not isinstance(index, bool):
        if not 0 <= index < len(scenarios):
            raise table.error("scenario", f"an index from 0 to {len(scenarios) - 1}", index)
        return [scenarios[index]]
    return [table.one_of("scenario", scenarios)]


def _seen(table: _Table) -> Seen:
    return Seen(table.text("command"), table.text("versions"), tuple(table.texts("result")))


class _Table:
    """A table of a file whose values are checked when they are taken.

    Args:
        path: of the file.
        values: the table.
        keys: all that it may hold.
        prefix: of its keys in messages.

    Raises:
        UsageError: if it is no table or holds another key; so do the methods for a value that is missing or wrong.
    """

    def __init__(self, path: str, values: Any, keys: Iterable[str], prefix: str = "") -> None:
        self._path, self._prefix = path, prefix
        if not isinstance(values, dict):
            raise UsageError(f"{path}: {prefix.rstrip('.')}: expected a table, got {values!r}")
        self._values: dict[str, Any] = values
        for key in values:
            if key not in keys:
                raise UsageError(f"{path}: unknown key '{prefix}{key}'; {did_you_mean(key, keys)}")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> Any:
        """A value as it is; None where there is none."""
        return self._values.get(key)

    def error(self, key: str, expected: str, got: Any) -> UsageError:
        """The error of a key."""
        came = "nothing" if got is None else repr(got)
        return UsageError(f"{self._path}: {self._prefix}{key}: expected {expected}, got {came}")

    def text(self, key: str) -> str:
        """A text that is not empty, its line breaks made spaces."""
        value = self.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.error(key, "a text that is not empty", value)
        return " ".join(value.split())

    def texts(self, key: str) -> list[str]:
        """At least one text, and none twice."""
        value = self.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v.strip() for v in value):
            raise self.error(key, "a list of texts, one or more", value)
        if len(set(value)) < len(value):
            raise self.error(key, "no text twice", value)
        return value

    def tables(self, key: str) -> list[Any]:
        """At least one of what should be tables."""
        value = self.get(key)
        if not isinstance(value, list) or not value:
            raise self.error(key, f"one table [[{key}]] or more", value)
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """A number in a range."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise self.error(key, f"a number from {low:g} to {high:g}", value)
        return float(value)

    def one_of(self, key: str, known: Iterable[str]) -> str:
        """A text out of several."""
        value, names = self.get(key), list(known)
        if not isinstance(value, str):
            raise self.error(key, "one of " + ", ".join(names), value)
        if value not in names:
            raise UsageError(f"{self._path}: {self._prefix}{key}: unknown '{value}'; {did_you_mean(value, names)}")
        return value

    def made(self, key: str, make: Callable[[str], T], text: str) -> T:
        """What a text stands for; an error says where the text is."""
        try:
            return make(text)
        except UsageError as error:
            raise UsageError(f"{self._path}: {self._prefix}{key}: {error}") from error
