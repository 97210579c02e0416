"""Sheets of small images in labelled rows and columns, laid out in whole pixels.

At 1.7 times its size an image of 28 x 28 pixels would have rows of unequal heights. Here every pixel is repeated an
integer number of times and aligned with the pixels of a PNG file; SVG and PDF files embed the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["Tiles", "sheet", "tiled"]

DPI = 160
"""The resolution of the files, `savefig.dpi` of the theme."""

_GAP = 2
"""The gap between images in pixels."""
_PIXEL = 72 / DPI
"""The size of a pixel in points."""
_LABEL, _TITLE = 7.0, 8.5
"""Font sizes in points."""
_LINE = 1.35
"""The height of a line of text in font sizes."""
_LETTER = 0.64
"""The width of a letter in font sizes; most letters are narrower."""
_MARGIN = 16
"""The margin at the border and between blocks in pixels."""


@dataclass(frozen=True)
class Tiles:
    """A block of images of one size.

    Args:
        images: images, shape (R, C, h, w); values that are not finite are transparent.
        title: the title above the block.
        rows, columns: labels of the R rows and C columns; may be empty.
        heat: whether values are drawn in colours, from 0 to the largest value of the block, not in greys from 0 to 1.
        close: whether the block stands close to the one at its left.
    """

    images: NDArray[Any]
    title: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    heat: bool = False
    close: bool = False


def tiled(images: NDArray[Any], times: int) -> NDArray[np.float32]:
    """Return images (R, C, h, w) in one image with NaN between them, each pixel repeated `times` in both directions."""
    rows, columns, h, w = images.shape
    high, wide = h * times + _GAP, w * times + _GAP
    whole = np.full((rows * high - _GAP, columns * wide - _GAP), np.nan, np.float32)
    for i in range(rows):
        for j in range(columns):
            one = np.repeat(np.repeat(images[i, j], times, 0), times, 1)
            whole[i * high : i * high + h * times, j * wide : j * wide + w * times] = one
    return whole


def sheet(blocks: Sequence[Sequence[Tiles]], *, heading: str, side: int = 44) -> Figure:
    """Return a figure of blocks of images.

    Args:
        blocks: the rows of blocks, from the top.
        heading: the heading of the figure; it may have several lines.
        side: the approximate height of an image in pixels.
    """
    times = max(1, round(side / blocks[0][0].images.shape[-2]))
    lines = heading.count("\n") + 1
    y = _MARGIN // 2 + _text(_TITLE + 1) * lines + _MARGIN // 2
    placed: list[tuple[Tiles, NDArray[np.float32], int, int]] = []
    right = 2 * _MARGIN + max(_wide(line, _TITLE + 1) for line in heading.split("\n"))
    beside = max(_beside(row[0]) for row in blocks)  # the first blocks of all rows are aligned at the left
    for row in blocks:
        labels = max(_text(_LABEL) if block.columns else 0 for block in row)
        above = labels + max(_text(_TITLE) if block.title else 0 for block in row)
        x, bottom = 0, y
        for i, block in enumerate(row):
            whole = tiled(block.images, times)
            x += _GAP * 4 if block.close else _MARGIN + (_beside(block) if i else beside)
            placed.append((block, whole, x, y + above))
            right = max(right, x + _wide(block.title, _TITLE) + _MARGIN)
            x += whole.shape[1]
            bottom = max(bottom, y + above + whole.shape[0])
        right, y = max(right, x + _MARGIN), bottom + _MARGIN
    # Without a layout engine, which would move the blocks.
    figure = Figure(figsize=(right / DPI, y / DPI), dpi=DPI)
    figure.text(
        _MARGIN / right, 1 - _MARGIN / 2 / y, heading, ha="left", va="top", fontsize=_TITLE + 1, linespacing=_LINE
    )
    for block, whole, left, top in placed:
        high, wide = whole.shape
        axes = figure.add_axes((left / right, 1 - (top + high) / y, wide / right, high / y))
        _draw(axes, block, whole, times)
    return figure


def _draw(axes: Axes, block: Tiles, whole: NDArray[np.float32], times: int) -> None:
    high, wide = whole.shape
    colours = mpl.colormaps["inferno" if block.heat else "gray"].with_extremes(bad=(0, 0, 0, 0))
    most = max(float(np.nanmax(whole, initial=0.0)), 1e-12) if block.heat else 1.0
    axes.imshow(
        np.ma.masked_invalid(whole), cmap=colours, vmin=0, vmax=most, interpolation="nearest", aspect="auto",
        extent=(0, wide, high, 0),
    )  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.grid(visible=False)
    axes.set_xticks(_middles(block.columns, block.images.shape[3] * times), block.columns)
    axes.set_yticks(_middles(block.rows, block.images.shape[2] * times), block.rows)
    axes.tick_params(length=0, pad=2, labelsize=_LABEL, top=True, labeltop=True, bottom=False, labelbottom=False)
    if block.title:
        above = _text(_LABEL) if block.columns else 0
        axes.annotate(
            block.title, (0, 1), (0, (above + 4) * _PIXEL), xycoords="axes fraction", textcoords="offset points",
            ha="left", va="bottom", fontsize=_TITLE, annotation_clip=False,
        )  # fmt: skip


def _middles(labels: Sequence[str], size: int) -> list[float]:
    return [i * (size + _GAP) + size / 2 for i in range(len(labels))]


def _beside(block: Tiles) -> int:
    return max((_wide(label, _LABEL) for label in block.rows), default=0)


def _text(size: float) -> int:
    return round(size * _LINE / _PIXEL)


def _wide(text: str, size: float) -> int:
    return round(len(text) * _LETTER * size / _PIXEL)
