"""Published results: folders whose tables, figures and report can be made again by one command."""

from nica_bench.publishing.making import WORK, compute, publish, table_text, versions_text
from nica_bench.publishing.publication import Publication, PublishedFigure, read_publication

__all__ = [
    "WORK",
    "Publication",
    "PublishedFigure",
    "compute",
    "publish",
    "read_publication",
    "table_text",
    "versions_text",
]
