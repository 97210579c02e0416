"""The outcome of a run: its fields, their types and their JSON."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import msgspec

from nica_bench.dataset import checked_side_information
from nica_bench.errors import ContractError
from nica_bench.records.plain import json_bytes
from nica_bench.records.spec import Count, Name, RecordError, RunSpec

__all__ = ["RECORD_FORMAT", "ArraysFile", "Kind", "Record", "RecordError", "RunSpec", "Status", "split_times"]

RECORD_FORMAT = 2
"""Number of the JSON layout; raised when an older nica-bench could misread a record."""

Kind = Literal["method", "baseline", "reference"]
"""What a row of a table is of: a method, a baseline that learns nothing, or a supervised reference."""


class Status(StrEnum):
    """Outcome of a run."""

    OK = "ok"
    SKIPPED = "skipped"
    DIVERGED = "diverged"
    ERROR = "error"
    TIMEOUT = "timeout"
    OOM = "oom"
    KILLED = "killed"


class ArraysFile(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The file of arrays beside a record.

    Args:
        file: its name.
        bytes: its size.
        sha256: of its content, 64 hexadecimal digits.
        names: of the arrays in it.
    """

    file: Name
    bytes: Count
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    names: tuple[str, ...]


class Record(
    msgspec.Struct,
    frozen=True,
    eq=False,
    gc=False,
    forbid_unknown_fields=True,
    tag_field="format",
    tag=RECORD_FORMAT,
    rename={"truth_text": "truth", "origin": "provenance"},
):
    """Outcome of one run. Make one with `Record.make`, which checks and converts; read one with `decode_record`.

    Args:
        key: of the run, `spec.key`.
        spec: the run.
        status: its outcome.
        side_information: what the method was given beside x, letters of `nica_bench.dataset.SIDE_INFORMATION`.
        n_latents: true number of latents of the data, n; None where they are unknown. 0 where they are known, but a
            record of format 1 does not say how many there are.
        n_observed: number of observed dimensions of the data, D; 0 where a record of format 1 does not say it.
        image_shape: (channels, height, width) where the data are images; None for vectors.
        message: why the status is not ok; empty otherwise.
        notes: remarks on the outcome that do not change its status.
        kind: of the method.
        truth_text: what the scenario drew, as JSON text; `truth` has it parsed.
        difficulty: measures of the mixing, by name.
        scores: metrics by name, finite numbers, or None for one that is not applicable.
        dimensions: estimates of the number of latents by rule.
        training: held-out loss, steps, number of parameters, group size and other facts of the fit.
        cost: wall_seconds, cpu_seconds, peak_memory_bytes.
        origin: the provenance but for its times, see `nica_bench.records.provenance`: one object in all packed records
            of a process, not to be changed. `provenance` has the times too.
        started, ended: the times, ISO 8601; None where they are not known.
        arrays: the file of arrays beside the record, or None where there is none.
    """

    key: str
    spec: RunSpec
    status: Status
    side_information: Annotated[str, msgspec.Meta(pattern="^u?n?f?z?$")]
    n_latents: Count | None
    n_observed: Count
    image_shape: tuple[int, int, int] | None
    message: str = ""
    notes: tuple[str, ...] = ()
    kind: Kind = "method"
    truth_text: msgspec.Raw = msgspec.Raw(b"{}")
    difficulty: dict[str, float | None] = {}
    scores: dict[str, float | None] = {}
    dimensions: dict[str, Count] = {}
    training: dict[str, Any] = {}
    cost: dict[str, int | float | None] = {}
    origin: dict[str, Any] = {}
    started: str | None = None
    ended: str | None = None
    arrays: ArraysFile | None = None

    @classmethod
    def make(cls, spec: RunSpec, **fields: Any) -> Self:
        """A record of values as they come from methods and scenarios.

        Args:
            spec: the run.
            fields: the other fields by name, but `key`. Arrays and tuples become lists, scalars of NumPy become
                numbers, and a float that is not finite becomes None, but not in `scores`.

        Raises:
            RecordError: if a field is missing, unknown or of a wrong type, or a score is not finite.
        """
        for name, value in dict(fields.get("scores", {})).items():
            if value is not None and not _finite(value):
                raise RecordError(f"record field 'scores.{name}': expected a finite number, got {value!r}")
        try:
            fields["side_information"] = checked_side_information(fields.get("side_information"))
        except ContractError as error:
            raise RecordError(f"record field 'side_information': {error}") from error
        values = {"format": RECORD_FORMAT, "key": spec.key, "spec": spec, **fields}
        values |= split_times(fields.get("provenance", {}))
        try:
            return msgspec.json.decode(json_bytes(values, "record"), type=cls)
        except msgspec.ValidationError as error:
            raise RecordError(f"record: {error}") from error

    @property
    def truth(self) -> dict[str, Any]:
        """What the scenario drew, parsed at each call: few readers ask, and it is the longest part of many records.

        Raises:
            RecordError: if it is no object.
        """
        try:
            return msgspec.json.decode(self.truth_text, type=dict[str, Any])
        except msgspec.ValidationError as error:
            raise RecordError(f"record field 'truth': {error}") from error

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the record comes from, with the times 'started' and 'ended' where they are known."""
        times = {"started": self.started, "ended": self.ended}
        return self.origin | {name: time for name, time in times.items() if time is not None}

    @property
    def labelled(self) -> bool:
        """Whether the latents of the data are known."""
        return self.n_latents is not None

    @property
    def array_names(self) -> frozenset[str]:
        """Names of the arrays beside the record."""
        return frozenset(self.arrays.names if self.arrays else ())

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, with its format number."""
        return msgspec.json.decode(msgspec.json.encode(self), type=dict[str, Any])

    def __eq__(self, other: object) -> bool:
        return self.to_json() == other.to_json() if isinstance(other, Record) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)


def split_times(provenance: dict[str, Any]) -> dict[str, Any]:
    """A provenance as fields of a record: its times apart from the rest, which many records share."""
    rest = dict(provenance)
    return {"provenance": rest} | {
        name: rest.pop(name) for name in ("started", "ended") if isinstance(rest.get(name), str)
    }


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer of hundreds of digits
        return False
    except TypeError:  # no number: the check of types names it
        return True
