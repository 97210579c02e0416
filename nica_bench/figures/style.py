"""The style of all figures, and the request that a figure is drawn for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.records.store import StoreError
from nica_bench.registry import added_metric
from nica_bench.stats import Block, Quantity, Series, blocks_of, quantity

__all__ = ["INK", "Drawing", "Look", "Request", "broken", "few_ticks", "label_of", "panels", "representatives", "theme"]

INK = "#262626"
"""The colour of text, axes and lines that belong to no method; a page replaces it by its own text colour."""

MOST_PANELS = 12

_MARKERS = "osD^vPX<>*p"
# Okabe & Ito 2008, "Color universal design", ordered so that neighbours differ; without black and yellow, which are
# invisible on a dark and on a white page; in their place two of Tol's muted scheme (SRON/EPS/TN/09-002).
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933")
# A grey that is legible on a white and on a dark page.
_GREY = "#808080"
_BASELINE_DASHES: Sequence[Any] = ((0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))


@dataclass(frozen=True)
class Look:
    """The style of a method, the same in every figure: colour, and marker and dashes that do not rely on colour."""

    colour: str
    marker: str
    dashes: Any


@dataclass
class Request:
    """The records to be drawn, and the options of the figure.

    Args:
        collection: the records.
        metric: the name of a quantity; None: mcc.
        ranks: the ranks of the codes to be drawn, 1 is the most important; empty: the leading codes.
        notes: what a reader must know; the drawing appends to them.
    """

    collection: Collection
    metric: str | None = None
    ranks: Sequence[int] = ()
    notes: list[str] = field(default_factory=list)

    @cached_property
    def blocks(self) -> list[Block]:
        """The records by scenario and method; remarks on them are appended to the notes."""
        blocks, notes = blocks_of(self.collection.records)
        self.notes += notes
        return blocks

    @cached_property
    def quantity(self) -> Quantity:
        """The quantity on the axis. Raises UsageError if its name is unknown or no record has it."""
        name = self.metric or "mcc"
        wanted = quantity(name, self.collection.records, added_metric(name))
        if not any(wanted.of(r) is not None for r in self.collection.records):
            if self.metric is None and self.blocks and all(block.unlabelled for block in self.blocks):
                raise UsageError(
                    f"the true latents of {self.blocks[0].scenario} are unknown, so there is no mcc; choose another "
                    "metric, such as --metric bits, bayes or knee"
                )
            raise UsageError(f"no record has the metric '{wanted.name}'; choose another with --metric")
        return wanted

    @cached_property
    def looks(self) -> Mapping[str, Look]:
        """The style of every method, by label."""
        baselines: dict[str, bool] = {}
        for block in self.blocks:
            for series in block.series:
                baselines.setdefault(series.method, not series.is_method)
        looks: dict[str, Look] = {}
        for i, label in enumerate(sorted(baselines, key=lambda name: (baselines[name], name))):
            # With more methods than colours, the colours are repeated with other dashes.
            dashes = "-" if i < len(_COLOURS) else ("--", ":", "-.")[(i // len(_COLOURS) - 1) % 3]
            if baselines[label]:
                baseline = sum(baselines[name] for name in looks)
                looks[label] = Look(
                    _GREY, _MARKERS[i % len(_MARKERS)], _BASELINE_DASHES[baseline % len(_BASELINE_DASHES)]
                )
                continue
            looks[label] = Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], dashes)
        return looks

    def shown(self) -> list[Block]:
        """Return as many blocks as one figure has room for; a note names the others."""
        most = MOST_PANELS
        if len(self.blocks) > most:
            left = ", ".join(b.scenario for b in self.blocks[most:][:3])
            self.notes.append(
                f"the first {most} of {len(self.blocks)} scenarios are drawn, not {left} ...; choose with --scenario"
            )
        return self.blocks[:most]

    def arrays(self, record: Record) -> dict[str, NDArray[Any]]:
        """Return the arrays of a record; if they cannot be read, none, and a note says so."""
        try:
            return self.collection.arrays(record)
        except StoreError as error:
            self.notes.append(f"{record.spec.short} is left out of the figure: {error}")
            return {}


@dataclass(frozen=True)
class Drawing:
    """A figure with its description.

    Args:
        figure: the figure.
        alt: the alternative text: what is drawn against what, and the main result.
        records: the records that are drawn; their seeds and versions are written into the file.
    """

    figure: Figure
    alt: str
    records: Sequence[Record]


@contextmanager
def theme() -> Iterator[None]:
    """Apply the settings of all figures, and restore the previous settings afterwards."""
    style = sns.axes_style(
        "ticks",
        {
            "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
            "grid.color": INK, "axes.grid": True, "font.family": ["sans-serif"],
            "font.sans-serif": ["DejaVu Sans", "Arial", "sans-serif"],
        },
    )  # fmt: skip
    more: dict[str, Any] = {
        "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "legend.fontsize": 8, "xtick.labelsize": 8,
        "ytick.labelsize": 8, "grid.alpha": 0.15, "grid.linewidth": 0.6, "axes.linewidth": 0.8, "lines.linewidth": 1.4,
        "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "nica-bench", "pdf.fonttype": 42,
        "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "savefig.dpi": 160,
    }  # fmt: skip
    with mpl.rc_context(cast("Any", {**style, **more})):
        yield


def panels(
    count: int, *, columns: int = 2, width: float = 4.2, height: float = 3.0, rows: int | None = None, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels in a grid, and its panels; unused panels are hidden.

    Args:
        count: the number of panels.
        columns: the largest number of panels per row.
        width, height: the size of a panel in inches.
        rows: the number of rows; None: as many as needed.
        options: options of `Figure.subplots`.
    """
    columns = min(columns, count)
    rows = rows or math.ceil(count / columns)
    figure = Figure(figsize=(max(columns * width, 5.2), rows * height), layout="constrained")
    grid = np.atleast_1d(figure.subplots(rows, columns, squeeze=False, **options)).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    return figure, list(grid[:count])


def few_ticks(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with at most one tick per decade and plain numbers, which is fast to lay out."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def broken(label: str, width: int = 38) -> str:
    """Return a label in two lines if it is wider than a panel: `gauss-2of10` and `[conditions=3,mixing=easy]`."""
    return label.replace("[", "\n[", 1) if len(label) > width else label


def label_of(wanted: Quantity) -> str:
    """Return the label of an axis: name and unit."""
    units = {
        "heldout_loss": "held-out loss (nats per dimension)", "seconds": "wall time (s per dataset)",
        "cpu_seconds": "CPU time (s per dataset)", "peak_memory_bytes": "peak memory (bytes)",
        "dimension": "estimated number of latents", "mcc": "MCC (1 = perfect recovery)",
    }  # fmt: skip
    return units.get(wanted.name, wanted.name)


def representatives(series: Series, wanted: Quantity) -> list[tuple[str, Record]]:
    """Return the best, the median and the worst finished run of a method."""
    scored = [(v, r) for r in series.records.values() if r.status == "ok" and (v := wanted.of(r)) is not None]
    scored.sort(key=lambda pair: pair[0], reverse=wanted.higher_is_better is not False)
    if len(scored) < 3:
        names = ("best", "worst")
        return [(name, record) for name, (_, record) in zip(names, scored, strict=False)]
    return [("best", scored[0][1]), ("median", scored[len(scored) // 2][1]), ("worst", scored[-1][1])]
