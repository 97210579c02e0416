"""The command line."""

from nica_bench.cli import results as _results  # noqa: F401 (its import adds its commands)
from nica_bench.cli.app import main

__all__ = ["main"]
