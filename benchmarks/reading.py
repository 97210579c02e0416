"""Reading a folder of JSON records with all its checks, against `json.loads` of the same files.

python -m benchmarks.reading             # 10,000 records in a temporary folder; half a minute on one core
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Bar, Row, finish, median_seconds, parser, say, timed_rounds
from benchmarks.scale import simulate
from nica_bench.records.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--records", type=int, default=10_000, help="default: %(default)s")
    options.add_argument("--rounds", type=int, default=5, help="turns that each takes; default: %(default)s")
    given = options.parse_args(arguments)
    count, rounds = (200, 2) if given.smoke else (given.records, given.rounds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say(f"writing {count:,} records")
        simulate(folder, count, 0)
        store, paths = Store.open(folder), sorted((folder / "cells").glob("*.json"))
        assert len(store.scan().records) == len(paths)
        ours, peer = "Store.scan", "json.loads"
        variants = {ours: store.scan, peer: lambda: [json.loads(path.read_bytes()) for path in paths]}
        seconds = median_seconds(timed_rounds(variants, rounds))
    rows: list[Row] = [
        {"by": name, "CPU us a record": 1e6 * s / len(paths), "times the peer's": s / seconds[peer]}
        for name, s in seconds.items()
    ]
    ratio = seconds[ours] / seconds[peer]
    bars = [Bar("time against the peer's", "<= 2 x", f"{ratio:.2f} x", ratio <= 2)]
    return finish(given, {f"{len(paths):,} records, median of {rounds} rounds": rows}, bars)


if __name__ == "__main__":
    sys.exit(main())
