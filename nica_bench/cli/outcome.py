"""What `run` and `sweep` print when they have ended: tables, verdicts of an experiment, and how runs failed."""

from __future__ import annotations

import json
from collections.abc import Sequence

import typer

from nica_bench.cli.console import counted, out, say, tell
from nica_bench.cli.experiment import verdict_lines, verdicts_json
from nica_bench.errors import UsageError
from nica_bench.experiments import Experiment, judge
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store
from nica_bench.running.plan import seeds_text
from nica_bench.running.progress import runs_text
from nica_bench.tables import Query, Table, overviews, render, shared_legends, table_kind, terminal_table

__all__ = ["show_outcome", "tell_failures"]


def show_outcome(
    store: Store,
    records: Sequence[Record],
    *,
    metrics: Sequence[str] = (),
    experiment: Experiment | None = None,
    json_: bool = False,
) -> bool:
    """Print the tables of records on stdout, and on stderr how runs failed.

    Args:
        store: of the records.
        records: to be shown.
        metrics: a table for each of these; none: the table of all scores.
        experiment: whose expectations the records are compared with.
        json_: print JSON.

    Returns:
        Whether a run failed.
    """
    tables = _tables(store, records, metrics)
    verdicts = judge(experiment, records) if experiment is not None else []
    if json_:
        shown = json.loads(render(tables, "json"))
        more = {"experiment": verdicts_json(experiment, verdicts)} if experiment is not None else {}
        typer.echo(json.dumps(shown | more, indent=2))
    else:
        for each in shared_legends(tables):
            out.print(terminal_table(each, out.width))
        if experiment is not None:
            tell(verdict_lines(experiment, verdicts))
    failed = tell_failures(records)
    typer.echo(f"{counted(len(records), 'record')} in {store.runs}", err=json_)
    return failed


def _tables(store: Store, records: Sequence[Record], metrics: Sequence[str]) -> list[Table]:
    tables: list[Table] = []
    for metric in metrics if records else ():
        try:
            tables += table_kind("scores").build(Collection(tuple(records)), Query(metric, (), 0.95))[0]
        except UsageError as error:  # what was computed is shown all the same
            say(f"note: no table of {metric}: {error}")
    return tables or overviews(records, arrays=lambda r: store.arrays(r.key))


def tell_failures(records: Sequence[Record]) -> bool:
    """A line for each way in which runs failed; whether any did."""
    ways: dict[tuple[str, ...], list[int]] = {}
    for r in records:
        if r.status not in (Status.OK, Status.SKIPPED):
            way = (r.status.value, r.spec.method_label, r.spec.scenario_label, r.message)
            ways.setdefault(way, []).append(r.spec.seed)
    for (status, method, scenario, message), seeds in ways.items():
        say(f"{status}: {method} on {scenario}, {runs_text(len(seeds))} (seeds {seeds_text(seeds)}): {message}")
    return bool(ways)
