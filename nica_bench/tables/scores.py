"""The overview of a scenario: one row per method, with intervals, baselines and failed runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection, machine_of
from nica_bench.records.record import Record
from nica_bench.registry import added_metric
from nica_bench.stats import Block, Outcomes, Series, best_of, blocks_of, median_interval, quantity
from nica_bench.tables.by_metric import checked_keys, metric_table
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.rows import BOLD, FAILED, SIDE_INFO, counts, interval_of, order, section, success_of
from nica_bench.tables.seconds import TIME, mean_seconds
from nica_bench.tables.table import Column, Row, Table, bracket_of, number, short
from nica_bench.tables.unlabelled import Arrays, unlabelled_rows, unlabelled_table

__all__ = ["KIND", "overviews", "rows_of", "scores_table"]

COLUMNS = (
    Column("method", lambda r: r["method"], right=False),
    SIDE_INFO,
    Column("MCC [95 %]", bracket_of("mcc"), lambda r: r["mcc"], mark=True),
    Column("norm.", lambda r: number(r["mcc_normalised"], 2), lambda r: r["mcc_normalised"], drop=2),
    Column("success [95 %]", bracket_of("success", 2), lambda r: r["success"]),
    Column("within", lambda r: number(r["mcc_within"]), lambda r: r["mcc_within"], drop=1),
    Column("any", lambda r: number(r["mcc_best"]), lambda r: r["mcc_best"], drop=3),
    Column("dim acc", lambda r: number(r["dimension_correct"], 2), lambda r: r["dimension_correct"]),
    TIME,
    FAILED,
)


def rows_of(
    records: Sequence[Record], threshold: float = 0.95, arrays: Arrays | None = None
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of the overview of each scenario: methods, then baselines, then supervised references.

    In each section the row with the largest median MCC comes first. A failed run scores the baseline (see
    `nica_bench.stats.blocks`), is no success, and is counted.

    Args:
        records: the records; no key occurs twice.
        threshold: the MCC from which a run is a success.
        arrays: the function that returns the arrays of a record, from which the consistency between training seeds is
            computed on unlabelled data; None: no consistency.
    """
    blocks, _ = blocks_of(records)
    return {block.scenario: _rows(block, threshold, arrays) for block in blocks}


def overviews(records: Sequence[Record], threshold: float = 0.95, arrays: Arrays | None = None) -> list[Table]:
    """Return the overview of each scenario as a table; the arguments are those of `rows_of`."""
    return [_table(block, threshold, arrays) for block in blocks_of(records)[0]]


def _table(block: Block, threshold: float, arrays: Arrays | None) -> Table:
    rows = _rows(block, threshold, arrays)
    if block.unlabelled:
        return unlabelled_table(block.scenario, rows)
    return scores_table(block.scenario, rows, threshold)


def scores_table(title: str, rows: Sequence[Row], threshold: float = 0.95) -> Table:
    """Return the overview of one scenario with known latents, from rows of `rows_of`."""
    return Table(title, COLUMNS, rows, _caption(rows), _legend(threshold), section, marked=lambda r: bool(r["best"]))


def _legend(threshold: float) -> str:
    return (
        "side info lists what a method receives besides x: u conditions, n number of latents, f family of the "
        "latents, z the latents (supervised reference). MCC is the mean correlation coefficient, the median over "
        "datasets. norm. is the normalised MCC, (MCC - baseline) / (1 - baseline). success is the share of runs with "
        f"an MCC of at least {number(threshold, 2)}. within is the MCC within conditions, whose means are removed. "
        "any is the MCC when any code may be matched, not only the leading ones. dim acc is the dimension accuracy, "
        "the share of datasets whose number of latents is estimated correctly. time is the mean wall time per "
        "dataset. failed is failed runs / runs not run / all runs."
    )


def _caption(rows: Sequence[Row]) -> str:
    caption = ""
    if any(r["seconds"] is None and r["seconds_low"] is not None for r in rows):
        caption += " A time low-high is the range of the means of several machines, which are not averaged."
    baselines = sorted({f"{r['baseline_method']} {number(r['baseline'])}" for r in rows if r["baseline_method"]})
    if baselines:
        caption += f" Baselines: {', '.join(baselines)}."
    return (caption + (BOLD if any(r["best"] for r in rows) else "")).strip()


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(collection.records)
    if query.metric is None and not query.by:
        return [_table(b, query.threshold, collection.arrays) for b in blocks], notes
    name = query.metric or "mcc"
    wanted = quantity(name, collection.records, added_metric(name))
    if not any(wanted.of(r) is not None for r in collection.records):
        raise UsageError(f"no record has the metric '{wanted.name}'; choose another with --metric")
    lacking = [r for r in collection.records if r.status == "ok" and wanted.name not in r.scores]
    if wanted.scored and lacking:
        notes.append(
            f"{len(lacking)} of {len(collection.records)} runs have no {wanted.name}, for it was added after they were "
            "computed: they are missing from the table; `run --force` computes them again"
        )
    machines = {machine_of(r) for r in collection.records} if wanted.name in ("seconds", "cpu_seconds") else set()
    if len(machines) > 1:
        hosts = ", ".join(sorted({str(host) for host, *_ in machines}))
        raise UsageError(
            f"{wanted.name} of {len(machines)} machines ({hosts}) are not comparable and are not averaged: "
            "choose one machine with --host"
        )
    if not query.by:
        return [metric_table(b.scenario, ("method",), [b], wanted, query.threshold) for b in blocks], notes
    by = checked_keys(query.by, blocks)
    return [metric_table("by " + ", ".join(by), by, blocks, wanted, query.threshold)], notes


KIND = TableKind("scores", "scores of each method, with intervals, baselines and failed runs", _build)


def _rows(block: Block, threshold: float, arrays: Arrays | None) -> list[dict[str, Any]]:
    if block.unlabelled:
        return unlabelled_rows(block, arrays)
    best = best_of(block, quantity("mcc"))
    rows = [_row(block, series, threshold, best) for series in block.series]
    return sorted(rows, key=lambda row: order(row, row["mcc"]))


def _row(block: Block, series: Series, threshold: float, best: str | None) -> dict[str, Any]:
    """Return the row of one method.

    Args:
        block: the records of the scenario.
        series: those of the method.
        threshold: the MCC from which a run is a success.
        best: the label of the method that is significantly better than all others.
    """
    mcc = quantity("mcc")
    outcomes = block.results(mcc)[series.method]
    baseline = outcomes.baseline
    median = interval_of(median_interval, [outcomes])
    normalised = None if baseline is None or median is None else mcc.normalised(median.value, baseline.level)
    given = series.first.side_information
    return {
        "method": series.method,
        "kind": series.first.kind,
        "side_information": given or "-",
        **short("mcc", median),
        "mcc_normalised": normalised,
        "baseline": None if baseline is None else baseline.level,
        "baseline_method": None if baseline is None else baseline.method,
        **short("success", success_of([outcomes], threshold)),
        "mcc_within": _median(block, series, "mcc_within"),
        "mcc_best": _median(block, series, "mcc_best"),
        "dimension_correct": None if "n" in given else _dimension_accuracy(block, series),
        **mean_seconds(series),
        **counts([outcomes]),
        "seeds": series.seeds,
        "finished": series.finished,
        "best": series.method == best,
    }


def _results(block: Block, series: Series, name: str) -> Outcomes:
    return block.results(quantity(name))[series.method]


def _median(block: Block, series: Series, name: str) -> float | None:
    values = list(_results(block, series, name).by_dataset().values())
    return statistics.median(values) if values else None


def _dimension_accuracy(block: Block, series: Series) -> float | None:
    """Return the share of datasets whose number of latents is correct; a failed run has a wrong one."""
    found = _results(block, series, "dimension_correct").success_by_dataset(1.0)
    return sum(found.values()) / len(found) if found else None
