"""Figures of scores against the difficulty of the mixing, the number of points and the number of conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nica_bench.errors import UsageError
from nica_bench.figures.style import INK, Drawing, Request, few_ticks, label_of, panels
from nica_bench.metrics.knee import spectrum
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series, median_interval

__all__ = ["draw_difficulty", "draw_samples"]

# label of the axis, and whether it shows 1 - the measure, so that larger values are always harder
_MEASURES = {
    "linear_r": ("1 - r of linear regression (0 = linear mixing)", True),
    "log_det_sd": ("std of log|det J| (0 = volume-preserving)", False),
    "raw_best": ("1 - best |r| of the raw coordinates", True),
}
# A code below this share of the largest one is zero up to rounding noise.
_NOTHING = 1e-6
_SWEPT = {"samples": "training points", "conditions": "number of conditions"}


def draw_difficulty(request: Request) -> Drawing:
    """Draw the score of each method on each dataset against several measures of the nonlinearity of the mixing."""
    wanted = request.quantity
    measures = [m for m in _MEASURES if any(r.difficulty.get(m) is not None for r in request.collection.records)]
    if not measures:
        raise UsageError("no record has measures of difficulty (field 'difficulty')")
    figure, grid = panels(len(measures), columns=3, width=3.3, height=3.3, sharey=True)
    drawn: list[Record] = []
    methods: dict[str, None] = {}
    trends = []
    for axes, measure in zip(grid, measures, strict=True):
        label, turned = _MEASURES[measure]
        points: dict[str, list[tuple[float, float]]] = {}
        for block in request.blocks:
            for series in block.series:
                if not series.is_method:
                    continue
                for record in series.records.values():
                    value, x = wanted.of(record), record.difficulty.get(measure)
                    if record.status is Status.OK and value is not None and x is not None:
                        points.setdefault(series.method, []).append((1 - x if turned else x, value))
                        drawn.append(record)
        for method, pairs in points.items():
            look = request.looks[method]
            x, y = np.array(pairs).T
            axes.scatter(
                x, y, s=18, color=look.colour, marker=look.marker, alpha=0.6, edgecolors="none", rasterized=len(x) > 500
            )
            methods[method] = None
            if measure == measures[0] and len(x) > 2:
                trends.append(f"{method} {_rank_correlation(x, y):+.2f}")
            _trend(axes, x, y, look.colour, look.dashes)
        spread = np.array([x for pairs in points.values() for x, _ in pairs])
        if spread.size and spread.min() > 0 and spread.max() > 20 * spread.min():
            few_ticks(axes, "x")
        axes.set_xlabel(label)
    if not drawn:
        raise UsageError(f"no finished record has both {wanted.name} and a difficulty")
    lost = sum(r.status is not Status.OK and r.kind == "method" for r in request.collection.records)
    if lost:
        request.notes.append(
            f"{lost} runs failed and are not drawn, since their records have no measures of difficulty"
        )
    grid[0].set_ylabel(label_of(wanted))
    _legend(figure, request, methods)
    alt = (
        f"{wanted.name} of every dataset against measures of the nonlinearity of its mixing, with the running median. "
        f"Rank correlation with 1 - r of linear regression: {', '.join(trends) or 'too few datasets'}."
    )
    return Drawing(figure, alt, drawn)


def _legend(figure: Figure, request: Request, methods: Iterable[str]) -> None:
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle=look.dashes, label=method)
        for method, look in request.looks.items()
        if method in methods
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4))


def _trend(axes: Axes, x: Any, y: Any, colour: str, dashes: Any) -> None:
    """Draw the medians of thirds of the points, or of quarters if there are 24 or more."""
    parts = 4 if len(x) >= 24 else 3
    if len(x) < 3 * parts:
        return
    groups = np.array_split(np.argsort(x, kind="stable"), parts)
    axes.plot([np.median(x[g]) for g in groups], [np.median(y[g]) for g in groups], color=colour, linestyle=dashes)


def _rank_correlation(x: Any, y: Any) -> float:
    from nica_bench.metrics import correlation, ranks

    return float(correlation(ranks(x[:, None]), ranks(y[:, None]))[0, 0])


def draw_samples(request: Request) -> Drawing:
    """Draw the score and the gap of the spectrum after n against the number of points and the number of conditions."""
    wanted = request.quantity
    sweeps = {name: sweep for name in _SWEPT if (sweep := _sweep(request, name)) is not None}
    if not sweeps:
        raise UsageError(
            "no parameter varies: run one scenario with several --samples or --conditions, other parameters equal"
        )
    figure, grid = panels(2 * len(sweeps), columns=len(sweeps), rows=2, width=4.0, height=2.7, sharex="col")
    methods: dict[str, None] = {}
    drawn: list[Record] = []
    for column, (name, blocks) in enumerate(sweeps.items()):
        top, bottom = grid[column], grid[len(sweeps) + column]
        values = sorted(blocks)
        labels = dict.fromkeys(s.method for b in blocks.values() for s in b.series if not s.oracle)
        for i, method in enumerate(sorted(labels)):
            # Shifted a little, so that the intervals of several methods do not overlap.
            shift = (values[-1] / values[0]) ** (0.012 * (i - (len(labels) - 1) / 2))
            at: list[tuple[float, Block, Series]] = [
                (value * shift, blocks[value], s)
                for value in values
                for s in blocks[value].series
                if s.method == method
            ]
            look = request.looks[method]
            _curve(top, at, request, look.colour, look.marker, look.dashes)
            _gaps(bottom, at, request, look.colour, look.marker, look.dashes)
            methods[method] = None
            drawn += [record for _, _, s in at for record in s.records.values()]
        fixed = next(iter(blocks.values())).spec
        others = [f"{k} {v}" for k, v in fixed.scenario_parameters.items() if k in _SWEPT and k != name]
        top.set_title(f"{fixed.scenario}" + (f", {', '.join(others)}" if others else ""), loc="left")
        for axes in (top, bottom):
            axes.set_xscale("log")
            axes.set_xticks(values, [f"{v:g}" for v in values])
            axes.minorticks_off()
        few_ticks(bottom, "y")
        bottom.axhline(1, color=INK, linewidth=0.8)
        bottom.set_xlabel(_SWEPT[name])
    grid[0].set_ylabel(f"{label_of(wanted)}" if len(label_of(wanted)) < 24 else wanted.name)
    grid[len(sweeps)].set_ylabel("gap in the spectrum at n\n(importance of n / of n + 1)")
    _legend(figure, request, methods)
    points = {name: ", ".join(f"{v:g}" for v in sorted(blocks)) for name, blocks in sweeps.items()}
    what = " and ".join(f"{_SWEPT[name]} ({text})" for name, text in points.items())
    alt = f"Median {wanted.name} with 95 % interval, and the gap in the spectrum at the true n, against {what}."
    return Drawing(figure, alt, drawn)


def _sweep(request: Request, name: str) -> Mapping[float, Block] | None:
    """Return the largest group of scenarios that differ in one parameter only, by its value; a note names the rest."""
    families: dict[str, dict[float, Block]] = {}
    for block in request.blocks:
        parameters = dict(block.spec.scenario_parameters)
        value = parameters.pop(name, None)
        if isinstance(value, (int, float)) and value > 0:
            key = f"{block.spec.scenario} {block.spec.scenario_version} {sorted(map(str, parameters.items()))}"
            families.setdefault(key, {})[float(value)] = block
    swept = [family for family in families.values() if len(family) > 1]
    if not swept:
        return None
    most = max(swept, key=len)
    if len(swept) > 1:
        first = next(iter(most.values())).scenario
        request.notes.append(f"{len(swept)} groups of scenarios differ in {name} only; that of {first} is drawn")
    return most


def _curve(
    axes: Axes, at: list[tuple[float, Block, Series]], request: Request, colour: str, marker: str, line: Any
) -> None:
    xs, estimates = [], []
    for x, block, series in at:
        values = list(block.outcomes(series, request.quantity).by_dataset().values())
        if values:
            xs.append(x)
            estimates.append(median_interval(values))
    if not xs:
        return
    axes.plot(xs, [e.value for e in estimates], color=colour, marker=marker, markersize=5, linestyle=line)
    axes.vlines(xs, [e.low for e in estimates], [e.high for e in estimates], color=colour, alpha=0.6, linewidth=1.2)


def _gaps(
    axes: Axes, at: list[tuple[float, Block, Series]], request: Request, colour: str, marker: str, line: Any
) -> None:
    """Draw sigma_n / sigma_{n+1} of the method's own ranking, if it is not given n and has more than n codes."""
    xs, medians = [], []
    for x, block, series in at:
        n = block.n_latents
        gaps = []
        for record in series.records.values():
            if n is None or "n" in record.side_information or record.status is not Status.OK:
                continue
            importance = request.arrays(record).get("importance")
            if importance is not None and len(importance) > n:
                sigma = spectrum(importance)
                if sigma[n] > _NOTHING * sigma[0]:
                    gaps.append(float(sigma[n - 1] / sigma[n]))
        if gaps:
            axes.scatter([x] * len(gaps), gaps, s=10, color=colour, marker=marker, alpha=0.45, edgecolors="none")
            xs.append(x)
            medians.append(float(np.median(gaps)))
    if xs:
        axes.plot(xs, medians, color=colour, marker=marker, markersize=5, linestyle=line)
