"""The command line."""

from nica_bench.cli.app import main

__all__ = ["main"]
