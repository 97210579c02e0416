"""Figures of the loss over training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.figures.style import INK, MOST_PANELS, Drawing, Request, few_ticks, panels
from nica_bench.records.record import Record

__all__ = ["draw_loss"]

_MOST_POINTS = 400
_SHOWN = 0.98


def draw_loss(request: Request) -> Drawing:
    """Draw the training loss at every step and the held-out loss at its end, one line per run."""
    chosen = []
    for block in request.blocks:
        for series in block.series:
            curves = [
                (record, arrays["loss"], _dimensions(record, arrays))
                for record in series.records.values()
                if "loss" in record.array_names and "loss" in (arrays := request.arrays(record))
            ]
            if curves:
                chosen.append((block, series, curves))
    if not chosen:
        raise UsageError("no loss to draw: no record has a loss curve, which methods that train by steps leave")
    if len(chosen) > MOST_PANELS:
        request.notes.append(
            f"the first {MOST_PANELS} of {len(chosen)} are drawn; choose others with --scenario and --method"
        )
        chosen = chosen[:MOST_PANELS]
    figure, grid = panels(len(chosen), columns=2, width=4.2, height=2.8)
    drawn: list[Record] = []
    ended = False
    said = []
    for axes, (block, series, curves) in zip(grid, chosen, strict=True):
        look = request.looks[series.method]
        ends, shown = [], []
        for record, loss, dimensions in curves:
            steps = np.arange(1, len(loss) + 1)
            # Evenly spaced on the log axis, since more points would not be visible.
            kept = np.unique(np.geomspace(1, len(loss), _MOST_POINTS).astype(int)) - 1
            finite = kept[np.isfinite(loss[kept])]
            dashes = "-" if record.status == "ok" else (0, (3, 1.5))
            axes.plot(steps[finite], loss[finite], color=look.colour, alpha=0.7, linewidth=0.9, linestyle=dashes)
            shown.append(loss[finite])
            held_out = record.training.get("heldout_loss")
            if isinstance(held_out, (int, float)) and dimensions is not None:
                held_out *= dimensions  # the record has the loss per dimension, the curve the sum over dimensions
                ended = True
                axes.plot(len(loss) * 1.12, held_out, marker="<", color=INK, markersize=5, clip_on=False, alpha=0.8)
                ends.append(held_out)
            drawn.append(record)
        values = np.concatenate(shown) if shown else np.zeros(0)
        if values.size:  # the loss of the first steps may be larger by orders of magnitude
            low, high = float(values.min()), float(np.quantile(values, _SHOWN))
            low, high = min([low, *ends]), max([high, *ends])
            axes.set_ylim(low - 0.05 * (high - low or 1), high + 0.05 * (high - low or 1))
        few_ticks(axes, "x")
        axes.set_title(f"{series.method}\n{block.scenario}", loc="left", fontsize=8.5)
        axes.set_xlabel("training step")
        if ends:
            said.append(f"{series.method} on {block.scenario}: median held-out loss {float(np.median(ends)):.3f}")
    for axes in grid[::2]:
        axes.set_ylabel("loss (nats)")
    handles = [Line2D([], [], color=INK, linewidth=0.9, label="training, one line per run")]
    if ended:
        handles.append(Line2D([], [], color=INK, marker="<", linestyle="", markersize=5, label="held out, at the end"))
    if any(r.status != "ok" for r in drawn):
        handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (3, 1.5)), label="diverged"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    alt = f"Training loss against the step, one line per run. {'; '.join(said[:6]) or 'No held-out loss'}."
    return Drawing(figure, alt, drawn)


def _dimensions(record: Record, arrays: Mapping[str, NDArray[Any]]) -> int | None:
    """Return the number of observed dimensions of a record, which its stored images have if the record lacks it."""
    if record.n_observed:
        return record.n_observed
    return int(arrays["example_x"].shape[1]) if "example_x" in arrays else None
