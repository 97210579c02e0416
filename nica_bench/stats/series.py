"""The records of one method on one scenario, and its numbers as arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.records.record import Record, RunSpec, Status
from nica_bench.stats.quantities import Quantity

__all__ = ["Run", "Series", "labelled"]

Run = tuple[int, int]
"""Data seed and initialisation seed."""


@dataclass(frozen=True)
class Series:
    """The records of one method on one scenario.

    Args:
        scenario, method: labels; with the version or the parameter that tells them apart where two share a label.
        first: a record that stands for all: what the method is and what it is told are the same in each.
        records: by (data seed, initialisation seed), m of them; none where the method has not run on the scenario.
    """

    scenario: str
    method: str
    first: Record
    records: Mapping[Run, Record]

    @property
    def is_method(self) -> bool:
        """It is no baseline."""
        return self.first.kind == "method"

    @property
    def oracle(self) -> bool:
        """It is told the latents: a bound, not a result, and never a baseline for others."""
        return "z" in self.first.side_information

    @cached_property
    def training_seeds(self) -> list[int]:
        """Initialisation seeds."""
        return sorted({training_seed for _, training_seed in self.records}) or [0]

    @cached_property
    def seeds(self) -> list[int]:
        """Data seeds."""
        return sorted({seed for seed, _ in self.records})

    @cached_property
    def ok(self) -> NDArray[np.bool_]:
        """Which of the records are ok, shape (m,)."""
        return np.array([r.status is Status.OK for r in self.records.values()], dtype=bool)

    @property
    def finished(self) -> bool:
        """It has at least one ok run."""
        return bool(self.ok.any())

    def numbers(self, quantity: Quantity) -> NDArray[np.float64]:
        """A quantity of each record, shape (m,); NaN where the record is not ok or has none."""
        if quantity.name not in self._numbers:
            pairs = zip(self.records.values(), self.ok.tolist(), strict=True)
            values = [quantity.of(record) if ok else None for record, ok in pairs]
            self._numbers[quantity.name] = np.array(values, dtype=np.float64)  # None becomes NaN
        return self._numbers[quantity.name]

    @cached_property
    def _numbers(self) -> dict[str, NDArray[np.float64]]:
        """Quantities that were asked for, by name."""
        return {}


def labelled(records: Iterable[Record], what: str, notes: list[str]) -> dict[str, list[Record]]:
    """Records by what they are of. A label that stands for several things gets what tells them apart.

    Args:
        records: any.
        what: scenario or method.
        notes: takes a line for each label that stands for several things.
    """
    things: dict[str, dict[Hashable, list[Record]]] = {}
    identify = _identity(what)
    for (label, *_), members in _alike(records, what).items():
        things.setdefault(label, {}).setdefault(identify(members[0]), []).extend(members)
    found: dict[str, list[Record]] = {}
    for label, several in things.items():
        if len(several) == 1:
            found[label] = next(iter(several.values()))
            continue
        names = _told_apart(label, [members[0].spec for members in several.values()], what)
        notes.append(f"'{label}' stands for {len(several)} different {what}s, which are kept apart: {', '.join(names)}")
        found.update(zip(names, several.values(), strict=True))
    return found


def _alike(records: Iterable[Record], what: str) -> dict[tuple[Any, ...], list[Record]]:
    """Records that are of one thing at a glance: packed ones share their parameters, thousands are one object."""
    names = f"spec.{what}_label", f"spec.{what}", f"spec.{what}_version", f"spec.{what}_parameters"
    look = attrgetter(*names)
    found: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        label, name, version, parameters = look(record)
        found.setdefault((label, name, version, id(parameters)), []).append(record)
    return found


def _identity(what: str) -> Callable[[Record], Hashable]:
    def identify(record: Record) -> Hashable:
        spec = record.spec
        parameters: Mapping[str, Any] = getattr(spec, f"{what}_parameters")
        return getattr(spec, what), getattr(spec, f"{what}_version"), repr(sorted(parameters.items()))

    return identify


def _told_apart(label: str, specs: Sequence[RunSpec], what: str) -> list[str]:
    versions = [str(getattr(s, f"{what}_version")) for s in specs]
    if len(set(versions)) == len(specs):
        return [f"{label} (version {version})" for version in versions]
    parameters = [dict(getattr(s, f"{what}_parameters"), version=v) for s, v in zip(specs, versions, strict=True)]
    keys = sorted({key for p in parameters for key in p})
    differing = [key for key in keys if len({repr(p.get(key)) for p in parameters}) > 1]
    return [f"{label} ({', '.join(f'{key} {p.get(key)}' for key in differing)})" for p in parameters]
