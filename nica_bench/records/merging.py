"""Records of several machines in one folder.

A record is taken as it is, its arrays and weights with it: nothing is averaged, and what the record says of its machine
and its seconds stays. Where two sources hold one run with equal scores, one of the records is kept; where the scores
differ, neither machine is believed more than the other: the first is kept, and the conflict is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nica_bench.errors import UsageError
from nica_bench.files.atomic import reason, write_whole
from nica_bench.records.collection import open_source
from nica_bench.records.parquet import Pack
from nica_bench.records.record import Record, Status
from nica_bench.records.store import Store, StoreError

__all__ = ["Conflict", "Merged", "merge"]

_WEIGHTS = "weights"


@dataclass(frozen=True)
class Conflict:
    """One run with two outcomes.

    Args:
        kept, other: records of the run; only the first is in the merged folder.
        places: where they come from.
    """

    kept: Record
    other: Record
    places: tuple[Path, Path]

    def differing(self) -> Iterator[tuple[str, float | None, float | None]]:
        """Each score in which they differ: its name, and its two values, None where a record has none."""
        for name in dict.fromkeys((*self.kept.scores, *self.other.scores)):
            pair = self.kept.scores.get(name), self.other.scores.get(name)
            if pair[0] != pair[1]:
                yield name, *pair


@dataclass
class Merged:
    """What came of a merge.

    Args:
        copied: runs that were copied.
        same: runs that were there already with the same outcome, or a better one.
        replaced: runs that had failed, of which a source had a finished record.
        conflicts: runs whose scores differ.
        broken: why a file was left out, by path.
    """

    copied: int = 0
    same: int = 0
    replaced: int = 0
    conflicts: list[Conflict] = field(default_factory=list)
    broken: dict[Path, str] = field(default_factory=dict)


def merge(sources: Sequence[Path | str], out: Path | str) -> Merged:
    """Copy the runs of folders into another.

    Every run appears whole or not at all; after a crash the same call goes on. A finished record goes before one that
    failed, whichever comes first; of two that failed the first is kept.

    Args:
        sources: folders of records, or files of packed ones.
        out: a folder of records, or none yet; what it holds already counts as the first source.

    Raises:
        UsageError: if a source is none, or `out` is a source, holds something else, or cannot be written to.
        StoreError: if a file cannot be written; what was copied is kept.
    """
    opened = [open_source(source) for source in sources]
    target = Path(out).absolute()
    for source in opened:
        if _folder(source).resolve() == target.resolve():
            raise UsageError(f"--out {out} is one of the folders to be merged: name another")
    store = Store.open(out)
    merged = Merged()
    there = {record.key: (record, target) for record in store.scan().records.values()}
    for source in opened:
        place = source.path if isinstance(source, Pack) else source.folder
        for record in _records(source, merged):
            if record.key not in there:
                merged.copied += 1
            else:
                kept, kept_place = there[record.key]
                if kept.status is Status.OK or record.status is not Status.OK:
                    if _differ(kept, record):
                        merged.conflicts.append(Conflict(kept, record, (kept_place, place)))
                    else:
                        merged.same += 1
                    continue
                merged.replaced += 1
            _copy(source, record, store)
            there[record.key] = record, place
    return merged


def _differ(kept: Record, other: Record) -> bool:
    """Whether two records are of one run, both finished, with other scores."""
    return kept.status is Status.OK and other.status is Status.OK and kept.scores != other.scores


def _folder(source: Store | Pack) -> Path:
    return source.path.parent if isinstance(source, Pack) else source.folder


def _records(source: Store | Pack, merged: Merged) -> Iterable[Record]:
    if isinstance(source, Pack):
        return source.records()
    scan = source.scan()
    merged.broken.update(scan.broken)
    return scan.records.values()


def _copy(source: Store | Pack, record: Record, store: Store) -> None:
    """A run with its arrays and weights; the record comes last."""
    weights = _folder(source) / _WEIGHTS / f"{record.key}.safetensors"
    try:
        if weights.is_file():
            folder = store.folder / _WEIGHTS
            folder.mkdir(exist_ok=True)
            write_whole(folder / weights.name, weights.read_bytes())
    except OSError as error:
        raise StoreError(f"cannot copy {weights} into {store.folder}: {reason(error)}; copied runs are kept") from error
    try:
        packed = source.packed_arrays(record.key) if isinstance(source, Pack) else source.load(record.key)[1]
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read the arrays of {record.spec.short}: {reason(error)}") from error
    store.put(record, packed)
