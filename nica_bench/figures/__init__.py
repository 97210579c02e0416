"""Figures of records. matplotlib and seaborn are imported when one is drawn, since they take seconds."""

from typing import TYPE_CHECKING, Any

from nica_bench.figures.kinds import FIGURE_KINDS, FigureKind, figure_kind

if TYPE_CHECKING:
    from nica_bench.figures.saving import figure_svg, save_figure
    from nica_bench.figures.style import Drawing, Request

__all__ = ["FIGURE_KINDS", "Drawing", "FigureKind", "Request", "figure_kind", "figure_svg", "save_figure"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from nica_bench.figures import saving, style

        return getattr(saving if hasattr(saving, name) else style, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
