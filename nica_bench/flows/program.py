"""The inverse of a flow as plain operations: from its modules to `nica_bench.program`."""

from __future__ import annotations

from functools import singledispatch
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor, nn

from nica_bench.errors import UsageError
from nica_bench.flows.conv_coupling import ConvCoupling
from nica_bench.flows.convnet import ConvNet
from nica_bench.flows.coupling import Coupling
from nica_bench.flows.image_flow import Block, ImageFlow
from nica_bench.flows.linear import MLP, Linear
from nica_bench.flows.permutation import Permutation
from nica_bench.program import Gather, Layer, Operation, Program, Undo

__all__ = ["inverse_operations", "inverse_program"]


def inverse_program(flow: nn.Module) -> Program:
    """The inverse of a flow's first replicate, in float32: what `flow.inverse` computes, one vector at a time.

    Where the convolutions round to bfloat16 the program does not, and differs from `flow.inverse` by that.

    Raises:
        UsageError: if a part of the flow has no such form.
    """
    return Program(inverse_operations(flow), bool(flow.volume_preserving))


@singledispatch
def inverse_operations(module: nn.Module) -> list[Operation]:
    """The operations that undo a module's first replicate; a module of another type is registered with its own.

    Raises:
        UsageError: for a type that nothing is registered for, or a setting that no operation has.
    """
    raise UsageError(f"the inverse of {type(module).__name__} is not known as plain operations")


@inverse_operations.register
def _(flow: ImageFlow) -> list[Operation]:
    return [operation for layer in reversed(flow.layers) for operation in inverse_operations(layer)]


@inverse_operations.register
def _(block: Block) -> list[Operation]:
    return [*inverse_operations(block.coupling), *inverse_operations(block.permutation)]


@inverse_operations.register
def _(permutation: Permutation) -> list[Operation]:
    return [Gather(_array(permutation.order.argsort(1)))]


@inverse_operations.register
def _(coupling: Coupling) -> list[Operation]:
    height, width = 1, 1
    if isinstance(coupling, ConvCoupling):
        height, width = coupling.arithmetic.height, coupling.arithmetic.width
    layers1, layers2 = _layers(coupling.subnet1), _layers(coupling.subnet2)
    positions = height * width
    first = (0, coupling.split * positions)
    second = (first[1], first[1] + layers2[0].weight.shape[1] * positions)
    options: dict[str, Any] = {"side": (height, width)}
    if coupling.scale is not None:
        if coupling.zero_sum1 is not None or coupling.incompressible < 1:
            raise UsageError("the inverse of a coupling is known as plain operations where its scales are centred")
        options |= {
            "clamp": coupling.scale.clamp,
            "factor": coupling.scale.factor,
            "centred": coupling.scale.centred,
        }
    return [Undo(first, second, layers=layers1, **options), Undo(second, first, layers=layers2, **options)]


def _layers(subnet: MLP | ConvNet) -> list[Layer]:
    if isinstance(subnet, ConvNet):
        return [Layer(_array(w), _array(b)) for w, b in zip(subnet.weights, subnet.biases, strict=True)]
    layers = cast("list[Linear]", list(subnet.layers))
    return [Layer(_array(layer.weight), _array(layer.bias).reshape(-1)) for layer in layers]


def _array(tensor: Tensor) -> NDArray[Any]:
    """The first replicate's part."""
    array: NDArray[Any] = tensor[0].detach().cpu().numpy()
    return array
