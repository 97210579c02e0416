"""The report on a collection of records, one HTML page without external resources."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Any

import jinja2

from nica_bench._version import __version__
from nica_bench.figures import Request
from nica_bench.records.collection import Collection
from nica_bench.records.record import Status
from nica_bench.report.answers import answer
from nica_bench.report.explorer import explorer
from nica_bench.report.sections import (
    Part,
    Section,
    close_section,
    failures_section,
    figures_section,
    meaning_section,
    part_of,
    scores_section,
    table_section,
    versions_section,
)
from nica_bench.stats import Block, blocks_of

__all__ = ["MOST_BYTES", "make_report"]

MOST_BYTES = 10_000_000
"""The largest size of a page with explorers; an explorer that does not fit is left out, with a note."""
ROOM_FOR_THE_REST = 100_000
"""The part of it that is reserved for styles, scripts, notes and headings."""


def make_report(collection: Collection, *, title: str | None = None) -> tuple[str, list[str]]:
    """Make the report.

    Args:
        collection: the records, at least one.
        title: the heading of the page; None: the names of the scenarios.

    Returns:
        The page as HTML, and the notes that it shows, one line each.
    """
    blocks, notes = blocks_of(collection.records)
    seen, known = part_of(collection, blocks, unlabelled=False)
    _, unknown = part_of(collection, blocks, unlabelled=True)
    request = Request(seen)
    request.blocks = known  # grouped once for all figures
    sections = [
        scores_section(collection),
        *([figures_section(request)] if known else []),
        *([close] if (close := close_section(collection, blocks, request.notes)).parts else []),
        *([table_section(seen, "difficulty", "Difficulty of the data", "difficulty", request.notes)] if known else []),
        failures_section(collection),
        table_section(collection, "commands", "Commands that reproduce the rows", "commands", request.notes),
        versions_section(collection),
        meaning_section(known=bool(known), unknown=bool(unknown)),
    ]
    explorers = _explorers(collection, unknown, sections, request.notes)
    if explorers.parts:
        sections.insert(1, explorers)
    notes = list(dict.fromkeys([*collection.notes, *notes, *request.notes]))
    environment = jinja2.Environment(autoescape=True, trim_blocks=False, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_file("page.html.j2"))
    names = ("page", "explorer") if explorers.parts else ("page",)
    page = template.render(
        title=title or _title(blocks),
        style="\n".join(_file(f"{name}.css") for name in names),
        script="\n".join(_file(f"{name}.js") for name in names),
        facts=_facts(collection, blocks),
        answers=[answer(block, collection.arrays) for block in blocks[:12]],
        notes=notes,
        sections=sections,
        footer=f"Written by nica-bench {__version__} from {len(collection.records)} records; nothing was fetched.",
    )
    return page, notes


def _title(blocks: Sequence[Block]) -> str:
    names = list(dict.fromkeys(block.spec.scenario for block in blocks))
    return "nica-bench: " + (", ".join(names[:3]) + (" and more" if len(names) > 3 else ""))


def _facts(collection: Collection, blocks: Sequence[Block]) -> list[dict[str, Any]]:
    lost = sum(r.status is not Status.OK for r in collection.records)
    methods = {s.method for b in blocks for s in b.series if s.is_method}
    baselines = {s.method for b in blocks for s in b.series if not s.is_method}
    counts = [
        (len(blocks), "scenario"), (len(methods), "method"), (len(baselines), "baseline or reference"),
        (len({(b.scenario, seed) for b in blocks for seed in b.seeds}), "dataset"), (len(collection.records), "record"),
    ]  # fmt: skip
    facts = [{"number": n, "name": name if n == 1 else _plural(name)} for n, name in counts]
    return [*facts, {"number": lost, "name": "failed"}]


def _plural(name: str) -> str:
    return "baselines and references" if name.startswith("baseline") else name + "s"


def _explorers(
    collection: Collection, blocks: Sequence[Block], sections: Sequence[Section], notes: list[str]
) -> Section:
    """Return the section of explorers, one per scenario of images with a model, as many as fit into the page."""
    text = (
        "What the codes of a trained model mean: choose a class, move the leading codes, and see the image that the "
        "model decodes."
    )
    section = Section("explorer", "Explore the model", text)
    room = MOST_BYTES - sum(part.size for other in sections for part in other.parts) - ROOM_FOR_THE_REST
    for block in blocks:
        markup, why = explorer(collection, block, len(section.parts), room)
        notes += why
        if markup:
            section.parts.append(Part(block.scenario, markup=markup))
            room -= len(markup)
    return section


def _file(name: str) -> str:
    return resources.files("nica_bench.report").joinpath(name).read_text(encoding="utf-8")
