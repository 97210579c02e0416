"""Class information in codes: the accuracy of classifiers of the class from the codes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["bayes_accuracy", "probe_accuracy"]

Labels = NDArray[np.integer[Any]]

_ITERATIONS = 300


def bayes_accuracy(fit_codes: NDArray[Any], fit_u: Labels, codes: NDArray[Any], u: Labels) -> float:
    """Return the accuracy of naive Bayes with a normal density per class and code, which is GIN's model of its codes.

    Args:
        fit_codes, fit_u: codes and classes to fit on, shapes (N, k) and (N,).
        codes, u: codes and classes to evaluate on, shapes (M, k) and (M,).

    Returns:
        The accuracy, in [0, 1].
    """
    from sklearn.naive_bayes import GaussianNB

    model = GaussianNB().fit(fit_codes.astype(np.float64), fit_u)
    return float(np.mean(model.predict(codes.astype(np.float64)) == u))


def probe_accuracy(fit_codes: NDArray[Any], fit_u: Labels, codes: NDArray[Any], u: Labels) -> float:
    """Return the accuracy of a linear probe: multinomial logistic regression on standardised codes, penalty C = 1.

    Args:
        fit_codes, fit_u: codes and classes to fit on, shapes (N, k) and (N,).
        codes, u: codes and classes to evaluate on, shapes (M, k) and (M,).

    Returns:
        The accuracy, in [0, 1].
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    fit_codes, codes = fit_codes.astype(np.float64), codes.astype(np.float64)
    centre, scale = fit_codes.mean(0), fit_codes.std(0)
    scale[scale == 0] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the accuracy converges long before the weights do
        model = LogisticRegression(max_iter=_ITERATIONS).fit((fit_codes - centre) / scale, fit_u)
    return float(np.mean(model.predict((codes - centre) / scale) == u))
