"""The options of a table, and the type of a kind of table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nica_bench.records.collection import Collection
from nica_bench.tables.table import Table

__all__ = ["Query", "TableKind"]


@dataclass(frozen=True)
class Query:
    """The options of `nica-bench table`.

    Args:
        metric: the name of a quantity; None: the default of the kind.
        by: the keys of a row, such as ('method', 'scenario'); empty: one table per scenario and one row per method.
        threshold: the score from which a run is a success.
    """

    metric: str | None = None
    by: tuple[str, ...] = ()
    threshold: float = 0.95


@dataclass(frozen=True)
class TableKind:
    """A kind of table. A new kind is a module with a `KIND`, listed in `nica_bench.tables.kinds`.

    Args:
        name: the value of `--kind`.
        help: one line of description.
        build: the function from records and a query to tables and notes, one line each. It raises UsageError if the
            records cannot be shown.
    """

    name: str
    help: str
    build: Callable[[Collection, Query], tuple[list[Table], list[str]]]
