"""All checks of one Python file with methods or scenarios."""

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
    """The checks of one file and their findings.

    Args:
        checked: the number of checks of each class, by `method 'name'` or `scenario 'name'`.
        findings: the breaches of the contract.
    """

    checked: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def check_file(path: Path | str, say: Callable[[str], None] = lambda line: None) -> Report:
    """Check every method, scenario and metric that a file defines.

    Args:
        path: the file.
        say: the function that receives a message if a check takes long.

    Raises:
        UsageError: if the file cannot be imported, with the line, or defines neither a method nor a scenario.
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
