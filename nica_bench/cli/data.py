"""`nica-bench data`: check or download the image files of a scenario."""

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
        typer.Option("--data", metavar="FOLDER", help="Folder of the files; default: $NICA_BENCH_DATA."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Check the image files of a scenario, and download those that are missing.

    A file, compressed or not, is valid if its contents are the published ones. Without --data and NICA_BENCH_DATA the
    folder is in the cache of the user.

    Example: nica-bench data mnist --data ~/data
    """
    if name not in COLLECTIONS:
        raise UsageError(f"there is no data called '{name}'; {did_you_mean(name, COLLECTIONS)}")
    place = data_folder(folder)
    found = fetch(COLLECTIONS[name], place, say, _Bar() if err.is_terminal else False)
    tell([f"{COLLECTIONS[name].title}: {len(found)} files in {place}"])
    if folder is not None:
        say(f"set NICA_BENCH_DATA={place.absolute()} for runs to find the files")


class _Bar:
    """A progress bar with the interface of pooch."""

    total = 0

    def __init__(self) -> None:
        self._progress: Any = None
        self._task: Any = None

    def update(self, count: int) -> None:
        """Add a number of bytes."""
        from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

        if self._progress is None:
            columns = BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
            self._progress = Progress(*columns, console=err, transient=True)
            self._task = self._progress.add_task("", total=self.total or None)
            self._progress.start()
        self._progress.advance(self._task, count)

    def reset(self) -> None:
        """Reset the bar; pooch does this before the last update."""
        if self._progress is not None:
            self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        """Remove the bar when the file is complete."""
        if self._progress is not None:
            self._progress.stop()
        self._progress = None
