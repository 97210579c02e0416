"""`nica-bench run`: plan, compute what is missing, print the table."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, Json, Out, Session, err, out, say
from nica_bench.cli.flags import scenario_with
from nica_bench.cli.progress import cells_text, reporting
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.method import Method
from nica_bench.plan import parse_seeds, seeds_text
from nica_bench.record import Record, Status
from nica_bench.registry import make_method, method_file, method_types
from nica_bench.runner import Plan, execute, make_plan
from nica_bench.store import Store
from nica_bench.tables import render, rows_of, scores_table, terminal_table

__all__ = ["run"]

_RUNNING = "Running"


def run(
    context: typer.Context,
    scenario: Annotated[
        list[str], typer.Option("--scenario", "-s", metavar="NAME", help=r"gauss-2of10, or gauss-2of10\[conditions=3].")
    ],
    given: dict[str, str],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", metavar="NAME", help=r"gin, gin\[lr=0.001] or ./file.py; default: all methods."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="TEXT", help="A method's parameter: gin.lr=0.001."),
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="LIST", help="Datasets: 0:10, 3 or 0:5,8.")] = "0:10",
    inits: Annotated[int, typer.Option(metavar="INTEGER", help="Initialisations a dataset.", min=1)] = 1,
    out_folder: Out = Path("results"),
    json_: Json = False,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", help="Worker processes; default: the cores.", min=1, rich_help_panel=_RUNNING),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, cuda or mps.", rich_help_panel=_RUNNING)
    ] = "auto",
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Most seconds a cell.", min=0.001, rich_help_panel=_RUNNING),
    ] = None,
    retry: Annotated[
        str | None,
        typer.Option(
            metavar="STATUS", help="Compute these again: failed, or e.g. timeout,oom.", rich_help_panel=_RUNNING
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute everything again.", rich_help_panel=_RUNNING)] = False,
    compile: Annotated[
        bool, typer.Option("--compile", help="Train with torch.compile.", rich_help_panel=_RUNNING)
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan only.", rich_help_panel=_RUNNING)] = False,
    debug: Debug = False,
) -> None:
    """Run methods on scenarios and print a table.

    What is there already is not computed again. Exit code 0: all is well, 2: bad input, 3: a cell failed.
    """
    scenarios = list(dict.fromkeys(scenario_with(text, given) for text in scenario))
    names = method or [name for name, m in method_types().items() if m.default]
    methods = _methods(names, parameter or [])
    modules = tuple(str(path) for name in names if (path := method_file(name)))
    numbers, again = parse_seeds(seeds), _statuses(retry)
    store = Store.preview(out_folder) if dry_run else Store.open(out_folder)
    plan = make_plan(scenarios, methods, numbers, inits, store, retry=again, force=force)
    _announce(plan)
    if dry_run:
        return
    session = context.find_object(Session)
    with _stoppable(plan), reporting(len(plan.pending), len(scenarios), err) as reporter:
        records = execute(
            plan,
            device=device,
            jobs=jobs,
            timeout=timeout,
            compile=compile,
            debug=session is not None and session.debug,
            modules=modules,
            reporter=reporter,
        )
    tables = [scores_table(name, rows) for name, rows in rows_of(records).items()]
    if json_:
        typer.echo(render(tables, "json").decode())
    else:
        for each in tables:
            out.print(terminal_table(each, out.width))
    failed = _tell_failures(records)
    typer.echo(f"{len(records)} records in {store.cells}", err=json_)
    if failed:
        raise typer.Exit(3)


def _methods(names: Sequence[str], parameters: Sequence[str]) -> list[Method]:
    """The methods, each once, with their parameters from -p."""
    extra = _dotted(parameters)
    methods = list(dict.fromkeys(make_method(name, extra) for name in names))
    owners: dict[str, type[Method]] = {}
    for m in methods:
        if owners.setdefault(m.name, type(m)) is not type(m):
            raise UsageError(f"two methods are called '{m.name}': give the one in the file another name")
    for owner in extra:
        if owner not in owners:
            raise UsageError(f"-p {owner}.…: '{owner}' is not among the methods; {did_you_mean(owner, owners)}")
    return methods


def _dotted(texts: Sequence[str]) -> dict[str, dict[str, str]]:
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


def _announce(plan: Plan) -> None:
    """What was found broken, and one line a (scenario, method) of what will be done."""
    for path, reason in plan.broken.items():
        say(f"broken record {path}: {reason}; it is computed again where it is asked for")
    waiting = set(plan.pending)
    skipped = dict(plan.skipped)
    for s in dict.fromkeys(c.scenario for c in plan.cells):
        for warning in s.warnings():
            say(f"note: {s.label}: {warning}")
        for m in dict.fromkeys(c.method for c in plan.cells):
            mine = [c for c in plan.cells if c.scenario == s and c.method == m]
            todo = sum(c in waiting for c in mine)
            left = [skipped[c] for c in mine if c in skipped]
            why = f", {len(left)} skipped: {left[0]}" if left else ""
            there = len(mine) - todo - len(left)
            say(f"{s.label}  {m.label}: {cells_text(len(mine))}, {there} there, {todo} to run{why}")


class _Stopped(BaseException):
    """SIGTERM arrived."""


def _on_term(number: int, frame: FrameType | None) -> None:
    raise _Stopped


@contextlib.contextmanager
def _stoppable(plan: Plan) -> Iterator[None]:
    """On Ctrl-C and SIGTERM: say what is kept, and exit as a shell expects."""
    before = signal.signal(signal.SIGTERM, _on_term)
    try:
        yield
    except (KeyboardInterrupt, _Stopped) as stop:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the message is not to be cut short by a second one
        keys = {c.spec.key for c in plan.cells}
        there = len(plan.store.scan(keys).records)
        say(f"stopped: {there} of {cells_text(len(keys))} are kept; the same command goes on from there")
        raise typer.Exit(130 if isinstance(stop, KeyboardInterrupt) else 143) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell_failures(records: Sequence[Record]) -> bool:
    """A line for each way in which cells failed; whether any did."""
    ways: dict[tuple[str, ...], list[int]] = {}
    for r in records:
        if r.status not in (Status.OK, Status.SKIPPED):
            way = (r.status.value, r.spec.method_label, r.spec.scenario_label, r.message)
            ways.setdefault(way, []).append(r.spec.seed)
    for (status, method, scenario, message), seeds in ways.items():
        say(f"{status}: {method} on {scenario}, {cells_text(len(seeds))} (seeds {seeds_text(seeds)}): {message}")
    return bool(ways)
