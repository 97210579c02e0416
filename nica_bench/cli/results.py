"""`nica-bench table`, `plot` and `report`, which show records of any machine."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, out, say
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.figures.kinds import FIGURE_KINDS, figure_kind
from nica_bench.records.collection import Collection, collect
from nica_bench.running.plan import parse_seeds
from nica_bench.tables import (
    BINARY,
    FORMATS,
    SUFFIXES,
    TABLE_KINDS,
    Query,
    render,
    shared_legends,
    table_kind,
    terminal_table,
)

__all__ = ["PLOT_HELP", "plot", "report", "table"]

Out = Annotated[
    list[Path] | None, typer.Option("--out", help="Folder or .parquet file of records, e.g. results; repeatable.")
]
Scenarios = Annotated[
    list[str] | None, typer.Option("--scenario", "-s", help="Only this scenario, e.g. gauss-2of10; repeatable.")
]
Methods = Annotated[list[str] | None, typer.Option("--method", "-m", help="Only this method, e.g. gin; repeatable.")]
Seeds = Annotated[str | None, typer.Option("--seeds", help="Only these data seeds, e.g. 0:10.")]
Hosts = Annotated[list[str] | None, typer.Option("--host", help="Only records of this machine; repeatable.")]
Metric = Annotated[str | None, typer.Option("--metric", help="Metric, see `nica-bench list metrics`; default: mcc.")]

DEFAULT_OUT = Path("results")


def table(
    out_folder: Out = None,
    scenario: Scenarios = None,
    method: Methods = None,
    seeds: Seeds = None,
    host: Hosts = None,
    kind: Annotated[str, typer.Option("--kind", help=f"One of {', '.join(TABLE_KINDS)}.")] = "scores",
    metric: Metric = None,
    by: Annotated[str | None, typer.Option("--by", help="Keys of the rows, e.g. method,scenario.")] = None,
    threshold: Annotated[float, typer.Option(help="Score from which a run is a success.", min=0, max=1)] = 0.95,
    format: Annotated[str | None, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="File to write, e.g. scores.tex; its suffix is the format.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Same as --format json.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Same as --format csv.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Same as --format markdown.")] = False,
    debug: Debug = False,
) -> None:
    """Print tables of records.

    Example: nica-bench table --out results --metric mcc_within --by method,scenario
    """
    flags = [name for name, yes in (("json", json_), ("csv", csv), ("markdown", markdown)) if yes]
    chosen = _format([*flags, *([format] if format else [])], save)
    shown = table_kind(kind)
    parts = tuple(part.strip() for part in by.split(",")) if by else ()
    if (parts or threshold != 0.95) and shown.name != "scores":
        raise UsageError(f"--by and --threshold belong to --kind scores, got --kind {kind}")
    collection = _collection(out_folder, scenario, method, seeds, host)
    gc.disable()  # tables keep all objects until the process ends, so that collecting garbage is of no use
    tables, notes = shown.build(collection, Query(metric, parts, threshold))
    _say(collection.notes, notes)
    if chosen == "rich" and save is None:
        for each in shared_legends(tables):
            out.print(terminal_table(each, out.width))
        return
    _write(render(tables, chosen), save)


def _format(chosen: list[str], save: Path | None) -> str:
    if len(set(chosen)) > 1:
        raise UsageError(f"one format at a time, got {' and '.join(chosen)}")
    if chosen:
        if chosen[0] not in FORMATS:
            raise UsageError(f"unknown format '{chosen[0]}'; {did_you_mean(chosen[0], FORMATS)}")
        if chosen[0] in BINARY and save is None and sys.stdout.isatty():
            raise UsageError(f"{chosen[0]} is a binary format: name a file with --save, or write to a pipe")
        return chosen[0]
    if save is None:
        return "rich"
    if save.suffix not in SUFFIXES:
        raise UsageError(f"--save {save}: expected a suffix among {', '.join(SUFFIXES)}, or --format")
    return SUFFIXES[save.suffix]


_LISTED = "\n\n".join(f"{name}: {kind.help}" for name, kind in FIGURE_KINDS.items())
PLOT_HELP = (
    "Draw a figure of records into a PNG, SVG or PDF file.\n\n"
    "Example: nica-bench plot scores --out results --save scores.png\n\nKinds of figures:\n\n" + _LISTED
)


def plot(
    kind: Annotated[str, typer.Argument(help="Kind of figure, see above.")],
    save: Annotated[Path, typer.Option("--save", help="File to write, with suffix .png, .svg or .pdf.")],
    out_folder: Out = None,
    scenario: Scenarios = None,
    method: Methods = None,
    seeds: Seeds = None,
    host: Hosts = None,
    metric: Metric = None,
    dimension: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="For traversals: ranks of codes, e.g. 3 or 9:17; default: 1:9."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Draw a figure of records."""
    figure = figure_kind(kind)
    collection = _collection(out_folder, scenario, method, seeds, host)
    from nica_bench.figures import save_figure

    ranks = parse_seeds(dimension, "--dimension") if dimension is not None else ()
    notes = save_figure(figure, collection, save, metric=metric, ranks=ranks)
    _say(collection.notes, notes)
    typer.echo(f"{save}")


def report(
    save: Annotated[Path, typer.Option("--save", help="File to write, with suffix .html.")] = Path("report.html"),
    out_folder: Out = None,
    scenario: Scenarios = None,
    method: Methods = None,
    seeds: Seeds = None,
    host: Hosts = None,
    title: Annotated[str | None, typer.Option("--title", help="Heading of the page, e.g. 'Gaussian latents'.")] = None,
    debug: Debug = False,
) -> None:
    """Write a report on records, one HTML page that needs no network.

    Example: nica-bench report --out results --save report.html
    """
    if save.suffix not in (".html", ".htm"):
        raise UsageError(f"--save {save}: the file of a report ends in .html")
    collection = _collection(out_folder, scenario, method, seeds, host)
    from nica_bench.report import make_report

    page, notes = make_report(collection, title=title)
    _say(collection.notes, notes)
    _write(page.encode(), save)
    typer.echo(f"{save}: {len(collection.records)} records, {len(page.encode()) / 1e6:.1f} MB")


def _collection(
    folders: list[Path] | None,
    scenarios: list[str] | None,
    methods: list[str] | None,
    seeds: str | None,
    hosts: list[str] | None,
) -> Collection:
    chosen = parse_seeds(seeds) if seeds is not None else []
    collection = collect(folders or [DEFAULT_OUT])
    gc.freeze()  # the records live as long as the process, so the garbage collector need not visit them
    return collection.select(scenarios or (), methods or (), chosen, hosts or ())


def _say(*notes: Iterable[str]) -> None:
    for note in dict.fromkeys(note for several in notes for note in several):
        say(f"note: {note}")


def _write(data: bytes, save: Path | None) -> None:
    if save is None:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
        return
    try:
        save.write_bytes(data)
    except OSError as error:
        raise UsageError(f"--save {save} cannot be written: {error.strerror or error}") from error
