"""Published results: a folder that holds what makes them, their records, and all that is shown of them.

`<folder>/sweep.toml` says what is run and `<folder>/publish.toml` what is shown. Records are made in `<folder>/work`,
which is not published, and packed into `<folder>/records.parquet`, from which tables, figures, report and versions are
made: the same records always give the same tables and versions. With `arrays = true` their arrays are published too, in
the archive beside: of images, whose table compares the codes of initialisations.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nica_bench.errors import NicaBenchError, UsageError, did_you_mean
from nica_bench.files.atomic import reason, write_whole
from nica_bench.records.collection import Collection, collect
from nica_bench.records.parquet import PACK_NAME, Pack
from nica_bench.records.record import Record
from nica_bench.running.plan import parse_seeds

__all__ = ["Publication", "compute", "publish", "read_publication", "table_text", "versions_text"]

SWEEP, SHOWN, WORK = "sweep.toml", "publish.toml", "work"
_KEYS = {"title": "a text", "text": "a text", "tables": "a list", "figures": "a list", "arrays": "true or false"}
_ENTRIES = {
    "tables": {"kind": "a text", "metric": "a text", "by": "a list", "threshold": "a number"},
    "figures": {
        **dict.fromkeys(("kind", "name", "metric"), "a text"),
        **dict.fromkeys(("scenario", "method"), "a text or a list"),
        "dimension": "a text or a whole number",
    },
}
_TYPES: dict[str, tuple[type, ...]] = {
    "a text": (str,),
    "a list": (list,),
    "true or false": (bool,),
    "a number": (int, float),
    "a text or a list": (str, list),
    "a text or a whole number": (str, int),
}


@dataclass(frozen=True)
class Publication:
    """What is shown of a folder's records.

    Args:
        folder: of the published results.
        title, text: heading of the tables, and what is asked.
        tables: keywords `kind`, `metric`, `by` and `threshold` of `nica-bench table`, one mapping a table.
        figures: keywords `kind`, `name`, `metric`, `scenario`, `method` and `dimension` of `nica-bench plot`, one
            mapping a figure.
        arrays: whether the records' arrays are published with them.
    """

    folder: Path
    title: str
    text: str = ""
    tables: tuple[dict[str, Any], ...] = ({"kind": "scores"},)
    figures: tuple[dict[str, Any], ...] = field(default=({"kind": "scores"},))
    arrays: bool = False


def read_publication(folder: Path | str) -> Publication:
    """Read what a folder publishes.

    Raises:
        UsageError: if there is no sweep.toml or no publish.toml, or the latter has an unknown key or a wrong type.
    """
    folder = Path(folder)
    for name in (SWEEP, SHOWN):
        if not (folder / name).is_file():
            raise UsageError(f"{folder} publishes nothing: it has no {name}")
    path = folder / SHOWN
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    for key, value in values.items():
        if key not in _KEYS:
            raise UsageError(f"{path}: unknown key '{key}'; {did_you_mean(key, _KEYS)}")
        if not isinstance(value, _TYPES[_KEYS[key]]):
            raise UsageError(f"{path}: {key} is {_KEYS[key]}, got {value!r}")
    from nica_bench.figures import figure_kind
    from nica_bench.tables import table_kind

    checks: dict[str, Callable[[str], object]] = {"tables": table_kind, "figures": figure_kind}
    for what, known in _ENTRIES.items():
        for entry in values.get(what, []):
            if not isinstance(entry, dict):
                raise UsageError(f'{path}: an entry of {what} is a table such as {{ kind = "scores" }}, got {entry!r}')
            for key, value in entry.items():
                if key not in known:
                    raise UsageError(f"{path}: unknown key '{key}' in {what}; {did_you_mean(key, known)}")
                if not isinstance(value, _TYPES[known[key]]) or isinstance(value, bool):
                    raise UsageError(f"{path}: {key} in {what} is {known[key]}, got {value!r}")
            checks[what](entry.get("kind", "scores"))
            if Path(entry.get("name", "name")).name != entry.get("name", "name"):
                raise UsageError(f"{path}: name in {what} is that of a file in figures/, got {entry['name']!r}")
    title = values.get("title", folder.resolve().name)
    several = {key: tuple(values[key]) for key in ("tables", "figures") if key in values}
    return Publication(folder, title, values.get("text", ""), **several, arrays=values.get("arrays", False))


def compute(publication: Publication, cluster: str = "local", jobs: int | None = None) -> bool:
    """Run the sweep, what is missing of it, and pack its records; whether a run failed.

    Raises:
        NicaBenchError: if the sweep cannot be run.
    """
    from nica_bench.records.packing import pack_runs
    from nica_bench.records.store import Store
    from nica_bench.sweep import Journal

    folder, work = publication.folder, publication.folder / WORK
    store = Store.open(work)
    if (folder / PACK_NAME).exists() and not (work / PACK_NAME).exists():
        _copy(folder, work)  # what is published is not computed again
    command = [sys.executable, "-m", "nica_bench", "sweep", str(folder / SWEEP), "--out", str(work)]
    command += ["--cluster", cluster, *(["--jobs", str(jobs)] if jobs else [])]
    code = subprocess.run(command, check=False, stdout=sys.stderr).returncode
    if code == 2:
        raise UsageError(f"the sweep of {folder} was refused, see above")
    if code not in (0, 3):
        raise NicaBenchError(f"the sweep of {folder} ended with exit code {code}; what is finished is kept")
    # runs of an earlier sweep.toml or an earlier version of a method may lie there too
    asked = {key for entry in Journal(work).plan()["cells"] for key in entry["keys"]}
    pack_runs(store, arrays="pack" if publication.arrays else "leave", only=asked)
    _copy(work, folder)
    return code == 3


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
    from nica_bench.figures import figure_kind, save_figure
    from nica_bench.report import make_report

    collection = _records(publication)
    folder = publication.folder
    _write(folder / "table.md", table_text(publication, collection).encode())
    _write(folder / "versions.json", versions_text(collection).encode())
    (folder / "figures").mkdir(exist_ok=True)
    # Spectra and codes are arrays: they are beside the records where those were computed, and nowhere else.
    work = folder / WORK
    drawn = collection
    if (work / PACK_NAME).exists():
        published = {record.key for record in collection.records}
        beside = collect([work])
        drawn = replace(beside, records=tuple(r for r in beside.records if r.key in published))
    notes: list[str] = []
    for entry in publication.figures:
        kind = entry.get("kind", "scores")
        target = folder / "figures" / f"{entry.get('name', kind)}.png"
        chosen = drawn.select(_several(entry, "scenario"), _several(entry, "method"))
        try:
            ranks = parse_seeds(str(entry["dimension"]), "dimensions") if "dimension" in entry else ()
            notes += save_figure(figure_kind(kind), chosen, target, metric=entry.get("metric"), ranks=ranks)
        except NicaBenchError as error:
            notes.append(f"no figure {target.name}: {error}")
    if drawn is collection and (folder / "report.html").exists():
        notes.append("report.html is left as it is: it was made with arrays and weights that are not here")
        return list(dict.fromkeys([*collection.notes, *notes]))
    page, more = make_report(drawn, title=publication.title)
    _write(folder / "report.html", page.encode())
    return list(dict.fromkeys([*collection.notes, *notes, *more]))


def table_text(publication: Publication, collection: Collection | None = None) -> str:
    """The tables in Markdown, as they follow from the published records."""
    from nica_bench.tables import Query, render, table_kind

    collection = collection or _records(publication)
    parts = [f"# {publication.title}\n"]
    if publication.text:
        parts.append(publication.text.strip() + "\n")
    folder = publication.folder.resolve()
    ours = folder.parent.name == "results"
    command = f"make results NAME={folder.name}" if ours else f"nica-bench publish {folder.name}"
    parts.append(f"Made by `{command}` from {len(collection.records)} records; versions: versions.json.\n")
    for entry in publication.tables:
        by = tuple(str(key) for key in entry.get("by", ()))
        query = Query(entry.get("metric"), by, float(entry.get("threshold", 0.95)))
        tables, _ = table_kind(entry.get("kind", "scores")).build(collection, query)
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


def _several(entry: dict[str, Any], key: str) -> list[str]:
    value = entry.get(key, [])
    return [value] if isinstance(value, str) else list(value)


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason(error)}") from error
