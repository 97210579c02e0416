"""`nica-bench data`: have the image files of a scenario, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nica_bench.cli.console import Debug, err, say, tell
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.images import COLLECTIONS, data_folder, fetch

__all__ = ["data"]


def data(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(COLLECTIONS)}.")],
    folder: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Where the files are or shall be; default: $NICA_BENCH_DATA."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Check the image files of a scenario, and download those that are missing.

    A file counts, gzipped or not, when its contents are the published ones. Without --data and NICA_BENCH_DATA the
    folder is the user's cache.
    """
    if name not in COLLECTIONS:
        raise UsageError(f"there is no data called '{name}'; {did_you_mean(name, COLLECTIONS)}")
    place = data_folder(folder)
    found = fetch(COLLECTIONS[name], place, say, _Bar() if err.is_terminal else False)
    tell([f"{COLLECTIONS[name].title}: {len(found)} files in {place}"])
    if folder is not None:
        say(f"runs find them with NICA_BENCH_DATA={place.absolute()}")


class _Bar:
    """A progress bar as pooch drives it."""

    total = 0

    def __init__(self) -> None:
        self._progress: Any = None
        self._task: Any = None

    def update(self, count: int) -> None:
        """So many bytes more."""
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        if self._progress is None:
            columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
            self._progress = Progress(*columns, console=err, transient=True)
            self._task = self._progress.add_task("", total=self.total or None)
            self._progress.start()
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        """Back to the start: pooch does so before it says that all has come."""
        if self._progress is not None:
            self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        """The file is there."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None
