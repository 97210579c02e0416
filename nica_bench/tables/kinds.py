"""The kinds of tables by name."""

from __future__ import annotations

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.tables import commands, difficulty, failures, knees, pairs, runs, scores, slopes, variance
from nica_bench.tables.query import TableKind

__all__ = ["TABLE_KINDS", "table_kind"]

TABLE_KINDS: dict[str, TableKind] = {
    module.KIND.name: module.KIND
    for module in (scores, pairs, variance, slopes, knees, difficulty, failures, commands, runs)
}
"""The kinds of `table --kind`, by name."""

_FORMER = {"cells": "runs"}
"""Names of earlier versions that are still understood."""


def table_kind(name: str) -> TableKind:
    """Return a kind by its name.

    Raises:
        UsageError: if there is no such kind; the message names the nearest one.
    """
    name = _FORMER.get(name, name)
    if name not in TABLE_KINDS:
        raise UsageError(f"unknown kind of table '{name}'; {did_you_mean(name, TABLE_KINDS)}")
    return TABLE_KINDS[name]
