"""Tables of records: what kinds there are, and how they become text. From records alone."""

from __future__ import annotations

from nica_bench.tables.formats import BINARY, FORMATS, SUFFIXES, html_table, render, terminal_table
from nica_bench.tables.kinds import TABLE_KINDS, table_kind
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.scores import overviews, rows_of, scores_table
from nica_bench.tables.table import Column, Row, Table

__all__ = [
    "BINARY",
    "FORMATS",
    "SUFFIXES",
    "TABLE_KINDS",
    "Column",
    "Query",
    "Row",
    "Table",
    "TableKind",
    "html_table",
    "overviews",
    "render",
    "rows_of",
    "scores_table",
    "table_kind",
    "terminal_table",
]
