"""Published results: folders whose tables, figures and report can be made again by one command."""

from nica_bench.publishing.making import WORK, compute, order_of, publish, table_text, versions_text
from nica_bench.publishing.publication import Publication, PublishedFigure, PublishedTable, read_publication

__all__ = [
    "WORK",
    "Publication",
    "PublishedFigure",
    "PublishedTable",
    "compute",
    "order_of",
    "publish",
    "read_publication",
    "table_text",
    "versions_text",
]
