"""Tables of a folder of records, made by their functions and by the command."""

from __future__ import annotations

from typer.testing import CliRunner

from nica_bench.cli.app import build
from nica_bench.errors import NicaBenchError
from nica_bench.records.collection import collect
from nica_bench.tables import Query, table_kind


def tables_of(folder, kind="scores", **query):
    """The tables of a kind, and their notes."""
    return table_kind(kind).build(collect([folder]), Query(**query))


def run(*arguments):
    """The command's standard output and error; raises what the command raises."""
    result = CliRunner().invoke(build(), ["table", *map(str, arguments)])
    if isinstance(result.exception, NicaBenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr
