"""What one cell is (`CellSpec`) and what came of it (`Record`), and their JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, partial
from typing import Any, NoReturn, Self

import numpy as np

from nica_bench.errors import NicaBenchError

__all__ = ["RECORD_FORMAT", "CellSpec", "Record", "RecordError", "Status"]

Check = Callable[[Any, str], Any]  # (value, name of the field) -> converted value; raises RecordError

RECORD_FORMAT = 1
"""Number of the JSON layout; raised when an older nica-bench could misread a record."""


class RecordError(NicaBenchError):
    """A record or a cell's description is malformed; says which field, what was expected and what came."""


class Status(StrEnum):
    """Outcome of a cell."""

    OK = "ok"
    SKIPPED = "skipped"
    DIVERGED = "diverged"
    ERROR = "error"
    TIMEOUT = "timeout"
    OOM = "oom"
    KILLED = "killed"


def _refuse(where: str, expected: str, got: object) -> NoReturn:
    raise RecordError(f"record field '{where}': expected {expected}, got {reprlib.repr(got)}")


def _plain(value: Any, where: str, *, null: bool = False) -> Any:
    """A value as JSON's own types; `null`: non-finite floats become None, otherwise they are refused."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str.__str__(value)  # str(value) would give 'Name.member' for an enum that is also a string
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return _number(value, where, null=null)
    if isinstance(value, Mapping):
        return _mapping(value, where, item=partial(_plain, null=null))
    if isinstance(value, (list, tuple)):
        return [_plain(v, f"{where}[{i}]", null=null) for i, v in enumerate(value)]
    return _refuse(where, "a JSON value", value)


def _mapping(value: Any, where: str, *, item: Check = _plain) -> dict[str, Any]:
    """A mapping as a new dictionary whose values went through `item`."""
    if not isinstance(value, Mapping):
        _refuse(where, "an object", value)
    for name in value:
        if not isinstance(name, str):
            _refuse(where, "names that are strings", name)
    return {str.__str__(name): item(v, f"{where}.{name}") for name, v in value.items()}


def _exactly(value: Any, where: str, *, checks: Mapping[str, Check]) -> dict[str, Any]:
    """A mapping that has the names of `checks`, no more and no fewer; its values went through them."""
    if not isinstance(value, Mapping):
        _refuse(where, "an object", value)
    for name in checks:
        if name not in value:
            raise RecordError(f"{where} has no field '{name}'")
    for name in value:
        if name not in checks:
            _refuse(where, "only " + ", ".join(checks), name)
    return {name: check(value[name], f"{where}.{name}") for name, check in checks.items()}


def _string(value: Any, where: str, *, pattern: str = "(?s).+", expected: str = "a string that is not empty") -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        _refuse(where, expected, value)
    return str.__str__(value)


def _texts(value: Any, where: str) -> list[str]:
    if not isinstance(value, (list, tuple)):
        _refuse(where, "a list of strings", value)
    return [_text(v, f"{where}[{i}]") for i, v in enumerate(value)]


def _boolean(value: Any, where: str) -> bool:
    return bool(value) if isinstance(value, (bool, np.bool_)) else _refuse(where, "true or false", value)


def _integer(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        _refuse(where, "an integer >= 0", value)
    return int(value)


def _number(value: Any, where: str, *, null: bool = False) -> float | None:
    if value is None and null:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        _refuse(where, "a number", value)
    try:
        number = float(value)
    except OverflowError:  # a long integer
        number = math.inf
    if not math.isfinite(number):
        return None if null else _refuse(where, "a finite number", value)
    return number


_text = partial(_string, pattern="(?s).*", expected="a string")
_digest = partial(_string, pattern="[0-9a-f]{64}", expected="64 hexadecimal digits")
_lenient = partial(_mapping, item=partial(_plain, null=True))


def _told(value: Any, where: str) -> dict[str, bool]:
    """What a method was told; a record from before families were has no word of them."""
    if isinstance(value, Mapping):
        value = {"family": False, **value}
    return _exactly(value, where, checks=dict.fromkeys(("conditions", "dimension", "oracle", "family"), _boolean))


_arrays = partial(_exactly, checks={"file": _string, "bytes": _integer, "sha256": _digest, "names": _texts})


def _convert(obj: object, prefix: str, **checks: Check) -> None:
    for name, check in checks.items():
        object.__setattr__(obj, name, check(getattr(obj, name), prefix + name))


def _raw(obj: Any, where: str, names: Iterable[str]) -> dict[str, Any]:
    return _exactly(obj, where, checks=dict.fromkeys(names, lambda v, _: v))


@dataclass(frozen=True, eq=False)
class CellSpec:
    """One cell: everything that its numbers depend on. Two specs are equal where their keys are.

    Args:
        scenario, method: base names, such as 'gauss-2of10' and 'ivae'.
        scenario_parameters, method_parameters: all parameters with defaults filled in, as finite JSON values; tuples
            become lists, NumPy scalars become Python numbers.
        scenario_version, method_version: raised by their authors when their numbers change.
        seed, init: data and initialisation seed, integers from 0.
        scenario_label, method_label: names for people, such as 'ivae[lr=0.001]'; the base names where empty. They are
            not part of the key.

    Raises:
        RecordError: if a field has a wrong type, or a parameter is not finite.
    """

    scenario: str
    scenario_parameters: Mapping[str, Any]
    scenario_version: str
    method: str
    method_parameters: Mapping[str, Any]
    method_version: str
    seed: int
    init: int
    scenario_label: str = ""
    method_label: str = ""

    def __post_init__(self) -> None:
        _convert(self, "spec.", scenario=_string, scenario_parameters=_mapping, scenario_version=_string)
        _convert(self, "spec.", method=_string, method_parameters=_mapping, method_version=_string)
        _convert(self, "spec.", seed=_integer, init=_integer, scenario_label=_text, method_label=_text)
        object.__setattr__(self, "scenario_label", self.scenario_label or self.scenario)
        object.__setattr__(self, "method_label", self.method_label or self.method)

    def canonical(self) -> str:
        """The JSON text that is hashed: names sorted, no spaces, floats by repr, labels left out."""
        values = {name: value for name, value in self.to_json().items() if not name.endswith("_label")}
        return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical text, 64 hexadecimal digits."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    @property
    def short(self) -> str:
        """The first 12 digits of the key."""
        return self.key[:12]

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, CellSpec) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {f.name: _plain(getattr(self, f.name), f.name) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """The inverse of `to_json`. Raises RecordError where a field is missing, unknown or of a wrong type."""
        return cls(**_raw(obj, "spec", [f.name for f in dataclasses.fields(cls)]))


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
        scores: metrics by name, finite numbers.
        dimensions: estimates of the number of latents by rule, integers from 0.
        training: held-out loss, steps, number of parameters, group size, ...
        cost: wall_seconds, cpu_seconds, peak_memory_bytes.
        provenance: see `nica_bench.provenance`.
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
    scores: dict[str, float] = field(default_factory=dict)
    dimensions: dict[str, int] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.spec, CellSpec):
            _refuse("spec", "a CellSpec", self.spec)
        _convert(self, "", status=partial(_string, pattern="|".join(Status), expected="one of " + ", ".join(Status)))
        _convert(self, "", kind=partial(_string, pattern="method|floor", expected="'method' or 'floor'"))
        _convert(self, "", status=lambda value, _: Status(value), told=_told, message=_text, notes=_texts)
        _convert(self, "", truth=_lenient, training=_lenient, cost=_lenient, provenance=_lenient)
        _convert(self, "", difficulty=partial(_mapping, item=partial(_number, null=True)))
        _convert(self, "", scores=partial(_mapping, item=_number), dimensions=partial(_mapping, item=_integer))
        if self.arrays is not None:
            _convert(self, "", arrays=_arrays)

    @property
    def key(self) -> str:
        """The key of the cell."""
        return self.spec.key

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values, with its format number and key."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "spec"}
        return {"format": RECORD_FORMAT, "key": self.key, "spec": self.spec.to_json(), **_plain(values, "record")}

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """The inverse of `to_json`.

        Raises:
            RecordError: if the format is newer than `RECORD_FORMAT`, a field is missing, unknown or of a wrong type, or
                the key is not that of the spec.
        """
        if not isinstance(obj, Mapping):
            _refuse("(all)", "an object", obj)
        version = _integer(obj.get("format"), "format")
        if version < 1:
            _refuse("format", f"1 to {RECORD_FORMAT}", version)
        if version > RECORD_FORMAT:
            raise RecordError(f"record has format {version}, this nica-bench reads {RECORD_FORMAT}: update nica-bench")
        names = [f.name for f in dataclasses.fields(cls)]
        values = _raw(obj, "record", ["format", "key", *names])
        values["spec"] = CellSpec.from_json(values["spec"])
        record = cls(**{name: values[name] for name in names})
        if values["key"] != record.key:
            _refuse("key", f"the spec's, {record.key}", values["key"])
        return record
