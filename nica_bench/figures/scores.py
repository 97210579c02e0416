"""Figures of scores: all datasets, performance profiles and paired differences."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from nica_bench.errors import UsageError
from nica_bench.figures.style import INK, Drawing, Request, broken, label_of, panels
from nica_bench.records.record import Record
from nica_bench.stats import Block, Outcomes, Pair, Series, compare_all, median_interval, performance_profile
from nica_bench.stats.comparisons import p_text

__all__ = ["draw_pairs", "draw_profile", "draw_scores"]


def draw_scores(request: Request) -> Drawing:
    """Draw the score of every dataset, medians with intervals, and baselines and references as vertical lines."""
    wanted, blocks = request.quantity, request.shown()
    rows = max(sum(s.is_method for s in b.series) for b in blocks) or 1
    baselines = sorted({s.method for b in blocks for s in b.series if not s.is_method})
    figure, grid = panels(len(blocks), width=4.6, height=1.3 + 0.34 * rows, sharex=True)
    lowest = np.inf
    for axes, block in zip(grid, blocks, strict=True):
        results = block.results(wanted)
        shown = _ranked([s for s in block.series if s.is_method], results, wanted.higher_is_better)
        for i, series in enumerate(shown):
            lowest = min(lowest, _strip(axes, i, request, series, results[series.method]))
        for series in block.series:
            values = list(results[series.method].by_dataset().values())
            if not series.is_method and values:
                dashes = request.looks[series.method].dashes
                axes.axvline(float(np.median(values)), color=INK, linestyle=dashes, linewidth=1.1, zorder=1)
                lowest = min(lowest, float(np.median(values)))
        axes.set_yticks(range(len(shown)), [s.method for s in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_title(broken(block.scenario), loc="left")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
    for axes in grid:
        _limits(axes, lowest, wanted.high, wanted.scored)
        axes.tick_params(labelbottom=True)
    for axes in grid[-2:]:
        axes.set_xlabel(label_of(wanted))
    handles: list[Any] = [
        Line2D([], [], color=INK, linestyle=request.looks[name].dashes, linewidth=1.1, label=name) for name in baselines
    ]
    handles.append(Line2D([], [], color=INK, marker="|", markersize=9, linewidth=3, label="median, 95 % interval"))
    if any(o.failed + o.missing for b in blocks for o in b.results(wanted).values()):
        handles.append(
            Line2D([], [], color=INK, marker="x", linestyle="", label="failed or not run: the score of the baseline")
        )
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))
    best = "; ".join(_best(block, request) for block in blocks[:4])
    alt = f"{wanted.name} of every dataset as a point, one row per method, with median and 95 % interval. {best}."
    return Drawing(figure, alt, _records(blocks))


def _strip(axes: Axes, row: int, request: Request, series: Series, outcomes: Outcomes) -> float:
    """Draw the points and the interval of one method, and return the smallest value."""
    look = request.looks[series.method]
    finite = np.isfinite(outcomes.values)
    if not finite.any():
        return float(np.inf)
    # A deterministic jitter: the same records always give the same figure.
    spread = 0.26 * np.sin(2.4 * np.arange(len(outcomes.values)))
    for kept, marker in ((outcomes.ok & finite, look.marker), (~outcomes.ok & finite, "x")):
        axes.plot(
            outcomes.values[kept], row + spread[kept], color=look.colour, alpha=0.75, marker=marker, linestyle="",
            markersize=5, markeredgewidth=1.4 if marker == "x" else 0,
        )  # fmt: skip
    estimate = median_interval(list(outcomes.by_dataset().values()))
    if not estimate.single:
        axes.plot([estimate.low, estimate.high], [row, row], color=INK, linewidth=3, alpha=0.75, zorder=4)
    axes.plot(estimate.value, row, marker="|", color=INK, markersize=13, markeredgewidth=2, zorder=5)
    return float(outcomes.values[finite].min())


def draw_profile(request: Request) -> Drawing:
    """Draw the share of datasets above each score, one curve per method with a pointwise 95 % band."""
    wanted, blocks = request.quantity, request.shown()
    figure, grid = panels(len(blocks), width=4.4, height=3.0, sharey=True)
    handles: dict[str, Any] = {}
    for axes, block in zip(grid, blocks, strict=True):
        results = block.results(wanted)
        values = {s.method: list(results[s.method].by_dataset().values()) for s in block.series}
        every = np.concatenate([v for v in values.values() if v])
        low, high = float(every.min()), float(every.max())
        if wanted.scored:
            low, high = max(min(0.5, low), wanted.low), min(max(1.0, high), wanted.high)
        for series in block.series:
            if not values[series.method]:
                continue
            look = request.looks[series.method]
            # The profile is constant between two scores, so these thresholds suffice.
            tau = np.unique(np.clip([low, *values[series.method], high], low, high))
            profile = performance_profile(values[series.method], tau, resamples=1000)
            dashes: Any = look.dashes
            (line,) = axes.plot(
                tau, profile.share, color=look.colour, linestyle=dashes, drawstyle="steps-post", label=series.method
            )
            handles.setdefault(series.method, line)
            if series.is_method and profile.count > 1:
                low_end, high_end = profile.low, profile.high
                axes.fill_between(tau, low_end, high_end, step="post", color=look.colour, alpha=0.09, linewidth=0)
        axes.set_title(broken(block.scenario), loc="left")
        axes.set_xlabel(f"{wanted.name} above")
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(low, high)
    for axes in grid[::2]:
        axes.set_ylabel("share of datasets")
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=min(4, len(handles)))
    best = "; ".join(_best(block, request) for block in blocks[:4])
    alt = f"Performance profiles: share of datasets whose {wanted.name} is above each value, per method. {best}."
    return Drawing(figure, alt, _records(blocks))


def draw_pairs(request: Request) -> Drawing:
    """Draw paired differences to the method with the best median: points, median, interval and p value."""
    wanted = request.quantity
    shown: list[tuple[Block, str, list[Pair]]] = []
    for block in request.shown():
        results = block.results(wanted)
        ranked = _ranked([s for s in block.series if s.is_method and s.finished], results, wanted.higher_is_better)
        best = ranked[0].method if ranked else ""
        against, notes = compare_all(block, wanted, reference=best)
        request.notes += notes
        if not against:
            request.notes.append(f"{block.scenario}: no two methods share a dataset")
            continue
        shown.append((block, best, against))
    if not shown:
        raise UsageError(f"nothing to compare in {wanted.name}: two methods on the same datasets are needed")
    rows = max(len(pairs) for _, _, pairs in shown)
    figure, grid = panels(len(shown), width=4.8, height=1.2 + 0.36 * rows)
    for axes, (block, best, pairs) in zip(grid, shown, strict=True):
        results = block.results(wanted)
        own = results[best].by_dataset()
        others = [p.b if p.a == best else p.a for p in pairs]
        for i, (pair, other) in enumerate(zip(pairs, others, strict=True)):
            look = request.looks[other]
            theirs = results[other].by_dataset()
            recorded = {seed for seed, _ in _series(block, other).records} & {
                s for s, _ in _series(block, best).records
            }
            points = np.array([own[s] - theirs[s] for s in own if s in theirs and s in recorded])
            heights = i + 0.24 * np.sin(2.4 * np.arange(len(points)))
            axes.scatter(points, heights, s=20, color=look.colour, marker=look.marker, alpha=0.75, edgecolors="none")
            sign = 1 if pair.a == best else -1
            ends = sorted((sign * pair.comparison.median.low, sign * pair.comparison.median.high))
            if not pair.comparison.median.single:
                axes.plot(ends, [i, i], color=INK, linewidth=3, alpha=0.75, zorder=4)
            axes.plot(
                sign * pair.comparison.median.value,
                i,
                marker="|",
                color=INK,
                markersize=13,
                markeredgewidth=2,
                zorder=5,
            )
            axes.annotate(
                f"p {p_text(pair.p_holm)}" if pair.p_holm < 0.001 else f"p = {p_text(pair.p_holm)}",
                (1.02, i), xycoords=("axes fraction", "data"), va="center", fontsize=8,
            )  # fmt: skip
        axes.axvline(0, color=INK, linewidth=1, zorder=1)
        axes.set_yticks(range(len(others)), others)
        axes.set_ylim(len(others) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_title(broken(block.scenario), loc="left")
        axes.set_xlabel(f"{wanted.name} of {best} minus that of the other")
        sns.despine(ax=axes, left=True)
    says = "; ".join(f"{block.scenario}: {best} against {len(pairs)} others" for block, best, pairs in shown[:4])
    alt = (
        f"Paired differences in {wanted.name} between the best method and each other one, one point per dataset, "
        f"with median, 95 % interval and Holm-corrected p value. {says}."
    )
    return Drawing(figure, alt, _records([block for block, _, _ in shown]))


def _series(block: Block, method: str) -> Series:
    return next(s for s in block.series if s.method == method)


def _seeds(block: Block, method: str) -> set[int]:
    return {seed for seed, _ in _series(block, method).records}


def _ranked(series: Iterable[Series], results: dict[str, Outcomes], higher: bool | None) -> list[Series]:
    def key(s: Series) -> tuple[bool, float]:
        values = list(results[s.method].by_dataset().values())
        median = float(np.median(values)) if values else 0.0
        return not s.finished, median if higher is False else -median

    return sorted(series, key=key)


def _limits(axes: Axes, lowest: float, high: float, scored: bool) -> None:
    if scored and np.isfinite(high) and np.isfinite(lowest):
        span = max(high - lowest, 0.05)
        axes.set_xlim(lowest - 0.06 * span, high + 0.03 * span)


def _best(block: Block, request: Request) -> str:
    results = block.results(request.quantity)
    ranked = _ranked([s for s in block.series if s.is_method], results, request.quantity.higher_is_better)
    for series in ranked[:1]:
        values = list(results[series.method].by_dataset().values())
        if values:
            return f"{block.scenario}: the best median is {series.method}'s, {float(np.median(values)):.3f}"
    return f"{block.scenario}: no method"


def _records(blocks: Iterable[Block]) -> list[Record]:
    return [record for b in blocks for s in b.series for record in s.records.values()]
