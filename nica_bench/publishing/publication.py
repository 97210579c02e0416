"""What a folder publishes: the table [publish] of its sweep.toml.

`nica_bench/sweep/example.toml` explains the keys, each of which may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nica_bench.errors import UsageError
from nica_bench.figures import figure_kind
from nica_bench.files.toml import FileTable
from nica_bench.running.gridfile import GridFile, read_grid_file
from nica_bench.running.plan import parse_seeds
from nica_bench.tables import Query, table_kind

__all__ = ["Publication", "PublishedFigure", "read_publication"]

FILE = "sweep.toml"


@dataclass(frozen=True)
class PublishedFigure:
    """A figure: the name of its file without the ending, and what `nica-bench plot` takes."""

    kind: str = "scores"
    name: str = "scores"
    metric: str | None = None
    scenarios: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    ranks: tuple[int, ...] = ()


@dataclass(frozen=True)
class Publication:
    """What is run for a folder of published results, and what is shown of it.

    Args:
        folder: of the published results.
        file: that says what is run.
        title, text: heading of the tables, and what is asked.
        tables: the kind of each, and what `nica-bench table` takes as --metric, --by and --threshold.
        figures: in their order.
        arrays: whether the records' arrays are published with them.
    """

    folder: Path
    file: GridFile
    title: str
    text: str = ""
    tables: tuple[tuple[str, Query], ...] = (("scores", Query(None, (), 0.95)),)
    figures: tuple[PublishedFigure, ...] = (PublishedFigure(),)
    arrays: bool = False


def read_publication(folder: Path | str) -> Publication:
    """Read what a folder publishes.

    Raises:
        UsageError: if there is no sweep.toml, or it has an unknown key or a wrong value; with the line.
    """
    folder = Path(folder)
    if not (folder / FILE).is_file():
        raise UsageError(f"{folder} publishes nothing: it has no {FILE}")
    if (folder / "publish.toml").exists():
        raise UsageError(f"{folder / 'publish.toml'} is not read: its keys stand in the table [publish] of {FILE}")
    file = read_grid_file(folder / FILE)
    table = file.table.table("publish") or FileTable(file.table.path, file.table.lines, {}, ("publish",))
    table.only(("title", "text", "tables", "figures", "arrays"))
    tables = tuple(_table(each) for each in table.tables("tables"))
    figures = tuple(_figure(each) for each in table.tables("figures"))
    return Publication(
        folder,
        file,
        title=table.text("title") or file.table.text("title") or folder.resolve().name,
        text=table.text("text") or "",
        tables=tables if "tables" in table else Publication.tables,
        figures=figures if "figures" in table else Publication.figures,
        arrays=bool(table.flag("arrays")),
    )


def _table(table: FileTable) -> tuple[str, Query]:
    table.only(("kind", "metric", "by", "threshold"))
    kind, threshold = table.text("kind") or "scores", table.number("threshold", 0, 1)
    table.made("kind", table_kind, kind)
    return kind, Query(table.text("metric"), tuple(table.texts("by")), 0.95 if threshold is None else threshold)


def _figure(table: FileTable) -> PublishedFigure:
    table.only(("kind", "name", "metric", "scenario", "method", "dimension"))
    kind = table.text("kind") or "scores"
    table.made("kind", figure_kind, kind)
    name = table.text("name") or kind
    if Path(name).name != name:
        raise table.wrong("name", "the name of a file in figures/")
    ranks: list[int] = []
    if "dimension" in table:
        ranks = table.made("dimension", lambda text: parse_seeds(text, "dimensions"), str(table.values["dimension"]))
    scenarios, methods = tuple(table.texts("scenario")), tuple(table.texts("method"))
    return PublishedFigure(kind, name, table.text("metric"), scenarios, methods, tuple(ranks))
