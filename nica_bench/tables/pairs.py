"""Paired comparisons of methods on the same datasets."""

from __future__ import annotations

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection
from nica_bench.stats import blocks_of, compare_all, quantity
from nica_bench.stats.comparisons import p_text, pair_notes
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.table import Column, Table, bracket_of, short

__all__ = ["KIND"]


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    wanted = quantity(query.metric or "mcc", collection.records)
    blocks, notes = blocks_of(collection.records)
    tables = []
    for block in blocks:
        pairs, more = compare_all(block, wanted)
        notes += [*more, *(f"{block.scenario}: {note}" for note in pair_notes(pairs))]
        if not pairs:
            notes.append(f"{block.scenario}: no two methods share a dataset with {wanted.name}")
            continue
        rows = [
            {
                "a": pair.a,
                "b": pair.b,
                "metric": wanted.name,
                "datasets": pair.comparison.count,
                "incomplete": pair.incomplete,
                **short("difference", pair.comparison.median),
                **short("mean_difference", pair.comparison.mean),
                **short("improvement", pair.comparison.improvement),
                "p": pair.comparison.p_value,
                "p_holm": pair.p_holm,
            }
            for pair in pairs
        ]
        legend = (
            f"a - b is the median over datasets of the difference in {wanted.name}. P(a better) is the share of "
            "datasets on which a is better; a tie counts half. p is the p value of Wilcoxon's signed-rank test, "
            "Holm-corrected over this table. datasets counts those with records of both methods. * (bold): p < .05."
        )
        tables.append(Table(block.scenario, _COLUMNS, rows, legend=legend, marked=lambda r: r["p_holm"] < 0.05))
    if not tables:
        raise UsageError(f"nothing to compare: {notes[-1]}")
    return tables, notes


_COLUMNS = (
    Column("a", lambda r: r["a"], right=False),
    Column("b", lambda r: r["b"], right=False),
    Column("a - b [95 %]", bracket_of("difference"), lambda r: r["difference"], mark=True),
    Column("P(a better) [95 %]", bracket_of("improvement", 2), lambda r: r["improvement"], drop=1),
    Column("p", lambda r: p_text(r["p_holm"]), lambda r: r["p_holm"]),
    Column("datasets", lambda r: str(r["datasets"]), lambda r: r["datasets"], drop=2),
)

KIND = TableKind("pairs", "paired differences between methods on the same datasets", _build)
