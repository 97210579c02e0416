"""What came of a cell, and its JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Self

from nica_bench.records.fields import (
    RecordError,
    boolean,
    convert,
    digest,
    exactly,
    integer,
    lenient,
    mapping,
    number,
    plain,
    raw,
    refuse,
    string,
    text,
    texts,
)
from nica_bench.records.spec import CellSpec

__all__ = ["RECORD_FORMAT", "CellSpec", "Record", "RecordError", "Status"]

RECORD_FORMAT = 1
"""Number of the JSON layout; raised when an older nica-bench could misread a record."""


class Status(StrEnum):
    """Outcome of a cell."""

    OK = "ok"
    SKIPPED = "skipped"
    DIVERGED = "diverged"
    ERROR = "error"
    TIMEOUT = "timeout"
    OOM = "oom"
    KILLED = "killed"


def _told(value: Any, where: str) -> dict[str, bool]:
    """What a method was told; a record from before families were has no word of them."""
    if isinstance(value, Mapping):
        value = {"family": False, **value}
    return exactly(value, where, checks=dict.fromkeys(("conditions", "dimension", "oracle", "family"), boolean))


def _score(value: Any, where: str) -> float | None:
    return None if value is None else number(value, where)


_arrays = partial(exactly, checks={"file": string, "bytes": integer, "sha256": digest, "names": texts})


@dataclass(frozen=True)
class Record:
    """Outcome of one cell. Fields are checked and converted to JSON's own types when a record is made.

    Args:
        spec: the cell.
        status: its outcome, a `Status` or its value.
        told: what the method was told: 'conditions', 'dimension', 'oracle' and 'family', true or false; the last is
            false where it is missing.
        message: why the status is not ok; empty otherwise.
        notes: remarks on the outcome that don't change its status.
        kind: 'method', or 'floor' for a baseline that every table carries.
        truth: what the scenario drew.
        difficulty: measures of the mixing, by name.
        scores: metrics by name, finite numbers, or None for one that is not applicable.
        dimensions: estimates of the number of latents by rule, integers from 0.
        training: held-out loss, steps, number of parameters, group size, ...
        cost: wall_seconds, cpu_seconds, peak_memory_bytes.
        provenance: see `nica_bench.records.provenance`.
        arrays: None, or the file beside the record: 'file' (name), 'bytes' (size), 'sha256' and 'names' (of arrays).

    A float that is not finite becomes None in truth, difficulty, training, cost and provenance: JSON has no NaN.

    Raises:
        RecordError: if a field has a wrong type or a score is not finite.
    """

    spec: CellSpec
    status: Status
    told: dict[str, bool]
    message: str = ""
    notes: list[str] = field(default_factory=list)
    kind: str = "method"
    truth: dict[str, Any] = field(default_factory=dict)
    difficulty: dict[str, float | None] = field(default_factory=dict)
    scores: dict[str, float | None] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.spec, CellSpec):
            refuse("spec", "a CellSpec", self.spec)
        convert(self, "", status=partial(string, pattern="|".join(Status), expected="one of " + ", ".join(Status)))
        convert(self, "", kind=partial(string, pattern="method|floor", expected="'method' or 'floor'"))
        convert(self, "", status=lambda value, _: Status(value), told=_told, message=text, notes=texts)
        convert(self, "", truth=lenient, training=lenient, cost=lenient, provenance=lenient)
        convert(self, "", difficulty=partial(mapping, item=partial(number, null=True)))
        convert(self, "", scores=partial(mapping, item=_score), dimensions=partial(mapping, item=integer))
        if self.arrays is not None:
            convert(self, "", arrays=_arrays)

    @property
    def key(self) -> str:
        """The key of the cell."""
        return self.spec.key

    @property
    def maker(self) -> Mapping[str, Any]:
        """Who made the record: its provenance, but for the times, which may be missing."""
        return self.provenance

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, with its format number and key."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "spec"}
        return {"format": RECORD_FORMAT, "key": self.key, "spec": self.spec.to_json(), **plain(values, "record")}

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """The inverse of `to_json`.

        Raises:
            RecordError: if the format is newer than `RECORD_FORMAT`, a field is missing, unknown or of a wrong type, or
                the key is not that of the spec.
        """
        if not isinstance(obj, Mapping):
            refuse("(all)", "an object", obj)
        version = integer(obj.get("format"), "format")
        if version < 1:
            refuse("format", f"1 to {RECORD_FORMAT}", version)
        if version > RECORD_FORMAT:
            raise RecordError(f"record has format {version}, this nica-bench reads {RECORD_FORMAT}: update nica-bench")
        names = [f.name for f in dataclasses.fields(cls)]
        values = raw(obj, "record", ["format", "key", *names])
        values["spec"] = CellSpec.from_json(values["spec"])
        record = cls(**{name: values[name] for name in names})
        if values["key"] != record.key:
            refuse("key", f"the spec's, {record.key}", values["key"])
        return record
