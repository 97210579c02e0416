"""Published results: folders whose tables, figures and report can be made again by one command."""

from nica_bench.publishing.publication import Publication, compute, publish, read_publication

__all__ = ["Publication", "compute", "publish", "read_publication"]
