"""Scores: one row a method, or whatever the rows are to be of, with intervals, baselines and failures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.records.collection import Collection, machine_of
from nica_bench.records.record import Record
from nica_bench.registry import added_metric
from nica_bench.stats import (
    Block,
    Estimate,
    Outcomes,
    Quantity,
    Series,
    best_of,
    blocks_of,
    iqm_interval,
    mean_interval,
    median_interval,
    quantity,
    wilson,
)
from nica_bench.stats.blocks import in_order
from nica_bench.tables.blind import Arrays, blind_rows, blind_table
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.seconds import mean_seconds, seconds_text
from nica_bench.tables.table import Column, Row, Table, bracket, number, short

__all__ = ["KIND", "rows_of", "scores_table"]

Member: TypeAlias = tuple[Block, Series]
Interval = Callable[..., Estimate]

LEGEND = (
    "told: u conditions, n dimension, f family, z latents (a bound). mcc: median over datasets. "
    "adj: (mcc - baseline) / (1 - baseline). dim: share with the right dimension. "
    "s: a dataset. fail: failed + missing of all runs."
)


def rows_of(
    records: Sequence[Record], threshold: float = 0.95, arrays: Arrays | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The overview of each scenario: methods first, then baselines, then bounds, each by median mcc, best first.

    A failed run scores the baseline (see `nica_bench.stats.blocks`), is no success, and is counted.

    Args:
        records: no key twice.
        threshold: from which an mcc counts as a success.
        arrays: gives the arrays of a record; where nobody knows the latents, initialisations are compared by them.
    """
    blocks, _ = blocks_of(records)
    return {block.scenario: _rows(block, threshold, arrays) for block in blocks}


def _rows(block: Block, threshold: float, arrays: Arrays | None) -> list[dict[str, Any]]:
    return blind_rows(block, arrays) if block.blind else _overview(block, threshold)


def scores_table(title: str, rows: Sequence[Row], threshold: float = 0.95) -> Table:
    """The overview of one scenario, from rows of `rows_of`."""
    if rows and "bits" in rows[0]:
        return blind_table(title, rows)
    share = f">{number(threshold, 2)}"
    columns = (
        Column("method", lambda r: r["method"], right=False),
        Column("told", lambda r: r["told"], right=False),
        Column("mcc [95 %]", lambda r: _three(r, "mcc"), lambda r: r["mcc"], mark=True),
        Column("adj", lambda r: number(r["mcc_adjusted"], 2), lambda r: r["mcc_adjusted"], drop=2),
        Column(f"{share} [95 %]", lambda r: _three(r, "success", 2), lambda r: r["success"]),
        Column("within", lambda r: number(r["mcc_within"]), lambda r: r["mcc_within"], drop=1),
        Column("best", lambda r: number(r["mcc_best"]), lambda r: r["mcc_best"], drop=3),
        Column("dim", lambda r: number(r["dimension_correct"], 2), lambda r: r["dimension_correct"]),
        Column("s", seconds_text, lambda r: r["seconds_low"]),
        Column("fail", _failures, lambda r: r["failed"] + r["missing"]),
    )
    caption = LEGEND
    if any(r["seconds"] is None and r["seconds_low"] is not None for r in rows):
        caption += " s low-high: means of several machines, which are not averaged."
    baselines = sorted({f"{r['baseline_method']} {number(r['baseline'])}" for r in rows if r["baseline_method"]})
    if baselines:
        caption += f" Baselines: {', '.join(baselines)}."
    if any(r["best"] for r in rows):
        caption += " Set off: better than every rival in the paired test (Holm, .05)."
    return Table(title, columns, rows, caption, _section, lambda r: bool(r["best"]))


def _build(collection: Collection, query: Query) -> tuple[list[Table], list[str]]:
    blocks, notes = blocks_of(collection.records)
    if query.metric is None and not query.by:
        return [
            scores_table(b.scenario, _rows(b, query.threshold, collection.arrays), query.threshold) for b in blocks
        ], notes
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
            f"{wanted.name} of {len(machines)} machines ({hosts}) don't compare and are not averaged: "
            "choose one of them with --host"
        )
    if not query.by:
        tables = [_metric_table(b.scenario, ("method",), [b], wanted, query.threshold) for b in blocks]
    else:
        tables = [
            _metric_table("by " + ", ".join(query.by), _checked(query.by, blocks), blocks, wanted, query.threshold)
        ]
    return tables, notes


KIND = TableKind("scores", "methods with intervals, baselines and failures", _build)


# The overview


def _overview(block: Block, threshold: float) -> list[dict[str, Any]]:
    mcc = quantity("mcc")
    best = best_of(block, mcc)
    results = block.results(mcc)
    medians = {name: _medians(block, name) for name in ("mcc_within", "mcc_best")}
    found = block.results(quantity("dimension_correct"))
    rows = []
    for series in block.series:
        outcomes = results[series.method]
        median = _interval(median_interval, [outcomes])
        baseline = outcomes.baseline
        rows.append(
            {
                "method": series.method,
                "kind": series.first.kind,
                "told": series.first.side_information or "-",
                **short("mcc", median),
                "mcc_adjusted": None
                if baseline is None or median is None
                else mcc.adjusted(median.value, baseline.level),
                "baseline": None if baseline is None else baseline.level,
                "baseline_method": None if baseline is None else baseline.method,
                **short("success", _success([outcomes], threshold)),
                "mcc_within": medians["mcc_within"][series.method],
                "mcc_best": medians["mcc_best"][series.method],
                "dimension_correct": None if "n" in series.first.side_information else _share(found[series.method]),
                **mean_seconds(series),
                "failed": outcomes.failed,
                "missing": outcomes.missing,
                "cells": len(outcomes.runs),
                "seeds": series.seeds,
                "finished": series.finished,
                "best": series.method == best,
            }
        )
    return sorted(rows, key=_rank)


def _rank(row: Mapping[str, Any]) -> tuple[bool, bool, bool, float]:
    return row["kind"] != "method", "z" in row["told"], not row["finished"], -(row["mcc"] or 0.0)


def _section(row: Row) -> tuple[bool, bool]:
    return row["kind"] != "method", "z" in row["told"]


def _failures(row: Row) -> str:
    lost = f"{row['failed']}+{row['missing']}" if row["missing"] else f"{row['failed']}"
    return f"{lost}/{row['cells']}"


def _three(row: Row, name: str, digits: int = 3) -> str:
    return bracket(row[name], row[f"{name}_low"], row[f"{name}_high"], digits)


def _medians(block: Block, name: str) -> dict[str, float | None]:
    """Median over datasets of every method."""
    results = block.results(quantity(name))
    values = {method: list(outcomes.by_dataset().values()) for method, outcomes in results.items()}
    return {method: statistics.median(v) if v else None for method, v in values.items()}


def _share(outcomes: Outcomes) -> float | None:
    """Share of datasets whose dimension was found; a failure has found none."""
    found = outcomes.success_by_dataset(1.0)
    return sum(found.values()) / len(found) if found else None


# One metric, rows by whatever is asked


def _metric_table(title: str, by: Sequence[str], blocks: Sequence[Block], wanted: Quantity, threshold: float) -> Table:
    best = {(b.scenario, label) for b in blocks if (label := best_of(b, wanted)) is not None}
    rows = []
    for keys, members in _members(by, blocks).items():
        outcomes = [block.outcomes(series, wanted) for block, series in members]
        first = members[0][1].first
        median = _interval(median_interval, outcomes)
        baselines = [o.baseline.level for o in outcomes if o.baseline is not None]
        adjusted = [v for o in outcomes if (v := _adjusted(o, wanted)) is not None]
        rows.append(
            {
                **dict(zip(by, keys, strict=True)),
                "metric": wanted.name,
                "kind": first.kind,
                "told": first.side_information or "-",
                **short("median", median),
                **short("iqm", _interval(iqm_interval, outcomes)),
                **short("mean", _interval(mean_interval, outcomes)),
                **short("success", _success(outcomes, threshold) if _succeeds(wanted) else None),
                "adjusted": sum(adjusted) / len(adjusted) if len(adjusted) == len(members) else None,
                "baseline": sum(baselines) / len(baselines) if len(baselines) == len(members) else None,
                "scenarios": len(members),
                "datasets": sum(len(o.by_dataset()) for o in outcomes),
                "failed": sum(o.failed for o in outcomes),
                "missing": sum(o.missing for o in outcomes),
                "cells": sum(len(o.runs) for o in outcomes),
                "finished": any(series.finished for _, series in members),
                "best": all((block.scenario, series.method) in best for block, series in members),
            }
        )
    sign = 1.0 if wanted.higher_is_better is False else -1.0
    at = [key for key in by if key != "method"]
    rows.sort(
        key=lambda r: (*(in_order(r[k]) for k in at), *_rank({**r, "mcc": None})[:3], sign * _or_zero(r["median"]))
    )
    columns = [Column(key, _cell(key), right=False, wrap=key == "scenario") for key in by]
    columns += [
        Column("told", lambda r: r["told"], right=False),
        Column(f"{wanted.name} [95 %]", lambda r: _three(r, "median"), lambda r: r["median"], mark=True),
        Column("IQM [95 %]", lambda r: _three(r, "iqm"), lambda r: r["iqm"], drop=2),
        Column("mean [95 %]", lambda r: _three(r, "mean"), lambda r: r["mean"], drop=3),
    ]
    if _succeeds(wanted):
        share = f">{number(threshold, 2)} [95 %]"
        columns.append(Column(share, lambda r: _three(r, "success", 2), lambda r: r["success"], drop=1))
        columns.append(Column("adj", lambda r: number(r["adjusted"], 2), lambda r: r["adjusted"]))
    columns += [
        Column("sets", lambda r: str(r["datasets"]), lambda r: r["datasets"]),
        Column("fail", _failures, lambda r: r["failed"] + r["missing"]),
    ]
    caption = f"{wanted.name}: {wanted.description}; the median over datasets. sets: datasets."
    if any(row["scenarios"] > 1 for row in rows):
        caption += " Datasets of several scenarios are resampled scenario by scenario; adj is the mean of theirs."
    if any(row["best"] for row in rows):
        caption += " Set off: better than every rival in the paired test (Holm, .05)."
    return Table(
        title, columns, rows, caption, lambda r: _section(r) if not at else r[at[0]], lambda r: bool(r["best"])
    )


def _members(by: Sequence[str], blocks: Sequence[Block]) -> dict[tuple[Any, ...], list[Member]]:
    """What stands behind each row. A method has a part in every scenario of its row, run or not."""
    at = [key for key in by if key != "method"]
    places: dict[tuple[Any, ...], list[Block]] = {}
    for block in blocks:
        places.setdefault(tuple(_place(block, key) for key in at), []).append(block)
    found: dict[tuple[Any, ...], list[Member]] = {}
    for place, here in places.items():
        methods = {series.method: series for block in here for series in block.series}
        for label, model in methods.items():
            named = dict(zip(at, place, strict=True), method=label)
            own = [
                (b, next((s for s in b.series if s.method == label), Series(b.scenario, label, model.first, {})))
                for b in here
            ]
            found[tuple(named[key] for key in by)] = own
    return found


def _place(block: Block, key: str) -> Any:
    return block.scenario if key == "scenario" else block.spec.scenario_parameters.get(key)


def _checked(by: Sequence[str], blocks: Iterable[Block]) -> Sequence[str]:
    known = {"method", "scenario", *(name for b in blocks for name in b.spec.scenario_parameters)}
    for key in by:
        if key not in known:
            raise UsageError(f"--by: unknown '{key}'; {did_you_mean(key, known)}")
    if "method" not in by:
        raise UsageError("--by must hold 'method': scores of several methods are no sample of anything")
    if len(set(by)) < len(by):
        raise UsageError(f"--by holds a name twice: {','.join(by)}")
    return by


def _succeeds(wanted: Quantity) -> bool:
    return wanted.scored and wanted.higher_is_better is True and wanted.high == 1


def _cell(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[key] is None else str(row[key])


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None or not math.isfinite(value) else value


def _adjusted(outcomes: Outcomes, wanted: Quantity) -> float | None:
    values = outcomes.by_dataset().values()
    if outcomes.baseline is None or not values:
        return None
    return wanted.adjusted(median_interval(list(values), resamples=1).value, outcomes.baseline.level)


def _interval(interval: Interval, outcomes: Sequence[Outcomes]) -> Estimate | None:
    """Over the datasets of one scenario, or of several that are the strata."""
    parts = [list(o.by_dataset().values()) for o in outcomes]
    values = [value for part in parts for value in part]
    strata = [i for i, part in enumerate(parts) for _ in part]
    return interval(values, strata) if values else None


def _success(outcomes: Sequence[Outcomes], threshold: float) -> Estimate | None:
    if not any(o.by_dataset() for o in outcomes):
        return None
    return wilson([share for o in outcomes for share in o.success_by_dataset(threshold).values()])
