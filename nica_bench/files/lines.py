"""Where keys and texts stand in a TOML file: the parser of the standard library does not say."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["Lines"]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*(?:\"([^\"]+)\"|'([^']+)'|([\w.-]+))\s*=")
_STRING = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\.|[^\"\\])*\"|'[^']*'")


class Lines:
    """The lines of a file that is TOML.

    Args:
        text: of the file.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._keys: dict[tuple[str | int, ...], int] = {}
        self._read()

    def _read(self) -> None:
        """Note the first line of every table and of every key that begins a line outside of brackets."""
        counts: dict[str, int] = {}
        table: tuple[str | int, ...] = ()
        depth = 0
        for number, line in enumerate(self._lines, 1):
            bare = _STRING.sub('""', line).partition("#")[0]
            if depth == 0 and (header := _HEADER.match(line)):
                name = header[2].strip("\"'")
                table = tuple(name.split("."))
                if header[1] == "[[":
                    table = (*table, counts.setdefault(name, 0))
                    counts[name] += 1
                self._keys.setdefault(table, number)
                self._keys.setdefault(tuple(name.split(".")), number)
                continue
            if depth == 0 and (key := _KEY.match(line)):
                quoted = key[1] or key[2]
                parts = (quoted,) if quoted else tuple(key[3].split("."))
                for size in range(1, len(parts) + 1):
                    self._keys.setdefault((*table, *parts[:size]), number)
            depth = max(0, depth + bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}"))

    def of(self, path: Sequence[str | int], text: object = None) -> int | None:
        """The line of a value, from 1; None where it can't be told.

        Args:
            path: keys and indices that lead to it; where the last ones stand inside brackets, the nearest line before.
            text: part of the value, such as one text of a list: the first line from there on that shows it.
        """
        known = list(path)
        while known and tuple(known) not in self._keys:
            known.pop()
        if not known:
            return None
        line = self._keys[tuple(known)]
        inner = [str(part) for part in path[len(known) :] if isinstance(part, str)]
        for wanted in [*inner, *([] if text is None else [str(text)])]:
            for number in range(line, len(self._lines) + 1):
                if wanted in self._lines[number - 1]:
                    line = number
                    break
        return line
