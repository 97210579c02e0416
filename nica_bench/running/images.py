"""Scores of a fit on unlabelled images, whose true latents are unknown, and the arrays for its record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset, Split, spread_rows, with_image_noise
from nica_bench.method import Fitted, Method
from nica_bench.metrics import (
    ClassCodes,
    Scores,
    class_information,
    class_moments,
    knee_history,
    score_unlabelled,
    within_class_std,
)
from nica_bench.metrics.mcc import top_codes
from nica_bench.running.contract import checked_codes
from nica_bench.seeds import Streams

__all__ = ["LEADING", "LEADING_ROWS", "score_without_latents", "some_rows"]

ROWS = 10_000
"""The largest number of test images that are encoded, spread evenly over all."""
FIT_ROWS = 20_000
"""The largest number of training images on whose codes the class moments and the probe are fitted."""
LEADING, LEADING_ROWS = 32, 2_000
"""The numbers of leading codes and of test images in a record, for the consistency between training seeds."""
EXAMPLES = 2
"""The number of test images per class in a record, for figures."""


def some_rows(split: Split, count: int) -> Split:
    """Return at most `count` rows, spread evenly over a split; they do not depend on the method or its seed."""
    if len(split.u) <= count:
        return split
    rows = spread_rows(len(split.u), count)
    return Split(split.x[rows], split.u[rows])


def score_without_latents(
    method: Method,
    data: Dataset,
    fitted: Fitted,
    importance: NDArray[Any],
    test: Split,
    codes: NDArray[Any],
    streams: Streams,
) -> tuple[Scores, dict[str, float], list[str], dict[str, NDArray[Any]]]:
    """Score one fit.

    Args:
        method, data, fitted: the method, the dataset and the fit.
        importance: the checked ranking of the fit, shape (m,).
        test, codes: test images, and their checked codes (N, m).
        streams: the random streams of the fit.

    Returns:
        The scores, the accuracies of the class, notes, and arrays for the record.
    """
    scores = score_unlabelled(
        importance,
        knows_dimension="n" in method.side_information,
        heldout_loss=fitted.heldout_loss if fitted.loss is None else _loss(method, fitted, data, test, streams),
        history=fitted.history,
        published=data.truth.get("paper_latents"),
    )
    top = top_codes(importance, LEADING)
    keep = spread_rows(len(codes), LEADING_ROWS)
    arrays: dict[str, NDArray[Any]] = {
        "leading_codes": codes[np.ix_(keep, top)].astype(np.float32),
        "leading_u": test.u[keep],
        **_examples(test),
        **{f"history_{name}": values for name, values in knee_history(fitted.history).items()},
    }
    if not np.isfinite(codes).all():
        return scores, {}, [], arrays
    generator = streams.numpy("evaluation noise")
    noise = data.image_shape is not None  # of other data no scale of noise is known
    noisy = _encode(method, fitted, test, generator, noise)
    arrays["test_spectrum"] = within_class_std(noisy)
    train = _encode(method, fitted, some_rows(data.train, FIT_ROWS), generator, noise)
    arrays["class_means"], arrays["class_sds"] = class_moments(train, data.conditions)
    if data.conditions == 1:
        return scores, {}, [], arrays
    if _sees_labels(method, fitted, data, test):
        note = "its encoder uses the class, so the accuracy of the class from the codes is not computed"
        return scores, {}, [note], arrays
    knee = int(scores.values["knee"]) if "knee" in scores.values else codes.shape[1]
    return scores, class_information(train, noisy, importance, knee), [], arrays


def _loss(method: Method, fitted: Fitted, data: Dataset, test: Split, streams: Streams) -> float | None:
    """Return the loss of test data, images with `IMAGE_NOISE`, the same for all methods; None if not finite."""
    assert fitted.loss is not None, "checked by the caller"
    x = test.x
    if data.image_shape is not None:
        x = with_image_noise(x, streams.numpy("evaluation noise of the loss"))
    value = fitted.loss(x, test.u if "u" in method.side_information else None)
    return value if np.isfinite(value) else None


def _examples(test: Split) -> dict[str, NDArray[Any]]:
    """Return the first test images of each class, class by class."""
    rows = np.concatenate([np.flatnonzero(test.u == c)[:EXAMPLES] for c in np.unique(test.u)])
    return {"example_x": test.x[rows].astype(np.float32), "example_u": test.u[rows]}


def _encode(method: Method, fitted: Fitted, split: Split, generator: np.random.Generator, noise: bool) -> ClassCodes:
    x = with_image_noise(split.x, generator) if noise else split.x
    return ClassCodes(checked_codes(method, fitted, Split(x, split.u), "noisy"), split.u)


def _sees_labels(method: Method, fitted: Fitted, data: Dataset, test: Split) -> bool:
    """Whether the codes of some images change with their classes."""
    if "u" not in method.side_information:
        return False
    few = Split(test.x[:100].copy(), test.u[:100].copy())
    other = Split(few.x, (few.u + 1) % data.conditions)
    found = [checked_codes(method, fitted, split, "test") for split in (few, other)]
    return not np.allclose(found[0], found[1], rtol=1e-4, atol=1e-5)
