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
    """

    name: str
    help: str
    module: str

    def draw(self, request: Request) -> Drawing:
        """Draw it. Raises UsageError for records that it cannot show."""
        module = importlib.import_module(f"nica_bench.figures.{self.module}")
        return cast("Callable[[Request], Drawing]", getattr(module, f"draw_{self.name}"))(request)


FIGURE_KINDS: dict[str, FigureKind] = {
    kind.name: kind
    for kind in (
        FigureKind("scores", "every dataset a point, median with interval, floors as lines", "scores"),
        FigureKind("profile", "share of datasets above each score, with bands", "scores"),
        FigureKind("pairs", "paired differences to the best method by dataset; p by Holm over those drawn", "scores"),
        FigureKind("spectrum", "each method's ranking of its codes, with knee and true n, all datasets", "codes"),
        FigureKind("latents", "true against estimated latents by condition: best, median and worst dataset", "codes"),
        FigureKind("correlation", "the |r| matrix of latents and codes: best, median and worst dataset", "codes"),
        FigureKind("difficulty", "score against the mixing's measured nonlinearity", "conditions"),
        FigureKind("samples", "score and spectrum against the number of points and of conditions", "conditions"),
        FigureKind("loss", "training loss at every step, and the held-out loss", "training"),
    )
}
"""What `plot` takes."""


def figure_kind(name: str) -> FigureKind:
    """A kind by its name. Raises UsageError where there is none, with the nearest that there are."""
    if name not in FIGURE_KINDS:
        raise UsageError(f"unknown kind of figure '{name}'; {did_you_mean(name, FIGURE_KINDS)}")
    return FIGURE_KINDS[name]
