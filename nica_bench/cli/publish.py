"""`nica-bench publish`: make published results again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nica_bench.cli.console import Debug, say, tell
from nica_bench.cli.flags import JOBS, option
from nica_bench.cli.outcome import tell_failures
from nica_bench.cli.watching import wait, watching
from nica_bench.running.progress import runs_text

__all__ = ["publish"]


def publish(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER", help="Folders that hold a sweep.toml.")],
    tables: Annotated[bool, option("Run nothing, and show the records that are there.", None, "--tables")] = False,
    cluster: Annotated[str, option("Compute on local, slurm or debug.", "NAME")] = "local",
    jobs: Annotated[int | None, option(JOBS, "INTEGER", min=1)] = None,
    debug: Debug = False,
) -> None:
    """Make published results: run what is missing, and write records, tables, figures and report.

    The sweep.toml of a folder says what is run, and its table `publish` what is shown. A run that fails is a row of the
    tables like any other; the exit code is 3 then.

    Example: nica-bench publish results/gauss
    """
    from nica_bench import publishing

    publications = [publishing.read_publication(folder) for folder in folders]
    failed = False
    for publication in publications:
        if not tables:
            with watching(publication.folder / publishing.WORK):
                records, lost = publishing.compute(publication, cluster, jobs, say, wait)
            failed |= tell_failures(records) or lost > 0
            if lost:
                say(f"{runs_text(lost)} without a record: the same command again computes what is missing")
        for note in publishing.publish(publication):
            say(f"note: {publication.folder}: {note}")
        tell([f"{publication.folder}: table.md, figures, report.html, versions.json"])
    if failed:
        raise typer.Exit(3)
