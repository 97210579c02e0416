"""What a table is, before it is text: rows of plain values, and columns that say how they read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from nica_bench.stats import Estimate

__all__ = ["Column", "Row", "Table", "bracket", "number", "short"]

Row = Mapping[str, Any]

_WRAPPED = 18
"""Characters that a column whose text may be broken needs at least."""


@dataclass(frozen=True)
class Column:
    """A column as people see it.

    Args:
        head: its heading.
        text: a row's cell.
        value: what the cell is sorted by; the text where it is None.
        right: aligned to the right, as numbers are.
        drop: columns with the largest number go first where a terminal is too narrow; 0: never.
        mark: its cell is set off in rows that are marked.
        wrap: its text may be broken into lines.
        code: its text is a command.
    """

    head: str
    text: Callable[[Row], str]
    value: Callable[[Row], float | None] | None = None
    right: bool = True
    drop: int = 0
    mark: bool = False
    wrap: bool = False
    code: bool = False


@dataclass(frozen=True)
class Table:
    """Rows with their headings.

    Args:
        title: what the rows are of.
        columns: as people see them.
        rows: plain values (None, bool, int, float, str, and lists of them) by name, the same names in each.
        caption: what a reader must know; the notes that belong to it are handed out beside it.
        section: a line is drawn where this changes from one row to the next.
        marked: which rows are set off: a test supports it.
        key: name of the title in a flat file that holds several tables.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""
    section: Callable[[Row], Any] = lambda row: None
    marked: Callable[[Row], bool] = lambda row: False
    key: str = "scenario"

    def texts(self) -> list[list[str]]:
        """The cells as text, row by row."""
        return [[column.text(row) for column in self.columns] for row in self.rows]

    def ends(self) -> list[bool]:
        """For each row whether a section ends with it; not with the last."""
        sections = [self.section(row) for row in self.rows]
        return [a != b for a, b in zip(sections, sections[1:], strict=False)] + [False] * bool(sections)

    def fitted(self, width: int) -> Self:
        """The table without the columns that a terminal has no room for; the caption names them.

        Args:
            width: characters.
        """
        columns = list(self.columns)
        gone = []
        while sum(self._width(column) + 1 for column in columns) - 1 > width:
            least = max(columns, key=lambda column: column.drop)
            if not least.drop:
                break
            columns.remove(least)
            gone.append(least.head)
        if not gone:
            return self
        said = f"{self.caption} Too narrow for: {', '.join(gone)}."
        return replace(self, columns=tuple(columns), caption=said.strip())

    def _width(self, column: Column) -> int:
        longest = max((len(column.text(row)) for row in self.rows), default=0)
        return max(len(column.head), min(longest, _WRAPPED) if column.wrap else longest)


def number(value: float | None, digits: int = 3) -> str:
    """A number without the 0 before its point, `-` for none."""
    if value is None:
        return "-"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def bracket(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """A number with its interval, `.987 [.908 .994]`; without where there is none."""
    if value is None or low is None or high is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)} {number(high, digits)}]"


def short(prefix: str, estimate: Estimate | None) -> dict[str, float | None]:
    """An estimate as three values of a row; no ends for one dataset, which has no interval.

    Args:
        prefix: their common name; the ends are called `<prefix>_low` and `<prefix>_high`.
        estimate: None where there is no number at all.
    """
    if estimate is None:
        return {prefix: None, f"{prefix}_low": None, f"{prefix}_high": None}
    low, high = (None, None) if estimate.single else (estimate.low, estimate.high)
    return {prefix: estimate.value, f"{prefix}_low": low, f"{prefix}_high": high}
