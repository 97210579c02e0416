"""The records of one folder or several, read quickly, with a line for all that a reader of their tables must know.

`Store.scan` checks every value of every record again, which a run that goes on from there needs and a table does not:
ten thousand records would take it several seconds. Here a record whose outline is right is taken as it was written,
and any other goes through the full check, so that its fault is named.
"""

from __future__ import annotations

import dataclasses
import gc
import json
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray

from nica_bench.errors import NicaBenchError, UsageError, did_you_mean
from nica_bench.files.atomic import reason
from nica_bench.records.parquet import Pack
from nica_bench.records.record import RECORD_FORMAT, TOLD, Record, RunSpec, Status, kind_of, letters_of
from nica_bench.records.store import Store, StoreError

__all__ = ["Collection", "collect", "machine_of", "open_source"]

_SPEC = frozenset("init" if f.name == "training_seed" else f.name for f in dataclasses.fields(RunSpec))
_RECORD = frozenset(f.name for f in dataclasses.fields(Record))
_OUTLINE = _RECORD - {"side_information"} | {"format", "key", "told"}
_TOLD = frozenset(TOLD)
_STATUS = {status.value: status for status in Status}


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

    A file that is no whole record is left out and named in a note, and so is a record of an older schema and a copy of
    a record under another name. Where two folders hold the same run, an ok record wins over one that is not, else the
    first folder's.

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
        with _no_collector():
            found = list(store.records() if isinstance(store, Pack) else _read(store, faults))
            for record in found:
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
    with _no_collector():
        ordered = sorted(records.values(), key=_order)
    return Collection(tuple(ordered), stores, tuple(notes))


def open_source(path: Path | str) -> Store | Pack:
    """What records are read from: a folder of them, or a file of packed ones.

    Raises:
        UsageError: if it does not exist, or is none.
    """
    return Pack.open(path) if Path(path).suffix == ".parquet" else Store.open(path, create=False)


_FAULTS: dict[str, Callable[[int, str], str]] = {
    "older": lambda n, first: (
        f"{n} records of an older schema are left out (this nica-bench reads format {RECORD_FORMAT}); "
        f"run their runs again; the first is {first}"
    ),
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
    try:
        names = sorted(n for n in os.listdir(store.runs) if n.endswith(".json") and n[0] != ".")
    except FileNotFoundError:  # prepared for, but nothing was written yet, or all of it is packed
        return
    except OSError as error:
        raise StoreError(f"cannot list {store.runs}: {error.strerror}") from error
    for name in names:
        path = store.runs / name
        try:
            with open(path, "rb") as file:
                value = json.loads(file.read())
        except FileNotFoundError:  # another process is replacing it
            continue
        except (OSError, ValueError, RecursionError) as error:
            faults.setdefault("broken", []).append(f"{path}: {_first_line(error)}")
            continue
        record = _taken(value, name)
        if record is None:
            try:
                record = Record.from_json(value)
            except (NicaBenchError, ValueError, RecursionError) as error:
                older = isinstance(value, dict) and _older(value)
                faults.setdefault("older" if older else "broken", []).append(f"{path}: {_first_line(error)}")
                continue
            if record.key + ".json" != name:
                faults.setdefault("copy", []).append(f"{path} of {record.spec.short}")
                continue
        yield record


def _older(value: Mapping[str, Any]) -> bool:
    """Written before this schema: a lower number, or none at all, or a field that came later is missing."""
    number = value.get("format", 0)
    if not isinstance(number, int) or number > RECORD_FORMAT:
        return False
    return number < RECORD_FORMAT or ("spec" in value and not value.keys() >= _OUTLINE)


def _taken(value: Any, name: str) -> Record | None:
    """A record as it was written, or None where its outline is not that of a record of this schema."""
    if not isinstance(value, dict) or value.keys() != _OUTLINE or value["format"] != RECORD_FORMAT:
        return None
    spec, scores, told = value["spec"], value["scores"], value["told"]
    if value["key"] + ".json" != name or not isinstance(spec, dict) or spec.keys() != _SPEC:
        return None
    if value["status"] not in _STATUS or not isinstance(scores, dict) or not isinstance(told, dict):
        return None
    if not _TOLD - {"family"} <= told.keys() <= _TOLD or not all(type(v) is bool for v in told.values()):
        return None
    # NaN and text in a number's place would spoil a median without a word.
    if not all(v is None or (type(v) in (int, float) and -1e308 < v < 1e308) for v in scores.values()):
        return None
    if not (
        type(spec["seed"]) is int
        and type(spec["init"]) is int
        and value["kind"] in ("method", "floor", "baseline", "reference")
    ):
        return None
    run = object.__new__(RunSpec)
    run.__dict__.update(
        spec, key=value["key"], training_seed=spec["init"]
    )  # a property that is made once: this is where it keeps its value
    record = object.__new__(Record)
    record.__dict__.update((field, value[field]) for field in _RECORD - {"side_information"})
    # A record from before families were has no word of them.
    letters = letters_of(told)
    kind = kind_of(value["kind"], letters)
    record.__dict__.update(side_information=letters, kind=kind, spec=run, status=_STATUS[value["status"]])
    return record


@contextmanager
def _no_collector() -> Iterator[None]:
    """Nothing is thrown away while records are read, and looking for it takes a third of the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


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
    made = record.maker
    return made.get("host"), made.get("cpu"), made.get("device"), made.get("threads")


def _provenance_notes(records: Iterable[Record]) -> list[str]:
    """What differs between the records' makers."""
    makers = [record.maker for record in records]
    counts = Counter(map(id, makers))  # thousands of packed records share one
    hosts, versions, dirty = Counter[str](), Counter[str](), 0
    for number, made in {id(made): made for made in makers}.items():
        count = counts[number]
        torch = (made.get("versions") or {}).get("torch")
        hosts[f"{made.get('host') or 'an unknown host'} ({made.get('cpu') or 'unknown processor'})"] += count
        versions[f"nica-bench {made.get('nica_bench') or 'unknown'} with torch {torch or 'unknown'}"] += count
        dirty += count * bool((made.get("git") or {}).get("dirty"))
    total = len(makers)
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
