"""The report: one HTML page of records."""

from nica_bench.report.page import make_report

__all__ = ["make_report"]
