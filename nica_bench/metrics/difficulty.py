"""The difficulty of a dataset: the scores of linear methods and raw coordinates, and the nonlinearity of the mixing.

Every record contains these measures, so that a score can be compared with them. They are computed from the true latents
and no method sees them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Floats, Split
from nica_bench.metrics import assign, correlation, matched_correlation, mean_correlation

__all__ = ["DIFFICULTY", "linear_correlation", "measure_difficulty"]

DIFFICULTY = {
    "linear_r": "mean correlation of z with its linear regression on x, on test data",
    "raw_best": "MCC of the raw coordinates of x, any of which may be matched",
    "pca": "MCC of the first n principal components",
    "log_det_sd": "std of log|det J| of the mixing over the data, 0 for a volume-preserving mixing",
    "max_sd": "largest standard deviation of a coordinate of x",
}
"""The description of each measure, by name."""


def linear_correlation(x: Floats, z: Floats, x_test: Floats, z_test: Floats) -> float:
    """Return the mean correlation of z with its linear regression on x, fitted on training and evaluated on test data.

    Args:
        x, z: training data, float64, shapes (N, D) and (N, n).
        x_test, z_test: test data, shapes (M, D) and (M, n).
    """
    mean = x.mean(0)
    weights, *_ = np.linalg.lstsq(x - mean, z - z.mean(0), rcond=None)
    return float(np.mean(np.diag(correlation(z_test, (x_test - mean) @ weights))))


def measure_difficulty(train: Split, test: Split, log_det: NDArray[np.floating[Any]] | None = None) -> dict[str, float]:
    """Return the measures of `DIFFICULTY` of one dataset.

    Args:
        train: the data on which the regression and the principal components are fitted.
        test: the data on which they are evaluated.
        log_det: log|det J| of the mixing at training points, shape (N,); None where the mixing is
            unknown, so that `log_det_sd` is left out.
    """
    assert train.z is not None, "difficulty is measured from the latents"
    assert test.z is not None, "difficulty is measured from the latents"
    x, z = train.x.astype(np.float64), train.z.astype(np.float64)
    x_test, z_test = test.x.astype(np.float64), test.z.astype(np.float64)
    n = z.shape[1]
    mean = x.mean(0)
    _, axes = np.linalg.eigh(np.atleast_2d(np.cov(x, rowvar=False)))
    components = axes[:, ::-1][:, :n]

    def matched(codes: NDArray[Any], codes_test: NDArray[Any]) -> float:
        assignment = assign(z, codes, np.arange(codes.shape[1]))
        return mean_correlation(matched_correlation(assignment, z_test, codes_test))

    return {
        "linear_r": linear_correlation(x, z, x_test, z_test),
        "raw_best": matched(x, x_test),
        "pca": matched((x - mean) @ components, (x_test - mean) @ components),
        **({} if log_det is None else {"log_det_sd": float(log_det.std())}),
        "max_sd": float(x.std(0).max()),
    }
