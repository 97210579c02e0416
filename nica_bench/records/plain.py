"""JSON values from what methods and scenarios hand over: arrays, scalars of NumPy, tuples."""

from __future__ import annotations

from typing import Any

import msgspec

from nica_bench.records.spec import RecordError

__all__ = ["json_bytes", "plain"]


def json_bytes(value: Any, where: str) -> bytes:
    """A value as JSON text.

    Arrays and tuples become lists, scalars of NumPy become numbers, and a float that is not finite becomes null: JSON
    has no NaN. Half of a pair of surrogates, as in the name of a file that is not Unicode, is written as its escape.

    Args:
        value: of these types, of JSON's own, or a `msgspec.Struct`.
        where: its name, for the error.

    Raises:
        RecordError: if it has a value of another type.
    """
    try:
        return msgspec.json.encode(value, enc_hook=_builtin)
    except UnicodeEncodeError:
        return msgspec.json.encode(_unicode(msgspec.to_builtins(value, enc_hook=_builtin)))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise RecordError(f"{where}: expected a JSON value, but {error}") from error


def plain(value: Any, where: str) -> Any:
    """A copy of a value in JSON's own types, as `json_bytes` writes it. Raises RecordError as it does."""
    return msgspec.json.decode(json_bytes(value, where))


def _builtin(value: Any) -> Any:
    """What is written for an object that msgspec does not know: arrays and scalars of NumPy have `tolist`."""
    found = value.tolist() if hasattr(value, "tolist") else None
    if found is None:
        raise TypeError(f"objects of type {type(value).__name__} are none")
    return float(found) if type(found) is type(value) else found  # a long double is its own item


def _unicode(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_unicode(name): _unicode(item) for name, item in value.items()}
    return [_unicode(item) for item in value] if isinstance(value, (list, tuple)) else value
