"""The figures that `run` on images writes beside its records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from nica_bench.errors import NicaBenchError
from nica_bench.figures.kinds import FIGURE_KINDS
from nica_bench.figures.saving import save_figure
from nica_bench.files.atomic import put_in_place
from nica_bench.records.collection import Collection
from nica_bench.stats import blocks_of

__all__ = ["RUN_KINDS", "file_name", "missing_figures", "write_figures"]

RUN_KINDS = ("spectrum", *(kind.name for kind in FIGURE_KINDS.values() if kind.images))
"""The kinds of figures that `run` on images writes."""


def file_name(label: str) -> str:
    """Return a label as the name of a folder or file: `digits[samples=300]` becomes `digits-samples-300`."""
    return re.sub(r"[^\w.+-]+", "-", label).strip("-.") or "scenario"


def missing_figures(folder: Path) -> list[str]:
    """Return the kinds of which a folder has no figure."""
    return [kind for kind in RUN_KINDS if not (folder / f"{kind}.png").exists()]


def write_figures(collection: Collection, folder: Path, kinds: Iterable[str]) -> list[str]:
    """Draw figures of one scenario of images as `<folder>/<kind>.png`; each file is written atomically.

    Args:
        collection: the records of the scenario.
        folder: the folder, which is created if it is missing.
        kinds: names in `RUN_KINDS`.

    Returns:
        Notes, one line each. A figure that cannot be drawn is a note, not an error, since the records are there.
    """
    _, said = blocks_of(collection.records)  # remarks on the records, which the table shows already
    notes: list[str] = []
    failed: dict[str, list[str]] = {}
    for kind in kinds:
        hidden = folder / f".{kind}.png"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            notes += save_figure(FIGURE_KINDS[kind], collection, hidden)
            put_in_place(hidden, folder / f"{kind}.png")
        except NicaBenchError as error:
            failed.setdefault(str(error), []).append(kind)
        except Exception as error:  # the records are there, and the figure can be drawn later
            failed.setdefault(f"{type(error).__name__}: {error}", []).append(kind)
    notes += [f"no figure {', '.join(names)}: {why}" for why, names in failed.items()]
    return [note for note in dict.fromkeys(notes) if note not in said]
