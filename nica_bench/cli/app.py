"""The command line: its commands, and the exit codes of errors."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nica_bench._version import __version__
from nica_bench.cli.console import Debug, Session, say
from nica_bench.errors import NicaBenchError, UsageError

__all__ = ["build", "main"]


def build() -> typer.Typer:
    """Return the command line.

    Raises:
        UsageError: if an installed scenario cannot be imported, since the options are made from all scenarios.
    """
    from nica_bench.cli.authors import check, new
    from nica_bench.cli.data import data
    from nica_bench.cli.flags import OLD_NAMES, with_options
    from nica_bench.cli.inspect import info, list_, show
    from nica_bench.cli.keeping import collect, merge
    from nica_bench.cli.publish import publish
    from nica_bench.cli.results import PLOT_HELP, plot, report, table
    from nica_bench.cli.run import run
    from nica_bench.cli.sweep import sweep
    from nica_bench.cli.watching import cancel, status

    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
    app.callback(invoke_without_command=True)(_root)
    app.command(context_settings=OLD_NAMES)(with_options(run))
    app.command(context_settings=OLD_NAMES)(with_options(sweep))
    app.command()(status)
    app.command()(cancel)
    app.command("list")(list_)
    app.command()(with_options(info))
    app.command()(show)
    app.command()(table)
    app.command(help=PLOT_HELP)(plot)
    app.command()(report)
    app.command()(check)
    app.command()(new)
    app.command()(collect)
    app.command()(merge)
    app.command()(publish)
    app.command()(data)
    return app


def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False, debug: Debug = False
) -> None:
    """A benchmark for nonlinear ICA: which methods recover the latent variables, and under which conditions?

    Example: nica-bench run -s gauss-2of10 -m gin --seeds 0:5
    """
    if version:
        typer.echo(f"nica-bench {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; an error gives a message and exit code 2 (bad input), 3, or 1 (a bug of nica-bench)."""
    session = Session()
    try:
        build()(obj=session)
    except NicaBenchError as error:
        if session.debug:
            raise
        say(f"error: {error}")
        sys.exit(2 if isinstance(error, UsageError) else 3)
    except Exception as error:
        if session.debug:
            raise
        say(f"error: {type(error).__name__}: {error}; this is a bug of nica-bench, --debug shows where")
        sys.exit(1)
