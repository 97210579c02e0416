"""All metrics of one set of codes, without a run: for codes that were made elsewhere."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.api.estimators import takes_conditions
from nica_bench.dataset import Dataset, Floats, Integers, Observations
from nica_bench.errors import ContractError, UsageError
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.metrics import (
    METRICS,
    Assignment,
    Metric,
    Sample,
    assign,
    matched_correlation,
    mean_correlation,
)
from nica_bench.running.scoring import score_fit
from nica_bench.seeds import Streams

__all__ = ["Evaluation", "evaluate", "mcc"]

Encoder = Callable[..., Any]


@dataclass(frozen=True)
class Evaluation:
    """The metrics of one set of codes.

    Args:
        scores: metrics by name; None where one is not applicable.
        dimensions: the number of latents estimated from the ranking, by the name of the rule.
        assignment: for each latent the index of its code, -1 for none, and the sign of their correlation, as learned
            on validation data.
        correlation: Pearson correlation of latents and codes on test data, shape (n, D'); no rows without latents.
        notes: remarks, such as "2 of 10 codes are constant".
    """

    scores: Mapping[str, float | None]
    dimensions: Mapping[str, int]
    assignment: Assignment
    correlation: NDArray[np.floating[Any]] = field(repr=False)
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float | None:
        return self.scores[name]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return {
            "scores": dict(self.scores),
            "dimensions": dict(self.dimensions),
            "assignment": {"codes": list(self.assignment.codes), "signs": list(self.assignment.signs)},
            "correlation": self.correlation.tolist(),
            "notes": list(self.notes),
        }

    def _rows(self) -> list[tuple[str, str, str]]:
        return [
            (name, "n/a" if value is None else f"{value:.3f}", METRICS[name].description if name in METRICS else "")
            for name, value in self.scores.items()
        ]

    def __repr__(self) -> str:
        shown = [(name, value) for name, value, _ in self._rows() if value != "n/a"]
        width = max((len(name) for name, _ in shown), default=0)
        lines = [f"{name:{width}}  {value:>7}" for name, value in shown]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><th scope="row">{html.escape(name)}</th><td>{value}</td><td>{html.escape(text)}</td></tr>'
            for name, value, text in self._rows()
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        return f"<table><thead><tr><th>metric</th><th>value</th><th></th></tr></thead>{rows}</table>{notes}"


@dataclass(frozen=True)
class _Given(Method):
    """The method that stands for codes which were made elsewhere."""

    name: ClassVar[str] = "codes"

    letters: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "side_information", self.letters)

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """There is nothing to fit."""
        raise AssertionError("the codes are given")


def evaluate(
    data: Dataset,
    codes: Encoder | Sequence[Any] | Mapping[str, Any],
    importance: Any = None,
    *,
    knows_dimension: bool = False,
    metrics: Sequence[str | Metric] = (),
    seed: int = 0,
    training_seed: int = 0,
) -> Evaluation:
    """Evaluate codes as a run does: matches and signs are learned on validation data, all scores are of test data.

    Args:
        data: with or without latents.
        codes: a function from observations x (N, D), or from x and conditions u (N,), to codes (N, D'); a fitted
            object with such a `transform`; or the codes themselves, of the validation and the test part, each (N, D').
        importance: ranking of the codes, shape (D',), larger is more important; it must not come from the latents.
            None is the standard deviation of each code, on training data where `codes` is a function, else on
            validation data.
        knows_dimension: whoever made the codes knew the number of latents, so that nothing is estimated from them.
        metrics: beside those of nica-bench, or files that define some.
        seed, training_seed: of the run whose chance level is computed; other scores do not depend on them.

    Raises:
        ContractError: if the codes are not one row of real numbers for each observation, or the ranking does not fit.
        UsageError: if `codes` is none of what is taken.
    """
    letters, encode, ranking_rows = _encoder(data, codes)
    method = _Given(letters + ("n" if knows_dimension else ""))
    if importance is None:
        made = np.asarray(encode(ranking_rows.x, ranking_rows.u))
        importance = made.std(0) if made.ndim == 2 and made.dtype.kind in "fiub" else np.zeros(0)
    fitted = Fitted(encode, np.asarray(importance))
    found = score_fit(method, data, fitted, Streams.of_fit(seed, training_seed), tuple(metrics))
    return Evaluation(
        found.values, found.scores.dimensions, found.scores.assignment, found.scores.correlation, tuple(found.notes)
    )


def _encoder(data: Dataset, codes: Any) -> tuple[str, Callable[[Floats, Integers | None], Any], Any]:
    """The side information of whatever makes the codes, a function that does, and the part whose codes are ranked."""
    function = getattr(codes, "transform", codes)
    if callable(function):
        if takes_conditions(function):
            return "u", lambda x, u: function(x, u), data.train
        return "", lambda x, u: function(x), data.train
    if isinstance(codes, Mapping) or not isinstance(codes, Sequence) or len(codes) != 2:
        got = f"{type(codes).__name__} of length {len(codes)}" if isinstance(codes, Sequence) else type(codes).__name__
        raise UsageError(f"codes are a function of x or a pair of arrays (validation, test), got {got}")
    parts = [np.asarray(part) for part in codes]
    for name, part, split in zip(("validation", "test"), parts, (data.validation, data.test), strict=True):
        if part.ndim != 2 or len(part) != len(split.x):
            raise ContractError(f"{name} codes need shape ({len(split.x)}, codes), got {part.shape}")
    table = {id(data.validation.x): parts[0], id(data.test.x): parts[1]}
    return "", lambda x, u: table[id(x)], data.validation


def mcc(z: Any, codes: Any, *, validation: tuple[Any, Any] | None = None) -> float:
    """Mean correlation coefficient: codes matched one to one with latents, the sum of signed correlations over n.

    Args:
        z: latents, shape (N, n).
        codes: shape (N, m); all of them may be matched.
        validation: latents and codes of other rows, on which the match and the signs are learned, as a run does. None
            learns them on the same rows, as is usual in papers: the mean of the matched |correlations|, which is above
            0 for codes that know nothing.

    Returns:
        In [-1, 1]; a latent without a code of its own, or with a constant or non-finite one, counts as 0.

    Raises:
        ContractError: if shapes do not fit together or a latent is not finite.
    """
    test = _sample(z, codes)
    fit = test if validation is None else _sample(*validation)
    if (fit.z.shape[1], fit.codes.shape[1]) != (test.z.shape[1], test.codes.shape[1]):
        raise ContractError(
            f"expected {test.z.shape[1]} latents and {test.codes.shape[1]} codes in both samples, "
            f"got {fit.z.shape[1]} and {fit.codes.shape[1]} in validation"
        )
    assignment = assign(fit.z, fit.codes, np.arange(fit.codes.shape[1]))
    return mean_correlation(matched_correlation(assignment, test.z, test.codes))


def _sample(z: Any, codes: Any) -> Sample:
    arrays = [np.asarray(array) for array in (z, codes)]
    z, codes = (array[:, None] if array.ndim == 1 else array for array in arrays)
    sample = Sample(z, codes, np.zeros(len(z), np.int64))
    if not sample.z.shape[1]:
        raise ContractError("expected at least one latent, got none")
    return sample
