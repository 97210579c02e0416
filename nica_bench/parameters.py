"""Parameters: typed fields of frozen dataclasses, written in brackets on the command line.

A method and a scenario are frozen dataclasses. Each of their fields is a parameter: it has a default, a description
and a range, it can be given as `ivae[lr=1e-3]`, `-p ivae.lr=1e-3` or, for scenarios, as a flag, and its value is part
of the run's key. Every value is checked before anything is computed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from nica_bench.errors import ContractError, UsageError, did_you_mean

__all__ = [
    "Parameter",
    "Range",
    "check_all",
    "label",
    "parameter",
    "parameters_of",
    "parse_name",
    "parse_value",
    "parse_values",
    "values_of",
]

_METADATA = "nica_bench"


@dataclass(frozen=True)
class Range:
    """A closed interval, written `low:high`.

    Raises:
        UsageError: if low > high or an end is not finite.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise UsageError(f"a range is written low:high with low <= high, got {self}")

    def __str__(self) -> str:
        return ":".join(short if float(short := f"{end:g}") == end else repr(end) for end in (self.low, self.high))


_TYPES: dict[str, type] = {kind.__name__: kind for kind in (int, float, bool, str, Range)}


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter: name, type, default and what values it takes."""

    name: str
    type: type
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    optional: bool = False

    def expected(self) -> str:
        """The values it takes, in words: the middle of an error message and of `--help`."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        name = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            str: "a text",
            Range: "a range low:high",
        }
        bounds = []
        if self.low is not None:
            bounds.append(f">= {self.low:g}")
        if self.above is not None:
            bounds.append(f"> {self.above:g}")
        if self.high is not None:
            bounds.append(f"<= {self.high:g}")
        return name[self.type] + (" " + " and ".join(bounds) if bounds else "")

    def check(self, value: Any, owner: str) -> None:
        """Check a value's type and range.

        Raises:
            UsageError: naming the owner, the parameter, what was expected and what came.
        """
        problem = f"{owner}: {self.name} is {self.expected()}, got {value!s}"
        if self.type is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.type) or (self.type is not bool and isinstance(value, bool)):
            raise UsageError(problem)
        if self.choices and value not in self.choices:
            raise UsageError(f"{problem}; {did_you_mean(str(value), self.choices)}")
        ends: Sequence[Any] = (value.low, value.high) if isinstance(value, Range) else (value,)
        for number in ends:
            if isinstance(number, (int, float)) and (
                not math.isfinite(number)
                or (self.low is not None and number < self.low)
                or (self.high is not None and number > self.high)
                or (self.above is not None and number <= self.above)
            ):
                raise UsageError(problem)


def parameter(
    default: Any,
    help: str,
    *,
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    optional: bool = False,
) -> Any:
    """A dataclass field that is a parameter.

    Args:
        default: its default; its type is the field's annotation: int, float, bool, str or `Range`.
        help: one line for `--help` and `nica-bench info`.
        choices: the values a text may take.
        low, high, above: bounds of a number, or of both ends of a range: >= low, <= high, > above.
        optional: left out of the run's key while at its default. For a parameter that is added to a method or
            scenario later: the runs made before keep their keys.
    """
    known = {"choices": tuple(choices), "low": low, "high": high, "above": above, "optional": optional}
    metadata = {_METADATA: {"help": help, **known}}
    return dataclasses.field(default=default, metadata=metadata)


def parameters_of(owner: type) -> dict[str, Parameter]:
    """The parameters of a method or scenario class, by name, in the order of their definition."""
    return {found.name: found for found in _parameters(owner)}


@cache
def _parameters(owner: type) -> tuple[Parameter, ...]:
    """They never change, and evaluating annotations for each of 100,000 runs takes minutes."""
    found = []
    for field in dataclasses.fields(owner):
        if _METADATA in field.metadata:
            # a text where annotations are not evaluated; the class may come from a notebook of another process
            written = field.type if isinstance(field.type, str) else field.type.__name__
            kind = _TYPES.get(written.rpartition(".")[2])
            if kind is None:
                raise ContractError(
                    f"{owner.__name__}: a parameter is int, float, bool, str or Range, got {field.name}: {written}"
                )
            found.append(Parameter(field.name, kind, field.default, **field.metadata[_METADATA]))
    return tuple(found)


def values_of(instance: Any) -> dict[str, Any]:
    """The parameter values of an instance as JSON-able values, what goes into the run's key: all but the optional
    ones that are at their default.
    """
    known = parameters_of(type(instance)).items()
    values = {name: v for name, p in known if (v := getattr(instance, name)) != p.default or not p.optional}
    return {name: str(value) if isinstance(value, Range) else value for name, value in values.items()}


def check_all(instance: Any, owner: str) -> None:
    """Check every parameter of an instance; a float written as a whole number becomes a float.

    Raises:
        UsageError: for the first value that is out of range or of another type.
    """
    for name, spec in parameters_of(type(instance)).items():
        value = getattr(instance, name)
        spec.check(value, owner)
        if spec.type is float and not isinstance(value, float):
            object.__setattr__(instance, name, float(value))


def parse_value(spec: Parameter, text: str, owner: str) -> Any:
    """A value from its text.

    Raises:
        UsageError: if the text is not a value of the parameter's type and range.
    """
    text = text.strip()
    value: Any = text
    try:
        if spec.type is int:
            number = float(text.replace("_", ""))
            value = int(text.replace("_", "")) if not number.is_integer() or abs(number) > 2**53 else int(number)
        elif spec.type is float:
            value = float(text)
        elif spec.type is bool:
            value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        elif spec.type is Range:
            low, high = text.split(":")
            value = Range(float(low), float(high))
    except (ValueError, KeyError, OverflowError) as error:
        raise UsageError(f"{owner}: {spec.name} is {spec.expected()}, got '{text}'") from error
    spec.check(value, owner)
    return value


def parse_name(text: str) -> tuple[str, dict[str, str]]:
    """Split `name[a=1,b=2]` into its name and the texts in its brackets.

    Raises:
        UsageError: if the brackets don't close or a part has no `=`.
    """
    text = text.strip()
    name, bracket, rest = text.partition("[")
    name = name.strip()
    if not name:
        raise UsageError(f"expected a name, or name[parameter=value,...], got '{text}'")
    if not bracket:
        return name, {}
    if not rest.endswith("]"):
        raise UsageError(f"expected name[parameter=value,...], got '{text}': the bracket does not close")
    texts: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in rest[:-1].split(","))):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise UsageError(f"expected parameter=value in the brackets, got '{part}' in '{text}'")
        if key in texts:
            raise UsageError(f"{key} is given twice in '{text}'")
        texts[key] = value
    return name, texts


def parse_values(owner_type: type, texts: Mapping[str, str], owner: str) -> dict[str, Any]:
    """Values from texts, for a class' parameters.

    Raises:
        UsageError: for a name that is no parameter (the nearest are offered) or a value out of range.
    """
    known = parameters_of(owner_type)
    values = {}
    for name, text in texts.items():
        if name not in known:
            raise UsageError(f"{owner} has no parameter '{name}'; {did_you_mean(name, known)}")
        values[name] = parse_value(known[name], text, owner)
    return values


def label(name: str, instance: Any) -> str:
    """The name with those parameters in brackets that differ from their defaults: `ivae[lr=0.001]`."""
    parts = []
    for key, spec in parameters_of(type(instance)).items():
        value = getattr(instance, key)
        if value != spec.default:
            shown = str(value).lower() if isinstance(value, bool) else str(value)
            parts.append(f"{key}={shown}")
    return f"{name}[{','.join(parts)}]" if parts else name
