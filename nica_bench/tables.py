"""Tables of records: one row a method, from records alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nica_bench.record import Record, Status
from nica_bench.statistics import Estimate, median_interval, success_rate

__all__ = ["render", "rich_table", "rows_of", "told_letters"]

THRESHOLD = 0.95


def rows_of(records: Sequence[Record]) -> dict[str, list[dict[str, Any]]]:
    """Rows by scenario: methods first, then floors, each sorted by median mcc, best first.

    A failed cell scores 0 and is counted; a skipped one is counted as failed too, never left out.
    """
    tables: dict[str, list[dict[str, Any]]] = {}
    for scenario in dict.fromkeys(r.spec.scenario_label for r in records):
        here = [r for r in records if r.spec.scenario_label == scenario]
        rows = []
        for method in dict.fromkeys(r.spec.method_label for r in here):
            mine = [r for r in here if r.spec.method_label == method]
            rows.append(_row(method, mine))
        tables[scenario] = sorted(rows, key=lambda row: (row["kind"] != "method", -row["mcc"]))
    return tables


def told_letters(told: Mapping[str, bool]) -> str:
    """What a method is told, in letters: u conditions, n dimension, f family, z latents; - for nothing."""
    letters = {"conditions": "u", "dimension": "n", "family": "f", "oracle": "z"}
    return "".join(letter for key, letter in letters.items() if told.get(key)) or "-"


def _row(method: str, records: Sequence[Record]) -> dict[str, Any]:
    def values(name: str) -> list[float]:
        return [r.scores.get(name, 0.0) if r.status is Status.OK else 0.0 for r in records]

    mcc: Estimate = median_interval(values("mcc"))
    share = success_rate(values("mcc"), THRESHOLD)
    told = records[0].told
    seconds = [float(r.cost["wall_seconds"]) for r in records if r.status is Status.OK and r.cost.get("wall_seconds")]
    return {
        "method": method,
        "kind": records[0].kind,
        "told": told_letters(told),
        "mcc": mcc.value,
        "mcc_low": mcc.low,
        "mcc_high": mcc.high,
        "success": share.value,
        "success_low": share.low,
        "success_high": share.high,
        "mcc_within": median_interval(values("mcc_within")).value,
        "mcc_best": median_interval(values("mcc_best")).value,
        "dimension_correct": None if told["dimension"] else sum(values("dimension_correct")) / len(records),
        "seconds": sum(seconds) / len(seconds) if seconds else None,
        "failed": sum(r.status is not Status.OK for r in records),
        "cells": len(records),
        "seeds": sorted({r.spec.seed for r in records}),
    }


HEAD = ("method", "told", "mcc [95 %]", ">.95 [95 %]", "within", "best", "dim", "s", "fail")


def _texts(row: dict[str, Any]) -> list[str]:
    def short(value: float | None, digits: int = 3) -> str:
        return "-" if value is None else f"{value:.{digits}f}".replace("0.", ".", 1)

    return [
        row["method"],
        row["told"],
        f"{short(row['mcc'])} [{short(row['mcc_low'])} {short(row['mcc_high'])}]",
        f"{short(row['success'], 2)} [{short(row['success_low'], 2)} {short(row['success_high'], 2)}]",
        short(row["mcc_within"]),
        short(row["mcc_best"]),
        short(row["dimension_correct"], 2),
        "-" if row["seconds"] is None else f"{row['seconds']:.1f}",
        f"{row['failed']}/{row['cells']}",
    ]


def caption(rows: Sequence[dict[str, Any]]) -> str:
    """What a reader must know of the rows: seeds, what told means, and whether the seed sets differ."""
    text = "told: u conditions, n dimension, z latents (a bound). dim: share with the right dimension. s: a dataset."
    if len({tuple(row["seeds"]) for row in rows}) > 1:
        text += " THE METHODS RAN ON DIFFERENT SEEDS: their rows don't compare."
    return text


def render(tables: dict[str, list[dict[str, Any]]], format: str) -> str:
    """The tables as text: json, csv or markdown."""
    if format == "json":
        return json.dumps(tables, indent=2)
    if format == "csv":
        import csv
        import io

        buffer = io.StringIO()
        first = next(iter(tables.values()), [{}])[0]
        writer = csv.DictWriter(buffer, ["scenario", *first], lineterminator="\n")
        writer.writeheader()
        for scenario, rows in tables.items():
            writer.writerows({"scenario": scenario, **row, "seeds": " ".join(map(str, row["seeds"]))} for row in rows)
        return buffer.getvalue().rstrip()
    lines = []
    for scenario, rows in tables.items():
        lines += [f"**{scenario}**", "", "| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
        lines += ["| " + " | ".join(_texts(row)) + " |" for row in rows]
        lines += ["", caption(rows), ""]
    return "\n".join(lines).rstrip()


def rich_table(scenario: str, rows: Sequence[dict[str, Any]]) -> Any:
    """A table for the terminal, floors set apart."""
    from rich import box
    from rich.table import Table

    table = Table(
        title=scenario.replace("[", r"\["), caption=caption(rows), box=box.SIMPLE_HEAD, padding=0, show_edge=False
    )
    for i, head in enumerate(HEAD):
        table.add_column(head.replace("[", r"\["), no_wrap=True, justify="left" if i < 2 else "right")
    for i, row in enumerate(rows):
        last = i + 1 < len(rows) and row["kind"] == "method" and rows[i + 1]["kind"] != "method"
        table.add_row(*(t.replace("[", r"\[") for t in _texts(row)), end_section=last)
    return table
