"""The kinds of figures by name. Their modules are imported when one is drawn: matplotlib takes seconds."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from nica_bench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from nica_bench.figures.style import Drawing, Request

__all__ = ["FIGURE_KINDS", "FigureKind", "figure_kind"]


@dataclass(frozen=True)
class FigureKind:
    """A kind of figure. A new one is a function `draw_<name>` in a module here, and a line below.

    Args:
        name: what `plot` takes.
        help: one line.
        module: where its function is.
        images: it is of a model of images, whose latents nobody knows; `run` on images draws these at its end.
    """

    name: str
    help: str
    module: str
    images: bool = False

    def draw(self, request: Request) -> Drawing:
        """Draw it. Raises UsageError for records that it cannot show."""
        module = importlib.import_module(f"nica_bench.figures.{self.module}")
        return cast("Callable[[Request], Drawing]", getattr(module, f"draw_{self.name}"))(request)


FIGURE_KINDS: dict[str, FigureKind] = {
    kind.name: kind
    for kind in (
        FigureKind("scores", "every dataset a point, median with interval, baselines as lines", "scores"),
        FigureKind("profile", "share of datasets above each score, with bands", "scores"),
        FigureKind("pairs", "paired differences to the best method by dataset; p by Holm over those drawn", "scores"),
        FigureKind("spectrum", "the ranking of the codes, with knee and true n or interval, all datasets", "codes"),
        FigureKind("latents", "true against estimated latents by condition: best, median and worst dataset", "codes"),
        FigureKind("correlation", "the |r| matrix of latents and codes: best, median and worst dataset", "codes"),
        FigureKind("difficulty", "score against the mixing's measured nonlinearity", "conditions"),
        FigureKind("samples", "score and spectrum against the number of points and of conditions", "conditions"),
        FigureKind("loss", "training loss at every step, and the held-out loss", "training"),
        FigureKind("knee", "of images: the number of latents by every rule over training", "image_spectrum", True),
        FigureKind("traversals", "of images: each leading code from -2 to +2 sd in every class", "image_sheets", True),
        FigureKind("temperature", "of images: samples at full and at reduced temperature", "image_sheets", True),
        FigureKind("style", "of images: the style of test images in every class", "image_sheets", True),
        FigureKind("reconstructions", "of images: test images from their top k codes", "image_sheets", True),
    )
}
"""What `plot` takes."""


def figure_kind(name: str) -> FigureKind:
    """A kind by its name. Raises UsageError where there is none, with the nearest that there are."""
    if name not in FIGURE_KINDS:
        raise UsageError(f"unknown kind of figure '{name}'; {did_you_mean(name, FIGURE_KINDS)}")
    return FIGURE_KINDS[name]
