"""Mean correlation coefficient: codes matched to latents on one sample, scored on another.

The sum of signed correlations is divided by the true number of latents, so a missing code costs what it should and an
extra one brings nothing. Matching and signs are learned on validation data: scored on the same data, the maximum over
permutations and signs of pure noise is well above 0.
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
    """Which code stands for which latent.

    Args:
        codes: for each of the n latents the index of its code, or -1 where it has none.
        signs: for each latent the sign of the correlation when it was matched, 1 or -1; 0 where it has no code.

    Raises:
        ValueError: if the two have different lengths, a code is used twice or signs and codes contradict each other.
    """

    codes: tuple[int, ...]
    signs: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.codes) != len(self.signs):
            raise ValueError(f"expected one sign a code, got {len(self.codes)} codes and {len(self.signs)} signs")
        used = [code for code in self.codes if code != -1]
        if min(used, default=0) < 0 or len(set(used)) != len(used):
            raise ValueError(f"expected distinct codes from 0, or -1 for none, got {self.codes}")
        if any(abs(sign) != (code != -1) for code, sign in zip(self.codes, self.signs, strict=True)):
            raise ValueError(f"expected signs of 1 or -1, and 0 without a code, got {self.signs} for {self.codes}")

    def read(self, table: Matrix) -> Matrix:
        """Signed correlation of each latent with its code, from a table of correlations.

        Args:
            table: correlations, shape (n, m).

        Returns:
            Shape (n,), in [-1, 1]: positive where the learned sign holds, 0 for a latent without a code.
        """
        result = np.zeros(len(self.codes))
        for latent, (code, sign) in enumerate(zip(self.codes, self.signs, strict=True)):
            if code != -1:
                result[latent] = sign * table[latent, code]
        return result


def match(table: Matrix, candidates: Candidates) -> Assignment:
    """The one-to-one assignment with the largest sum of |correlation| (Kuhn 1955, the Hungarian method).

    Args:
        table: correlations of latents with codes, shape (n, m).
        candidates: indices of the codes that may be used; there may be fewer than n or more.

    Returns:
        A code for min(n, number of candidates) latents. A correlation of exactly 0 means an unusable code or latent;
        it is not a match, since there is no sign to learn.
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
    """Match codes with latents on the data given, which should not be the data that is scored.

    Args:
        z: latents, shape (N, n).
        codes: codes, shape (N, m).
        candidates: indices of the codes that may be used.
    """
    return match(correlation(z, codes), candidates)


def matched_correlation(assignment: Assignment, z: NDArray[Any], codes: NDArray[Any]) -> Matrix:
    """Correlation of each latent with its code, with the sign as it was learned.

    Args:
        assignment: from `assign`, on other data.
        z: latents, shape (N, n).
        codes: codes, shape (N, m).

    Returns:
        Shape (n,), in [-1, 1]; negative where the sign learned does not hold here; 0 for a latent without a code.
    """
    return assignment.read(correlation(z, codes))


def mean_correlation(matched: Matrix) -> float:
    """Sum of matched correlations over the true number of latents, in [-1, 1].

    Args:
        matched: from `matched_correlation`, shape (n,), n >= 1.
    """
    return float(matched.sum() / len(matched))


def top_codes(importance: NDArray[Any], n: int) -> NDArray[np.intp]:
    """The n codes that a method itself ranks highest.

    Args:
        importance: the method's ranking, larger is more important, shape (m,).
        n: how many.

    Returns:
        min(n, m) indices, most important first; ties in the order of the index, importance that is not finite last.
    """
    key = np.where(np.isfinite(importance), -np.asarray(importance, dtype=np.float64), np.inf)
    return np.argsort(key, kind="stable")[:n]
