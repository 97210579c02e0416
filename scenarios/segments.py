"""The field's standard artificial data: sources whose scales change from segment to segment, mixed by small networks.

- `tcl-<n>of<n>` and `imca-<n>of<n>`: ICE-BeeM (Khemakhem, Monti, Kingma and Hyvarinen 2020, section 5.2 and its code);
- `xtanh-<n>of<n>`: iVAE (Khemakhem, Kingma, Monti and Hyvarinen 2020, section 5.1 and its code);
- `laplace-<n>of<n>`: time-contrastive learning (Hyvarinen and Morioka 2016, section 6 and its code).

Each is drawn as its authors' code draws it, with this package's own random streams in place of its seeds. The training
points are the published number per segment; validation and test points, which the published experiments do not have,
are further points of the same segments under the same mixing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset, Floats, Integers, Split
from nica_bench.errors import UsageError
from nica_bench.metrics.difficulty import measure_difficulty
from nica_bench.mixings import Mixing
from nica_bench.parameters import Range, parameter
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

if TYPE_CHECKING:
    from nica_bench.mixings.mixing import Layer

__all__ = ["IMCA", "TCL", "LaplaceSegments", "SegmentedSources", "XTanh"]

DRAWS = 10_000
"""Random matrices whose condition numbers fix the threshold for the matrices of a mixing."""
ACCEPTED = 25
"""Percentile of these condition numbers below which a matrix is accepted."""


@dataclass(frozen=True)
class SegmentedSources(Scenario):
    """n sources in segments of equal length, the condition being the segment, mixed into D = n observations.

    An implementer gives `family`, `equivalence`, `draw_sources` and `draw_mixing`.

    Raises:
        UsageError: if D differs from n, or the numbers of points are no multiples of the number of segments.
    """

    n_latents: int
    conditions: int = parameter(20, "number of segments", low=2, high=1000)
    samples: int = parameter(40_000, "training points, a multiple of the number of segments", low=10)
    held_out: int = parameter(10_000, "validation points, and as many test points; a multiple too", low=10)
    layers: int = parameter(2, "layers of the mixing", low=1, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_latents != self.n_observed:
            raise UsageError(
                f"{self.name}: these data have as many observed dimensions as latents, expected "
                f"{self.family}-{self.n_latents}of{self.n_latents}"
            )
        for name in ("samples", "held_out"):
            if getattr(self, name) % self.conditions:
                raise UsageError(
                    f"{self.name}: {name} is a multiple of the {self.conditions} segments, got {getattr(self, name)}"
                )

    @abstractmethod
    def draw_sources(self, streams: Streams, u: Integers) -> tuple[Floats, dict[str, Any]]:
        """Return sources z, shape (N, n), for segments u, shape (N,), and their parameters for the record.

        The first `samples` rows are the training points.
        """

    @abstractmethod
    def draw_mixing(self, streams: Streams) -> Mixing:
        """Return the mixing."""

    def generate(self, seed: int) -> Dataset:
        """Make the dataset of a seed."""
        streams = Streams(seed)
        parts = (self.samples, self.held_out, self.held_out)
        segments = [np.repeat(np.arange(self.conditions), count // self.conditions) for count in parts]
        order = streams.numpy("order of the points")
        u = np.concatenate([order.permutation(part) for part in segments])
        z, parameters = self.draw_sources(streams, u)
        x, log_det = self.draw_mixing(streams)(z)
        bounds = np.cumsum([0, *parts])
        train, validation, test = (
            Split(x[low:high].astype(np.float32), u[low:high], z[low:high].astype(np.float32))
            for low, high in zip(bounds[:-1], bounds[1:], strict=True)
        )
        difficulty = measure_difficulty(train, test, log_det[: self.samples])
        truth = {**parameters, "layers": self.layers, "points_per_segment": self.samples // self.conditions}
        return Dataset(train, validation, test, self.conditions, truth, difficulty, self.distribution_name)


@dataclass(frozen=True)
class TCL(SegmentedSources):
    """Gaussian sources whose standard deviations change from segment to segment (ICE-BeeM's TCL data).

    The sources have mean 0; their standard deviations are uniform on `stds` for each source and segment. Each of the
    `layers` - 1 steps of the mixing is a leaky ReLU of slope .2, then a random orthogonal matrix. Published: 5 sources,
    2 and 4 layers, 100 to 2,000 points per segment, in-sample MCC.
    """

    family: ClassVar[str] = "tcl"
    equivalence: ClassVar[str] = "z^2 up to a permutation and a component-wise affine map"

    stds: Range = parameter(Range(0.01, 3.0), "range of the sources' standard deviations per segment", above=0)

    @property
    def distribution_name(self) -> str:
        """The sources are normal given the segment."""
        return "normal"

    def draw_sources(self, streams: Streams, u: Integers) -> tuple[Floats, dict[str, Any]]:
        """Return sources that are standardised over all training points before they are scaled."""
        stds = streams.numpy("latent parameters").uniform(
            self.stds.low, self.stds.high, (self.conditions, self.n_latents)
        )
        z = streams.numpy("latents").standard_normal((len(u), self.n_latents))
        train = z[: self.samples]
        z = (z - train.mean(0)) / train.std(0)
        return stds[u] * z, {"family": "normal", "means": np.zeros_like(stds).tolist(), "sds": stds.tolist()}

    def draw_mixing(self, streams: Streams) -> Mixing:
        """Return `layers` - 1 steps of a leaky ReLU and a random orthogonal matrix."""
        return _orthogonal(streams, self.n_observed, self.layers)


@dataclass(frozen=True)
class IMCA(SegmentedSources):
    """Gaussian sources that are dependent given the segment (ICE-BeeM's IMCA data).

    Segment k's sources are normal with mean 0 and precision .5 / n B^{-1} + diag(1 / s_k^2), where the s_k are uniform
    on `stds` and B is a random correlation matrix with eigenvalues uniform on [0, 1], scaled to the sum n. The mixing
    is that of `tcl`.
    """

    family: ClassVar[str] = "imca"
    equivalence: ClassVar[str] = "z^2 up to a permutation and a component-wise affine map"

    stds: Range = parameter(Range(0.01, 3.0), "range of the s_k", above=0)

    def draw_sources(self, streams: Streams, u: Integers) -> tuple[Floats, dict[str, Any]]:
        """Return dependent sources."""
        from scipy.stats import random_correlation

        n, generator = self.n_latents, streams.numpy("latent parameters")
        eigenvalues = generator.uniform(size=n)
        eigenvalues *= n / eigenvalues.sum()
        base = random_correlation.rvs(eigenvalues, random_state=generator)
        stds = generator.uniform(self.stds.low, self.stds.high, (self.conditions, n))
        precisions = 0.5 / n * np.linalg.inv(base) + np.stack([np.diag(1 / s**2) for s in stds])
        roots = np.linalg.cholesky(np.linalg.inv(precisions))
        z = streams.numpy("latents").standard_normal((len(u), n))
        parameters = {"family": "dependent normal", "base_correlation": base.tolist(), "s": stds.tolist()}
        return np.einsum("nij,nj->ni", roots[u], z), parameters

    def draw_mixing(self, streams: Streams) -> Mixing:
        """Return the mixing of `tcl`."""
        return _orthogonal(streams, self.n_observed, self.layers)


@dataclass(frozen=True)
class XTanh(SegmentedSources):
    """Gaussian sources mixed by a network with the nonlinearity tanh(x) + .1 x (iVAE's data).

    The sources have mean 0, or means uniform on `means`; their standard deviations are uniform on `stds`. The mixing
    has `layers` layers with one and the same matrix, and the nonlinearity between each two. The matrix has entries
    uniform on [-1, 1], columns of norm 1, and a condition number below the 25th percentile of 10,000 draws.
    """

    family: ClassVar[str] = "xtanh"
    equivalence: ClassVar[str] = "z^2 up to a permutation and a component-wise affine map"

    conditions: int = parameter(40, "number of segments", low=2, high=1000)
    layers: int = parameter(3, "layers of the mixing", low=1, high=100)
    stds: Range = parameter(Range(0.5, 3.0), "range of the sources' standard deviations per segment", above=0)
    means: Range = parameter(Range(0.0, 0.0), "range of the sources' means per segment")
    slope: float = parameter(0.1, "slope of the linear part of the nonlinearity", above=0)

    @property
    def distribution_name(self) -> str:
        """The sources are normal given the segment."""
        return "normal"

    def draw_sources(self, streams: Streams, u: Integers) -> tuple[Floats, dict[str, Any]]:
        """Return normal sources."""
        generator, shape = streams.numpy("latent parameters"), (self.conditions, self.n_latents)
        stds = generator.uniform(self.stds.low, self.stds.high, shape)
        means = generator.uniform(self.means.low, self.means.high, shape)
        z = means[u] + stds[u] * streams.numpy("latents").standard_normal((len(u), self.n_latents))
        return z, {"family": "normal", "means": means.tolist(), "sds": stds.tolist()}

    def draw_mixing(self, streams: Streams) -> Mixing:
        """Return layers that share one matrix."""
        from nica_bench.mixings.layers import TanhPlusLinear

        matrix = _well_conditioned(streams.numpy("mixing"), self.n_observed)
        # the published code multiplies rows of sources by the matrix from the right
        return _network(lambda: matrix.T, lambda: TanhPlusLinear(self.slope), self.layers)


@dataclass(frozen=True)
class LaplaceSegments(SegmentedSources):
    """Laplace sources whose scales change from segment to segment (the data of time-contrastive learning).

    The sources have variance 1 times the square of a factor uniform on `factors` for each source and segment. The
    mixing has `layers` layers with matrices of their own and leaky ReLUs of slope .2 between each two; one layer is
    linear ICA. The matrices have entries uniform on [-1, 1], columns of norm 1, and a condition number below the 25th
    percentile of 10,000 draws. Published: 20 sources, 256 segments of 512 points, 1 to 5 layers, in-sample MCC of |z|.
    """

    family: ClassVar[str] = "laplace"
    equivalence: ClassVar[str] = "|z| up to a permutation and a component-wise affine map"

    conditions: int = parameter(256, "number of segments", low=2, high=1000)
    samples: int = parameter(131_072, "training points, a multiple of the number of segments", low=10)
    held_out: int = parameter(16_384, "validation points, and as many test points; a multiple too", low=10)
    layers: int = parameter(5, "layers of the mixing", low=1, high=100)
    factors: Range = parameter(Range(0.0, 1.0), "range of the sources' standard deviations per segment", low=0)

    def draw_sources(self, streams: Streams, u: Integers) -> tuple[Floats, dict[str, Any]]:
        """Return Laplace sources."""
        factors = streams.numpy("latent parameters").uniform(
            self.factors.low, self.factors.high, (self.conditions, self.n_latents)
        )
        z = streams.numpy("latents").laplace(0, np.sqrt(0.5), (len(u), self.n_latents))
        return factors[u] * z, {"family": "laplace", "stds": factors.tolist()}

    def draw_mixing(self, streams: Streams) -> Mixing:
        """Return layers with a matrix each."""
        from nica_bench.mixings.layers import LeakyReLU

        generator = streams.numpy("mixing")
        threshold = _threshold(generator, self.n_observed)
        return _network(
            lambda: _well_conditioned(generator, self.n_observed, threshold), lambda: LeakyReLU(0.2), self.layers
        )


def _orthogonal(streams: Streams, dimensions: int, layers: int) -> Mixing:
    """Return `layers` - 1 times a leaky ReLU of slope .2 and a random orthogonal matrix; the identity for one layer."""
    import torch

    from nica_bench.mixings.layers import LeakyReLU, Linear, Rotation

    if layers == 1:
        return Mixing([Linear(torch.eye(dimensions, dtype=torch.float64))])
    generator = streams.torch("mixing")
    found: list[Layer] = []
    for _ in range(layers - 1):
        found += [LeakyReLU(0.2), Rotation(generator, dimensions)]
    return Mixing(found)


def _network(matrix: Callable[[], NDArray[Any]], nonlinearity: Callable[[], Layer], layers: int) -> Mixing:
    """Return linear layers y = A x with a nonlinearity between each two."""
    import torch

    from nica_bench.mixings.layers import Linear

    found: list[Layer] = []
    for i in range(layers):
        found += [nonlinearity()] if i else []
        found += [Linear(torch.from_numpy(np.ascontiguousarray(matrix(), dtype=np.float64)))]
    return Mixing(found)


def _normalised(generator: np.random.Generator, count: int, dimensions: int) -> NDArray[np.float64]:
    """Return matrices with uniform entries and columns of norm 1, shape (count, D, D)."""
    matrices = generator.uniform(-1, 1, (count, dimensions, dimensions))
    return np.asarray(matrices / np.linalg.norm(matrices, axis=1, keepdims=True))


def _threshold(generator: np.random.Generator, dimensions: int) -> float:
    """Return the condition number below which a quarter of such matrices lies."""
    return float(np.percentile(np.linalg.cond(_normalised(generator, DRAWS, dimensions)), ACCEPTED))


def _well_conditioned(
    generator: np.random.Generator, dimensions: int, threshold: float | None = None
) -> NDArray[np.float64]:
    """Return the first drawn matrix whose condition number is at most the threshold, shape (D, D)."""
    limit = _threshold(generator, dimensions) if threshold is None else threshold
    while True:
        matrix = _normalised(generator, 1, dimensions)[0]
        if np.linalg.cond(matrix) <= limit:
            return matrix
