"""A trained map from codes to observations as a short list of plain operations, which need no torch to be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Gather", "Layer", "Operation", "Program", "Undo"]


@dataclass(frozen=True)
class Gather:
    """y[i] = x[order[i]] for rows of D / len(order) numbers that lie together.

    Args:
        order: shape (rows,), a permutation.
    """

    order: NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Layer:
    """A layer of a subnet; a ReLU stands between each two.

    Args:
        weight: shape (out, in) of a full layer, or (out, in, k, k) of a zero-padded convolution (cross-correlation),
            k odd.
        bias: shape (out,).
    """

    weight: NDArray[np.floating[Any]]
    bias: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Undo:
    """One half of a coupling undone: x = (y - t) exp(-s), with (a, t) the subnet's output and s = M c(a).

    Numbers lie in the order (C, H, W). The subnet's output is 2 C' maps where C' are moved: those of a, then those of
    t. Without a clamp it is t alone, and x = y - t.

    Args:
        given: the first and the end of the numbers that the subnet sees.
        moved: the first and the end of those that are changed.
        side: H and W; 1 and 1 where the subnet's layers are full.
        layers: of the subnet.
        clamp: the function c; None where the coupling only adds.
        factor: M is this multiple of the identity,
        centred: with the mean over the moved channels at a position taken off.
    """

    given: tuple[int, int]
    moved: tuple[int, int]
    side: tuple[int, int]
    layers: Sequence[Layer]
    clamp: Literal["atan", "tanh"] | None = None
    factor: float = 1.0
    centred: bool = False


Operation: TypeAlias = Gather | Undo


@dataclass(frozen=True)
class Program:
    """Operations on D numbers, to be run one after another.

    Args:
        operations: them.
        volume_preserving: whether the log-determinant is zero by construction.
    """

    operations: Sequence[Operation]
    volume_preserving: bool

    def described(self) -> tuple[list[dict[str, Any]], NDArray[np.float32]]:
        """The operations as values for JSON, and all weights in one array, in the order in which they are named.

        A layer's entry says where in that array its weights begin (`at`), row by row; its biases follow them.
        """
        parts: list[NDArray[Any]] = []
        end = 0

        def layer(each: Layer) -> dict[str, int]:
            nonlocal end
            kernel = each.weight.shape[2] if each.weight.ndim == 4 else 0
            entry = {"out": each.weight.shape[0], "in": each.weight.shape[1], "kernel": kernel, "at": end}
            parts.extend((each.weight.ravel(), each.bias.ravel()))
            end += each.weight.size + each.bias.size
            return entry

        described: list[dict[str, Any]] = []
        for operation in self.operations:
            if isinstance(operation, Gather):
                described.append({"op": "gather", "order": operation.order.tolist()})
                continue
            described.append(
                {
                    "op": "undo",
                    "given": list(operation.given),
                    "moved": list(operation.moved),
                    "side": list(operation.side),
                    "clamp": operation.clamp,
                    "factor": operation.factor,
                    "centred": operation.centred,
                    "layers": [layer(each) for each in operation.layers],
                }
            )
        return described, np.concatenate([np.zeros(0), *parts]).astype(np.float32)
