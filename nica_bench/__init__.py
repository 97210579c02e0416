"""nica-bench: a benchmark for nonlinear ICA.

What a method's, a scenario's or a metric's file needs, and the Python API: `load`, `mcc`, `evaluate`, `run`, `read` and
`wrap`. Importing this package imports neither torch nor pandas; the API is imported when a name of it is first used.
"""

import importlib
from typing import Any

from nica_bench._version import __version__
from nica_bench.dataset import Dataset, Floats, Integers, Observations, Split
from nica_bench.errors import ContractError, NicaBenchError, UsageError
from nica_bench.method import FitSession, Fitted, Method, Progress
from nica_bench.parameters import Range, parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = [
    "ContractError",
    "Dataset",
    "Evaluation",
    "FitSession",
    "Fitted",
    "Floats",
    "Integers",
    "Method",
    "Metric",
    "NicaBenchError",
    "Observations",
    "Progress",
    "Range",
    "Runs",
    "Sample",
    "Scenario",
    "Split",
    "Streams",
    "Tables",
    "TorchMethod",
    "UsageError",
    "__version__",
    "evaluate",
    "load",
    "make_method",
    "make_scenario",
    "mcc",
    "parameter",
    "read",
    "run",
    "wrap",
]

_LATER = {"Metric": "nica_bench.metrics", "Sample": "nica_bench.metrics", "TorchMethod": "nica_bench.training"}
"""Where a name is that is imported on its first use; the others are of the API. Their types are in `__init__.pyi`."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = getattr(importlib.import_module(_LATER.get(name, "nica_bench.api")), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*__all__, *globals()})
