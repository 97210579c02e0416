"""The kinds of figures by name. Their modules are imported when one is drawn, since matplotlib takes seconds."""

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
    """A kind of figure. A new kind is a function `draw_<name>` in a module of this folder, and a line below.

    Args:
        name: the name that `plot` takes.
        help: one line of description.
        module: the module of its function.
        images: whether it shows a model of images; `run` on images draws these figures at its end.
    """

    name: str
    help: str
    module: str
    images: bool = False

    def draw(self, request: Request) -> Drawing:
        """Draw the figure. Raises UsageError if the records cannot be shown."""
        module = importlib.import_module(f"nica_bench.figures.{self.module}")
        return cast("Callable[[Request], Drawing]", getattr(module, f"draw_{self.name}"))(request)


FIGURE_KINDS: dict[str, FigureKind] = {
    kind.name: kind
    for kind in (
        FigureKind("scores", "score of every dataset, median with interval, baselines as lines", "scores"),
        FigureKind("profile", "performance profiles: share of datasets above each score, with bands", "scores"),
        FigureKind(
            "pairs",
            "paired differences to the best method on the same datasets, with Holm-corrected p values",
            "scores",
        ),
        FigureKind(
            "spectrum",
            "importance of the codes by rank for all datasets, with the knee (elbow) and the true n or the interval",
            "codes",
        ),
        FigureKind(
            "latents", "true against estimated latents by condition, for the best, median and worst dataset", "codes"
        ),
        FigureKind(
            "correlation", "matrix of |r| of latents and codes, for the best, median and worst dataset", "codes"
        ),
        FigureKind("difficulty", "score against measures of the nonlinearity of the mixing", "conditions"),
        FigureKind(
            "samples", "score and gap of the spectrum against the numbers of points and of conditions", "conditions"
        ),
        FigureKind("loss", "training loss at every step, and held-out loss", "training"),
        FigureKind("knee", "images: number of latents by every rule over training", "image_spectrum", True),
        FigureKind(
            "traversals", "images: each leading code varied from -2 to +2 std in every class", "image_sheets", True
        ),
        FigureKind("temperature", "images: samples at full and at reduced temperature", "image_sheets", True),
        FigureKind("style", "images: style of test images transferred to every class", "image_sheets", True),
        FigureKind(
            "reconstructions", "images: reconstructions of test images from their leading k codes", "image_sheets", True
        ),
    )
}
"""The kinds of `plot`, by name."""


def figure_kind(name: str) -> FigureKind:
    """Return a kind by its name.

    Raises:
        UsageError: if there is no such kind; the message names the nearest one.
    """
    if name not in FIGURE_KINDS:
        raise UsageError(f"unknown kind of figure '{name}'; {did_you_mean(name, FIGURE_KINDS)}")
    return FIGURE_KINDS[name]
