"""Base densities of a flow's codes: for each family of the paper's Table 1, the likelihood at its class-wise optimum.

Every base is a function of codes v and one-hot conditions to the mean negative log-likelihood of each code, under the
family's density of its natural coordinate v (log z, logit z) with the parameters that fit the batch best, class by
class. Where these have no closed form they are found without gradient: at the optimum the derivative by them is zero,
so the gradient with respect to the codes is exact (envelope theorem). All is in float64: a noise dimension is a gamma
with a shape of some thousands, whose likelihood is a small difference of large numbers.

A family that is not symmetric in v has a smaller likelihood for codes that point the wrong way; the flow can't turn a
code around on the way to the optimum, so the better of v and -v counts, for each code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from nica_bench.training.moments import gaussian_losses

__all__ = ["BASES", "Base", "beta_shapes", "entropy_power_sd", "gamma_shape"]

Base = Callable[[Tensor, Tensor], Tensor]
"""Codes (R, D, B) and one-hot conditions (R, K, B) to the loss of each code, (R, D), in nats."""

LARGEST = 300.0
"""Centred codes are kept within +- this before exp: float64 ends at 709."""
SMALLEST = 1e-12
"""Least spread of a class: what a class of one point or of equal points has."""


def _wide(v: Tensor, onehot: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Codes and conditions in float64 where the device has it, class averages (R, B, K), and class weights (R, 1, K).

    Classes with fewer than two members in the batch have no spread and no weight.
    """
    if v.device.type != "mps":
        v, onehot = v.double(), onehot.double()
    counts = onehot.sum(-1)[:, None]
    share = onehot.mT / counts.clamp_min(1)
    return v, onehot, share, torch.where(counts >= 2, counts, 0.0) / onehot.shape[-1]


def _centred(v: Tensor, onehot: Tensor, share: Tensor) -> Tensor:
    return (v - torch.bmm(torch.bmm(v, share), onehot)).clamp(-LARGEST, LARGEST)


def _sum(losses: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum over classes of (R, D, K); a class without weight counts nothing, whatever its loss."""
    return torch.where(weights > 0, losses * weights, 0.0).sum(-1)


def gamma_shape(s: Tensor) -> Tensor:
    """The maximum-likelihood shape k of a gamma distribution, from s = log mean z - mean log z > 0, elementwise.

    Minka's start and three of his Newton steps on 1/k (Minka 2002, Estimating a Gamma distribution, eq. 11); the series
    k = 1 / (2 s) + 1 / 6 where s < 1e-3, where it is exact to 1e-7.
    """
    s = s.clamp_min(SMALLEST)
    k = (3 - s + ((s - 3) ** 2 + 24 * s).sqrt()) / (12 * s)
    for _ in range(3):
        rate = 1 / k + (k.log() - torch.digamma(k) - s) / (k * k * (1 / k - torch.polygamma(1, k)))
        k = 1 / rate
    return torch.where(s < 1e-3, 1 / (2 * s) + 1 / 6, k)


def _gamma(s: Tensor) -> Tensor:
    """Negative log-likelihood of v = log z under the gamma that fits best: k s + k + log Gamma(k) - k log k."""
    with torch.no_grad():
        k = gamma_shape(s)
    return k * s + (k + torch.lgamma(k) - k * k.log())


def gamma_losses(v: Tensor, onehot: Tensor) -> Tensor:
    """Gamma and inverse gamma, of which one is the other for -v; see `Base`."""
    v, onehot, share, weights = _wide(v, onehot)
    c = _centred(v, onehot, share)
    up, down = (torch.log1p(torch.bmm(torch.expm1(x), share).clamp_min(SMALLEST)) for x in (c, -c))
    return torch.minimum(_sum(_gamma(up), weights), _sum(_gamma(down), weights))


def inverse_gaussian_losses(v: Tensor, onehot: Tensor) -> Tensor:
    """Inverse Gaussian, in closed form; see `Base`.

    With m+ = mean e^c and m- = mean e^-c of the centred codes the optimum is .5 log((m+ m- - 1) / m+), and a constant.
    """
    v, onehot, share, weights = _wide(v, onehot)
    c = _centred(v, onehot, share)
    up, down = (torch.bmm(torch.expm1(x), share).clamp_min(SMALLEST) for x in (c, -c))
    spread = 0.5 * (up + down + up * down).log() + 0.5 * (1 + math.log(2 * math.pi))
    return torch.minimum(_sum(spread - 0.5 * torch.log1p(up), weights), _sum(spread - 0.5 * torch.log1p(down), weights))


def beta_shapes(t: Tensor, t_one: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """The maximum-likelihood shapes (a, b) of beta distributions, elementwise.

    Starts at the moments and takes eight Newton steps, each at most to a third or three times of what was.

    Args:
        t, t_one: means of log z and of log(1 - z).
        mean, variance: moments of z.
    """
    total = (mean * (1 - mean) / variance.clamp_min(SMALLEST) - 1).clamp(1e-2, 1e8)
    a, b = mean * total, (1 - mean) * total
    for _ in range(8):
        both = torch.polygamma(1, a + b)
        first, second = torch.polygamma(1, a), torch.polygamma(1, b)
        g, h = torch.digamma(a) - torch.digamma(a + b) - t, torch.digamma(b) - torch.digamma(a + b) - t_one
        determinant = first * second - both * (first + second)
        da = ((second - both) * g + both * h) / determinant
        db = ((first - both) * h + both * g) / determinant
        a = torch.where(torch.isfinite(da), torch.clamp(a - da, a / 3, 3 * a), a)
        b = torch.where(torch.isfinite(db), torch.clamp(b - db, b / 3, 3 * b), b)
    return a, b


def beta_losses(v: Tensor, onehot: Tensor) -> Tensor:
    """Beta, for v = logit z; its mirror image is a beta too. See `Base`."""
    v, onehot, share, weights = _wide(v, onehot)
    t, t_one = torch.bmm(logsigmoid(v), share), torch.bmm(logsigmoid(-v), share)
    with torch.no_grad():
        z = torch.sigmoid(v)
        mean = torch.bmm(z, share)
        variance = torch.bmm((z - torch.bmm(mean, onehot)) ** 2, share)
        edge = torch.finfo(v.dtype).eps
        a, b = beta_shapes(t, t_one, mean.clamp(edge, 1 - edge), variance)
        log_beta = torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
    return _sum(log_beta - a * t - b * t_one, weights)


BASES: Mapping[str, Base] = {
    "normal": gaussian_losses,
    "lognormal": gaussian_losses,
    "gamma": gamma_losses,
    "inverse-gamma": gamma_losses,
    "inverse-gaussian": inverse_gaussian_losses,
    "beta": beta_losses,
}
"""The base of each family in `nica_bench.latents.FAMILIES`."""


def entropy_power_sd(losses: Tensor) -> Tensor:
    """The standard deviation of the normal distribution that has the codes' entropy: exp(h) / sqrt(2 pi e).

    Args:
        losses: what a base returns: the cross-entropy h of each code, in nats.
    """
    return (losses - 0.5 * math.log(2 * math.pi * math.e)).exp()
