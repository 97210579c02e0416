"""Paired tests of all methods of a scenario, and the method that is significantly better than all others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nica_bench.stats.blocks import Block
from nica_bench.stats.paired import Comparison, compare, holm, signed_rank
from nica_bench.stats.quantities import Quantity
from nica_bench.stats.series import Series

__all__ = ["Pair", "best_of", "compare_all"]

SIGNIFICANT = 0.05
"""The family-wise significance level at which a method counts as the best."""


@dataclass(frozen=True)
class Pair:
    """A comparison of two methods on the datasets of which both have a record.

    Args:
        scenario, a, b: labels; a has the better median.
        comparison: the comparison of a - b; its `improvement` is the share of datasets on which a is better.
        p_holm: the p value corrected for all pairs that are tested together.
        incomplete: the number of datasets left out because only one of the two methods has a record or a value.
    """

    scenario: str
    a: str
    b: str
    comparison: Comparison
    p_holm: float
    incomplete: int


def compare_all(
    block: Block, quantity: Quantity, *, reference: str | None = None, resamples: int = 2000
) -> tuple[list[Pair], list[str]]:
    """Compare the methods and baselines of a scenario on the datasets that they share, without supervised references.

    A failed run has the score of the baseline. A dataset of which one of the two methods has no record is left out of
    that pair and counted in `incomplete`.

    Args:
        block: the records of the scenario.
        quantity: the quantity; if neither end of its range is better, it is compared as if more were better.
        reference: the method that is compared with all others; None: every two methods are compared.
        resamples: the number of resamples of the bootstrap intervals.

    Returns:
        The pairs, ordered by the median of `a`, with Holm's correction over all of them; and notes, one line each.
    """
    rivals = list(_rivals(block, quantity))
    sign = -1.0 if quantity.higher_is_better is False else 1.0
    rivals.sort(key=lambda rival: -sign * float(np.median(list(rival[1].values()))))
    pairs: list[Pair] = []
    notes = []
    for i, (first, a) in enumerate(rivals):
        for second, b in rivals[i + 1 :]:
            if reference is not None and reference not in (first.method, second.method):
                continue
            shared = [seed for seed in a if seed in b]
            incomplete = len(a.keys() | b.keys()) - len(shared)
            if incomplete:
                some = "no dataset is left" if not shared else f"{len(shared)} are compared"
                lack = "dataset has records of" if incomplete == 1 else "datasets have records of"
                notes.append(
                    f"{block.scenario}: {incomplete} {lack} only one of {first.method} and {second.method}: " + some
                )
            if not shared:
                continue
            result = compare({s: a[s] for s in shared}, {s: b[s] for s in shared}, resamples=resamples)
            if sign < 0:
                wins = result.improvement
                flipped = replace(wins, value=1 - wins.value, low=1 - wins.high, high=1 - wins.low)
                result = replace(result, improvement=flipped)
            pairs.append(Pair(block.scenario, first.method, second.method, result, result.p_value, incomplete))
    corrected = holm([pair.p_holm for pair in pairs])
    return [replace(pair, p_holm=float(p)) for pair, p in zip(pairs, corrected, strict=True)], notes


def best_of(block: Block, quantity: Quantity) -> str | None:
    """Return the method with the best median if the paired test finds it better than all others and the baselines.

    Args:
        block: the records of the scenario.
        quantity: the quantity that is compared.

    Returns:
        The label of the method; None if a Holm-corrected p value is not below .05, or there is nothing to compare with.
    """
    if quantity.higher_is_better is None:
        return None
    rivals = {s.method: scores for s, scores in _rivals(block, quantity)}
    # Six datasets are the fewest on which a two-sided signed-rank test can reach .05.
    if len(rivals) < 2 or len(block.seeds) < 6:
        return None
    sign = 1.0 if quantity.higher_is_better else -1.0
    best = max(rivals, key=lambda m: sign * float(np.median(list(rivals[m].values()))))
    own = rivals.pop(best)
    p_values = []
    for scores in rivals.values():
        difference = np.array([sign * (own[seed] - scores[seed]) for seed in own if seed in scores])
        if not difference.size or np.median(difference) <= 0:
            return None
        p_values.append(signed_rank(difference))
    return best if (holm(p_values) < SIGNIFICANT).all() else None


def _rivals(block: Block, quantity: Quantity) -> Iterator[tuple[Series, dict[int, float]]]:
    """Yield each series with its scores by dataset; failures are included, datasets without a record are left out."""
    results = block.results(quantity)
    for series in block.series:
        if series.oracle or not series.finished:
            continue
        recorded = set(series.seeds)
        scores = {seed: v for seed, v in results[series.method].by_dataset().items() if seed in recorded}
        if scores:
            yield series, scores


def p_text(p: float) -> str:
    """Return a p value as text: `.012`, or `<.001`."""
    return "<.001" if p < 0.001 else f"{p:.3f}".replace("0.", ".", 1)


def pair_notes(pairs: Sequence[Pair]) -> list[str]:
    """Return notes on the limits of all pairs together."""
    few = min((pair.comparison.count for pair in pairs), default=0)
    if pairs and few < 6:
        return [f"with {few} datasets the signed-rank test cannot reach .05, however large the difference"]
    return []
