"""nica-bench: a benchmark for nonlinear ICA.

The names below are what a method or scenario file needs. Importing this package does not import torch.
"""

from nica_bench._version import __version__
from nica_bench.dataset import Dataset, Floats, Integers, Observations, Split
from nica_bench.errors import ContractError, NicaBenchError, UsageError
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.parameters import Range, parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = [
    "ContractError",
    "Dataset",
    "FitSession",
    "Fitted",
    "Floats",
    "Integers",
    "Method",
    "NicaBenchError",
    "Observations",
    "Range",
    "Scenario",
    "Split",
    "Streams",
    "UsageError",
    "__version__",
    "parameter",
]
