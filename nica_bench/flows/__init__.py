"""Normalizing flows over a leading replicate axis: many small models of one shape, trained side by side."""

from __future__ import annotations

from nica_bench.flows.conv_coupling import ConvCoupling
from nica_bench.flows.convnet import ConvNet, Convolutional
from nica_bench.flows.coupling import Coupling
from nica_bench.flows.flow import Flow
from nica_bench.flows.image_flow import Downsampling, ImageFlow
from nica_bench.flows.linear import MLP, Linear
from nica_bench.flows.permutation import Permutation
from nica_bench.flows.program import inverse_program
from nica_bench.flows.replicates import parameter_count, take
from nica_bench.flows.rotation import LearnedRotation, Rotation

__all__ = [
    "MLP",
    "ConvCoupling",
    "ConvNet",
    "Convolutional",
    "Coupling",
    "Downsampling",
    "Flow",
    "ImageFlow",
    "LearnedRotation",
    "Linear",
    "Permutation",
    "Rotation",
    "inverse_program",
    "parameter_count",
    "take",
]
