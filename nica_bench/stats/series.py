"""The records of one method on one scenario, and their quantities as arrays."""

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
"""Data seed and training seed."""


@dataclass(frozen=True)
class Series:
    """The records of one method on one scenario.

    Args:
        scenario, method: labels; if a label stands for several, the version or the parameters in which they differ are
            added.
        first: a record whose method, kind and side information are those of all.
        records: by (data seed, training seed), m of them; empty if the method was not run on the scenario.
    """

    scenario: str
    method: str
    first: Record
    records: Mapping[Run, Record]

    @property
    def is_method(self) -> bool:
        """Whether it is a method, not a baseline or a supervised reference."""
        return self.first.kind == "method"

    @property
    def oracle(self) -> bool:
        """Whether it is given the latents: a supervised reference, which is never a baseline for others."""
        return "z" in self.first.side_information

    @cached_property
    def training_seeds(self) -> list[int]:
        """The training seeds, sorted."""
        return sorted({training_seed for _, training_seed in self.records}) or [0]

    @cached_property
    def seeds(self) -> list[int]:
        """The data seeds, sorted."""
        return sorted({seed for seed, _ in self.records})

    @cached_property
    def ok(self) -> NDArray[np.bool_]:
        """Whether each record is ok, shape (m,)."""
        return np.array([r.status is Status.OK for r in self.records.values()], dtype=bool)

    @property
    def finished(self) -> bool:
        """Whether at least one run is ok."""
        return bool(self.ok.any())

    def numbers(self, quantity: Quantity) -> NDArray[np.float64]:
        """Return a quantity of each record, shape (m,); NaN if the record is not ok or lacks the quantity."""
        if quantity.name not in self._numbers:
            pairs = zip(self.records.values(), self.ok.tolist(), strict=True)
            values = [quantity.of(record) if ok else None for record, ok in pairs]
            self._numbers[quantity.name] = np.array(values, dtype=np.float64)  # None becomes NaN
        return self._numbers[quantity.name]

    @cached_property
    def _numbers(self) -> dict[str, NDArray[np.float64]]:
        """The arrays computed so far, by the name of the quantity."""
        return {}


def labelled(records: Iterable[Record], what: str, notes: list[str]) -> dict[str, list[Record]]:
    """Return records by the label of their scenario or method; labels that stand for several are extended.

    Args:
        records: the records.
        what: `scenario` or `method`.
        notes: a line is appended for each label that stands for several scenarios or methods.
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
        names = _distinguished(label, [members[0].spec for members in several.values()], what)
        notes.append(f"'{label}' stands for {len(several)} different {what}s, which are kept apart: {', '.join(names)}")
        found.update(zip(names, several.values(), strict=True))
    return found


def _alike(records: Iterable[Record], what: str) -> dict[tuple[Any, ...], list[Record]]:
    """Return groups of records with one label, version and parameter object, which packed records share."""
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


def _distinguished(label: str, specs: Sequence[RunSpec], what: str) -> list[str]:
    versions = [str(getattr(s, f"{what}_version")) for s in specs]
    if len(set(versions)) == len(specs):
        return [f"{label} (version {version})" for version in versions]
    parameters = [dict(getattr(s, f"{what}_parameters"), version=v) for s, v in zip(specs, versions, strict=True)]
    keys = sorted({key for p in parameters for key in p})
    differing = [key for key in keys if len({repr(p.get(key)) for p in parameters}) > 1]
    return [f"{label} ({', '.join(f'{key} {p.get(key)}' for key in differing)})" for p in parameters]
