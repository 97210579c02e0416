"""Counting runs without reading their records whole: what a live display and a folder of 100,000 runs need."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from nica_bench.files.atomic import read_whole
from nica_bench.records.collection import open_source
from nica_bench.records.folder import RECORD_NAME, list_runs
from nica_bench.records.parquet import Outline, Pack
from nica_bench.records.record import Status
from nica_bench.records.store import Store

__all__ = ["outlines", "tally"]


class _Spec(msgspec.Struct, gc=False):
    seed: int
    init: int
    scenario_label: str
    method_label: str


class _Head(msgspec.Struct, gc=False):
    """The fields of a record, of any format, that are counted by; msgspec skips the others without making values."""

    spec: _Spec
    status: Status


def outlines(store: Store | Pack) -> Iterator[Outline]:
    """What is known of each run: its key, labels, seeds and status.

    Files that are no records are left out, and so is whatever the records say beyond that: this counts, it does not
    check.

    Args:
        store: a folder of records, or a file of packed ones.

    Raises:
        StoreError: if the folder cannot be listed.
    """
    if isinstance(store, Pack):
        yield from store.outlines()
        return
    own: set[str] = set()
    folder, decoder = os.fspath(store.runs), msgspec.json.Decoder(_Head)
    for key in list_runs(store.runs).records:
        name = f"{key}.json"
        if not RECORD_NAME.fullmatch(name):
            continue
        try:
            head = decoder.decode(read_whole(f"{folder}/{name}"))
        except (OSError, msgspec.MsgspecError, RecursionError):  # replaced at this moment, or none
            continue
        own.add(key)
        spec = head.spec
        yield Outline(key, spec.scenario_label, spec.method_label, spec.seed, spec.init, head.status)
    # Only now: a run that is packed meanwhile is in the pack before its own file goes.
    packed = store.pack
    if packed is not None:
        yield from (outline for outline in packed.outlines() if outline.key not in own)


def tally(folders: Iterable[Path | str]) -> Mapping[tuple[str, str], Counter[Status]]:
    """How many runs of each scenario and method there are, by status. A run in two folders counts once; ok wins.

    Args:
        folders: of records, or files of packed ones.

    Returns:
        By (scenario, method), in the order of their labels.

    Raises:
        UsageError: if a folder or a file does not exist or is none of records.
    """
    found: dict[str, Outline] = {}
    for folder in folders:
        for outline in outlines(open_source(folder)):
            if outline.key not in found or found[outline.key].status is not Status.OK:
                found[outline.key] = outline
    counts: dict[tuple[str, str], Counter[Status]] = {}
    for outline in found.values():
        counts.setdefault((outline.scenario, outline.method), Counter())[outline.status] += 1
    return dict(sorted(counts.items()))
