"""Parts of all commands: the output streams, printing, and common options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["Debug", "Json", "Out", "Session", "counted", "err", "listing", "out", "say", "tell"]

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@dataclass
class Session:
    """The state of one call of the command line, the object of the context."""

    debug: bool = False


def _set_debug(context: typer.Context, value: bool) -> bool:
    session = context.obj
    if value and isinstance(session, Session):
        session.debug = True
    return value


Debug = Annotated[bool, typer.Option("--debug", callback=_set_debug, help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder of the records, e.g. results.")]


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 job`, `1,000 jobs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def say(text: str) -> None:
    """Print a line to stderr; it is wrapped at words in a terminal, never in a pipe."""
    err.print(text, markup=False, soft_wrap=not err.is_terminal)


def tell(lines: Iterable[str]) -> None:
    """Print lines to stdout; they are wrapped at words in a terminal, never in a pipe."""
    for line in lines:
        out.print(line, markup=False, emoji=False, soft_wrap=not out.is_terminal)


def listing(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns to stdout; the last column is wrapped in a terminal, never in a pipe."""
    if out.is_terminal:
        grid = Table.grid(padding=(0, 2))
        for i in range(len(rows[0]) if rows else 0):
            grid.add_column(no_wrap=i + 1 < len(rows[0]))
        for row in rows:
            grid.add_row(*(text.replace("[", r"\[") for text in row))
        out.print(grid)
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())
