"""Loss curves."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from nica_bench.errors import UsageError
from nica_bench.figures.style import INK, MOST_PANELS, Drawing, Request, few_ticks, panels
from nica_bench.records.record import Record

__all__ = ["draw_loss"]

_MOST_POINTS = 400
_SHOWN = 0.98


def draw_loss(request: Request) -> Drawing:
    """Training loss at every step, a line a dataset, and the held-out loss at the end; what diverged too."""
    chosen = []
    for block in request.blocks:
        for series in block.series:
            curves = [
                (record, arrays["loss"])
                for record in series.records.values()
                if "loss" in record.array_names and "loss" in (arrays := request.arrays(record))
            ]
            if curves:
                chosen.append((block, series, curves))
    if not chosen:
        raise UsageError("no loss to draw: no record holds a loss curve; methods that train by steps leave one")
    if len(chosen) > MOST_PANELS:
        request.notes.append(
            f"the first {MOST_PANELS} of {len(chosen)} are drawn; choose others with --scenario and --method"
        )
        chosen = chosen[:MOST_PANELS]
    figure, grid = panels(len(chosen), columns=2, width=4.2, height=2.8)
    drawn: list[Record] = []
    said = []
    for axes, (block, series, curves) in zip(grid, chosen, strict=True):
        look = request.looks[series.method]
        ends, shown = [], []
        for record, loss in curves:
            steps = np.arange(1, len(loss) + 1)
            # Evenly spaced on the log axis: where lines are dense, more points would not be seen.
            kept = np.unique(np.geomspace(1, len(loss), _MOST_POINTS).astype(int)) - 1
            finite = kept[np.isfinite(loss[kept])]
            dashes = "-" if record.status == "ok" else (0, (3, 1.5))
            axes.plot(steps[finite], loss[finite], color=look.colour, alpha=0.7, linewidth=0.9, linestyle=dashes)
            shown.append(loss[finite])
            held_out = record.training.get("heldout_loss")
            if isinstance(held_out, (int, float)) and (width := record.n_observed):
                held_out *= width  # it is kept a dimension, and the curve in all
                axes.plot(len(loss) * 1.12, held_out, marker="<", color=INK, markersize=5, clip_on=False, alpha=0.8)
                ends.append(held_out)
            drawn.append(record)
        values = np.concatenate(shown) if shown else np.zeros(0)
        if values.size:  # the first steps may be a thousand times higher than all the rest
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
    handles = [
        Line2D([], [], color=INK, linewidth=0.9, label="training, a line a dataset"),
        Line2D([], [], color=INK, marker="<", linestyle="", markersize=5, label="held out, at the end"),
    ]
    if any(r.status != "ok" for r in drawn):
        handles.append(Line2D([], [], color=INK, linewidth=0.9, linestyle=(0, (3, 1.5)), label="diverged"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    alt = f"Training loss against the step, a line a dataset. {'; '.join(said[:6]) or 'No held-out loss'}."
    return Drawing(figure, alt, drawn)
