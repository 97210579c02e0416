"""Class-conditional Gaussian moments and the likelihood they give (paper, eq. 10 to 12)."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

__all__ = [
    "class_moments",
    "flow_loss_after",
    "gaussian_loss",
    "gaussian_losses",
    "gaussian_losses_after",
    "within_class_sd",
]

_SMALLEST = 1e-12


def class_moments(w: Tensor, onehot: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Moments of each class, by products with the one-hot conditions.

    Args:
        w: codes, shape (R, D, B).
        onehot: conditions, shape (R, K, B).

    Returns:
        counts (R, 1, K), means (R, D, K) and biased variances (R, D, K). The variance is made from the centred codes:
        the difference of two moments would lose the small sds of the noise dimensions in float32. A class with no
        member has mean and variance 0, one with a single member variance 0.
    """
    counts = onehot.sum(-1)[:, None]
    share = onehot.mT / counts.clamp_min(1)
    means = torch.bmm(w, share)
    centred = w - torch.bmm(means, onehot)
    return counts, means, torch.bmm(centred * centred, share)


def gaussian_losses(w: Tensor, onehot: Tensor) -> Tensor:
    """Negative log-likelihood of each code under the Gaussian mixture of its own class moments, in nats, shape (R, D).

    With the moments of the batch itself, eq. 10 is the mean over points of log sigma(u), and a constant. A class with
    fewer than two members in the batch has no variance and is left out; its share of the loss is 0.

    Args:
        w: codes, shape (R, D, B).
        onehot: conditions, shape (R, K, B).
    """
    counts, _, variances = class_moments(w, onehot)
    known = counts >= 2
    logs = torch.where(known, variances, 1.0).clamp_min(_SMALLEST).log()
    return 0.5 * (logs * (counts / w.shape[-1])).sum(-1) + 0.5 * (1 + math.log(2 * math.pi))


def gaussian_loss(w: Tensor, onehot: Tensor, means: Tensor, log_sds: Tensor) -> Tensor:
    """Negative log-likelihood of each code under given class moments, in nats, shape (R, D).

    Args:
        w: codes, shape (R, D, B).
        onehot: conditions, shape (R, K, B).
        means, log_sds: class moments, shape (R, D, K).
    """
    log_sd = torch.bmm(log_sds, onehot)
    standard = (w - torch.bmm(means, onehot)) * torch.exp(-log_sd)
    return (0.5 * standard**2 + log_sd).mean(-1) + 0.5 * math.log(2 * math.pi)


def gaussian_losses_after(w: Tensor, onehot: Tensor, train_w: Tensor, train_onehot: Tensor) -> Tensor:
    """Negative log-likelihood of each code under the class moments of *other* codes, in nats, shape (R, D).

    What a density is worth on data that it has not seen. A class with fewer than two members among the training codes
    has no variance: a standard deviation of 1 stands in its place.

    Args:
        w: codes, shape (R, D, B).
        onehot: conditions, shape (R, K, B).
        train_w, train_onehot: the codes that the moments are of, shape (R, D, N), and their conditions (R, K, N).
    """
    counts, means, variances = class_moments(train_w, train_onehot)
    log_sds = 0.5 * torch.where(counts >= 2, variances, 1.0).clamp_min(_SMALLEST).log()
    return gaussian_loss(w, onehot, means, log_sds)


def flow_loss_after(
    codes: Callable[[Tensor], tuple[Tensor, Tensor | None]], x: Tensor, onehot: Tensor, train_x: Tensor, train_u: Tensor
) -> Tensor:
    """Negative log-likelihood of data under a flow and the class moments of other data's codes, shape (R,), in nats.

    Args:
        codes: the flow, from x to codes and log|det dw/dx| (R, B), or None where that is zero.
        x, onehot: data, shape (R, D, B), and their conditions (R, K, B).
        train_x, train_u: the data that the moments are of, shape (R, D, N), and their conditions (R, K, N).
    """
    w, log_det = codes(x)
    loss = gaussian_losses_after(w, onehot, codes(train_x)[0], train_u).sum(1)
    return loss if log_det is None else loss - log_det.mean(-1)


def within_class_sd(w: Tensor, onehot: Tensor) -> Tensor:
    """Root mean square over classes of the within-class standard deviation, shape (R, D): GIN's spectrum.

    Classes with fewer than two members are left out.

    Args:
        w: codes, shape (R, D, N).
        onehot: conditions, shape (R, K, N).
    """
    counts, _, variances = class_moments(w, onehot)
    known = (counts >= 2).to(variances.dtype)
    return ((variances * known).sum(-1) / known.sum(-1).clamp_min(1)).sqrt()
