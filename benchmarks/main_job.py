"""The main job as a newcomer runs it: wall time, memory, exit code, records, and the time of a second call.

`nica-bench run --scenario gauss-2of10 --conditions 3` with its defaults, in an empty folder. Memory is the resident
memory of the run and its workers, looked at ten times a second; the sum over processes, once a second, counts shared
pages once where the system tells (proportional set size, Linux).
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.common import Bar, Row, finish, parser, say

SECONDS, BYTES, CACHED_SECONDS, RECORDS = 120.0, 2e9, 5.0, 70
LOOK_EVERY = 0.1
FULL_EVERY = 10
"""Looks at resident memory between two at shared pages, which take the system longer to count."""


def watched(command: Sequence[str], folder: str) -> dict[str, float]:
    """Run a command: seconds, CPU seconds, exit code, peak bytes of the largest process and of all together."""
    start, spent = time.perf_counter(), sum(os.times()[2:4])
    process = subprocess.Popen(command, cwd=folder, stdout=sys.stderr)
    top = psutil.Process(process.pid)
    largest = together = looks = 0
    while process.poll() is None:
        full = looks % FULL_EVERY == 0
        looks += 1
        shares = 0
        with contextlib.suppress(psutil.Error):
            for one in (top, *top.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    memory = one.memory_full_info() if full else one.memory_info()
                    largest = max(largest, memory.rss)
                    shares += getattr(memory, "pss", memory.rss)
        together = max(together, shares) if full else together
        time.sleep(LOOK_EVERY)
    return {
        "seconds": time.perf_counter() - start,
        "cpu": sum(os.times()[2:4]) - spent,
        "code": process.returncode,
        "largest": largest,
        "together": together,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser(__doc__).parse_args(arguments)
    words = ["run", "--scenario", "gauss-2of10", "--conditions", "3"]
    if given.smoke:
        words += ["--samples", "1000", "--held-out", "500", "--seeds", "0:2", "-p", "gin.steps=5", "-p", "ivae.steps=5"]
    command = [sys.executable, "-m", "nica_bench", *words]
    with tempfile.TemporaryDirectory() as folder:
        say("nica-bench " + " ".join(words))
        first = watched(command, folder)
        records = [json.loads(path.read_text()) for path in Path(folder, "results", "cells").glob("*.json")]
        second = watched(command, folder)
    ok = sum(record["status"] == "ok" for record in records)
    rows: list[Row] = [
        {
            "call": name,
            "s": call["seconds"],
            "CPU s": call["cpu"],
            "exit code": int(call["code"]),
            "MB, largest process": call["largest"] / 1e6,
            "MB, all together": call["together"] / 1e6,
        }
        for name, call in (("first", first), ("second", second))
    ]
    count = psutil.cpu_count() or 1
    busy = f"{psutil.getloadavg()[0]:.1f} busy on {count} cores" if hasattr(psutil, "getloadavg") else f"{count} cores"
    bars = [
        Bar("wall time", f"<= {SECONDS:g} s", f"{first['seconds']:.1f} s", first["seconds"] <= SECONDS),
        Bar("memory", f"<= {BYTES / 1e9:g} GB", f"{first['together'] / 1e9:.2f} GB", first["together"] <= BYTES),
        Bar("exit codes", "0", f"{first['code']:g} and {second['code']:g}", first["code"] == second["code"] == 0),
        Bar("records ok", f"{RECORDS}", f"{ok} of {len(records)}", ok == RECORDS),
        Bar("second call", f"< {CACHED_SECONDS:g} s", f"{second['seconds']:.1f} s", second["seconds"] < CACHED_SECONDS),
    ]  # fmt: skip
    return finish(given, {f"The main job ({busy})": rows}, bars)


if __name__ == "__main__":
    sys.exit(main())
