"""Counting runs without reading their records: what a live display and a folder of 100,000 runs need.

The head of a record's file says what the run is and how it ended: a few hundred bytes, found without parsing. A line
break can't be part of a text in JSON, so what is found between them is the field and nothing else. A file that does not
begin so is parsed whole.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from nica_bench.records.collection import open_source
from nica_bench.records.parquet import Outline, Pack
from nica_bench.records.record import Status
from nica_bench.records.store import Store, StoreError

__all__ = ["outlines", "tally"]

_HEAD = 4096  # bytes that hold the spec and the status of nearly every record
_SPEC = re.compile(
    rb'\n  "seed": (?P<seed>\d+),\n  "init": (?P<init>\d+),\n  "scenario_label": (?P<scenario>"(?:[^"\\]|\\.)*"),'
    rb'\n  "method_label": (?P<method>"(?:[^"\\]|\\.)*")\n \},\n "status": "(?P<status>[a-z]+)"'
)


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
    statuses = {status.value.encode(): status for status in Status}
    labels: dict[bytes, str] = {}
    folder = os.fspath(store.runs)
    for key in _keys(folder):
        try:
            number = os.open(f"{folder}/{key}.json", os.O_RDONLY)
        except OSError:  # another process is replacing it
            continue
        try:
            head = os.read(number, _HEAD)
        except OSError:
            continue
        finally:
            os.close(number)
        match = _SPEC.search(head)
        status = statuses.get(match["status"]) if match else None
        if match is None or status is None:
            outline = _parsed(Path(folder, f"{key}.json"), key)
        else:
            scenario, method = (_label(match[name], labels) for name in ("scenario", "method"))
            outline = Outline(key, scenario, method, int(match["seed"]), int(match["init"]), status)
        if outline is not None:
            own.add(key)
            yield outline
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


def _keys(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name[:64] for e in entries if len(e.name) == 69 and e.name.endswith(".json")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot list {folder}: {error.strerror}") from error


def _label(text: bytes, known: dict[bytes, str]) -> str:
    """A label from its JSON text; there are few different ones."""
    if text not in known:
        known[text] = json.loads(text)
    return known[text]


def _parsed(path: Path, key: str) -> Outline | None:
    """The same from the whole record; None where it is none."""
    try:
        value = json.loads(path.read_bytes())
        spec = value["spec"]
        scenario, method = spec["scenario_label"], spec["method_label"]
        return Outline(key, str(scenario), str(method), int(spec["seed"]), int(spec["init"]), Status(value["status"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
