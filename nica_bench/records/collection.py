"""The records of one folder or several, with a line for all that a reader of their tables must know."""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from nica_bench.errors import UsageError, did_you_mean
from nica_bench.files.atomic import reason
from nica_bench.records.file import MisnamedError, read_record_file
from nica_bench.records.folder import StoreError, list_runs
from nica_bench.records.parquet import Pack
from nica_bench.records.record import Record, Status
from nica_bench.records.spec import RecordError
from nica_bench.records.store import Store

__all__ = ["Collection", "collect", "machine_of", "open_source"]


@dataclass(frozen=True)
class Collection:
    """Records to be shown together.

    Args:
        records: in the order of scenario, method, seed and initialisation; no key twice.
        stores: where each record lies, by key: a folder, or a file of packed records.
        faults: what was wrong with other files of their folders, a line each.
    """

    records: tuple[Record, ...]
    stores: Mapping[str, Store | Pack] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, records: Iterable[Record], store: Store | Pack) -> Self:
        """Records of one store, no key twice."""
        ordered = tuple(sorted(records, key=_order))
        return cls(ordered, {record.key: store for record in ordered})

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the records, a line each: the faults, and what differs between their makers."""
        return (*self.faults, *_provenance_notes(self.records))

    def arrays(self, record: Record) -> dict[str, NDArray[Any]]:
        """The arrays of a record by name; none where it has none. Raises StoreError where they are broken."""
        if record.arrays is None or record.key not in self.stores:
            return {}
        try:
            return self.stores[record.key].arrays(record.key)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise StoreError(f"the arrays of {record.spec.short} cannot be read: {reason(error)}") from error

    def weights(self, record: Record) -> dict[str, NDArray[Any]]:
        """The weights of a record's fit by name, which lie beside the records. Raises StoreError where they don't."""
        store = self.stores[record.key]
        if isinstance(store, Pack):
            store = Store(store.path.parent)
        return store.weights(record.key)

    def select(
        self,
        scenarios: Sequence[str] = (),
        methods: Sequence[str] = (),
        seeds: Sequence[int] = (),
        hosts: Sequence[str] = (),
    ) -> Self:
        """Some of the records; an empty choice is no choice.

        Args:
            scenarios: labels as `run` takes them; a name that is the label of none stands for all its variants.
            methods: the same of methods.
            seeds: data seeds.
            hosts: names of machines.

        Raises:
            UsageError: if a name is not among the records (the nearest that are, are offered), or none is left.
        """
        wanted_scenarios = _named(scenarios, "scenario", self.records)
        wanted_methods = _named(methods, "method", self.records)
        known = {str(r.provenance.get("host")) for r in self.records} if hosts else set()
        for host in hosts:
            if host not in known:
                raise UsageError(f"no records of host '{host}'; {did_you_mean(host, known)}")
        kept = tuple(
            r
            for r in self.records
            if (not scenarios or r.spec.scenario_label in wanted_scenarios)
            and (not methods or r.spec.method_label in wanted_methods)
            and (not seeds or r.spec.seed in seeds)
            and (not hosts or str(r.provenance.get("host")) in hosts)
        )
        if not kept:
            raise UsageError("no records are left: no run has the scenarios, methods and seeds asked for together")
        return dataclasses.replace(self, records=kept)


def collect(folders: Iterable[Path | str]) -> Collection:
    """Read the records of folders, and of files of packed records.

    A file that is no whole record is left out and named in a note, and so is a copy of a record under another name.
    Where two folders hold the same run, an ok record wins over one that is not, else the first folder's.

    Args:
        folders: written by `nica-bench run --out`; or files ending in .parquet, written by `nica-bench collect`.

    Raises:
        UsageError: if a folder or a file does not exist or is none of records, or there is not one record in all.
    """
    records: dict[str, Record] = {}
    stores: dict[str, Store | Pack] = {}
    faults: dict[str, list[str]] = {}
    twice: list[tuple[Record, Record]] = []
    folders = list(folders)
    for folder in folders:
        store = open_source(folder)
        for record in store.records() if isinstance(store, Pack) else _read(store, faults):
            key = record.key
            other = records.get(key)
            if other is not None:
                twice.append((other, record))
                if other.status is Status.OK or record.status is not Status.OK:
                    continue
            records[key], stores[key] = record, store
    notes = [_FAULTS[kind](len(texts), texts[0]) for kind, texts in faults.items()]
    if not records:
        where = " and ".join(map(str, folders))
        raise UsageError(
            f"no records in {where}: run something first, or name another folder with --out"
            + "".join(f"; {note}" for note in notes)
        )
    if twice:
        differ = sum(a.scores != b.scores for a, b in twice)
        says = f"{differ} of them differ in their scores" if differ else "all with the same scores"
        notes.append(f"{len(twice)} runs are in more than one folder, {says}: each counts once")
    return Collection(tuple(sorted(records.values(), key=_order)), stores, tuple(notes))


def open_source(path: Path | str) -> Store | Pack:
    """What records are read from: a folder of them, or a file of packed ones.

    Raises:
        UsageError: if it does not exist, or is none.
    """
    return Pack.open(path) if Path(path).suffix == ".parquet" else Store.open(path, create=False)


_FAULTS: dict[str, Callable[[int, str], str]] = {
    "copy": lambda n, first: (
        f"{n} files are copies of records under another name and are not counted twice; the first is {first}"
    ),
    "broken": lambda n, first: f"{n} files are no whole records and are left out; the first is {first}",
}


def _order(record: Record) -> tuple[str, bool, str, int, int]:
    spec = record.spec
    return spec.scenario_label, record.kind != "method", spec.method_label, spec.seed, spec.training_seed


def _read(store: Store, faults: dict[str, list[str]]) -> Iterator[Record]:
    """Whole records of a store, its packed ones last; what is wrong with the other files goes to `faults`."""
    own: set[str] = set()
    for record in _read_files(store, faults):
        own.add(record.key)
        yield record
    # Only now: a run that is packed meanwhile is in the pack before its own file goes.
    packed = store.pack
    if packed is not None:
        yield from packed.records(without=own)


def _read_files(store: Store, faults: dict[str, list[str]]) -> Iterator[Record]:
    folder = os.fspath(store.runs)
    for name in list_runs(store.runs).records:
        path = f"{folder}/{name}.json"
        try:
            yield read_record_file(path, verify=False)
        except FileNotFoundError:  # another process is replacing it
            continue
        except MisnamedError as error:
            faults.setdefault("copy", []).append(f"{path}: {error}")
        except (OSError, RecordError) as error:
            faults.setdefault("broken", []).append(f"{path}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _named(names: Sequence[str], what: str, records: Iterable[Record]) -> set[str]:
    """Labels that are meant by names: a label, as `run` takes it, or else a name for all its variants."""
    if not names:
        return set()
    labels: set[str] = set()
    variants: dict[str, set[str]] = {}
    for r in records:
        label = getattr(r.spec, f"{what}_label")
        labels.add(label)
        variants.setdefault(getattr(r.spec, what), set()).add(label)
    chosen: set[str] = set()
    for name in names:
        if name not in labels and name not in variants:
            raise UsageError(f"no records of {what} '{name}'; {did_you_mean(name, labels | variants.keys())}")
        chosen |= {name} if name in labels else variants[name]
    return chosen


def machine_of(record: Record) -> tuple[Any, ...]:
    """What must be the same for seconds to compare: host, processor, device and number of threads."""
    made = record.origin
    return made.get("host"), made.get("cpu"), made.get("device"), made.get("threads")


def _provenance_notes(records: Iterable[Record]) -> list[str]:
    """What differs between the records' makers."""
    hosts, versions, dirty, total = Counter[str](), Counter[str](), 0, 0
    for made in (record.origin for record in records):
        torch = (made.get("versions") or {}).get("torch")
        hosts[f"{made.get('host') or 'an unknown host'} ({made.get('cpu') or 'unknown processor'})"] += 1
        versions[f"nica-bench {made.get('nica_bench') or 'unknown'} with torch {torch or 'unknown'}"] += 1
        dirty += bool((made.get("git") or {}).get("dirty"))
        total += 1
    notes = []
    if len(hosts) > 1:
        notes.append(f"records come from {len(hosts)} machines, {_counted(hosts)}: their seconds don't compare")
    if len(versions) > 1:
        notes.append(
            f"records were made by {len(versions)} versions, {_counted(versions)}: small differences may be theirs"
        )
    if dirty:
        notes.append(f"{dirty} of {total} records were made from code with uncommitted changes")
    return notes


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.most_common(4))
