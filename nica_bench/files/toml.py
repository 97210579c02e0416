"""A table of a TOML file whose values are checked when they are taken; an error names the file and the line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.files.lines import Lines

__all__ = ["FileTable"]

T = TypeVar("T")


class FileTable:
    """A table of a file.

    Args:
        path: of the file, for messages.
        lines: where things stand in it.
        values: the table.
        where: keys and indices that lead to the table.
    """

    def __init__(self, path: str, lines: Lines, values: Any, where: Sequence[str | int] = ()) -> None:
        self.path, self.lines, self.where = path, lines, tuple(where)
        if not isinstance(values, dict):
            raise self.error(None, f"{self._name()}: expected a table, got {values!r}")
        self.values: dict[str, Any] = values

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def only(self, keys: Iterable[str], elsewhere: Mapping[str, str] = MappingProxyType({})) -> None:
        """Refuse any other key.

        Args:
            keys: those that the table may have.
            elsewhere: where other keys stand, by key.

        Raises:
            UsageError: with the key's right place, or the nearest names.
        """
        for key in self.values:
            if key not in keys:
                where = f"'{key}' {elsewhere[key]}" if key in elsewhere else did_you_mean(key, keys)
                raise self.error(key, f"unknown key '{self._name(key)}'; {where}")

    def error(self, key: str | int | None, message: str, text: object = None) -> UsageError:
        """An error about the value of a key, or about the table; with its line where that can be told."""
        line = self.lines.of(self.where if key is None else (*self.where, key), text)
        return UsageError(f"{self.path}{'' if line is None else f', line {line}'}: {message}")

    def wrong(self, key: str, expected: str) -> UsageError:
        """The error of a value that is not what was expected."""
        value = self.values.get(key)
        came = "nothing" if value is None else repr(value)
        text = value if isinstance(value, str) else None
        return self.error(key, f"{self._name(key)}: expected {expected}, got {came}", text)

    def text(self, key: str) -> str | None:
        """A text that is not empty; None where there is no such key."""
        value = self.values.get(key)
        if value is None:
            return None
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "a text that is not empty")
        return value.strip()

    def line(self, key: str) -> str:
        """A text that has to be there, its line breaks made spaces."""
        if key not in self.values:
            raise self.wrong(key, "a text that is not empty")
        return " ".join((self.text(key) or "").split())

    def texts(self, key: str) -> list[str]:
        """One text or a list of them, none twice; none where there is no such key."""
        value = self.values.get(key, [])
        found = [value] if isinstance(value, str) else value
        if not isinstance(found, list) or not all(isinstance(v, str) and v.strip() for v in found):
            raise self.wrong(key, "a text or a list of texts")
        if key in self.values and not found:
            raise self.error(key, f"{self._name(key)}: the list is empty")
        if len(set(found)) < len(found):
            raise self.wrong(key, "no text twice")
        return found

    def whole(self, key: str, low: int = 0, high: int | None = None) -> int | None:
        """A whole number in a range; None where there is no such key."""
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
            raise self.wrong(key, f"a whole number >= {low}" + ("" if high is None else f" and <= {high}"))
        return value

    def number(self, key: str, low: float, high: float = math.inf) -> float | None:
        """A finite number in a range, ends included; None where there is no such key."""
        value = self.values.get(key)
        if value is None:
            return None
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or not low <= value <= high:
            above = f"a number >= {low:g}" if math.isfinite(low) else "a number"
            raise self.wrong(key, f"a number from {low:g} to {high:g}" if math.isfinite(high) else above)
        return float(value)

    def one_of(self, key: str, known: Iterable[str]) -> str:
        """A text out of several, which has to be there."""
        value, names = self.values.get(key), list(known)
        if not isinstance(value, str):
            raise self.wrong(key, "one of " + ", ".join(names))
        if value not in names:
            raise self.error(key, f"{self._name(key)}: unknown '{value}'; {did_you_mean(value, names)}", value)
        return value

    def flag(self, key: str) -> bool | None:
        """True or false; None where there is no such key."""
        value = self.values.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def table(self, key: str) -> FileTable | None:
        """A table inside this one; None where there is no such key."""
        if key not in self.values:
            return None
        return FileTable(self.path, self.lines, self.values[key], (*self.where, key))

    def tables(self, key: str) -> list[FileTable]:
        """The tables of a list; none where there is no such key."""
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self.wrong(key, "a list of tables")
        return [FileTable(self.path, self.lines, entry, (*self.where, key, i)) for i, entry in enumerate(value)]

    def made(self, key: str, make: Callable[[str], T], text: str) -> T:
        """What a text stands for; an error says where the text is. Raises UsageError."""
        try:
            return make(text)
        except UsageError as error:
            message = str(error).removeprefix(f"--{key}: ")
            raise self.error(key, f"{self._name(key)}: {message}") from error

    def grid(self, keys: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Values of parameters by name, each one value or a list of them, as the texts that brackets take."""
        found: dict[str, tuple[str, ...]] = {}
        for key in keys:
            value = self.values[key]
            several = value if isinstance(value, list) else [value]
            if not several:
                raise self.error(key, f"{self._name(key)}: the grid is empty; give one value or more")
            texts = tuple(self._one(key, v) for v in several)
            if len(set(texts)) < len(texts):
                raise self.wrong(key, "no value twice")
            name = key.replace("-", "_")
            if name in found:
                raise self.error(key, f"{self._name(key)} is given twice")
            found[name] = texts
        return found

    def _one(self, key: str, value: Any) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (int, float)):
            return repr(value)
        if isinstance(value, str) and value.strip() and not set(value) & set(",[]="):
            return value.strip()
        raise self.wrong(key, "numbers, texts or true and false: one value, or a list that is the grid")

    def _name(self, *keys: str) -> str:
        """The table, or a key of it, with what leads to it: `slurm.time`, `scenario[0].conditions`."""
        name = ""
        for part in (*self.where, *keys):
            name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
        return name
