"""Random injective mixings of the latents into observations, fixed by a dataset's seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nica_bench.dataset import Floats
from nica_bench.seeds import Streams

if TYPE_CHECKING:
    from nica_bench.flows import Flow

__all__ = ["MIXINGS", "Mixing", "subnet_width"]

MIXINGS = ("realnvp",)
"""The names `mixing=` takes."""


def subnet_width(dimensions: int) -> int:
    """Width of the hidden layers of a coupling's subnet: the paper's 10 for D = 10, as wide as the data beyond."""
    return max(10, dimensions)


@dataclass(frozen=True)
class Mixing:
    """A fixed random map from (latents, noise) to observations, in float64.

    Args:
        flow: an untrained flow of one replicate.
    """

    flow: Flow

    @classmethod
    def draw(cls, streams: Streams, dimensions: int, *, blocks: int) -> Mixing:
        """The paper's mixing: a RealNVP of random weights, nn.Linear's default in every layer (section 4.3.1).

        Args:
            streams: the dataset's streams; the axis is "mixing".
            dimensions: observed dimensions D.
            blocks: number of coupling blocks; the paper has 8.
        """
        import torch

        from nica_bench.flows import Flow

        width = subnet_width(dimensions)
        flow = Flow(
            [streams.torch("mixing")],
            dimensions,
            blocks=blocks,
            hidden=(width, width),
            coupling="realnvp",
            identity=False,
            dtype=torch.float64,
        )
        return cls(flow.requires_grad_(False))

    def __call__(self, s: Floats, chunk: int = 10_000) -> tuple[Floats, Floats]:
        """Mix s (N, D): the observations x (N, D) and log|det dx/ds| (N,).

        One thread and chunks of one size, so that the same seed gives the same bits whoever makes the dataset.
        """
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            xs, dets = [], []
            with torch.no_grad():
                for start in range(0, s.shape[0], chunk):
                    part = torch.from_numpy(np.ascontiguousarray(s[start : start + chunk].T))[None]
                    x, log_det = self.flow(part)
                    xs.append(x[0].T.numpy())
                    dets.append(log_det[0].numpy())
        finally:
            torch.set_num_threads(threads)
        return np.concatenate(xs), np.concatenate(dets)
