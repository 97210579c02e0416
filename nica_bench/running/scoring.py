"""The scores of one fit: its output is checked once, and then scored with or without known latents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Dataset, Split
from nica_bench.method import Fitted, Method
from nica_bench.metrics import METRICS, Sample, score
from nica_bench.records.record import Status
from nica_bench.running.contract import checked_codes, checked_facts, checked_history, checked_ranking
from nica_bench.running.images import ROWS, score_without_latents, some_rows
from nica_bench.running.plan import Run
from nica_bench.seeds import Streams

__all__ = ["FitScores", "Output", "checked_output", "outcome_of", "score_output"]

Arrays = dict[str, NDArray[Any]]

KEPT_CODES = 500
"""The number of test codes in the arrays of a record, for figures."""


@dataclass(frozen=True)
class Output:
    """The checked output of a fit.

    Args:
        test: the encoded test data: all of them, or some of the images.
        codes: the codes of the test data, shape (N, m).
        validation: the codes of the validation data, shape (N', m); None for unlabelled data.
        importance: the ranking of the codes, shape (m,).
        facts: the facts of the training.
        arrays: the rankings, the loss curve and the history, for the record.
    """

    test: Split
    codes: NDArray[Any]
    validation: NDArray[Any] | None
    importance: NDArray[Any]
    facts: dict[str, Any]
    arrays: Arrays

    @property
    def encoded(self) -> list[NDArray[Any]]:
        """The codes of all encoded splits."""
        return [self.codes] if self.validation is None else [self.codes, self.validation]


@dataclass(frozen=True)
class FitScores:
    """The scores of a fit: metrics by name, dimensions by rule, notes and arrays for the record.

    Args:
        constant: whether all codes are constant.
    """

    values: dict[str, float | None]
    dimensions: dict[str, int]
    notes: list[str]
    arrays: Arrays
    constant: bool


def checked_output(method: Method, data: Dataset, fitted: Fitted) -> Output:
    """Return the output of a fit. Raises ContractError if it breaks the contract of a method."""
    labelled = data.n_latents is not None
    test = data.test if labelled else some_rows(data.test, ROWS)
    codes = checked_codes(method, fitted, test, "test")
    validation = checked_codes(method, fitted, data.validation, "validation") if labelled else None
    width = codes.shape[1]
    importance = checked_ranking(method, "importance", fitted.importance, width)
    rankings = {name: checked_ranking(method, name, values, width) for name, values in fitted.rankings.items()}
    facts, curve = checked_facts(method, fitted)
    arrays = {
        "importance": importance,
        **{f"ranking_{name}": values for name, values in rankings.items()},
        **({} if curve is None else {"loss": curve}),
        **{f"history_{name}": values for name, values in checked_history(method, fitted).items()},
    }
    return Output(test, codes, validation, importance, facts, arrays)


def score_output(run: Run, data: Dataset, fitted: Fitted, output: Output) -> FitScores:
    """Return the scores of checked codes, by comparison with the latents if they are known."""
    return (_unlabelled if data.n_latents is None else _labelled)(run, data, fitted, output)


def _labelled(run: Run, data: Dataset, fitted: Fitted, output: Output) -> FitScores:
    """Return the scores of codes on data with known latents."""
    z, validation_z = data.test.z, data.validation.z
    assert z is not None, "checked by the caller"
    assert validation_z is not None, "all splits have latents or none"
    assert output.validation is not None, "of data with latents the validation codes are made"
    scores = score(
        Sample(validation_z, output.validation, data.validation.u),
        Sample(z, output.codes, data.test.u),
        output.importance,
        Streams.of_fit(run.seed, run.training_seed).numpy("evaluation"),
        knows_dimension="n" in run.method.side_information,
    )
    arrays = {
        "correlation": scores.correlation,
        "slopes": scores.slopes,
        "assignment": np.array([scores.assignment.codes, scores.assignment.signs]),
        "z": z[:KEPT_CODES],
        "codes": output.codes[:KEPT_CODES],
        "u": data.test.u[:KEPT_CODES],
    }
    constant = bool(scores.correlation.size) and not scores.correlation.any()
    return FitScores(dict(scores.values), scores.dimensions, scores.notes, arrays, constant)


def _unlabelled(run: Run, data: Dataset, fitted: Fitted, output: Output) -> FitScores:
    """Return the scores of codes on unlabelled data; for the arrays see `nica_bench.running.images`."""
    streams = Streams.of_fit(run.seed, run.training_seed)
    scores, classes, said, arrays = score_without_latents(
        run.method, data, fitted, output.importance, output.test, output.codes, streams
    )
    # metrics that need latents are not applicable: None, which is neither a failure nor 0
    values = {**{m.name: None for m in METRICS.values() if m.needs_latents}, **scores.values, **classes}
    constant = not (output.codes.max(0) > output.codes.min(0)).any()
    return FitScores(values, scores.dimensions, [*scores.notes, *said], arrays, constant)


def outcome_of(fitted: Fitted, output: Output, scores: FitScores) -> tuple[Status, str]:
    """Return the status of a scored fit, and why it is not ok."""
    if fitted.diverged is not None:
        return Status.DIVERGED, fitted.diverged
    if not all(np.isfinite(codes).all() for codes in output.encoded):
        bad = int((~np.isfinite(output.codes)).sum())
        return Status.ERROR, f"{bad} of {output.codes.size} test codes are not finite"
    return (Status.ERROR, "all codes are constant") if scores.constant else (Status.OK, "")
