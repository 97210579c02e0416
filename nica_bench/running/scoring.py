"""The scores of one fit: its codes are made and checked, and every metric is computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset, Split
from nica_bench.method import Fitted, Method
from nica_bench.metrics import METRICS, Metric, Sample, Scores, plug_in_scores, score
from nica_bench.records.record import Status
from nica_bench.registry import chosen_metrics
from nica_bench.running.contract import checked_codes, checked_ranking
from nica_bench.running.images import ROWS, score_without_latents, some_rows
from nica_bench.seeds import Streams

__all__ = ["KEPT_CODES", "Scoring", "score_fit"]

Arrays = dict[str, NDArray[Any]]

KEPT_CODES = 500
"""Test codes kept in a record's arrays, for figures."""


@dataclass(frozen=True)
class Scoring:
    """The scores of one fit.

    Args:
        values: metrics by name; None where one is not applicable.
        scores: those that come with a match and a correlation matrix.
        notes: remarks for people.
        arrays: for the record's file.
        status, message: whether the codes can be used, and why not.
    """

    values: dict[str, float | None]
    scores: Scores
    notes: list[str]
    arrays: Arrays
    status: Status
    message: str


def score_fit(
    method: Method, data: Dataset, fitted: Fitted, streams: Streams, metrics: Sequence[str | Metric] = ()
) -> Scoring:
    """Encode, check the contract and score.

    Args:
        method: whose fit it is: it says which side information its codes are made with.
        data: what was fitted.
        fitted: the fit.
        streams: of the fit; the chance level and the noise on images are drawn from them.
        metrics: as in `nica_bench.registry.chosen_metrics`.

    Raises:
        ContractError: if the codes or a ranking are not what they must be.
    """
    z, validation_z = data.test.z, data.validation.z
    test_split = some_rows(data.test, ROWS) if z is None else data.test
    test = checked_codes(method, fitted, test_split, "test")
    width = test.shape[1]
    importance = checked_ranking(method, "importance", fitted.importance, width)
    rankings = {name: checked_ranking(method, name, values, width) for name, values in fitted.rankings.items()}
    added = chosen_metrics(metrics)
    validation = None if z is None and not added else checked_codes(method, fitted, data.validation, "validation")
    values: dict[str, float | None]
    finite, varying = bool(np.isfinite(test).all()), bool((test.max(0) > test.min(0)).any())
    if z is None or validation_z is None:
        scores, classes, notes, arrays = score_without_latents(
            method, data, fitted, importance, test_split, test, streams
        )
        # what compares codes with latents is not applicable: null, which is no failure and not 0
        values = {**{m.name: None for m in METRICS.values() if m.needs_latents}, **scores.values, **classes}
    else:
        assert validation is not None, "it was made above"
        scores = score(
            Sample(validation_z, validation, data.validation.u),
            Sample(z, test, data.test.u),
            importance,
            streams.numpy("evaluation"),
            knows_dimension="n" in method.side_information,
        )
        values, notes = dict(scores.values), []
        arrays = {
            "correlation": scores.correlation,
            "slopes": scores.slopes,
            "assignment": np.array([scores.assignment.codes, scores.assignment.signs]),
            "z": z[:KEPT_CODES],
            # of images the leading codes are kept, see nica_bench/running/images.py
            "codes": test[:KEPT_CODES],
            "u": test_split.u[:KEPT_CODES],
        }
        finite = finite and bool(np.isfinite(validation).all())
        varying = not scores.correlation.size or bool(scores.correlation.any())
    if validation is not None and added:
        samples = _sample(data.validation, validation), _sample(test_split, test)
        own, remarks = plug_in_scores(added, *samples, importance)
        values, notes = {**values, **own}, [*notes, *remarks]
    status, message = Status.OK, ""
    if fitted.diverged is not None:
        status, message = Status.DIVERGED, fitted.diverged
    elif not finite:
        bad = int((~np.isfinite(test)).sum())
        status, message = Status.ERROR, f"{bad} of {test.size} test codes are not finite"
    elif not varying:
        status, message = Status.ERROR, "all codes are constant"
    arrays |= {"importance": importance, **{f"ranking_{name}": values for name, values in rankings.items()}}
    return Scoring(values, scores, [*scores.notes, *notes], arrays, status, message)


def _sample(split: Split, codes: NDArray[Any]) -> Sample:
    return Sample(np.zeros((len(codes), 0)) if split.z is None else split.z, codes, split.u)
