"""Normalizing flows over a leading replicate axis: many small models of one shape, trained side by side."""

from __future__ import annotations

from nica_bench.flows.coupling import Coupling
from nica_bench.flows.flow import Flow
from nica_bench.flows.linear import MLP, Linear
from nica_bench.flows.permutation import Permutation
from nica_bench.flows.replicates import parameter_count, take
from nica_bench.flows.rotation import LearnedRotation, Rotation

__all__ = ["MLP", "Coupling", "Flow", "LearnedRotation", "Linear", "Permutation", "Rotation", "parameter_count", "take"]
