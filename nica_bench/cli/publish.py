"""`nica-bench publish`: make published results again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, say, tell

__all__ = ["publish"]


def publish(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="With a sweep.toml and a publish.toml.")],
    tables: Annotated[bool, typer.Option("--tables", help="From the records that are there: run nothing.")] = False,
    cluster: Annotated[str, typer.Option(metavar="NAME", help="As of `sweep`: local, slurm or debug.")] = "local",
    jobs: Annotated[int | None, typer.Option(metavar="INTEGER", help="Workers of --cluster local.", min=1)] = None,
    debug: Debug = False,
) -> None:
    """Make published results: run what is missing, and write records, tables, figures and report.

    Exit code 3: a run failed; it is a row of the tables like any other.
    """
    from nica_bench.publishing.publication import compute, read_publication
    from nica_bench.publishing.publication import publish as write

    publications = [read_publication(folder) for folder in folders]
    failed = False
    for publication in publications:
        if not tables:
            failed |= compute(publication, cluster, jobs)
        for note in write(publication):
            say(f"note: {publication.folder}: {note}")
        tell([f"{publication.folder}: table.md, figures, report.html, versions.json"])
    if failed:
        raise typer.Exit(3)
