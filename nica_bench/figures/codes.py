"""Figures of codes: spectra, true against estimated latents, and correlation matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nica_bench.errors import UsageError
from nica_bench.figures.kinds import FIGURE_KINDS
from nica_bench.figures.style import INK, MOST_PANELS, Drawing, Request, few_ticks, panels, representatives
from nica_bench.metrics.knee import DEFAULT_RULE, spectrum
from nica_bench.records.record import Record
from nica_bench.stats import Block, Series

__all__ = ["draw_correlation", "draw_latents", "draw_spectrum"]

Spectrum: TypeAlias = tuple[Record, NDArray[np.float64]]
Picked: TypeAlias = list[tuple[str, Record, dict[str, NDArray[Any]]]]

_RIGHT, _WRONG = "#0072B2", "#D55E00"
_DASHED: Any = (0, (3, 1.5))
_DOTTED: Any = (0, (1, 1.5))
_MOST_LATENTS = 4
_MOST_CODES_WRITTEN = 12


def draw_spectrum(request: Request) -> Drawing:
    """Draw the ranking of each dataset in descending order on a log axis, with the estimated knee and the true n."""
    unlabelled = [block for block in request.blocks if block.unlabelled]
    if unlabelled and len(unlabelled) == len(request.blocks):
        from nica_bench.figures.image_spectrum import draw_unlabelled_spectrum

        return draw_unlabelled_spectrum(request)
    if unlabelled:
        request.notes.append(
            f"the true latents of {', '.join(b.scenario for b in unlabelled[:3])} are unknown: draw these spectra "
            "separately, with --scenario"
        )
    chosen = _spectra(request, [block for block in request.blocks if block not in unlabelled])
    # One row of panels per scenario, if a scenario has 2 to 4 panels.
    in_a_row = max(sum(block is other for other, _, _ in chosen) for block, _, _ in chosen)
    columns = in_a_row if 2 <= in_a_row <= 4 else 3
    figure, grid = panels(len(chosen), columns=columns, width=3.2, height=2.9)
    said = []
    for axes, (block, series, spectra) in zip(grid, chosen, strict=True):
        right = sum([_spectrum_line(axes, record, sigma, block.n_latents) for record, sigma in spectra])
        _spectrum_axes(axes, block.n_latents)
        axes.set_title(
            f"{series.method}: knee = n in {right} of {len(spectra)}\n{block.scenario}", loc="left", fontsize=8.5
        )
        said.append(f"{series.method} on {block.scenario}: {right} of {len(spectra)}")
    for axes in grid[::columns]:
        axes.set_ylabel("importance (std, in units of the code)")
    handles = [
        Line2D([], [], color=_RIGHT, marker="o", markersize=5, label="knee at the true n"),
        Line2D([], [], color=_WRONG, marker="X", markersize=5, linestyle=_DASHED, label="knee elsewhere"),
        Line2D([], [], color=INK, linestyle=_DOTTED, label="true n"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    alt = (
        "Spectra: each method's ranking of its codes in descending order on a log axis, one line per dataset, with the "
        f"knee and the true number of latents. Datasets whose knee is at the true number: {'; '.join(said)}."
    )
    return Drawing(figure, alt, [record for _, _, spectra in chosen for record, _ in spectra])


def _spectra(request: Request, blocks: Sequence[Block]) -> list[tuple[Block, Series, list[Spectrum]]]:
    """Return the series that estimate the number of latents, with the spectra of their runs, as many as fit."""
    chosen = []
    for block in blocks:
        for series in sorted(block.series, key=lambda s: (not s.is_method, s.method)):
            spectra = [
                (record, spectrum(arrays["importance"]))
                for record in series.records.values()
                if "n" not in record.side_information and "importance" in (arrays := request.arrays(record))
            ]
            spectra = [(record, sigma) for record, sigma in spectra if len(sigma) > 1 and sigma.any()]
            if spectra:
                chosen.append((block, series, spectra))
    if not chosen:
        raise UsageError("no spectrum to draw: no record of a method that estimates n has a ranking")
    if len(chosen) > MOST_PANELS:
        request.notes.append(
            f"the first {MOST_PANELS} of {len(chosen)} spectra are drawn; choose others with --scenario and --method"
        )
    return chosen[:MOST_PANELS]


def _spectrum_line(axes: Axes, record: Record, sigma: NDArray[np.float64], n: int | None) -> bool:
    """Draw one spectrum with its knee, and return whether the knee is at the true number of latents."""
    knee = record.dimensions.get(DEFAULT_RULE)
    right = n is not None and knee == n
    positive = np.maximum(sigma, sigma[0] * 1e-6)
    colour, dashes = (_RIGHT, "-") if right else (_WRONG, _DASHED)
    ranks = np.arange(1, len(sigma) + 1)
    axes.plot(ranks, positive, color=colour, linestyle=dashes, alpha=0.85, linewidth=1.1)
    if knee is not None and 1 <= knee <= len(sigma):
        axes.plot(
            knee, positive[knee - 1], marker="o" if right else "X", markersize=5, color=colour,
            markeredgecolor="white", markeredgewidth=0.5, zorder=4,
        )  # fmt: skip
    return right


def _spectrum_axes(axes: Axes, n: int | None) -> None:
    """Set the axes of a panel of spectra and draw the true number of latents."""
    few_ticks(axes, "y")
    if n is not None:
        axes.axvline(n + 0.5, color=INK, linestyle=_DOTTED, linewidth=1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("rank of the code")


def draw_latents(request: Request) -> Drawing:
    """Draw true latents against their codes, coloured by condition, for the best, median and worst dataset."""
    block, series = _one(request, {"codes", "z", "u", "assignment"})
    picked = [(name, record, request.arrays(record)) for name, record in representatives(series, request.quantity)]
    picked = [(name, record, arrays) for name, record, arrays in picked if "codes" in arrays]
    if not picked:
        raise UsageError(f"the arrays of {series.method} on {block.scenario} cannot be read")
    latents = picked[0][2]["z"].shape[1]
    rows = min(latents, _MOST_LATENTS)
    if latents > rows:
        request.notes.append(f"the first {rows} of {latents} latents are drawn")
    figure, grid = panels(rows * len(picked), columns=len(picked), width=2.5, height=2.4)
    most = max(int(arrays["u"].max()) for _, _, arrays in picked) + 1
    colours = sns.color_palette("viridis", most) if most > 6 else _CONDITIONS[:most]
    for column, (name, record, arrays) in enumerate(picked):
        codes, signs = (np.asarray(part) for part in arrays["assignment"])
        for row in range(rows):
            axes = grid[row * len(picked) + column]
            z, code = arrays["z"][:, row], _standard(arrays["codes"], codes[row], signs[row])
            colour = [colours[int(u)] for u in arrays["u"]]
            axes.scatter(z, code, s=5, c=colour, alpha=0.75, linewidths=0, rasterized=True)
            r = float(np.corrcoef(z, code)[0, 1]) if code.std() > 0 and z.std() > 0 else 0.0
            if row == 0:
                axes.set_title(f"{name}: seed {record.spec.seed}, {_scored(request, record)}", fontsize=8.5)
            if column == 0:
                axes.set_ylabel(f"code of latent {row + 1} (std)")
            axes.set_xlabel(f"true latent {row + 1} ({f'r = {r:.2f}' if codes[row] >= 0 else 'no code'})")
    figure.suptitle(f"{series.method} on {block.scenario}", x=0.01, ha="left", fontsize=10)
    if most <= 10:
        handles = [
            Line2D([], [], color=colours[u], marker="o", linestyle="", markersize=5, label=f"{u}") for u in range(most)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=most, title="condition", title_fontsize=8)
    alt = (
        f"Scatter of true latents against the codes that {series.method} matched to them on {block.scenario}, coloured "
        f"by condition: {_scores_text(request, picked)}."
    )
    return Drawing(figure, alt, [record for _, record, _ in picked])


_CONDITIONS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]


def draw_correlation(request: Request) -> Drawing:
    """Draw |Pearson r| of every latent with every code, codes by rank; the assignment behind the MCC is framed."""
    block, series = _one(request, {"correlation", "importance", "assignment"})
    picked = [(name, record, request.arrays(record)) for name, record in representatives(series, request.quantity)]
    picked = [(name, record, arrays) for name, record, arrays in picked if "correlation" in arrays]
    if not picked:
        raise UsageError(f"the arrays of {series.method} on {block.scenario} cannot be read")
    latents, codes = picked[0][2]["correlation"].shape
    tall = len(picked) if latents <= 12 else 1
    figure, grid = panels(
        len(picked), columns=1 if tall > 1 else len(picked), width=max(5.6, min(0.42 * codes, 9)),
        height=max(1.25, 0.3 * latents + 0.75),
    )  # fmt: skip
    for axes, (name, record, arrays) in zip(grid, picked, strict=True):
        order = np.argsort(-np.nan_to_num(arrays["importance"]), kind="stable")
        table = np.abs(arrays["correlation"])[:, order]
        written = codes <= _MOST_CODES_WRITTEN and latents <= _MOST_CODES_WRITTEN
        sns.heatmap(
            table, ax=axes, vmin=0, vmax=1, cmap="cividis", annot=written, fmt=".2f", annot_kws={"fontsize": 7},
            cbar=False, linewidths=0.4 if written else 0, rasterized=not written,
            yticklabels=[f"z{i + 1}" for i in range(latents)], xticklabels=_ranks(codes),
        )  # fmt: skip
        for text in axes.texts:  # on a light cell: black, since the ink of a dark page is light
            if text.get_color() == ".15":
                text.set_color("black")
        where = {int(code): rank for rank, code in enumerate(order)}
        for latent, code in enumerate(arrays["assignment"][0]):
            if int(code) in where:
                frame = Rectangle((where[int(code)], latent), 1, 1, fill=False, edgecolor="#D55E00", linewidth=2.2)
                axes.add_patch(frame)
        axes.tick_params(length=0)
        axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
        axes.set_title(f"{name}: seed {record.spec.seed}, {_scored(request, record)}", loc="left", fontsize=8.5)
    grid[-1].set_xlabel("code, by the method's own rank")
    figure.colorbar(grid[0].collections[0], ax=grid, label="|r|", shrink=0.9, aspect=30)
    figure.suptitle(f"{series.method} on {block.scenario}", x=0.01, ha="left", fontsize=10)
    alt = (
        f"Absolute correlation of each latent with each code of {series.method} on {block.scenario}, codes by rank, "
        f"the assignment framed: {_scores_text(request, picked)}."
    )
    return Drawing(figure, alt, [record for _, record, _ in picked])


def _ranks(codes: int) -> list[str]:
    step = 1 if codes <= 20 else 5 if codes <= 60 else 20
    return [str(rank) if rank == 1 or rank % step == 0 else "" for rank in range(1, codes + 1)]


def _one(request: Request, names: set[str]) -> tuple[Block, Series]:
    """Return the series to be drawn: that of the best median among those with the arrays, on the first scenario."""
    if request.blocks and all(block.unlabelled for block in request.blocks):
        raise UsageError(
            f"the true latents of {request.blocks[0].scenario} are unknown, so codes cannot be compared with them; "
            f"figures of images: spectrum, {', '.join(kind.name for kind in FIGURE_KINDS.values() if kind.images)}"
        )
    wanted = request.quantity
    for block in request.blocks:
        results = block.results(wanted)
        found: list[tuple[bool, float, Series]] = []
        for series in block.series:
            values = list(results[series.method].by_dataset().values())
            has = any(names <= r.array_names for _, r in representatives(series, wanted))
            if has and values:
                median = float(np.median(values))
                found.append((not series.is_method, median if wanted.higher_is_better is False else -median, series))
        if not found:
            continue
        _, _, series = min(found, key=lambda item: item[:2])
        if len(request.blocks) > 1 or len(block.series) > 1:
            request.notes.append(
                f"{series.method} on {block.scenario} is drawn; choose others with --scenario and --method"
            )
        return block, series
    raise UsageError(f"no finished record holds the arrays {', '.join(sorted(names))} that this figure is drawn from")


def _scored(request: Request, record: Record) -> str:
    value = request.quantity.of(record)
    return f"{request.quantity.name} {value:.3f}" if value is not None else "no score"


def _scores_text(request: Request, picked: Picked) -> str:
    return "; ".join(f"{name} dataset (seed {r.spec.seed}) {_scored(request, r)}" for name, r, _ in picked)


def _standard(codes: NDArray[Any], index: int, sign: int) -> NDArray[np.float64]:
    """Return a code with the sign of the assignment, mean 0 and std 1; zeros if there is none or it is constant."""
    if index < 0:
        return np.zeros(len(codes))
    column = np.nan_to_num(np.asarray(codes[:, index], dtype=np.float64)) * sign
    std = column.std()
    return (column - column.mean()) / std if std > 0 else column * 0
