"""How wide the subnets of a flow are where nobody says."""

from __future__ import annotations

__all__ = ["subnet_width"]


def subnet_width(n_observed: int) -> int:
    """Width of the hidden layers of a coupling's subnet: the paper's 10 for D = 10, as wide as the data beyond."""
    return max(10, n_observed)
