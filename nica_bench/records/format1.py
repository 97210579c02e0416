"""Records of format 1, as nica-bench 0.1 wrote them: read as records of today.

Format 1 says what a method is given by four flags, counts supervised references among the baselines (`floor`), and does
not say the sizes of the data. They are taken from the name of the scenario, `<family>-<n>of<D>`, or from a table of the
image scenarios that were there. Of another scenario without sizes in its name nothing is known but whether its records
have an MCC: where they have none its latents count as unknown.
"""

from __future__ import annotations

import math
import re
from typing import Any, Literal

import msgspec

from nica_bench.records.record import ArraysFile, Kind, Record, Status, split_times
from nica_bench.records.spec import Count, RunSpec

__all__ = ["RecordFormat1", "Told"]

_SIZED = re.compile(r".+-(?P<n>\d+)of(?P<D>\d+)")
_IMAGES = {"mnist": (1, 28, 28), "emnist": (1, 28, 28), "emnist-subset": (1, 28, 28), "digits": (1, 8, 8)}


class Told(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a method was given beside x."""

    conditions: bool
    dimension: bool
    oracle: bool
    family: bool = False

    @property
    def letters(self) -> str:
        """The same as letters of `nica_bench.dataset.SIDE_INFORMATION`."""
        flags = {"u": self.conditions, "n": self.dimension, "f": self.family, "z": self.oracle}
        return "".join(letter for letter, given in flags.items() if given)


class RecordFormat1(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="format", tag=1):
    """A record of format 1, see `nica_bench.records.record.Record`.

    In a file of its own the times are in the provenance; packed records have them apart, in `started` and `ended`.
    """

    key: str
    spec: RunSpec
    status: Status
    told: Told
    message: str
    notes: tuple[str, ...]
    kind: Literal[Kind, "floor"]
    truth: msgspec.Raw
    difficulty: dict[str, float | None]
    scores: dict[str, float | None]
    dimensions: dict[str, Count]
    training: dict[str, Any]
    cost: dict[str, int | float | None]
    provenance: dict[str, Any]
    arrays: ArraysFile | None
    started: str | None = None
    ended: str | None = None

    def upgraded(self) -> Record:
        """The record in today's format."""
        letters = self.told.letters
        n_latents, n_observed, image_shape = self._sizes()
        made = split_times(self.provenance)
        return Record(
            key=self.key,
            spec=self.spec,
            status=self.status,
            side_information=letters,
            n_latents=n_latents,
            n_observed=n_observed,
            image_shape=image_shape,
            message=self.message,
            notes=self.notes,
            kind=("reference" if "z" in letters else "baseline") if self.kind == "floor" else self.kind,
            truth_text=self.truth,
            difficulty=self.difficulty,
            scores=self.scores,
            dimensions=self.dimensions,
            training=self.training,
            cost=self.cost,
            origin=made["provenance"],
            started=made.get("started", self.started),
            ended=made.get("ended", self.ended),
            arrays=self.arrays,
        )

    def _sizes(self) -> tuple[int | None, int, tuple[int, int, int] | None]:
        """Number of latents and of observed dimensions, and the shape of images."""
        name = self.spec.scenario
        if match := _SIZED.fullmatch(name):
            return int(match["n"]), int(match["D"]), None
        if name in _IMAGES:
            return None, math.prod(_IMAGES[name]), _IMAGES[name]
        return None if self.scores.get("mcc") is None else 0, 0, None
