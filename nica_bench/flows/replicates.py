"""Helpers for modules whose every parameter and buffer has the replicate axis first."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import nn

from nica_bench.errors import UsageError

__all__ = ["parameter_count", "take"]

Module = TypeVar("Module", bound=nn.Module)


def take(module: Module, indices: Sequence[int]) -> Module:
    """A copy that holds only some replicates, on the same device, cut off from the graph of the original.

    Args:
        module: every parameter and buffer has shape (R, ...).
        indices: which replicates, in the order wanted; one may come more than once.

    Returns:
        A module of the same type with len(indices) replicates.

    Raises:
        UsageError: no index, or one outside 0 to R - 1.
    """
    replicates = next((t.shape[0] for t in (*module.parameters(), *module.buffers())), 0)
    chosen = [int(i) for i in indices]
    wrong = [i for i in chosen if not 0 <= i < replicates]
    if wrong or not chosen:
        raise UsageError(f"expected replicates from 0 to {replicates - 1}, got {wrong or 'none'}")
    with torch.no_grad():
        # Handed to deepcopy as copies already made, so the full tensors and their gradients are never duplicated.
        memo: dict[int, object] = {}
        for p in module.parameters():
            memo[id(p)] = nn.Parameter(p.detach()[chosen], requires_grad=p.requires_grad)
        for b in module.buffers():
            memo[id(b)] = b.detach()[chosen]
    return copy.deepcopy(module, memo)


def parameter_count(module: nn.Module) -> int:
    """Learnable numbers of one replicate. Args: module, every parameter of shape (R, ...)."""
    return sum(p[0].numel() for p in module.parameters() if p.requires_grad)
