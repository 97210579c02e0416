"""Whether a method or a scenario keeps its contract."""

from nica_bench.checking.file import Report, check_file
from nica_bench.checking.finding import Finding

__all__ = ["Finding", "Report", "check_file"]
