"""`nica-bench table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nica_bench.cli.console import Out, out
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.store import Store
from nica_bench.tables import render, rich_table, rows_of

__all__ = ["table"]


def table(
    out_folder: Out = Path("results"),
    scenario: Annotated[list[str] | None, typer.Option("--scenario", "-s", help="Only these (with brackets).")] = None,
    json_: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.")] = False,
) -> None:
    """Print the tables of all records in a folder."""
    scan = Store.open(out_folder, create=False).scan()
    records = list(scan.records.values())
    if scenario:
        labels = {r.spec.scenario_label for r in records}
        for name in scenario:
            if name not in labels:
                raise UsageError(f"no records of '{name}' in {out_folder}; {did_you_mean(name, labels)}")
        records = [r for r in records if r.spec.scenario_label in scenario]
    if not records:
        raise UsageError(f"no records in {out_folder}: run something first, or name another folder with --out")
    tables = rows_of(records)
    chosen = [f for f, yes in (("json", json_), ("csv", csv), ("markdown", markdown)) if yes]
    if len(chosen) > 1:
        raise UsageError(f"one format at a time, got {' and '.join(chosen)}")
    if chosen:
        typer.echo(render(tables, chosen[0]))
    else:
        for name, rows in tables.items():
            out.print(rich_table(name, rows))
