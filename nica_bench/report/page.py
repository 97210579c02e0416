"""One HTML page that says everything its records say, and needs nothing but itself."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import jinja2

from nica_bench._version import __version__
from nica_bench.collection import Collection
from nica_bench.errors import UsageError
from nica_bench.figures import FIGURE_KINDS, Request, figure_svg
from nica_bench.metrics import METRICS
from nica_bench.record import Record, Status
from nica_bench.statistics import Block, best_of, blocks_of, median_interval, quantity
from nica_bench.statistics.blocks import seed_text
from nica_bench.tables import Column, Query, Table, html_table, table_kind
from nica_bench.tables.table import bracket, number

__all__ = ["make_report"]

OVERVIEWS = ("scores", "profile", "pairs", "difficulty", "samples")
"""Figures of all records at once."""

CLOSE = ("spectrum", "latents", "correlation", "loss")
"""Figures of one scenario."""

MOST_CLOSE = 2
"""Scenarios that are looked at closely: ten would make the page slow to write, heavy, and long to read."""


@dataclass
class Part:
    """A piece of a section: a table, a figure or a text, with its heading."""

    title: str = ""
    table: str = ""
    figure: str = ""
    caption: str = ""
    text: str = ""


@dataclass
class Section:
    """A section of the page."""

    id: str
    title: str
    text: str = ""
    parts: list[Part] = field(default_factory=list)


def make_report(collection: Collection, *, title: str | None = None) -> tuple[str, list[str]]:
    """Make the page.

    Args:
        collection: the records; at least one.
        title: its heading; None: made from the scenarios.

    Returns:
        The page, HTML with everything in it, and the notes that it shows, a line each.
    """
    blocks, notes = blocks_of(collection.records)
    request = Request(collection)
    request.blocks = blocks  # made once for all figures
    sections = [
        _scores(collection),
        _figures(request),
        *([close] if (close := _close(collection, blocks, request.notes)).parts else []),
        _tables(collection, "difficulty", "How hard the data are", "difficulty", request.notes),
        _failures(collection),
        _tables(collection, "again", "How to make every row again", "commands", request.notes),
        _versions(collection),
        _meaning(),
    ]
    notes = list(dict.fromkeys([*collection.notes, *notes, *request.notes]))
    folder = resources.files("nica_bench.report")
    environment = jinja2.Environment(autoescape=True, trim_blocks=False, undefined=jinja2.StrictUndefined)
    template = environment.from_string(folder.joinpath("page.html.j2").read_text(encoding="utf-8"))
    page = template.render(
        title=title or _title(blocks),
        style=folder.joinpath("page.css").read_text(encoding="utf-8"),
        script=folder.joinpath("page.js").read_text(encoding="utf-8"),
        facts=_facts(collection, blocks),
        answers=[_answer(block) for block in blocks[:12]],
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
    floors = {s.method for b in blocks for s in b.series if not s.is_method}
    counts = [
        (len(blocks), "scenario"), (len(methods), "method"), (len(floors), "floor or bound"),
        (len({(b.scenario, seed) for b in blocks for seed in b.seeds}), "dataset"), (len(collection.records), "record"),
    ]  # fmt: skip
    facts = [{"number": n, "name": name if n == 1 else _plural(name)} for n, name in counts]
    return [*facts, {"number": lost, "name": "failed"}]


def _plural(name: str) -> str:
    return "floors and bounds" if name.startswith("floor") else name + "s"


def _answer(block: Block) -> str:
    """One sentence a scenario: who is ahead, of what, and whether that is sure."""
    mcc = quantity("mcc")
    results = block.results(mcc)
    ranked = []
    for series in block.series:
        values = list(results[series.method].by_dataset().values())
        if series.is_method and series.finished and values:
            ranked.append((median_interval(values), series, results[series.method]))
    if not ranked:
        return f"{block.scenario}: no method finished on any dataset."
    estimate, series, outcomes = max(ranked, key=lambda entry: entry[0].value)
    ends = (None, None) if estimate.single else (estimate.low, estimate.high)
    text = f"{block.scenario}: {series.method} has the best median mcc, {bracket(estimate.value, *ends)}"
    if outcomes.floor is not None:
        way = "above" if estimate.value > outcomes.floor.level else "not above"
        text += f", {way} its floor {outcomes.floor.method} at {number(outcomes.floor.level)}"
    sure = best_of(block, mcc) == series.method
    return text + (
        "; it beats every rival in the paired test."
        if sure
        else "; the paired test leaves open whether it is the best."
    )


def _scores(collection: Collection) -> Section:
    tables, _ = table_kind("scores").build(collection, Query())
    section = Section("scores", "Scores", "A row a method; floors and bounds stand apart. Headings sort.")
    section.parts = [_part(table) for table in tables]
    return section


def _part(table: Table) -> Part:
    return Part(table.title, html_table(table))


def _figures(request: Request) -> Section:
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


def _close(collection: Collection, blocks: Sequence[Block], notes: list[str]) -> Section:
    section = Section("close", "A closer look", "For the method with the best median in each scenario.")
    if len(blocks) > MOST_CLOSE:
        section.text += f" The first {MOST_CLOSE} of {len(blocks)} scenarios; `nica-bench plot` draws the others."
    for i, block in enumerate(blocks[:MOST_CLOSE]):
        records = tuple(r for s in block.series for r in s.records.values())
        if not any(r.arrays for r in records):
            continue
        request = Request(Collection(records, collection.stores))
        request.blocks = [block]
        for kind in CLOSE:
            try:
                part = _figure(kind, request, f"c{i}-{kind}")
            except UsageError:
                continue  # a method that trains by no steps has no loss, and so on
            part.title = block.scenario if kind == CLOSE[0] else ""
            section.parts.append(part)
        notes += [note for note in request.notes if "left out" in note]
    return section


def _tables(collection: Collection, identifier: str, title: str, kind: str, notes: list[str]) -> Section:
    tables, more = table_kind(kind).build(collection, Query())
    notes += more
    return Section(identifier, title, parts=[Part(table=html_table(table)) for table in tables])


def _failures(collection: Collection) -> Section:
    tables, _ = table_kind("failures").build(collection, Query())
    section = Section("failures", "What failed and why")
    if tables[0].rows:
        section.parts = [Part(table=html_table(tables[0]))]
    else:
        section.text = "Nothing failed and nothing is missing."
    return section


def _versions(collection: Collection) -> Section:
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
    inits = seed_text([r.spec.init for r in collection.records])
    times = sorted(str(time) for r in collection.records if (time := r.provenance.get("ended"))) or ["unknown"]
    caption = (
        f"Data seeds {seeds}, initialisation seeds {inits}. Records ended between {times[0][:19]} and "
        f"{times[-1][:19]} UTC. + after a commit: the code had uncommitted changes."
    )
    return Section(
        "versions", "Versions and machines", parts=[Part(table=html_table(Table("", columns, rows, caption)))]
    )


def _meaning() -> Section:
    columns = (
        Column("metric", lambda r: r["metric"], right=False),
        Column("meaning", lambda r: r["meaning"], right=False, wrap=True),
        Column("range", lambda r: r["range"], right=False),
    )
    rows = [{"metric": m.name, "meaning": m.description, "range": f"{m.low:g} to {m.high:g}"} for m in METRICS.values()]
    text = (
        "A method sees observations and conditions, never the latents. The headline mcc is over its own top n codes; "
        "the match and the signs are learned on validation data and scored on test data. Intervals are 95 % percentile "
        "bootstraps over datasets, shares have Wilson intervals. A cell that failed, or that other methods have and "
        "this one lacks, scores the floor (never more than the method's own worst), is no success, and is counted. The "
        "floor is the best method that is told no more and learns nothing; adj is how much of the way from it to 1 is "
        "gone."
    )
    return Section("meaning", "What the numbers mean", text, [Part(table=html_table(Table("", columns, rows)))])
