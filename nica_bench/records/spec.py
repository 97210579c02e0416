"""What one run is, and the key that its record is found by."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from nica_bench.records.fields import convert, integer, mapping, plain, raw, string, text

__all__ = ["RunSpec"]


_NAMES = {"training_seed": "init"}
"""Names in the file where they are not those of the fields: the key is made of them."""


@dataclass(frozen=True, eq=False)
class RunSpec:
    """One run: everything that its numbers depend on. Two specs are equal where their keys are.

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
    training_seed: int
    scenario_label: str = ""
    method_label: str = ""

    def __post_init__(self) -> None:
        convert(self, "spec.", scenario=string, scenario_parameters=mapping, scenario_version=string)
        convert(self, "spec.", method=string, method_parameters=mapping, method_version=string)
        convert(self, "spec.", seed=integer, training_seed=integer, scenario_label=text, method_label=text)
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
        return self.key == other.key if isinstance(other, RunSpec) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return {_NAMES.get(f.name, f.name): plain(getattr(self, f.name), f.name) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, obj: Any) -> Self:
        """The inverse of `to_json`. Raises RecordError where a field is missing, unknown or of a wrong type."""
        values = raw(obj, "spec", [_NAMES.get(f.name, f.name) for f in dataclasses.fields(cls)])
        return cls(**{f.name: values[_NAMES.get(f.name, f.name)] for f in dataclasses.fields(cls)})
