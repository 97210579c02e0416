"""`nica-bench sweep --cluster local` against `nica-bench run` with the same runs: seconds, in turns.

Both use all cores. The sweep has a process more to start, and looks for its records; the bar is 10 % of the time of
`run`, by the median over turns. The records must be the same, score for score.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Bar, Row, finish, parser, say

MOST = 1.10
TURNS = 3


def seconds(words: Sequence[str], folder: str, out: str) -> float:
    command = [sys.executable, "-m", "nica_bench", *words, "--out", out]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    return time.perf_counter() - start


def scores(folder: str, out: str) -> dict[str, object]:
    read = (json.loads(path.read_text()) for path in Path(folder, out, "cells").glob("*.json"))
    return {record["key"]: (record["status"], record["scores"]) for record in read}


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser(__doc__).parse_args(arguments)
    grid = ["--scenario", "gauss-2of10", "--conditions", "3", "--method", "gin", "--method", "pca"]
    if given.smoke:
        grid += ["--samples", "1000", "--held-out", "500", "--seeds", "0:2", "-p", "gin.steps=5"]
    taken: dict[str, list[float]] = {"run": [], "sweep": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(1 if given.smoke else TURNS):
            for name in ("run", "sweep") if turn % 2 == 0 else ("sweep", "run"):
                say(f"turn {turn}: {name}")
                words = [name, *grid, *(["--cluster", "local"] if name == "sweep" else [])]
                taken[name].append(seconds(words, folder, f"{name}-{turn}"))
        same = scores(folder, "run-0") == scores(folder, "sweep-0")
        runs = len(scores(folder, "run-0"))
    times = {name: statistics.median(values) for name, values in taken.items()}
    ratio = times["sweep"] / times["run"]
    rows: list[Row] = [{"command": name, "cells": runs, "s": value} for name, value in times.items()]
    bars = [
        Bar("sweep --cluster local / run", f"<= {MOST:.2f}", f"{ratio:.3f}", ratio <= MOST),
        Bar("scores", "the same", "the same" if same else "others", same),
    ]
    return finish(given, {"The same runs": rows}, bars)


if __name__ == "__main__":
    sys.exit(main())
