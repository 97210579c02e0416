"""Figures as files with the source of their records in the metadata, and as elements of a page."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nica_bench._version import __version__
from nica_bench.errors import UsageError
from nica_bench.figures.kinds import FigureKind
from nica_bench.figures.style import INK, Drawing, Request, theme
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.stats.blocks import seed_text

__all__ = ["figure_svg", "metadata_of", "save_figure"]

SUFFIXES = (".png", ".svg", ".pdf")


def metadata_of(records: Iterable[Record], kind: str) -> dict[str, str]:
    """Return the metadata of a file: 'title', 'subject' (scenarios, methods, seeds) and 'keywords' (versions)."""
    records = list(records)
    scenarios = sorted({r.spec.scenario_label for r in records})
    methods = sorted({f"{r.spec.method_label} version {r.spec.method_version}" for r in records})
    seeds, training_seeds = (
        seed_text([r.spec.seed for r in records]),
        seed_text([r.spec.training_seed for r in records]),
    )
    versions = sorted({_made_by(r) for r in records})
    return {
        "title": f"nica-bench {kind}",
        "subject": (
            f"scenarios: {', '.join(scenarios)}; methods: {', '.join(methods)}; data seeds {seeds}; "
            f"training seeds {training_seeds}; {len(records)} records"
        ),
        "keywords": f"drawn by nica-bench {__version__}; records made by {'; '.join(versions)}",
    }


def _made_by(record: Record) -> str:
    made = record.provenance
    commit = (made.get("git") or {}).get("commit") or "no commit"
    torch = (made.get("versions") or {}).get("torch") or "unknown"
    return f"nica-bench {made.get('nica_bench') or 'unknown'} ({commit[:10]}), torch {torch}"


def save_figure(
    kind: FigureKind, collection: Collection, path: Path, *, metric: str | None = None, ranks: Sequence[int] = ()
) -> list[str]:
    """Draw a figure into a file, with seeds and versions in its metadata.

    Args:
        kind: the kind of figure.
        collection: the records.
        path: the file, which ends in .png, .svg or .pdf.
        metric: the name of a quantity; None: mcc.
        ranks: the ranks of the codes whose traversals are drawn, 1 is the most important; empty: the leading codes.

    Returns:
        Notes, one line each.

    Raises:
        UsageError: if the file has another suffix or cannot be written, or the records cannot be shown.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--save {path}: a figure's file ends in {', '.join(SUFFIXES)}")
    if ranks and kind.name != "traversals":
        raise UsageError(f"--dimension belongs to the figure traversals, got {kind.name}")
    request = Request(collection, metric, ranks)
    with theme():
        drawing = _drawn(kind, request)
        said = metadata_of(drawing.records, kind.name)
        # Without a date, so that the same records always give the same file.
        entries: dict[str, dict[str, Any]] = {
            ".png": {"Title": said["title"], "Description": said["subject"], "Source": said["keywords"]},
            ".svg": {
                "Title": said["title"], "Description": said["subject"], "Keywords": said["keywords"], "Date": None,
            },
            ".pdf": {
                "Title": said["title"], "Subject": said["subject"], "Keywords": said["keywords"], "CreationDate": None,
            },
        }  # fmt: skip
        try:
            drawing.figure.savefig(path, metadata=entries[path.suffix], facecolor="white")
        except OSError as error:
            raise UsageError(f"--save {path} cannot be written: {error.strerror or error}") from error
    return request.notes


def _drawn(kind: FigureKind, request: Request) -> Drawing:
    """Return a drawing with a fixed layout; saving would compute the layout twice, which takes most of the time."""
    drawing = kind.draw(request)
    engine = drawing.figure.get_layout_engine()
    if engine is not None:
        engine.execute(drawing.figure)
    drawing.figure.set_layout_engine("none")
    return drawing


def figure_svg(kind: FigureKind, request: Request, prefix: str) -> tuple[str, Drawing]:
    """Return a figure as an SVG element with the text colour and the background of its page, and the drawing.

    Args:
        kind: the kind of figure.
        request: the records and options.
        prefix: the prefix of the ids in the element, which makes them unique in the page.
    """
    with theme():
        drawing = _drawn(kind, request)
        buffer = io.StringIO()
        drawing.figure.savefig(
            buffer, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type"))
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
    # The page may scale the element; the view box keeps its proportions.
    return re.sub(r'(<svg\b[^>]*?) height="[^"]+"', r"\1", text, count=1), drawing
