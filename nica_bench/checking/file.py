"""All checks of one Python file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nica_bench.checking.finding import Checks, Finding
from nica_bench.errors import UsageError
from nica_bench.registry import load_file, metrics_of, unfinished

__all__ = ["Report", "check_file"]


@dataclass
class Report:
    """What was checked of one file, and what is wrong.

    Args:
        checked: number of checks of each class, by `method 'name'`, `scenario 'name'` or `metric 'name'`.
        findings: what is wrong.
    """

    checked: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_file(path: Path | str, say: Callable[[str], None] = lambda line: None) -> Report:
    """Check every method, scenario and metric that a file defines.

    Args:
        path: of the file.
        say: takes a line for people, where it takes long.

    Raises:
        UsageError: if it does not import, with the line, or defines none.
    """
    from nica_bench.checking.methods import check_method
    from nica_bench.checking.metrics import check_metric
    from nica_bench.checking.scenarios import check_scenario

    file = Path(path).resolve()
    module, methods, scenarios = load_file(file)
    metrics = metrics_of(module, str(path))
    report = Report()
    for owner in unfinished(module):
        lacking = ", ".join(sorted(owner.__abstractmethods__))
        report.findings.append(Finding(file, Checks(owner, file).line(), f"{owner.__name__} lacks {lacking}"))
    if not (methods or scenarios or metrics or report.findings):
        raise UsageError(
            f"{path} defines no method, scenario or metric: expected a subclass of Method or Scenario, or a Metric"
        )
    for metric in metrics:
        _add(report, "metric", metric.name, check_metric(metric, file))
    for method in methods:
        _add(report, "method", str(getattr(method, "name", method.__name__)), check_method(method, file, say))
    for scenario in scenarios:
        _add(report, "scenario", str(getattr(scenario, "family", scenario.__name__)), check_scenario(scenario, file))
    return report


def _add(report: Report, what: str, name: str, checks: Checks) -> None:
    report.checked[f"{what} '{name}'"] = checks.made
    report.findings += checks.findings
