"""Tables of records: their kinds, and their formats. Tables are made from records alone."""

from __future__ import annotations

from nica_bench.tables.formats import BINARY, FORMATS, SUFFIXES, html_table, render, terminal_table
from nica_bench.tables.kinds import TABLE_KINDS, table_kind
from nica_bench.tables.query import Query, TableKind
from nica_bench.tables.scores import overviews, rows_of, scores_table
from nica_bench.tables.table import Column, Row, Table, shared_legends

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
    "shared_legends",
    "table_kind",
    "terminal_table",
]
