"""Spectra of unlabelled data, whose true latents are unknown, and the number of latents over training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.figures.style import INK, MOST_PANELS, Drawing, Request, few_ticks, panels
from nica_bench.metrics.knee import (
    INTERVAL_RULES,
    WIDE_DEFAULT,
    WIDE_RULES,
    estimate_dimension,
    knee_interval,
    spectrum,
)
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series

__all__ = ["draw_knee", "draw_unlabelled_spectrum"]

Found: TypeAlias = list[tuple[Record, dict[str, NDArray[Any]]]]

_ZOOMED = 50
"""The number of leading codes in the inset."""
_SHADE = "#E69F00"
# Okabe & Ito's colours; rules outside the interval are grey.
_RULES = dict(
    zip(("kneedle", "kneedle-log", "zhu-ghodsi", "line"), ("#0072B2", "#56B4E9", "#009E73", "#CC79A7"), strict=True)
)
_MARKERS = dict(zip(WIDE_RULES, "osD^vPX", strict=True))


def draw_unlabelled_spectrum(request: Request) -> Drawing:
    """Draw the spectrum on test images of every method that estimates the number of latents (paper, Figure 3).

    There is one panel per method and one line per training seed, with an inset of the leading codes, the knee by the
    default rule, and the interval of all rules. The knee of a table is that of the method's own ranking, which differs
    from this spectrum for a compressible flow.
    """
    chosen = _with_arrays(request, "test_spectrum", lambda record: "n" not in record.side_information)
    if not chosen:
        raise UsageError("no spectrum to draw: no record of a method that estimates n has a spectrum on test images")
    columns = min(3, max(sum(block is other for other, _, _ in chosen) for block, _, _ in chosen))
    figure, grid = panels(len(chosen), columns=columns, width=3.6, height=3.2, sharey=True)
    least, most = np.inf, 0.0
    said = []
    for axes, (block, series, found) in zip(grid, chosen, strict=True):
        look = request.looks[series.method]
        sigmas = [(record, np.maximum(spectrum(arrays["test_spectrum"]), 1e-6)) for record, arrays in found]
        m = max(len(sigma) for _, sigma in sigmas)
        drawn = [(axes, m)]
        if m > 3 * _ZOOMED:
            inset = axes.inset_axes((0.42, 0.5, 0.58, 0.5))
            inset.tick_params(labelsize=6.5)
            drawn.append((inset, _ZOOMED))
        # On a page the inset is transparent, so the shaded interval of the panel ends below it.
        tops = (0.43 if len(drawn) > 1 else 1.0, 1.0)
        for (part, shown), top in zip(drawn, tops, strict=False):
            for _, sigma in sigmas:
                _line(part, sigma, shown, look.colour, top=top, dotted=shown <= 2 * _ZOOMED)
            if (published := _published(found)) is not None:
                part.axvline(published + 0.5, color=INK, linestyle=(0, (1, 1.5)), linewidth=1)
            few_ticks(part, "y")
            part.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
            part.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=3))
        least = min(least, *(float(sigma[-1]) for _, sigma in sigmas))
        most = max(most, *(float(sigma[0]) for _, sigma in sigmas))
        axes.set_title(f"{series.method}: {_knees(s for _, s in sigmas)}\n{block.scenario}", loc="left", fontsize=8.5)
        axes.set_xlabel("rank of the code")
        said.append(f"{series.method} on {block.scenario} {_knees(s for _, s in sigmas)}")
    room = 2.0 if any(axes.child_axes for axes in grid) else 1.25
    grid[0].set_ylim(max(least, most * 1e-4) / 1.25, most * room)
    for axes in grid[::columns]:
        axes.set_ylabel("within-class std, test images")
    handles: list[Any] = [
        Line2D([], [], color=INK, marker="o", linestyle="", markersize=5, label=f"knee, the elbow ({WIDE_DEFAULT})"),
        Patch(color=_SHADE, alpha=0.25, label="interval of all rules"),
    ]
    if any(_published(found) is not None for _, _, found in chosen):
        handles.append(Line2D([], [], color=INK, linestyle=(0, (1, 1.5)), label="the paper's count"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    alt = (
        "Spectra on test images: the within-class standard deviation of each method's codes in descending order on a "
        "log axis, one line per training seed, with the leading codes of wide spectra in an inset. Number of latents "
        f"by the knee, and in brackets by all rules: {'; '.join(said)}."
    )
    return Drawing(figure, alt, _records(chosen))


def draw_knee(request: Request) -> Drawing:
    """Draw the number of latents by every rule over training, the last half shaded, one panel per method."""
    rules = [f"history_knee_{rule}" for rule in WIDE_RULES]
    chosen = _with_arrays(request, "history_step", lambda record: True, *rules)
    if not chosen:
        raise UsageError("no knee to draw: no record has spectra over training, which flows of images leave")
    figure, grid = panels(len(chosen), columns=2, width=4.4, height=3.3)
    said = []
    for axes, (block, series, found) in zip(grid, chosen, strict=True):
        most = 1
        for nth, (_, arrays) in enumerate(found):
            steps = arrays["history_step"]
            if nth == 0 and len(steps):
                axes.axvspan(steps[len(steps) // 2], steps[-1], color=_SHADE, alpha=0.15, linewidth=0)
            for rule in WIDE_RULES:
                knees = arrays[f"history_knee_{rule}"]
                most = max(most, int(knees.max(initial=1)))
                _rule_line(axes, rule, steps, knees, first=nth == 0)
        if most > 100:
            few_ticks(axes, "y")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=10))
        else:
            axes.set_ylim(0, most * 1.05)
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        moved = [f"{v:.0f}" for record, _ in found if (v := record.scores.get("knee_moved")) is not None]
        text = f"moved by {' and '.join(moved)} in the last half" if moved else "without a history"
        axes.set_title(f"{series.method}: knee {text}\n{block.scenario}", loc="left", fontsize=8.5)
        axes.set_xlabel("training step")
        ends = _knees(arrays["history_spectrum"][-1] for _, arrays in found)
        said.append(f"{series.method} on {block.scenario} ends with {ends} and {text}")
    for axes in grid[::2]:
        axes.set_ylabel("number of latents, by the codes' std")
    handles: list[Any] = [
        Line2D([], [], label=f"{rule}{_role(rule)}", marker=_MARKERS[rule], markersize=4, **_rule_style(rule))
        for rule in WIDE_RULES
    ]
    handles.append(Patch(color=_SHADE, alpha=0.25, label="last half"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4 if len(chosen) > 1 else 2)
    alt = (
        "Number of latents by every rule against the training step, the last half of training shaded, one line per "
        f"rule and training seed. By the default rule, {'; '.join(said)}."
    )
    return Drawing(figure, alt, _records(chosen))


def _with_arrays(request: Request, name: str, wanted: Any, *others: str) -> list[tuple[Block, Series, Found]]:
    """Return the series whose finished records hold arrays, as many as fit; baselines only if there is no method."""
    chosen = []
    for block in request.blocks:
        for series in block.series:
            found = [
                (record, arrays)
                for _, record in sorted(series.records.items())
                if record.status is Status.OK
                and wanted(record)
                and {name, *others} <= record.array_names
                and name in (arrays := request.arrays(record))
            ]
            if found:
                chosen.append((block, series, found))
    chosen = [entry for entry in chosen if entry[1].is_method] or chosen
    if len(chosen) > MOST_PANELS:
        request.notes.append(
            f"the first {MOST_PANELS} of {len(chosen)} are drawn; choose others with --scenario and --method"
        )
    return chosen[:MOST_PANELS]


def _answers(sigma: NDArray[Any]) -> tuple[int, int, int]:
    """Return the knee of a spectrum, and the ends of its interval."""
    found = estimate_dimension(sigma, wide=True)
    return found[WIDE_DEFAULT], *knee_interval(found)


def _line(axes: Axes, whole: NDArray[np.float64], shown: int, colour: str, *, top: float, dotted: bool) -> None:
    """Draw the leading values of a spectrum, its knee, and the interval up to a height of the axes."""
    knee, low, high = _answers(whole)
    sigma = whole[:shown]
    axes.axvspan(low, min(high, len(sigma)), color=_SHADE, alpha=0.15, linewidth=0, ymax=top)
    marks: dict[str, Any] = {"marker": ".", "markersize": 3} if dotted else {}
    axes.plot(np.arange(1, len(sigma) + 1), sigma, color=colour, linewidth=1.1, alpha=0.85, **marks)
    if 1 <= knee <= len(sigma):
        axes.plot(
            knee, sigma[knee - 1], marker="o", markersize=5, color=INK, markeredgecolor="white",
            markeredgewidth=0.5, zorder=4,
        )  # fmt: skip


def _knees(spectra: Iterable[NDArray[Any]]) -> str:
    """Return the knees as text: `knee 13 [8 20] and 14 [8 21]`."""
    texts = [f"{knee} [{low} {high}]" for knee, low, high in map(_answers, spectra)]
    texts = list(dict.fromkeys(texts))
    return f"knee {' and '.join(texts[:3])}{' ...' if len(texts) > 3 else ''}"


def _published(found: Found) -> int | None:
    return next((v for record, _ in found if isinstance(v := record.truth.get("paper_latents"), int)), None)


def _role(rule: str) -> str:
    return " (default)" if rule == WIDE_DEFAULT else "" if rule in INTERVAL_RULES else " (not in the interval)"


def _rule_style(rule: str) -> dict[str, Any]:
    if rule == WIDE_DEFAULT:
        return {"color": INK, "linewidth": 2.0}
    if rule in INTERVAL_RULES:
        return {"color": _RULES[rule], "linewidth": 1.2}
    return {"color": "#808080", "linewidth": 1.0, "linestyle": (0, (3, 1.5))}


def _rule_line(axes: Axes, rule: str, steps: NDArray[Any], knees: NDArray[Any], *, first: bool) -> None:
    axes.plot(
        steps, knees, marker=_MARKERS[rule], markersize=3, markevery=max(1, len(steps) // 12),
        alpha=0.95 if first else 0.5, zorder=3 if rule == WIDE_DEFAULT else 2, **_rule_style(rule),
    )  # fmt: skip


def _records(chosen: Sequence[tuple[Block, Series, Found]]) -> list[Record]:
    return [record for _, _, found in chosen for record, _ in found]
