"""The sections of a report: tables, figures and texts, each under a heading."""

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
"""The figures of all scenarios with known latents."""

CLOSE = ("spectrum", "latents", "correlation", "loss")
"""The figures of one scenario with known latents."""

CLOSE_UNLABELLED = ("spectrum", "knee", "traversals", "temperature", "style", "reconstructions", "loss")
"""The figures of one scenario of unlabelled images."""

MOST_CLOSE = 2
"""The number of scenarios with figures of their own, which keeps the page small."""


@dataclass
class Part:
    """A part of a section: a table, a figure, a text or other markup, with its heading."""

    title: str = ""
    table: str = ""
    figure: str = ""
    caption: str = ""
    text: str = ""
    markup: str = ""

    @property
    def size(self) -> int:
        """The number of characters of the part."""
        return sum(map(len, (self.title, self.table, self.figure, self.caption, self.text, self.markup)))


@dataclass
class Section:
    """A section of the page."""

    id: str
    title: str
    text: str = ""
    parts: list[Part] = field(default_factory=list)


def part_of(collection: Collection, blocks: Sequence[Block], *, unlabelled: bool) -> tuple[Collection, list[Block]]:
    """Return the records and blocks of the scenarios that are unlabelled, or of those that are not."""
    chosen = [block for block in blocks if block.unlabelled == unlabelled]
    keys = {r.key for block in chosen for s in block.series for r in s.records.values()}
    return replace(collection, records=tuple(r for r in collection.records if r.key in keys)), chosen


def scores_section(collection: Collection) -> Section:
    """Return the section with the overview of each scenario."""
    tables, _ = table_kind("scores").build(collection, Query())
    section = Section(
        "scores",
        "Scores",
        "One row per method, followed by baselines and supervised references. Click a header to sort.",
    )
    section.parts = [Part(table.title, html_table(table)) for table in tables]
    return section


def figures_section(request: Request) -> Section:
    """Return the section of figures of all scenarios with known latents."""
    section = Section("figures", "Figures")
    for kind in OVERVIEWS:
        try:
            section.parts.append(_figure(kind, request, f"f-{kind}"))
        except UsageError as error:
            # Most folders hold no sweep over samples or conditions, so no note is needed.
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
    """Return the section of figures of the first scenarios; remarks are appended to the notes."""
    section = Section("close", "A closer look", "For the method with the best median in each scenario.")
    if all(block.unlabelled for block in blocks):
        section.text = "Codes of images, drawn from the records and the stored weights."
    if len(blocks) > MOST_CLOSE:
        section.text += f" The first {MOST_CLOSE} of {len(blocks)} scenarios; `nica-bench plot` draws the others."
    for i, block in enumerate(blocks[:MOST_CLOSE]):
        records = tuple(r for s in block.series for r in s.records.values())
        if not any(r.arrays for r in records):
            continue
        request = Request(replace(collection, records=records))
        request.blocks = [block]
        title = block.scenario
        for kind in CLOSE_UNLABELLED if block.unlabelled else CLOSE:
            try:
                part = _figure(kind, request, f"c{i}-{kind}")
            except NicaBenchError:
                continue  # a method without training steps has no loss, a record without weights no traversals
            part.title, title = title, ""
            section.parts.append(part)
        notes += [note for note in request.notes if "left out" in note]
    return section


def table_section(collection: Collection, identifier: str, title: str, kind: str, notes: list[str]) -> Section:
    """Return the section of a kind of table; its notes are appended to the others."""
    tables, more = table_kind(kind).build(collection, Query())
    notes += more
    return Section(identifier, title, parts=[Part(table=html_table(table)) for table in tables])


def failures_section(collection: Collection) -> Section:
    """Return the section of failed and missing runs, which may be none."""
    tables, _ = table_kind("failures").build(collection, Query())
    section = Section("failures", "Failed and missing runs")
    if tables[0].rows:
        section.parts = [Part(table=html_table(tables[0]))]
    else:
        section.text = "No run failed and none is missing."
    return section


def versions_section(collection: Collection) -> Section:
    """Return the section of all combinations of code, versions and machine that made records."""

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
        f"Data seeds {seeds}, training seeds {training_seeds}. Records ended between {times[0][:19]} and "
        f"{times[-1][:19]} UTC. + after a commit means that the code had uncommitted changes."
    )
    return Section(
        "versions", "Versions and machines", parts=[Part(table=html_table(Table("", columns, rows, caption)))]
    )


KNOWN = (
    "The headline MCC is the mean correlation of the method's own leading n codes with the true latents; assignment "
    "and signs are learned on validation data, and the correlation is computed on test data. Intervals are 95 % "
    "percentile bootstrap intervals over datasets, and Wilson intervals for shares. A run that failed, or that other "
    "methods have and this one lacks, has the score of the baseline (never more than the method's own worst score), "
    "is no success, and is counted. The baseline is the best one that receives no more side information. The "
    "normalised MCC is (MCC - baseline) / (1 - baseline)."
)
UNKNOWN = (
    "Where the true latents are unknown, codes are not compared with latents. bits is the negative log-likelihood of "
    "the test images in bits per dimension, with normal noise of std .01 added, since pixels that never change have "
    "no density; fewer bits are better. The knee is the elbow of the method's own ranking, its largest log gap after "
    "the first five values. Flows rank codes by their within-class std, except for a compressible flow, which ranks "
    "them by their effect on the image. Rules for the knee disagree on real images, so its interval contains the "
    "answers of five rules; moved is how far the knee of the codes' std moved over the last half of training. bayes "
    "is the accuracy of naive Bayes with class-conditional normal densities on test images, and probe that of a "
    "linear probe on the leading codes. consistency measures identifiability without true latents: the MCC between "
    "the leading codes of two training seeds on the same test images, beside its chance level."
)


def meaning_section(*, known: bool, unknown: bool) -> Section:
    """Return the section on the meaning of all metrics.

    Args:
        known: whether there are scenarios with known latents.
        unknown: whether there are unlabelled scenarios.
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
        "meaning", "Meaning of the metrics", "A method sees observations and conditions, never the latents."
    )
    section.parts = [Part(text=text) for text, said in ((KNOWN, known), (UNKNOWN, unknown)) if said]
    section.parts.append(Part(table=html_table(Table("", columns, rows))))
    return section
