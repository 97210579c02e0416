"""One metric with several aggregates; a row is a method, or a method at given parameters of the scenario."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.stats import (
    Block,
    Outcomes,
    Quantity,
    Series,
    best_of,
    iqm_interval,
    mean_interval,
    median_interval,
)
from nica_bench.stats.blocks import in_order
from nica_bench.tables.rows import BOLD, FAILED, SIDE_INFO, counts, interval_of, order, section, success_of
from nica_bench.tables.table import Column, Row, Table, bracket_of, number, short

__all__ = ["checked_keys", "metric_table"]

Member: TypeAlias = tuple[Block, Series]


def metric_table(title: str, by: Sequence[str], blocks: Sequence[Block], wanted: Quantity, threshold: float) -> Table:
    """Return the table of one metric.

    Args:
        title: the title.
        by: the keys of a row: `method`, `scenario` and parameters of scenarios; see `checked_keys`.
        blocks: the records by scenario. Rows aggregate over the scenarios that their keys do not tell apart.
        wanted: the metric.
        threshold: the score from which a run is a success.
    """
    best = {(b.scenario, label) for b in blocks if (label := best_of(b, wanted)) is not None}
    rows = [
        {
            **dict(zip(by, keys, strict=True)),
            **_row(members, wanted, threshold),
            "best": all((block.scenario, series.method) in best for block, series in members),
        }
        for keys, members in _members(by, blocks).items()
    ]
    sign = 1.0 if wanted.higher_is_better is False else -1.0
    at = [key for key in by if key != "method"]
    rows.sort(key=lambda r: (*(in_order(r[k]) for k in at), *order(r, None)[:3], sign * _or_zero(r["median"])))
    return Table(
        title,
        _columns(by, wanted),
        rows,
        legend=_legend(rows, wanted, threshold),
        section=lambda r: r[at[0]] if at else section(r),
        marked=lambda r: bool(r["best"]),
    )


def checked_keys(by: Sequence[str], blocks: Iterable[Block]) -> Sequence[str]:
    """Return the keys of `--by`.

    Raises:
        UsageError: if a key is unknown or occurs twice, or `method` is not among them.
    """
    known = {"method", "scenario", *(name for b in blocks for name in b.spec.scenario_parameters)}
    for key in by:
        if key not in known:
            raise UsageError(f"--by: unknown '{key}'; {did_you_mean(key, known)}")
    if "method" not in by:
        raise UsageError("--by must hold 'method': scores of several methods cannot be aggregated")
    if len(set(by)) < len(by):
        raise UsageError(f"--by holds a name twice: {','.join(by)}")
    return by


def _row(members: Sequence[Member], wanted: Quantity, threshold: float) -> dict[str, Any]:
    """Return the values of a row, over the scenarios of its members."""
    outcomes = [block.outcomes(series, wanted) for block, series in members]
    first = members[0][1].first
    levels = [None if o.baseline is None else o.baseline.level for o in outcomes]
    return {
        "metric": wanted.name,
        "kind": first.kind,
        "side_information": first.side_information or "-",
        **short("median", interval_of(median_interval, outcomes)),
        **short("iqm", interval_of(iqm_interval, outcomes)),
        **short("mean", interval_of(mean_interval, outcomes)),
        **short("success", success_of(outcomes, threshold) if _succeeds(wanted) else None),
        "normalised": _mean([_normalised(o, wanted) for o in outcomes]),
        "baseline": _mean(levels),
        "scenarios": len(members),
        "datasets": sum(len(o.by_dataset()) for o in outcomes),
        **counts(outcomes),
        "finished": any(series.finished for _, series in members),
    }


def _columns(by: Sequence[str], wanted: Quantity) -> list[Column]:
    columns = [Column(key, _key_text(key), right=False, wrap=key == "scenario") for key in by]
    columns += [
        SIDE_INFO,
        Column(f"{wanted.name} [95 %]", bracket_of("median"), lambda r: r["median"], mark=True),
        Column("IQM [95 %]", bracket_of("iqm"), lambda r: r["iqm"], drop=2),
        Column("mean [95 %]", bracket_of("mean"), lambda r: r["mean"], drop=3),
    ]
    if _succeeds(wanted):
        columns.append(Column("success [95 %]", bracket_of("success", 2), lambda r: r["success"], drop=1))
        columns.append(Column("norm.", lambda r: number(r["normalised"], 2), lambda r: r["normalised"]))
    return [*columns, Column("datasets", lambda r: str(r["datasets"]), lambda r: r["datasets"]), FAILED]


def _legend(rows: Sequence[Row], wanted: Quantity, threshold: float) -> str:
    caption = (
        f"{wanted.name} is the median over datasets: {wanted.description}. IQM is the interquartile mean. side info "
        "lists what a method receives besides x: u conditions, n number of latents, f family of the latents, z the "
        "latents (supervised reference)."
    )
    if _succeeds(wanted):
        caption += (
            f" success is the share of runs with a score of at least {number(threshold, 2)}. norm. is the normalised "
            "score, (score - baseline) / (1 - baseline)."
        )
    caption += " failed is failed runs / runs not run / all runs."
    if any(row["scenarios"] > 1 for row in rows):
        caption += " Datasets are resampled per scenario"
        caption += ", and norm. is the mean over scenarios." if _succeeds(wanted) else "."
    return caption + (BOLD if any(row["best"] for row in rows) else "")


def _members(by: Sequence[str], blocks: Sequence[Block]) -> dict[tuple[Any, ...], list[Member]]:
    """Return the series behind each row. A method is evaluated on every scenario of its row, even if it was not run."""
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


def _succeeds(wanted: Quantity) -> bool:
    """Whether a success is defined: for a score whose largest value is 1."""
    return wanted.scored and wanted.higher_is_better is True and wanted.high == 1


def _normalised(outcomes: Outcomes, wanted: Quantity) -> float | None:
    values = list(outcomes.by_dataset().values())
    if outcomes.baseline is None or not values:
        return None
    return wanted.normalised(median_interval(values, resamples=1).value, outcomes.baseline.level)


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean, or None if a value is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _key_text(key: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[key] is None else str(row[key])


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None or not math.isfinite(value) else value
