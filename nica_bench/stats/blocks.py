"""Records grouped for a comparison: the methods of one scenario on the same runs.

Records belong to one method only if name, parameters and version agree. All methods of a scenario are evaluated on the
same datasets. A run that failed, or that other methods have and a method lacks, is counted and has the score of the
*baseline*: the best baseline of the scenario that receives no more side information. It never scores more than the
worst finished run of the method itself, so a failure is never an advantage, and it is never a success.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nica_bench.records.record import Record, RunSpec, Status
from nica_bench.stats.outcomes import Baseline, Outcomes
from nica_bench.stats.quantities import Quantity
from nica_bench.stats.series import Run, Series, labelled

__all__ = ["Block", "blocks_of", "in_order", "seed_text"]


@dataclass(frozen=True)
class Block:
    """All series of one scenario.

    Args:
        scenario: the label of the scenario.
        series: methods first, then baselines, then supervised references, in the order of their labels.
    """

    scenario: str
    series: tuple[Series, ...]

    @cached_property
    def seeds(self) -> list[int]:
        """The data seeds of any method, on which all methods are evaluated."""
        return sorted({seed for s in self.series for seed in s.seeds})

    @cached_property
    def _known(self) -> dict[str, dict[str, Outcomes]]:
        """The outcomes computed so far, by the name of the quantity."""
        return {}

    @cached_property
    def _grids(self) -> dict[str, tuple[tuple[Run, ...], NDArray[np.intp]]]:
        """The runs computed so far, by the label of the method."""
        return {}

    @property
    def spec(self) -> RunSpec:
        """The spec of a run, with the name, parameters and version of the scenario."""
        return self.series[0].first.spec

    @property
    def unlabelled(self) -> bool:
        """Whether the true latents of the scenario are unknown."""
        return not any(r.labelled for s in self.series for r in s.records.values())

    @property
    def n_latents(self) -> int | None:
        """The true number of latents; None if it is unknown."""
        return self.series[0].first.n_latents or None

    def results(self, quantity: Quantity) -> dict[str, Outcomes]:
        """Return a quantity of every series on all datasets of the scenario, by the label of the method."""
        if quantity.name not in self._known:
            baselines = self._baselines(quantity)
            self._known[quantity.name] = {s.method: self._outcomes(s, quantity, baselines) for s in self.series}
        return self._known[quantity.name]

    def outcomes(self, series: Series, quantity: Quantity) -> Outcomes:
        """Return a quantity of a series on all datasets of the scenario, also on those that only other methods have."""
        return self._outcomes(series, quantity, self._baselines(quantity))

    def _baselines(self, quantity: Quantity) -> list[tuple[Series, Baseline]]:
        """Return the baselines with finished runs, best first."""
        if quantity.higher_is_better is None or not quantity.scored:
            return []
        found = []
        for series in self.series:
            if not series.is_method and not series.oracle and (scores := _finished(series, quantity)):
                found.append((series, Baseline(series.method, float(np.median(list(scores.values()))), scores)))
        return sorted(found, key=lambda pair: pair[1].level, reverse=quantity.higher_is_better)

    def _outcomes(self, series: Series, quantity: Quantity, baselines: Sequence[tuple[Series, Baseline]]) -> Outcomes:
        given = set(series.first.side_information)
        baseline = next((f for other, f in baselines if set(other.first.side_information) <= given), None)
        runs, places = self._grid(series)
        there = places >= 0
        values, bad = np.full(len(runs), math.nan), ~there
        values[there] = series.numbers(quantity)[places[there]]
        bad[there] = ~series.ok[places[there]]
        missing = int((~there).sum())
        ok = ~np.isnan(values)
        # A method that is given n finishes without an estimate of n: then there is nothing to fill in.
        if quantity.scored and quantity.higher_is_better is not None and (ok.any() or not series.finished):
            worst = None
            if ok.any():
                worst = float(values[ok].min() if quantity.higher_is_better else values[ok].max())
            for i in np.flatnonzero(bad).tolist():
                # Without a baseline among the records the worse end of the scale is filled in.
                level = quantity.worst if baseline is None else baseline.scores.get(runs[i][0], baseline.level)
                values[i] = level if worst is None or quantity.better(worst, level) else worst
        return Outcomes(runs, values, ok, int(bad.sum()) - missing, missing, baseline, len(series.training_seeds))

    def _grid(self, series: Series) -> tuple[tuple[Run, ...], NDArray[np.intp]]:
        """Return the runs on which a series is evaluated, and the index of each among its records; -1: no record."""
        if series.method not in self._grids:
            runs = tuple((seed, training_seed) for seed in self.seeds for training_seed in series.training_seeds)
            place = {run: i for i, run in enumerate(series.records)}
            self._grids[series.method] = runs, np.array([place.get(run, -1) for run in runs], dtype=np.intp)
        return self._grids[series.method]

    def notes(self) -> list[str]:
        """Return what a reader must know before comparing, one line per note."""
        notes = []
        counted = "" if self.unlabelled else ": these runs have the score of the baseline and are counted"
        for s in self.series:
            runs, places = self._grid(s)
            lacking = sorted({runs[i][0] for i in np.flatnonzero(places < 0).tolist()})
            if lacking:
                notes.append(f"{self.scenario}: {s.method} has no record of seeds {seed_text(lacking)}{counted}")
            if not s.finished:
                statuses = sorted({str(r.status) for r in s.records.values()})
                notes.append(
                    f"{self.scenario}: {s.method} finished on no dataset ({', '.join(statuses)}): {_why(s)}; "
                    "it comes last and is not compared"
                )
        if self.unlabelled:  # datasets are not compared
            return notes
        if len({len(s.training_seeds) for s in self.series}) > 1:
            notes.append(
                f"{self.scenario}: methods have different numbers of training seeds; "
                "scores are first averaged per dataset"
            )
        if len(self.seeds) == 1:
            notes.append(
                f"{self.scenario}: only one dataset (seed {self.seeds[0]}), so there is no interval and no test"
            )
        return notes


def blocks_of(records: Iterable[Record]) -> tuple[list[Block], list[str]]:
    """Group records by scenario and method.

    A run that was skipped because its method cannot run on its scenario is not a failure: it is left out, with a note.

    Args:
        records: the records; no key occurs twice.

    Returns:
        The blocks, ordered by the name and the parameters of their scenarios, and notes, one line each.
    """
    records, notes = _asked(records)
    blocks = []
    by_scenario = labelled(records, "scenario", notes)
    for scenario, members in by_scenario.items():
        series = [
            Series(scenario, method, mine[0], {(r.spec.seed, r.spec.training_seed): r for r in mine})
            for method, mine in labelled(members, "method", notes).items()
        ]
        blocks.append(Block(scenario, tuple(sorted(series, key=lambda s: (not s.is_method, s.oracle, s.method)))))
    blocks.sort(key=_place)
    for block in blocks:
        notes += block.notes()
    return blocks, list(dict.fromkeys(notes))


def in_order(value: object) -> tuple[float, str]:
    """Return a sort key by which numbers come first, in numerical order, and texts after them."""
    return (float(value), "") if isinstance(value, int | float) else (math.inf, str(value))


def _place(block: Block) -> tuple[object, ...]:
    name = [in_order(int(part) if part.isdecimal() else part) for part in re.split(r"(\d+)", block.spec.scenario)]
    return name, [(key, in_order(value)) for key, value in sorted(block.spec.scenario_parameters.items())]


def _asked(records: Iterable[Record]) -> tuple[list[Record], list[str]]:
    """Return the records of runs that were not skipped, and one note per method and reason for the others."""
    kept: list[Record] = []
    skipped: dict[tuple[str, str], dict[str, None]] = {}
    for record in records:
        if record.status is Status.SKIPPED:
            why = record.spec.method_label, record.message
            skipped.setdefault(why, {})[record.spec.scenario_label] = None
        else:
            kept.append(record)
    notes = []
    for (method, message), where in skipped.items():
        first, *more = where
        others = f" and {len(more)} more" if more else ""
        notes.append(f"{method} was not run on {first}{others}: {message}")
    return kept, notes


def seed_text(seeds: Sequence[int]) -> str:
    """Return seeds in the notation of `--seeds`, such as `0:10,12`."""
    parts: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(f"{p[0]}:{p[-1] + 1}" if len(p) > 1 else str(p[0]) for p in parts)


def _finished(series: Series, quantity: Quantity) -> dict[int, float]:
    """Return the mean over the training seeds of each dataset that are ok."""
    found: dict[int, list[float]] = {}
    for (seed, _), value in zip(series.records, series.numbers(quantity).tolist(), strict=True):
        if not math.isnan(value):
            found.setdefault(seed, []).append(value)
    return {seed: sum(values) / len(values) for seed, values in found.items()}


def _why(series: Series) -> str:
    message = next((r.message for r in series.records.values() if r.message), "no message")
    return message.splitlines()[0]
