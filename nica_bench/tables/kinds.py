"""The kinds of tables by name."""

from __future__ import annotations

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.tables import knees, pairs, runs, scores, slopes
from nica_bench.tables.query import TableKind

__all__ = ["TABLE_KINDS", "table_kind"]

TABLE_KINDS: dict[str, TableKind] = {
    kind.name: kind
    for kind in (
        scores.KIND,
        pairs.KIND,
        pairs.VARIANCE,
        slopes.KIND,
        knees.KIND,
        runs.DIFFICULTIES,
        runs.FAILURES,
        runs.REPRODUCE,
        runs.CELLS,
    )
}
"""What `table --kind` takes."""


def table_kind(name: str) -> TableKind:
    """A kind by its name. Raises UsageError where there is none, with the nearest that there are."""
    if name not in TABLE_KINDS:
        raise UsageError(f"unknown kind of table '{name}'; {did_you_mean(name, TABLE_KINDS)}")
    return TABLE_KINDS[name]
