"""A table before it becomes text: rows of plain values, and columns that say how a row is shown."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from nica_bench.stats import Estimate

__all__ = ["MARK", "Column", "Row", "Table", "bracket", "bracket_of", "number", "shared_legends", "short"]

Row = Mapping[str, Any]

MARK = "*"
"""The character that follows a bold cell, so that the mark is also seen in plain text."""

_SPACE = "\N{NO-BREAK SPACE}"

_WRAPPED = 18
"""The least width, in characters, of a column whose text may be wrapped."""


@dataclass(frozen=True)
class Column:
    """A column as it is shown.

    Args:
        head: the header.
        text: the function that returns the text of a row's cell.
        value: the function that returns the number by which the cell is sorted; None: the cell is sorted by its text.
        right: whether the column is aligned to the right, as numbers are.
        drop: in a narrow terminal the columns with the largest number are left out first; a column with 0 always stays.
        mark: whether the cell is bold in marked rows.
        wrap: whether the text may be wrapped.
        code: whether the text is a command.
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
    """Rows with their columns.

    Args:
        title: the subject of the table.
        columns: the columns, from left to right.
        rows: plain values (None, bool, int, float, str, and lists of them) by name; every row has the same names.
        caption: remarks on this table.
        legend: the explanation of the columns, which several tables may share; see `shared_legends`.
        section: a line is drawn between two rows for which this function returns different values.
        marked: whether a row is marked, because a test supports that it is the best.
        key: the name of the title in a flat file that holds several tables.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""
    legend: str = ""
    section: Callable[[Row], Any] = lambda row: None
    marked: Callable[[Row], bool] = lambda row: False
    key: str = "scenario"

    @property
    def explanation(self) -> str:
        """The caption and the legend."""
        return f"{self.caption} {self.legend}".strip()

    def texts(self) -> list[list[str]]:
        """Return the text of every cell, row by row; a bold cell ends with `MARK`."""
        return [
            [column.text(row) + (MARK if self.bold(column, row) else "") for column in self.columns]
            for row in self.rows
        ]

    def bold(self, column: Column, row: Row) -> bool:
        """Whether the cell of a row is bold."""
        return column.mark and self.marked(row)

    def ends(self) -> list[bool]:
        """Return for each row whether a section ends with it; the last row ends none."""
        sections = [self.section(row) for row in self.rows]
        return [a != b for a, b in zip(sections, sections[1:], strict=False)] + [False] * bool(sections)

    def fitted(self, width: int) -> Self:
        """Return the table with as many columns as a terminal has room for; the caption names those left out.

        Args:
            width: the width of the terminal in characters.
        """
        columns = list(self.columns)
        gone = []
        while sum(self.width_of(column) + 1 for column in columns) - 1 > width:
            least = max(columns, key=lambda column: column.drop)
            if not least.drop:
                break
            columns.remove(least)
            gone.append(least.head)
        if not gone:
            return self
        said = f"{self.caption} Not shown in this narrow terminal: {', '.join(gone)}".strip(" .")
        return replace(self, columns=tuple(columns), caption=f"{said}.")

    def width_of(self, column: Column) -> int:
        """Return the width of a column in a terminal, where a header is wrapped at its spaces."""
        marks = any(self.bold(column, row) for row in self.rows)
        longest = max((len(column.text(row)) for row in self.rows), default=0) + marks
        words = max(map(len, _unbroken(column.head).split(" ")))
        return max(words, min(longest, _WRAPPED) if column.wrap else longest)

    def heads(self) -> list[str]:
        """Return the headers for a terminal, wrapped to the widths of their columns and aligned at the bottom."""
        lines = [
            textwrap.wrap(_unbroken(c.head), max(self.width_of(c), 1), break_long_words=False) for c in self.columns
        ]
        most = max(map(len, lines), default=0)
        return ["\n".join([""] * (most - len(head)) + head).replace(_SPACE, " ") for head in lines]


def _unbroken(head: str) -> str:
    """Return a header in which `[95 %]` is one word."""
    return head.replace("[95 %]", f"[95{_SPACE}%]")


def shared_legends(tables: Sequence[Table]) -> list[Table]:
    """Return tables of which only the last of several with the same legend has it."""
    after = [*(table.legend for table in tables[1:]), ""]
    return [replace(t, legend="") if t.legend == legend else t for t, legend in zip(tables, after, strict=True)]


def number(value: float | None, digits: int = 3) -> str:
    """Return a number without the 0 before its decimal point, or `-` for None."""
    if value is None:
        return "-"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def bracket(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """Return a number with its interval, `.987 [.908 .994]`, or the number alone if there is no interval."""
    if value is None or low is None or high is None:
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)} {number(high, digits)}]"


def bracket_of(name: str, digits: int = 3) -> Callable[[Row], str]:
    """Return a function that shows the values `short` made under a prefix: a number with its interval."""
    return lambda row: bracket(row[name], row[f"{name}_low"], row[f"{name}_high"], digits)


def short(prefix: str, estimate: Estimate | None) -> dict[str, float | None]:
    """Return an estimate as three values of a row. An estimate from one dataset has no interval.

    Args:
        prefix: the name of the value; the ends of the interval are called `<prefix>_low` and `<prefix>_high`.
        estimate: None if there is no value.
    """
    if estimate is None:
        return {prefix: None, f"{prefix}_low": None, f"{prefix}_high": None}
    low, high = (None, None) if estimate.single else (estimate.low, estimate.high)
    return {prefix: estimate.value, f"{prefix}_low": low, f"{prefix}_high": high}
