"""`nica-bench`: run, list, show, table, info."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console

from nica_bench._version import __version__
from nica_bench.errors import NicaBenchError, UsageError, did_you_mean
from nica_bench.method import Method, Progress
from nica_bench.parameters import parameters_of, parse_name
from nica_bench.record import Status
from nica_bench.registry import make_method, make_scenario, method_file, method_types, scenario_types
from nica_bench.store import Store
from nica_bench.tables import render, rich_table, rows_of, told_letters

__all__ = ["main"]

app = typer.Typer(
    help="A benchmark for nonlinear ICA: which method recovers the latents, and how would you know?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
out = Console(soft_wrap=False)
err = Console(stderr=True)

Out = Annotated[Path, typer.Option("--out", help="Folder of the records.")]


class _Stopped(BaseException):
    """SIGTERM arrived."""


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """A benchmark for nonlinear ICA."""
    if version:
        typer.echo(f"nica-bench {__version__}")
        raise typer.Exit


@app.command()
def run(
    scenario: Annotated[list[str], typer.Option("--scenario", "-s", help="Scenario, e.g. 'gauss-2of10'.")],
    method: Annotated[list[str] | None, typer.Option("--method", "-m", help="Method or ./file.py.")] = None,
    seeds: Annotated[str, typer.Option(help="Data seeds, e.g. 0:10 or 3,5.")] = "0:10",
    inits: Annotated[int, typer.Option(help="Initialisations a dataset.", min=1)] = 1,
    out_folder: Out = Path("results"),
    conditions: Annotated[str | None, typer.Option(help="Scenario: number of conditions.")] = None,
    samples: Annotated[str | None, typer.Option(help="Scenario: training points.")] = None,
    held_out: Annotated[str | None, typer.Option(help="Scenario: validation and test points.")] = None,
    mixing: Annotated[str | None, typer.Option(help="Scenario: mixing.")] = None,
    blocks: Annotated[str | None, typer.Option(help="Scenario: coupling blocks of the mixing.")] = None,
    noise: Annotated[str | None, typer.Option(help="Scenario: sd of the noise coordinates.")] = None,
    spread: Annotated[str | None, typer.Option(help="Scenario: variance or std.")] = None,
    means: Annotated[str | None, typer.Option(help="Scenario: range of means, low:high.")] = None,
    spreads: Annotated[str | None, typer.Option(help="Scenario: range of variances, low:high.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="e.g. gin.lr=1e-3.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Worker processes; default: the cores.", min=1)] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    timeout: Annotated[float | None, typer.Option(help="Most seconds a cell.", min=0.001)] = None,
    retry: Annotated[str | None, typer.Option(help="Statuses to try again: failed, or e.g. timeout,oom.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Run methods on a scenario and print the table."""
    from nica_bench.plan import parse_seeds
    from nica_bench.runner import execute, make_plan

    flags = {
        "conditions": conditions, "samples": samples, "held_out": held_out, "mixing": mixing, "blocks": blocks,
        "noise": noise, "spread": spread, "means": means, "spreads": spreads,
    }  # fmt: skip
    given = {name: value for name, value in flags.items() if value is not None}
    extra = _dotted(parameter or [])
    scenarios = [make_scenario(s, given) for s in scenario]
    names = method or [name for name, m in method_types().items() if m.default]
    methods = [make_method(name, extra) for name in names]
    for owner in extra:
        if owner not in {m.name for m in methods}:
            raise UsageError(f"-p {owner}.…: '{owner}' is not among the methods; {did_you_mean(owner, names)}")
    modules = tuple(str(path) for name in names if (path := method_file(name)))
    store = Store.open(out_folder)
    plan = make_plan(scenarios, methods, parse_seeds(seeds), inits, store, retry=_statuses(retry), force=force)
    for path, reason in plan.broken.items():
        err.print(f"broken record {path}: {reason}; it is computed again where it is asked for", markup=False)
    waiting = {c.spec.key for c in plan.pending}
    for s in scenarios:
        for warning in s.warnings():
            err.print(f"note: {s.label}: {warning}", markup=False)
        for m in methods:
            mine = [c for c in plan.cells if c.scenario == s and c.method == m]
            todo = sum(c.spec.key in waiting for c in mine)
            err.print(f"{s.label}  {m.label}: {len(mine)} cells, {len(mine) - todo} there, {todo} to run", markup=False)
    if dry_run:
        return
    signal.signal(signal.SIGTERM, _on_term)
    try:
        records = execute(
            plan, device=device, jobs=jobs, timeout=timeout, compile=compile, modules=modules, report=_reporter()
        )
    except (KeyboardInterrupt, _Stopped) as stop:
        kept = store.scan().records
        there = sum(c.spec.key in kept for c in plan.cells)
        err.print(f"stopped: {there} of {len(plan.cells)} cells are kept; the same command goes on from there")
        raise typer.Exit(130 if isinstance(stop, KeyboardInterrupt) else 143) from None
    for name, rows in rows_of(records).items():
        out.print(rich_table(name, rows))
    failed = [r for r in records if r.status not in (Status.OK, Status.SKIPPED)]
    for record in failed:
        line = f"{record.status}: {record.spec.method_label}, seed {record.spec.seed}: {record.message}"
        err.print(line, markup=False)
    typer.echo(f"{len(records)} records in {store.cells}")
    if failed:
        raise typer.Exit(3)


def _on_term(number: int, frame: FrameType | None) -> None:
    raise _Stopped


def _reporter() -> Any:
    """A line a group every ten seconds, and one when it ends: readable in a terminal, a pipe and a log."""
    shown: dict[Any, float] = {}
    begun: dict[Any, float] = {}

    def report(group: Any, progress: Progress | None) -> None:
        now = time.time()
        begun.setdefault(id(group), now)
        if progress is None:
            err.print(f"  finished {group.label} in {now - begun[id(group)]:.0f} s", markup=False)
        elif now - shown.setdefault(id(group), now) > 10 and progress.step:
            shown[id(group)] = now
            eta = (now - begun[id(group)]) / progress.step * (progress.steps - progress.step)
            loss = "" if progress.loss is None else f", loss {progress.loss:.3f}"
            err.print(f"  {group.label}: step {progress.step}/{progress.steps}{loss}, ETA {eta:.0f} s", markup=False)

    return report


def _dotted(texts: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        owner, dot, key = name.partition(".")
        if not (equals and dot):
            raise UsageError(f"-p is written method.parameter=value, got '{text}'")
        found.setdefault(owner, {})[key] = value
    return found


def _statuses(text: str | None) -> set[Status]:
    if text is None:
        return set()
    failed = {s for s in Status if s is not Status.OK}
    chosen: set[Status] = set()
    for name in text.split(","):
        if name == "failed":
            chosen |= failed
        elif name in {s.value for s in failed}:
            chosen.add(Status(name))
        else:
            raise UsageError(f"--retry: unknown status '{name}'; {did_you_mean(name, ['failed', *failed])}")
    return chosen


@app.command("list")
def list_(what: Annotated[str, typer.Argument(help="scenarios, methods or metrics")]) -> None:
    """List scenarios, methods or metrics."""
    from nica_bench.metrics import METRICS

    if what == "scenarios":
        for family, s in scenario_types().items():
            name = f"{family}-<n>of<D>" if s.sized else family
            typer.echo(f"{name:20} {_first_line(s)}")
    elif what == "methods":
        for name, m in method_types().items():
            typer.echo(f"{name:16} {m.kind():7} told: {told_letters(m.told()):4} {_first_line(m)}")
    elif what == "metrics":
        for name, metric in METRICS.items():
            typer.echo(f"{name:20} {metric.description}")
    else:
        raise UsageError(f"list takes scenarios, methods or metrics, got '{what}'")


def _first_line(owner: type) -> str:
    return (owner.__doc__ or "").strip().splitlines()[0]


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A scenario or a method.")],
    seeds: Annotated[str | None, typer.Option(help="Measure these datasets' difficulty.")] = None,
) -> None:
    """Print what a scenario or a method is, its parameters, and the difficulty of datasets."""
    from nica_bench.plan import parse_seeds

    if parse_name(name)[0] in method_types():
        thing: Any = make_method(name)
    else:
        thing = make_scenario(name)
    typer.echo(f"{thing.label}: {(type(thing).__doc__ or '').strip()}\n")
    for key, spec in parameters_of(type(thing)).items():
        typer.echo(f"  {key} = {getattr(thing, key)}: {spec.help} ({spec.expected()})")
    if seeds is not None:
        if isinstance(thing, Method):
            raise UsageError(f"--seeds measures a scenario's datasets; {name} is a method")
        for seed in parse_seeds(seeds):
            figures = thing.generate(seed).difficulty
            typer.echo(f"seed {seed}: " + ", ".join(f"{key} {value:.3f}" for key, value in figures.items()))


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="A record's key, or its start.")], out_folder: Out = Path("results")
) -> None:
    """Print a record and the command that makes it again."""
    store = Store.open(out_folder, create=False)
    record = store.read(store.find(key))
    typer.echo(json.dumps(record.to_json(), indent=2))
    spec = record.spec
    typer.echo(
        f"# again: nica-bench run -s '{spec.scenario_label}' -m '{spec.method_label}' "
        f"--seeds {spec.seed} --inits {spec.init + 1} --force"
    )


@app.command()
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


def main() -> None:
    """Run the command line; a user's error is one message and exit code 2."""
    try:
        app()
    except NicaBenchError as error:
        if "--debug" in sys.argv:
            raise
        err.print(f"error: {error}", markup=False, soft_wrap=True)
        sys.exit(2 if isinstance(error, UsageError) else 3)
