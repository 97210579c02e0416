"""Training many replicates (datasets or initialisations) as one batched model.

Only the contract is imported here: a method's file must load without torch, so that listing methods stays quick.
"""

from nica_bench.training.method import TorchMethod

__all__ = ["TorchMethod"]
