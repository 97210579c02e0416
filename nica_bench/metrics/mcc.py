"""Mean correlation coefficient (MCC): codes are matched to latents on one sample and scored on another.

The sum of signed correlations is divided by the true number of latents, so a missing code counts as 0 and an extra code
adds nothing. Assignment and signs are learned on validation data, since their maximum on the scored data itself would
be well above 0 even for pure noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics.correlation import Matrix, correlation

__all__ = ["Assignment", "assign", "match", "matched_correlation", "mean_correlation", "top_codes"]

Candidates = Sequence[int] | NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Assignment:
    """The code that is matched to each latent.

    Args:
        codes: the index of the code of each of the n latents, or -1 if it has none.
        signs: the sign of the correlation at the assignment for each latent, 1 or -1, or 0 if it has no code.

    Raises:
        ValueError: if the two have different lengths, a code is used twice or signs and codes contradict each other.
    """

    codes: tuple[int, ...]
    signs: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.signs):
            raise ValueError(f"expected one sign per code, got {len(self.codes)} codes and {len(self.signs)} signs")
        used = [code for code in self.codes if code != -1]
        if min(used, default=0) < 0 or len(set(used)) != len(used):
            raise ValueError(f"expected distinct codes from 0, or -1 for none, got {self.codes}")
        if any(abs(sign) != (code != -1) for code, sign in zip(self.codes, self.signs, strict=True)):
            raise ValueError(f"expected signs of 1 or -1, and 0 without a code, got {self.signs} for {self.codes}")

    def read(self, table: Matrix) -> Matrix:
        """Return the signed correlation of each latent with its code, from a matrix of correlations.

        Args:
            table: correlations, shape (n, m).

        Returns:
            Shape (n,), in [-1, 1]: positive if the learned sign holds, 0 for a latent without a code.
        """
        result = np.zeros(len(self.codes))
        for latent, (code, sign) in enumerate(zip(self.codes, self.signs, strict=True)):
            if code != -1:
                result[latent] = sign * table[latent, code]
        return result


def match(table: Matrix, candidates: Candidates) -> Assignment:
    """Return the one-to-one assignment with the largest sum of |correlation| (Kuhn 1955, the Hungarian method).

    Args:
        table: correlations of latents with codes, shape (n, m).
        candidates: indices of the codes that may be used; their number may be smaller or larger than n.

    Returns:
        A code for min(n, number of candidates) latents. A correlation of exactly 0, which an unusable code or latent
        has, is no match, since it has no sign.
    """
    from scipy.optimize import linear_sum_assignment

    latents = table.shape[0]
    codes, signs = [-1] * latents, [0] * latents
    pool = np.asarray(candidates, dtype=np.intp)
    rows, columns = linear_sum_assignment(np.abs(table[:, pool]), maximize=True)
    for latent, code in zip(rows.tolist(), pool[columns].tolist(), strict=True):
        value = table[latent, code]
        if value != 0:
            codes[latent], signs[latent] = code, 1 if value > 0 else -1
    return Assignment(tuple(codes), tuple(signs))


def assign(z: NDArray[Any], codes: NDArray[Any], candidates: Candidates) -> Assignment:
    """Return the assignment of codes to latents on the given data, which should not be the scored data.

    Args:
        z: latents, shape (N, n).
        codes: codes, shape (N, m).
        candidates: indices of the codes that may be used.
    """
    return match(correlation(z, codes), candidates)


def matched_correlation(assignment: Assignment, z: NDArray[Any], codes: NDArray[Any]) -> Matrix:
    """Return the correlation of each latent with its code, multiplied by the learned sign.

    Args:
        assignment: an assignment that was learned on other data, see `assign`.
        z: latents, shape (N, n).
        codes: codes, shape (N, m).

    Returns:
        Shape (n,), in [-1, 1]; negative if the learned sign does not hold; 0 for a latent without a code.
    """
    return assignment.read(correlation(z, codes))


def mean_correlation(matched: Matrix) -> float:
    """Return the sum of matched correlations divided by the true number of latents, in [-1, 1].

    Args:
        matched: the values of `matched_correlation`, shape (n,), n >= 1.
    """
    return float(matched.sum() / len(matched))


def top_codes(importance: NDArray[Any], n: int) -> NDArray[np.intp]:
    """Return the n codes that the method itself ranks highest.

    Args:
        importance: the method's own ranking, larger is more important, shape (m,).
        n: the number of codes.

    Returns:
        min(n, m) indices, most important first; ties are in the order of the index, values that are not finite last.
    """
    key = np.where(np.isfinite(importance), -np.asarray(importance, dtype=np.float64), np.inf)
    return np.argsort(key, kind="stable")[:n]
