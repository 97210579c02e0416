"""Records sorted for a comparison: the methods of one scenario side by side, cell for cell.

What is compared must be the same thing. Records are of one method only if name, parameters and version agree; methods
on one scenario answer for the same datasets, and a cell that failed or that others have and a method lacks is counted
and scores the *floor*: the best method of the scenario that is told no more and learns nothing. A failure is never
worth more than the method's own worst finished cell, so that failing cannot pay, and it never is a success.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.record import CellSpec, Record, Status
from nica_bench.statistics.quantities import Quantity

__all__ = ["Block", "Floor", "Outcomes", "Series", "blocks_of", "dimensions_of", "latents_of", "seed_text"]

Cell = tuple[int, int]  # data seed, initialisation seed


@dataclass(frozen=True)
class Series:
    """The records of one method on one scenario.

    Args:
        scenario, method: labels; with the version or the parameter that tells them apart where two share a label.
        first: a record that stands for all: what the method is and what it is told are the same in each.
        records: by (data seed, initialisation seed); none where the method has not run on the scenario.
    """

    scenario: str
    method: str
    first: Record
    records: Mapping[Cell, Record]

    @property
    def is_method(self) -> bool:
        """It is no floor."""
        return self.first.kind == "method"

    @property
    def oracle(self) -> bool:
        """It is told the latents: a bound, not a result, and never a floor for others."""
        return self.first.told["oracle"]

    @cached_property
    def inits(self) -> list[int]:
        """Initialisation seeds."""
        return sorted({init for _, init in self.records}) or [0]

    @property
    def finished(self) -> bool:
        """It has at least one ok cell."""
        return any(r.status is Status.OK for r in self.records.values())


@dataclass(frozen=True)
class Floor:
    """What is reached without learning.

    Args:
        method: label of the best floor.
        level: its median over datasets.
        scores: its score on each dataset, by data seed.
    """

    method: str
    level: float
    scores: Mapping[int, float]


@dataclass(frozen=True)
class Outcomes:
    """One quantity of one series, for every cell that it answers for.

    Args:
        cells: (data seed, initialisation seed), m of them.
        values: shape (m,); failed and missing cells hold the floor, or NaN where the quantity has none.
        ok: which cells finished and have the quantity, shape (m,).
        failed, missing: numbers of cells that ended badly, and that others have and this method lacks.
        floor: what the best floor reaches; None where there is none or the quantity has none.
    """

    cells: tuple[Cell, ...]
    values: NDArray[np.float64]
    ok: NDArray[np.bool_]
    failed: int
    missing: int
    floor: Floor | None

    def by_dataset(self) -> dict[int, float]:
        """Mean over a dataset's initialisations, by data seed; datasets without a number are left out."""
        return self._by_dataset

    @cached_property
    def _by_dataset(self) -> dict[int, float]:
        found: dict[int, list[float]] = {}
        for (seed, _), value in zip(self.cells, self.values.tolist(), strict=True):
            if math.isfinite(value):
                found.setdefault(seed, []).append(value)
        return {seed: sum(values) / len(values) for seed, values in found.items()}

    def success_by_dataset(self, threshold: float) -> dict[int, float]:
        """Share of a dataset's initialisations that finished and reach a threshold, by data seed."""
        found: dict[int, list[float]] = {}
        for (seed, _), value, ok in zip(self.cells, self.values, self.ok, strict=True):
            found.setdefault(seed, []).append(float(ok and value >= threshold))
        return {seed: sum(values) / len(values) for seed, values in found.items()}


@dataclass(frozen=True)
class Block:
    """All series of one scenario.

    Args:
        scenario: its label.
        series: methods first, then floors, in the order of their labels.
    """

    scenario: str
    series: tuple[Series, ...]

    @cached_property
    def seeds(self) -> list[int]:
        """Data seeds that any of the methods has: what each of them answers for."""
        return sorted({seed for s in self.series for seed, _ in s.records})

    @cached_property
    def _known(self) -> dict[str, dict[str, Outcomes]]:
        """Results that were asked for, by the name of the quantity."""
        return {}

    @property
    def spec(self) -> CellSpec:
        """A cell that stands for the scenario: its name, parameters and version."""
        return self.series[0].first.spec

    @property
    def blind(self) -> bool:
        """Whether nobody knows the latents of the scenario, by its finished records."""
        done = [r for s in self.series for r in s.records.values() if r.status is Status.OK]
        return bool(done) and all(r.scores.get("mcc") is None for r in done)

    @property
    def latents(self) -> int | None:
        """The true number of latents, read off the records; None where they don't say."""
        return latents_of(self.series[0].first)

    def results(self, quantity: Quantity) -> dict[str, Outcomes]:
        """A quantity of every series on all datasets of the scenario, by the label of the method."""
        if quantity.name not in self._known:
            floors = self._floors(quantity)
            self._known[quantity.name] = {s.method: self._outcomes(s, quantity, floors) for s in self.series}
        return self._known[quantity.name]

    def outcomes(self, series: Series, quantity: Quantity) -> Outcomes:
        """A quantity of a series on all datasets of the scenario, the series' own and the others'."""
        return self._outcomes(series, quantity, self._floors(quantity))

    def _floors(self, quantity: Quantity) -> list[tuple[Series, Floor]]:
        """What could be a floor, best first."""
        if quantity.higher_is_better is None or not quantity.scored:
            return []
        found = []
        for series in self.series:
            if not series.is_method and not series.oracle and (scores := _finished(series, quantity)):
                found.append((series, Floor(series.method, float(np.median(list(scores.values()))), scores)))
        return sorted(found, key=lambda pair: pair[1].level, reverse=quantity.higher_is_better)

    def _outcomes(self, series: Series, quantity: Quantity, floors: Sequence[tuple[Series, Floor]]) -> Outcomes:
        told = series.first.told
        floor = next((f for other, f in floors if not any(other.first.told[k] and not told[k] for k in told)), None)
        cells = tuple((seed, init) for seed in self.seeds for init in series.inits)
        numbers: list[float] = []
        reached: list[bool] = []
        bad: list[int] = []
        missing = 0
        for i, cell in enumerate(cells):
            record = series.records.get(cell)
            value = None
            if record is None or record.status is not Status.OK:
                bad.append(i)
                missing += record is None
            else:
                value = quantity.of(record)
            numbers.append(math.nan if value is None else value)
            reached.append(value is not None)
        failed = len(bad) - missing
        values, ok = np.array(numbers, dtype=np.float64), np.array(reached, dtype=bool)
        # A method that was told n, for one, finishes without an estimate of n: then there is nothing to fill in.
        if quantity.scored and quantity.higher_is_better is not None and (ok.any() or not series.finished):
            worst = None
            if ok.any():
                worst = float(values[ok].min() if quantity.higher_is_better else values[ok].max())
            for i in bad:
                # With no floor among the records the end of the scale is what is left.
                level = quantity.worst if floor is None else floor.scores.get(cells[i][0], floor.level)
                values[i] = level if worst is None or quantity.better(worst, level) else worst
        return Outcomes(cells, values, ok, failed, missing, floor)

    def notes(self) -> list[str]:
        """What a reader must know before comparing, a line each."""
        notes = []
        counted = "" if self.blind else ": they score the floor and are counted"
        for s in self.series:
            wanted = {(seed, init) for seed in self.seeds for init in s.inits}
            lacking = sorted({seed for seed, _ in wanted - s.records.keys()})
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
        if len({len(s.inits) for s in self.series}) > 1:
            notes.append(
                f"{self.scenario}: methods have different numbers of initialisations; "
                "they are averaged for each dataset first"
            )
        if len(self.seeds) == 1:
            notes.append(f"{self.scenario}: one dataset only (seed {self.seeds[0]}): no interval and no test")
        return notes


def blocks_of(records: Iterable[Record]) -> tuple[list[Block], list[str]]:
    """Sort records by scenario and method, and say where one label stands for several of them.

    Args:
        records: no key twice.

    Returns:
        Blocks in the order of their first records, and notes, a line each.
    """
    notes: list[str] = []
    blocks = []
    by_scenario = _labelled(records, "scenario", notes)
    for scenario, members in by_scenario.items():
        series = [
            Series(scenario, method, mine[0], {(r.spec.seed, r.spec.init): r for r in mine})
            for method, mine in _labelled(members, "method", notes).items()
        ]
        blocks.append(Block(scenario, tuple(sorted(series, key=lambda s: (not s.is_method, s.oracle, s.method)))))
    for block in blocks:
        notes += block.notes()
    return blocks, list(dict.fromkeys(notes))


def latents_of(record: Record) -> int | None:
    """The true number of latents, the n of a name `<family>-<n>of<D>`; None for a name without."""
    match = _SIZED.fullmatch(record.spec.scenario)
    return int(match["n"]) if match else None


def dimensions_of(record: Record) -> int | None:
    """The number of observed dimensions, the D of a name `<family>-<n>of<D>`; None for a name without."""
    match = _SIZED.fullmatch(record.spec.scenario)
    return int(match["D"]) if match else None


_SIZED = re.compile(r".+-(?P<n>\d+)of(?P<D>\d+)")


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
    for (seed, _), record in series.records.items():
        value = quantity.of(record) if record.status is Status.OK else None
        if value is not None:
            found.setdefault(seed, []).append(value)
    return {seed: sum(values) / len(values) for seed, values in found.items()}


def _labelled(records: Iterable[Record], what: str, notes: list[str]) -> dict[str, list[Record]]:
    """Records by what they are of. A label that stands for several things gets what tells them apart."""
    things: dict[str, dict[Hashable, list[Record]]] = {}
    identify = _identity(what)
    for record in records:
        label = getattr(record.spec, f"{what}_label")
        things.setdefault(label, {}).setdefault(identify(record), []).append(record)
    found: dict[str, list[Record]] = {}
    for label, several in things.items():
        if len(several) == 1:
            found[label] = next(iter(several.values()))
            continue
        names = _told_apart(label, [members[0].spec for members in several.values()], what)
        notes.append(f"'{label}' stands for {len(several)} different {what}s, which are kept apart: {', '.join(names)}")
        found.update(zip(names, several.values(), strict=True))
    return found


def _identity(what: str) -> Callable[[Record], Hashable]:
    texts: dict[int, str] = {}  # packed records share their parameters: thousands are one object, written once

    def identify(record: Record) -> Hashable:
        spec = record.spec
        parameters: Mapping[str, Any] = getattr(spec, f"{what}_parameters")
        text = texts.get(id(parameters))
        if text is None:
            text = texts[id(parameters)] = repr(sorted(parameters.items()))
        return getattr(spec, what), getattr(spec, f"{what}_version"), text

    return identify


def _told_apart(label: str, specs: Sequence[CellSpec], what: str) -> list[str]:
    versions = [str(getattr(s, f"{what}_version")) for s in specs]
    if len(set(versions)) == len(specs):
        return [f"{label} (version {version})" for version in versions]
    parameters = [dict(getattr(s, f"{what}_parameters"), version=v) for s, v in zip(specs, versions, strict=True)]
    keys = sorted({key for p in parameters for key in p})
    differing = [key for key in keys if len({repr(p.get(key)) for p in parameters}) > 1]
    return [f"{label} ({', '.join(f'{key} {p.get(key)}' for key in differing)})" for p in parameters]


def _why(series: Series) -> str:
    message = next((r.message for r in series.records.values() if r.message), "no message")
    return message.splitlines()[0]
