"""What is asked of a table, and what kinds of tables there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nica_bench.records.collection import Collection
from nica_bench.tables.table import Table

__all__ = ["Query", "TableKind"]


@dataclass(frozen=True)
class Query:
    """What a reader asked for.

    Args:
        metric: name of a quantity; None is a kind's own choice.
        by: what the rows are of, such as ('method', 'scenario'); empty: a table a scenario, a row a method.
        threshold: from which a score counts as a success.
    """

    metric: str | None = None
    by: tuple[str, ...] = ()
    threshold: float = 0.95


@dataclass(frozen=True)
class TableKind:
    """A kind of table. A new one is a module that makes one of these, and a line in `nica_bench.tables.kinds`.

    Args:
        name: what `--kind` takes.
        help: one line.
        build: from records and a query to tables and notes, a line each. Raises UsageError for what it cannot show.
    """

    name: str
    help: str
    build: Callable[[Collection, Query], tuple[list[Table], list[str]]]
