"""Making published results: a folder that holds what makes them, their records, and all that is shown of them.

`<folder>/sweep.toml` says what is run and what is shown. Records are made in `<folder>/work`, which is not published,
and packed into `<folder>/records.parquet`, from which tables, figures, report and versions are made: the same records
always give the same tables and versions. With `arrays = true` their arrays are published too, in the archive beside: of
images, whose table compares the codes of initialisations.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.files.atomic import reason, sync_folder, temporary
from nica_bench.publishing.publication import Publication
from nica_bench.records.collection import Collection, collect
from nica_bench.records.packing import pack_runs
from nica_bench.records.parquet import PACK_NAME, Pack
from nica_bench.records.record import Record
from nica_bench.records.store import Store
from nica_bench.running.gridfile import Settings
from nica_bench.sweep import Sweep, carry_out, make_order
from nica_bench.tables import render, table_kind

__all__ = ["WORK", "compute", "publish", "table_text", "versions_text"]

WORK = "work"


def compute(
    publication: Publication,
    cluster: str = "local",
    jobs: int | None = None,
    say: Callable[[str], None] = lambda line: None,
    wait: Callable[[Sweep], None] | None = None,
) -> tuple[list[Record], int]:
    """Carry out the sweep, what is missing of it, and pack its records.

    Args:
        publication: whose folder gets the records.
        cluster: local, slurm or debug.
        jobs: worker processes on this machine.
        say, wait: as of `nica_bench.sweep.carry_out`.

    Returns:
        The records, and the number of runs that have none.

    Raises:
        UsageError: for what is wrong in the file, with its line, or an unknown cluster.
        NicaBenchError: if the sweep cannot be carried out; what is finished is kept.
    """
    order = make_order(publication.file, settings=Settings(jobs=jobs), cluster=cluster)
    order.check()
    folder, work = publication.folder, publication.folder / WORK
    store = Store.open(work)
    if (folder / PACK_NAME).exists() and not (work / PACK_NAME).exists():
        _copy(folder, work)  # what is published is not computed again
    plan = carry_out(order, store, say, wait)
    # runs of an earlier sweep.toml or an earlier version of a method may lie there too
    asked = {run.spec.key for run in plan.runs}
    pack_runs(store, arrays="pack" if publication.arrays else "leave", only=asked)
    _copy(work, folder)
    records = list(store.scan(asked).records.values())
    return records, len(asked) - len(records)


def _copy(source: Path, target: Path) -> None:
    """Copy packed records with their archives; archives of what was packed before go."""
    archives = Pack.open(source / PACK_NAME).archives
    for name in sorted(archives):
        if not (target / name).exists():
            _write(target / name, (source / name).read_bytes())
    _write(target / PACK_NAME, (source / PACK_NAME).read_bytes())
    for path in target.glob("arrays-*.zip"):
        if path.name not in archives:
            path.unlink()


def publish(publication: Publication) -> list[str]:
    """Write tables, figures, report and versions from the records that are there.

    Returns:
        Notes on the records, a line each.

    Raises:
        UsageError: if there are no records.
    """
    from nica_bench.report import make_report

    collection = _records(publication)
    folder = publication.folder
    _write(folder / "table.md", table_text(publication, collection).encode())
    _write(folder / "versions.json", versions_text(collection).encode())
    # Spectra and codes are arrays: they are beside the records where those were computed, and nowhere else.
    work = folder / WORK
    drawn = collection
    if (work / PACK_NAME).exists():
        published = {record.key for record in collection.records}
        beside = collect([work])
        drawn = replace(beside, records=tuple(r for r in beside.records if r.key in published))
    notes = [*collection.notes, *_draw(publication, drawn)]
    if drawn is collection and (folder / "report.html").exists():
        notes.append("report.html is left as it is: it was made with arrays and weights that are not here")
    else:
        page, more = make_report(drawn, title=publication.title)
        _write(folder / "report.html", page.encode())
        notes += more
    return list(dict.fromkeys(notes))


def _draw(publication: Publication, collection: Collection) -> list[str]:
    """Draw the figures; notes on them."""
    from nica_bench.figures import figure_kind, save_figure

    folder = publication.folder / "figures"
    folder.mkdir(exist_ok=True)
    notes: list[str] = []
    for figure in publication.figures:
        target, chosen = folder / f"{figure.name}.png", collection.select(figure.scenarios, figure.methods)
        try:
            kind = figure_kind(figure.kind)
            notes += save_figure(kind, chosen, target, metric=figure.metric, ranks=figure.ranks)
        except NicaBenchError as error:
            notes.append(f"no figure {target.name}: {error}")
    return notes


def table_text(publication: Publication, collection: Collection | None = None) -> str:
    """The tables in Markdown, as they follow from the published records."""
    collection = collection or _records(publication)
    parts = [f"# {publication.title}\n"]
    if publication.text:
        parts.append(publication.text + "\n")
    folder = publication.folder.resolve()
    ours = folder.parent.name == "results"
    command = f"make results NAME={folder.name}" if ours else f"nica-bench publish {folder.name}"
    parts.append(f"Made by `{command}` from {len(collection.records)} records; versions: versions.json.\n")
    for kind, query in publication.tables:
        tables, _ = table_kind(kind).build(collection, query)
        parts.append(render(tables, "markdown").decode())
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def versions_text(collection: Collection) -> str:
    """What made the records, as JSON: each combination of versions, machine and commit, with its number of records."""
    counts = Counter(_maker(record) for record in collection.records)
    made = [json.loads(maker) | {"records": count} for maker, count in sorted(counts.items())]
    return json.dumps(made, indent=1) + "\n"


def _maker(record: Record) -> str:
    made = record.provenance
    kept = ("nica_bench", "git", "versions", "python", "platform", "host", "cpu", "device", "threads")
    return json.dumps({key: made.get(key) for key in kept}, sort_keys=True)


def _records(publication: Publication) -> Collection:
    path = publication.folder / PACK_NAME
    if not path.exists():
        raise UsageError(
            f"{publication.folder} has no {PACK_NAME} yet: `nica-bench publish {publication.folder}` runs it"
        )
    return collect([path])


def _write(path: Path, content: bytes) -> None:
    try:
        os.replace(temporary(path.parent, content), path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason(error)}") from error
    sync_folder(path.parent)
