"""The report on records, one HTML page."""

from nica_bench.report.page import make_report

__all__ = ["make_report"]
