"""Checks of the fields of a record: each takes a value and the field's name and returns JSON's own types.

A check raises RecordError, which says which field, what was expected and what came.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NoReturn

import numpy as np

from nica_bench.errors import NicaBenchError

__all__ = [
    "Check",
    "RecordError",
    "boolean",
    "convert",
    "digest",
    "exactly",
    "integer",
    "lenient",
    "mapping",
    "number",
    "plain",
    "raw",
    "refuse",
    "string",
    "text",
    "texts",
]

Check = Callable[[Any, str], Any]  # (value, name of the field) -> converted value; raises RecordError


class RecordError(NicaBenchError):
    """A record or a run's description is malformed; says which field, what was expected and what came."""


def refuse(where: str, expected: str, got: object) -> NoReturn:
    """Raise the RecordError of a field."""
    raise RecordError(f"record field '{where}': expected {expected}, got {reprlib.repr(got)}")


class _OtherError(Exception):
    """A value is not of JSON's own types, or not finite."""


def _copied(value: Any) -> Any:
    """A copy of a value that has JSON's own types already, as nearly all have: many times faster than `plain`."""
    kind = type(value)
    if kind is float:
        if math.isfinite(value):
            return value
        raise _OtherError
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is list:
        return [_copied(v) for v in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: _copied(v) for name, v in value.items()}
    raise _OtherError


def plain(value: Any, where: str, *, null: bool = False) -> Any:
    """A value as JSON's own types; `null`: non-finite floats become None, otherwise they are refused."""
    try:
        return _copied(value)
    except (_OtherError, RecursionError):  # what is converted or refused is named
        pass
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, str):
        return str.__str__(value)  # str(value) would give 'Name.member' for an enum that is also a string
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return number(value, where, null=null)
    if isinstance(value, Mapping):
        return _mapped(value, where, partial(plain, null=null))
    if isinstance(value, (list, tuple)):
        return [plain(v, f"{where}[{i}]", null=null) for i, v in enumerate(value)]
    return refuse(where, "a JSON value", value)


def mapping(value: Any, where: str, *, item: Check = plain) -> dict[str, Any]:
    """A mapping as a new dictionary whose values went through `item`."""
    if type(value) is dict and (item is plain or item is _lenient):
        copy: dict[str, Any] = plain(value, where, null=item is _lenient)
        return copy
    return _mapped(value, where, item)


def _mapped(value: Any, where: str, item: Check) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        refuse(where, "an object", value)
    for name in value:
        if not isinstance(name, str):
            refuse(where, "names that are strings", name)
    return {str.__str__(name): item(v, f"{where}.{name}") for name, v in value.items()}


def exactly(value: Any, where: str, *, checks: Mapping[str, Check]) -> dict[str, Any]:
    """A mapping that has the names of `checks`, no more and no fewer; its values went through them."""
    if not isinstance(value, Mapping):
        refuse(where, "an object", value)
    for name in checks:
        if name not in value:
            raise RecordError(f"{where} has no field '{name}'")
    for name in value:
        if name not in checks:
            refuse(where, "only " + ", ".join(checks), name)
    return {name: check(value[name], f"{where}.{name}") for name, check in checks.items()}


def string(value: Any, where: str, *, pattern: str = "(?s).+", expected: str = "a string that is not empty") -> str:
    """A string that matches a pattern, which `expected` says in words."""
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        refuse(where, expected, value)
    return str.__str__(value)


def texts(value: Any, where: str) -> list[str]:
    """A list of strings."""
    if not isinstance(value, (list, tuple)):
        refuse(where, "a list of strings", value)
    return [text(v, f"{where}[{i}]") for i, v in enumerate(value)]


def boolean(value: Any, where: str) -> bool:
    """True or false, of Python's own type."""
    return bool(value) if isinstance(value, (bool, np.bool_)) else refuse(where, "true or false", value)


def integer(value: Any, where: str) -> int:
    """A whole number from 0."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        refuse(where, "an integer >= 0", value)
    return int(value)


def number(value: Any, where: str, *, null: bool = False) -> float | None:
    """A finite float; `null`: None passes, and what is not finite becomes None."""
    if value is None and null:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        refuse(where, "a number", value)
    try:
        converted = float(value)
    except OverflowError:  # a long integer
        converted = math.inf
    if not math.isfinite(converted):
        return None if null else refuse(where, "a finite number", value)
    return converted


text = partial(string, pattern="(?s).*", expected="a string")
digest = partial(string, pattern="[0-9a-f]{64}", expected="64 hexadecimal digits")
_lenient = partial(plain, null=True)
lenient = partial(mapping, item=_lenient)


def convert(obj: object, prefix: str, **checks: Check) -> None:
    """Put attributes of a frozen object through their checks, by name."""
    for name, check in checks.items():
        object.__setattr__(obj, name, check(getattr(obj, name), prefix + name))


def raw(obj: Any, where: str, names: Iterable[str]) -> dict[str, Any]:
    """A mapping that has exactly these names, its values as they are."""
    return exactly(obj, where, checks=dict.fromkeys(names, lambda v, _: v))
