"""The sections of a report: tables, figures and texts under a heading each."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.figures import FIGURE_KINDS, Request, figure_svg
from nica_bench.metrics import METRICS
from nica_bench.records.collection import Collection
from nica_bench.records.record import Record
from nica_bench.stats import Block
from nica_bench.stats.blocks import seed_text
from nica_bench.tables import Column, Query, Table, html_table, table_kind

__all__ = [
    "Part",
    "Section",
    "close_section",
    "failures_section",
    "figures_section",
    "meaning_section",
    "part_of",
    "scores_section",
    "table_section",
    "versions_section",
]

OVERVIEWS = ("scores", "profile", "pairs", "difficulty", "samples")
"""Figures of all records whose latents are known."""

CLOSE = ("spectrum", "latents", "correlation", "loss")
"""Figures of one scenario."""

CLOSE_BLIND = ("spectrum", "knee", "traversals", "temperature", "style", "reconstructions", "loss")
"""Figures of one scenario whose latents nobody knows."""

MOST_CLOSE = 2
"""Scenarios that are looked at closely: ten would make the page slow to write, heavy, and long to read."""


@dataclass
class Part:
    """A piece of a section: a table, a figure, a text or an element of the page, with its heading."""

    title: str = ""
    table: str = ""
    figure: str = ""
    caption: str = ""
    text: str = ""
    markup: str = ""

    @property
    def size(self) -> int:
        """Characters that it takes of the page."""
        return sum(map(len, (self.title, self.table, self.figure, self.caption, self.text, self.markup)))


@dataclass
class Section:
    """A section of the page."""

    id: str
    title: str
    text: str = ""
    parts: list[Part] = field(default_factory=list)


def part_of(collection: Collection, blocks: Sequence[Block], *, blind: bool) -> tuple[Collection, list[Block]]:
    """The records, and the blocks, of scenarios whose latents nobody knows, or of all others."""
    chosen = [block for block in blocks if block.blind == blind]
    keys = {r.key for block in chosen for s in block.series for r in s.records.values()}
    return replace(collection, records=tuple(r for r in collection.records if r.key in keys)), chosen


def scores_section(collection: Collection) -> Section:
    """The overview of each scenario."""
    tables, _ = table_kind("scores").build(collection, Query())
    section = Section("scores", "Scores", "A row a method; baselines and bounds stand apart. Headings sort.")
    section.parts = [Part(table.title, html_table(table)) for table in tables]
    return section


def figures_section(request: Request) -> Section:
    """Figures of all scenarios whose latents are known."""
    section = Section("figures", "Figures")
    for kind in OVERVIEWS:
        try:
            section.parts.append(_figure(kind, request, f"f-{kind}"))
        except UsageError as error:
            # Most folders hold no sweep: that is no news.
            if kind != "samples":
                request.notes.append(f"no figure '{kind}': {error}")
    return section


def _figure(kind: str, request: Request, prefix: str) -> Part:
    svg, drawing = figure_svg(FIGURE_KINDS[kind], request, prefix)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(drawing.alt)}" ', 1)
    return Part(figure=svg, caption=_caption(kind))


def _caption(kind: str) -> str:
    text = FIGURE_KINDS[kind].help
    return text[0].upper() + text[1:] + "."


def close_section(collection: Collection, blocks: Sequence[Block], notes: list[str]) -> Section:
    """Figures of the first scenarios, one by one; what was left out of them goes to the notes."""
    section = Section("close", "A closer look", "For the method with the best median in each scenario.")
    if all(block.blind for block in blocks):
        section.text = "What the codes of images are, drawn from the records and the weights that were kept."
    if len(blocks) > MOST_CLOSE:
        section.text += f" The first {MOST_CLOSE} of {len(blocks)} scenarios; `nica-bench plot` draws the others."
    for i, block in enumerate(blocks[:MOST_CLOSE]):
        records = tuple(r for s in block.series for r in s.records.values())
        if not any(r.arrays for r in records):
            continue
        request = Request(replace(collection, records=records))
        request.blocks = [block]
        title = block.scenario
        for kind in CLOSE_BLIND if block.blind else CLOSE:
            try:
                part = _figure(kind, request, f"c{i}-{kind}")
            except NicaBenchError:
                continue  # a method that trains by no steps has no loss, one whose weights are gone no traversals
            part.title, title = title, ""
            section.parts.append(part)
        notes += [note for note in request.notes if "left out" in note]
    return section


def table_section(collection: Collection, identifier: str, title: str, kind: str, notes: list[str]) -> Section:
    """A kind of table; its notes go to the others."""
    tables, more = table_kind(kind).build(collection, Query())
    notes += more
    return Section(identifier, title, parts=[Part(table=html_table(table)) for table in tables])


def failures_section(collection: Collection) -> Section:
    """What failed, or that nothing did."""
    tables, _ = table_kind("failures").build(collection, Query())
    section = Section("failures", "What failed and why")
    if tables[0].rows:
        section.parts = [Part(table=html_table(tables[0]))]
    else:
        section.text = "Nothing failed and nothing is missing."
    return section


def versions_section(collection: Collection) -> Section:
    """Every combination of code, versions and machine that made records."""

    def made(record: Record) -> tuple[str, ...]:
        p = record.provenance
        git = p.get("git") or {}
        packages = p.get("versions") or {}
        commit = (git.get("commit") or "none")[:10] + ("+" if git.get("dirty") else "")
        others = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        return (
            str(p.get("nica_bench") or "unknown"), commit, str(p.get("python") or "unknown"), others,
            f"{p.get('host') or 'unknown'}: {p.get('cpu') or 'unknown'}", str(p.get("device") or "unknown"),
        )  # fmt: skip

    counts = Counter(made(r) for r in collection.records)
    names = ("nica-bench", "commit", "Python", "packages", "machine", "device")
    columns = [Column(name, lambda r, n=name: str(r[n]), right=False, wrap=name == "packages") for name in names]  # type: ignore[misc]
    columns.append(Column("records", lambda r: str(r["records"]), lambda r: r["records"]))
    rows = [{**dict(zip(names, key, strict=True)), "records": count} for key, count in counts.most_common()]
    seeds = seed_text([r.spec.seed for r in collection.records])
    training_seeds = seed_text([r.spec.training_seed for r in collection.records])
    times = sorted(str(time) for r in collection.records if (time := r.provenance.get("ended"))) or ["unknown"]
    caption = (
        f"Data seeds {seeds}, initialisation seeds {training_seeds}. Records ended between {times[0][:19]} and "
        f"{times[-1][:19]} UTC. + after a commit: the code had uncommitted changes."
    )
    return Section(
        "versions", "Versions and machines", parts=[Part(table=html_table(Table("", columns, rows, caption)))]
    )


KNOWN = (
    "The headline mcc is over a method's own top n codes; the match and the signs are learned on validation data and "
    "scored on test data. Intervals are 95 % percentile bootstraps over datasets, shares have Wilson intervals. A run "
    "that failed, or that other methods have and this one lacks, scores the baseline (never more than the method's own "
    "worst), is no success, and is counted. The baseline is the best one that is given no more side information; adj "
    "is how much of the way from it to 1 is gone."
)
UNKNOWN = (
    "Where nobody knows the latents nothing is compared with them. bits is the density of the test images, in bits a "
    "dimension, with noise of .01 added so that pixels that never change have one; fewer are better. The knee is where "
    "the method's own ranking falls off: its largest log gap past the first five. The ranking is the sd of the codes, "
    "within classes for the flows, but for a compressible flow, which ranks by what a code does to the image. Rules "
    "for a knee disagree on real images, so its interval runs from the smallest to the largest of five; moved is how "
    "far the knee of the codes' sd went over the last half of training. bayes is the accuracy of naive Bayes, with "
    "class-conditional normal densities, on test images; probe that of a linear probe on the leading codes. again is "
    "what identifiability can be checked by without a truth: the mean correlation of the leading codes of two "
    "initialisations on the same test images, matched one to one, beside its chance level."
)


def meaning_section(*, known: bool, unknown: bool) -> Section:
    """What the numbers mean.

    Args:
        known: there are scenarios whose latents are known.
        unknown: there are others.
    """
    columns = (
        Column("metric", lambda r: r["metric"], right=False),
        Column("meaning", lambda r: r["meaning"], right=False, wrap=True),
        Column("range", lambda r: r["range"], right=False),
    )
    rows = [
        {"metric": m.name, "meaning": m.description, "range": f"{m.low:g} to {m.high:g}"}
        for m in METRICS.values()
        if (known if m.needs_latents or m.name == "dimension" else unknown)
    ]
    section = Section(
        "meaning", "What the numbers mean", "A method sees observations and conditions, never the latents."
    )
    section.parts = [Part(text=text) for text, said in ((KNOWN, known), (UNKNOWN, unknown)) if said]
    section.parts.append(Part(table=html_table(Table("", columns, rows))))
    return section
