"""Records sorted for a comparison: the methods of one scenario side by side, run for run.

What is compared must be the same thing. Records are of one method only if name, parameters and version agree; methods
on one scenario answer for the same datasets, and a run that failed or that others have and a method lacks is counted
and scores the *baseline*: the best method of the scenario that is told no more and learns nothing. A failure is never
worth more than the method's own worst finished run, so that failing cannot pay, and it never is a success.
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
        scenario: its label.
        series: methods first, then baselines, in the order of their labels.
    """

    scenario: str
    series: tuple[Series, ...]

    @cached_property
    def seeds(self) -> list[int]:
        """Data seeds that any of the methods has: what each of them answers for."""
        return sorted({seed for s in self.series for seed in s.seeds})

    @cached_property
    def _known(self) -> dict[str, dict[str, Outcomes]]:
        """Results that were asked for, by the name of the quantity."""
        return {}

    @cached_property
    def _grids(self) -> dict[str, tuple[tuple[Run, ...], NDArray[np.intp]]]:
        """Runs that were asked for, by the label of the method."""
        return {}

    @property
    def spec(self) -> RunSpec:
        """A run that stands for the scenario: its name, parameters and version."""
        return self.series[0].first.spec

    @property
    def blind(self) -> bool:
        """Whether the latents of the scenario are unknown."""
        return not any(r.labelled for s in self.series for r in s.records.values())

    @property
    def n_latents(self) -> int | None:
        """The true number of latents; None where it is unknown."""
        return self.series[0].first.n_latents or None

    def results(self, quantity: Quantity) -> dict[str, Outcomes]:
        """A quantity of every series on all datasets of the scenario, by the label of the method."""
        if quantity.name not in self._known:
            baselines = self._floors(quantity)
            self._known[quantity.name] = {s.method: self._outcomes(s, quantity, baselines) for s in self.series}
        return self._known[quantity.name]

    def outcomes(self, series: Series, quantity: Quantity) -> Outcomes:
        """A quantity of a series on all datasets of the scenario, the series' own and the others'."""
        return self._outcomes(series, quantity, self._floors(quantity))

    def _floors(self, quantity: Quantity) -> list[tuple[Series, Baseline]]:
        """What could be a baseline, best first."""
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
        # A method that was told n, for one, finishes without an estimate of n: then there is nothing to fill in.
        if quantity.scored and quantity.higher_is_better is not None and (ok.any() or not series.finished):
            worst = None
            if ok.any():
                worst = float(values[ok].min() if quantity.higher_is_better else values[ok].max())
            for i in np.flatnonzero(bad).tolist():
                # With no baseline among the records the end of the scale is what is left.
                level = quantity.worst if baseline is None else baseline.scores.get(runs[i][0], baseline.level)
                values[i] = level if worst is None or quantity.better(worst, level) else worst
        return Outcomes(runs, values, ok, int(bad.sum()) - missing, missing, baseline, len(series.training_seeds))

    def _grid(self, series: Series) -> tuple[tuple[Run, ...], NDArray[np.intp]]:
        """The runs that a series answers for, and where each is among its records; -1: it has no record."""
        if series.method not in self._grids:
            runs = tuple((seed, training_seed) for seed in self.seeds for training_seed in series.training_seeds)
            place = {run: i for i, run in enumerate(series.records)}
            self._grids[series.method] = runs, np.array([place.get(run, -1) for run in runs], dtype=np.intp)
        return self._grids[series.method]

    def notes(self) -> list[str]:
        """What a reader must know before comparing, a line each."""
        notes = []
        counted = "" if self.blind else ": they score the baseline and are counted"
        for s in self.series:
            runs, places = self._grid(s)
            lacking = sorted({runs[i][0] for i in np.flatnonzero(places < 0).tolist()})
            if lacking:
                notes.append(f"{self.scenario}: {s.method} has no record of seeds {seed_text(lacking)}{counted}")
            if not s.finished:
                statuses = sorted({str(r.status) for r in s.records.values()})
                notes.append(
                    f"{self.scenario}: {s.method} finished on no dataset ({', '.join(statuses)}): {_why(s)}; "
                    "it stands last and is in no comparison"
                )
        if self.blind:  # nothing is compared by datasets
            return notes
        if len({len(s.training_seeds) for s in self.series}) > 1:
            notes.append(
                f"{self.scenario}: methods have different numbers of initialisations; "
                "they are averaged for each dataset first"
            )
        if len(self.seeds) == 1:
            notes.append(f"{self.scenario}: one dataset only (seed {self.seeds[0]}): no interval and no test")
        return notes


def blocks_of(records: Iterable[Record]) -> tuple[list[Block], list[str]]:
    """Sort records by scenario and method, and say where one label stands for several of them.

    A run whose method makes no sense on its scenario is no failure: it is left out, with a note.

    Args:
        records: no key twice.

    Returns:
        Blocks by the name and the parameters of their scenarios, numbers in their order, and notes, a line each.
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
    """What to sort by: numbers in their order, before texts in theirs."""
    return (float(value), "") if isinstance(value, int | float) else (math.inf, str(value))


def _place(block: Block) -> tuple[object, ...]:
    name = [in_order(int(part) if part.isdecimal() else part) for part in re.split(r"(\d+)", block.spec.scenario)]
    return name, [(key, in_order(value)) for key, value in sorted(block.spec.scenario_parameters.items())]


def _asked(records: Iterable[Record]) -> tuple[list[Record], list[str]]:
    """The records of runs that were not skipped, and why the others were, a line a method and reason."""
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
    """Seeds as `--seeds` takes them: `0:10,12`."""
    parts: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1].append(seed)
        else:
            parts.append([seed])
    return ",".join(f"{p[0]}:{p[-1] + 1}" if len(p) > 1 else str(p[0]) for p in parts)


def _finished(series: Series, quantity: Quantity) -> dict[int, float]:
    """Mean over the ok initialisations of each dataset."""
    found: dict[int, list[float]] = {}
    for (seed, _), value in zip(series.records, series.numbers(quantity).tolist(), strict=True):
        if not math.isnan(value):
            found.setdefault(seed, []).append(value)
    return {seed: sum(values) / len(values) for seed, values in found.items()}


def _why(series: Series) -> str:
    message = next((r.message for r in series.records.values() if r.message), "no message")
    return message.splitlines()[0]
