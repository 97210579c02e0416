"""What came of a run, and its JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Self

from nica_bench.dataset import checked_side_information
from nica_bench.errors import ContractError
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
from nica_bench.records.spec import RunSpec

__all__ = ["RECORD_FORMAT", "Record", "RecordError", "RunSpec", "Status"]

RECORD_FORMAT = 1
"""Number of the JSON layout; raised when an older nica-bench could misread a record."""


TOLD = {"conditions": "u", "dimension": "n", "family": "f", "oracle": "z"}
"""Names that the file has for letters of side information."""


def letters_of(told: Any) -> str:
    """Side information from what the file says of it; a record from before families were has no word of them."""
    told = exactly({"family": False, **mapping(told, "told")}, "told", checks=dict.fromkeys(TOLD, boolean))
    return "".join(letter for key, letter in TOLD.items() if told[key])


def kind_of(kind: str, side_information: str) -> str:
    """The kind of a method from the file's word for it."""
    if kind == "floor":
        return "reference" if "z" in side_information else "baseline"
    return kind


class Status(StrEnum):
    """Outcome of a run."""

    OK = "ok"
    SKIPPED = "skipped"
    DIVERGED = "diverged"
    ERROR = "error"
    TIMEOUT = "timeout"
    OOM = "oom"
    KILLED = "killed"


def _side_information(value: Any, where: str) -> str:
    try:
        return checked_side_information(value)
    except ContractError as error:
        raise RecordError(f"record field '{where}': {error}") from error


def _score(value: Any, where: str) -> float | None:
    return None if value is None else number(value, where)


_arrays = partial(exactly, checks={"file": string, "bytes": integer, "sha256": digest, "names": texts})


@dataclass(frozen=True)
class Record:
    """Outcome of one run. Fields are checked and converted to JSON's own types when a record is made.

    Args:
        spec: the run.
        status: its outcome, a `Status` or its value.
        side_information: what the method was given beside x, letters of `nica_bench.dataset.SIDE_INFORMATION`.
        message: why the status is not ok; empty otherwise.
        notes: remarks on the outcome that don't change its status.
        kind: 'method', or 'baseline' for a baseline that every table carries.
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

    spec: RunSpec
    status: Status
    side_information: str
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
        if not isinstance(self.spec, RunSpec):
            refuse("spec", "a RunSpec", self.spec)
        convert(self, "", status=partial(string, pattern="|".join(Status), expected="one of " + ", ".join(Status)))
        convert(
            self,
            "",
            kind=partial(string, pattern="method|baseline|reference", expected="'method', 'baseline' or 'reference'"),
        )
        convert(
            self,
            "",
            status=lambda value, _: Status(value),
            side_information=_side_information,
            message=text,
            notes=texts,
        )
        convert(self, "", truth=lenient, training=lenient, cost=lenient, provenance=lenient)
        convert(self, "", difficulty=partial(mapping, item=partial(number, null=True)))
        convert(self, "", scores=partial(mapping, item=_score), dimensions=partial(mapping, item=integer))
        if self.arrays is not None:
            convert(self, "", arrays=_arrays)

    @property
    def key(self) -> str:
        """The key of the run."""
        return self.spec.key

    @property
    def maker(self) -> Mapping[str, Any]:
        """Who made the record: its provenance, but for the times, which may be missing."""
        return self.provenance

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, with its format number and key."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "spec"}
        values["told"] = {key: letter in self.side_information for key, letter in TOLD.items()}
        del values["side_information"]
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
        values = raw(obj, "record", ["format", "key", *("told" if n == "side_information" else n for n in names)])
        values["side_information"] = letters_of(values.pop("told"))
        if values["kind"] == "floor":
            values["kind"] = kind_of(values["kind"], values["side_information"])
        values["spec"] = RunSpec.from_json(values["spec"])
        record = cls(**{name: values[name] for name in names})
        if values["key"] != record.key:
            refuse("key", f"the spec's, {record.key}", values["key"])
        return record
