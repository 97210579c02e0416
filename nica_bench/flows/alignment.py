"""What keeps a replicate's last bits independent of its place in the group."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pad

__all__ = ["whole_vectors"]

_VECTOR = 32


def whole_vectors(x: Tensor) -> Tensor:
    """The batch, on a CPU, padded with zeros to a whole number of vectors of 32 bytes (8 float32, 4 float64).

    Matrix products there sum in another order, or take another kernel for the last columns, where a matrix starts
    inside a vector. With whole vectors that happens for no replicate or for all, whatever the number of features; the
    caller cuts the padding off the result.

    Args:
        x: shape (R, D, B).

    Returns:
        Shape (R, D, B') with B' >= B; x itself where nothing is missing.
    """
    short = -x.shape[-1] % (_VECTOR // x.element_size()) if x.device.type == "cpu" else 0
    return pad(x, (0, short)) if short else x
