"""What one run is, and the key that its record is found by."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

import msgspec

from nica_bench.errors import NicaBenchError

__all__ = ["Count", "Name", "RecordError", "RunSpec"]

Name = Annotated[str, msgspec.Meta(min_length=1)]
"""A text that is not empty."""
Count = Annotated[int, msgspec.Meta(ge=0)]
"""A whole number from 0."""

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""Not that of msgspec, which writes 1e-05 as 0.00001: keys are made of this text and do not change."""


class RecordError(NicaBenchError):
    """A record or the description of a run is malformed; says which field, what was expected and what came."""


class RunSpec(
    msgspec.Struct, frozen=True, eq=False, gc=False, forbid_unknown_fields=True, rename={"training_seed": "init"}
):
    """One run: everything that its numbers depend on. Two specs are equal where their keys are.

    Types are checked where a spec is read from a file, not where one is made in code. In files `training_seed` is named
    `init`, as it always was: keys depend on the names.

    Args:
        scenario: base name, such as 'gauss-2of10'.
        scenario_parameters: all its parameters with defaults filled in, as finite JSON values.
        scenario_version: raised by its author when the same seed gives other data.
        method: base name, such as 'ivae'.
        method_parameters, method_version: as for the scenario.
        seed: of the data, from 0.
        training_seed: of the fit, from 0.
        scenario_label, method_label: names for people, such as 'ivae[lr=0.001]'; the base names where empty. They are
            not part of the key.
    """

    scenario: Name
    scenario_parameters: dict[str, Any]
    scenario_version: Name
    method: Name
    method_parameters: dict[str, Any]
    method_version: Name
    seed: Count
    training_seed: Count
    scenario_label: str = ""
    method_label: str = ""

    def __post_init__(self) -> None:
        if not self.scenario_label:
            msgspec.structs.force_setattr(self, "scenario_label", self.scenario)
        if not self.method_label:
            msgspec.structs.force_setattr(self, "method_label", self.method)

    def canonical(self) -> str:
        """The JSON text that is hashed: names sorted, no spaces, floats by repr, labels left out.

        Raises:
            RecordError: if a parameter is no finite JSON value.
        """
        values = {
            "init": int(self.training_seed),
            "method": self.method,
            "method_parameters": self.method_parameters,
            "method_version": self.method_version,
            "scenario": self.scenario,
            "scenario_parameters": self.scenario_parameters,
            "scenario_version": self.scenario_version,
            "seed": int(self.seed),
        }
        try:
            return _canonical(values)
        except (TypeError, ValueError) as error:
            for name, value in [*self.scenario_parameters.items(), *self.method_parameters.items()]:
                try:
                    _canonical(value)
                except (TypeError, ValueError):
                    raise RecordError(f"parameter '{name}': expected a finite JSON value, got {value!r}") from error
            raise RecordError(f"a run's description is made of JSON values: {error}") from error

    @property
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
