"""Checks of the contract of a method or a scenario."""

from nica_bench.checking.file import Report, check_file
from nica_bench.checking.finding import Finding

__all__ = ["Finding", "Report", "check_file"]
