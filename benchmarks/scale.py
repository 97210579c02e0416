"""How the records of a large sweep are watched, counted, packed and read: time and memory of each command.

    python -m benchmarks.scale               # 100,000 records in a temporary folder; three minutes on one core

The records are like those of a run, with random scores: 50 scenarios, 10 methods, 100 datasets, 2 initialisations.
Each command runs in a process of its own; its peak is that process' resident memory. The table is quoted in
docs/scale.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.common import Bar, Row, finish, parser, say
from nica_bench.files.npz import pack
from nica_bench.records.file import encode_record
from nica_bench.records.parquet import PACK_NAME
from nica_bench.records.record import ArraysFile, Record, RunSpec
from nica_bench.records.store import Store
from nica_bench.running.resources import Resources
from nica_bench.sweep import Array, Journal
from nica_bench.sweep.job import CellText

METHODS = ("gin", "glow", "nice", "ivae", "ivae[lr=0.001]", "pca", "fastica", "raw-x", "label-only", "linear-oracle")
BASELINES = ("raw-x", "label-only", "linear-oracle")
DATASETS, INITS = 100, 2
READ = 10_000
"""Records that are read and verified as a run does that goes on."""
_READ = (
    "import sys; from nica_bench.records.folder import list_runs; from nica_bench.records.store import Store; "
    "store = Store.open(sys.argv[1], create=False); keys = list_runs(store.runs).records[:int(sys.argv[2])]; "
    "print(len(store.scan(keys).records))"
)
_COUNT = "import sys; from nica_bench.records.counting import tally; print(sum(map(len, tally(sys.argv[1:]).values())))"


def make_record(number: int, rng: np.random.Generator) -> Record:
    """Record number so and so of the simulated sweep."""
    rest, training_seed = divmod(number, INITS)
    rest, seed = divmod(rest, DATASETS)
    scenario, method = divmod(rest, len(METHODS))
    label = METHODS[method]
    name, _, inside = label.partition("[")
    conditions, dims = 2 + scenario % 5, 10 + scenario // 5
    parameters = {
        "conditions": conditions, "samples": 50000, "held_out": 10000, "mixing": "realnvp", "blocks": 8, "noise": 0.01,
        "spread": "variance", "means": "-5:5", "spreads": "0.5:3",
    }  # fmt: skip
    spec = RunSpec(
        f"gauss-2of{dims}", parameters, "1", name, {"lr": 0.001 if inside else 0.01, "steps": 5000}, "1", seed,
        training_seed,
        scenario_label=f"gauss-2of{dims}[conditions={conditions}]", method_label=label,
    )  # fmt: skip
    side_information = {"linear-oracle": "nz", "ivae": "un", "gin": "u", "label-only": "u"}.get(name, "")
    failed = rng.random() < 0.02
    scores = dict(zip(("mcc", "mcc_best", "mcc_within", "mcc_spearman", "r2_affine", "leakage", "chance", "slope"),
                      rng.random(8).tolist(), strict=True))  # fmt: skip
    return Record.make(
        spec=spec,
        status="diverged" if failed else "ok",
        side_information=side_information,
        message="the loss is not finite" if failed else "",
        kind="baseline" if name in BASELINES else "method",
        n_latents=2,
        n_observed=dims,
        image_shape=None,
        truth={"family": "normal", "means": rng.normal(size=(conditions, 2)), "sds": rng.random((conditions, 2))},
        difficulty={"linear_r": rng.random(), "raw_best": rng.random(), "log_det_sd": rng.random()},
        scores={} if failed else {**scores, "dimension": 2.0, "dimension_correct": float(rng.random() < 0.5)},
        dimensions={} if failed else {"kneedle": 2, "kneedle-log": 3, "log-gap": 9, "zhu-ghodsi": 2},
        training={"heldout_loss": rng.normal(), "steps": 5000, "group": 10, "parameters": 12345},
        cost={"wall_seconds": rng.random(), "cpu_seconds": rng.random(), "peak_memory_bytes": 563212288},
        provenance={
            "nica_bench": "0.1.0", "git": {"commit": "a" * 40, "dirty": False},
            "versions": {"torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1", "scikit-learn": "1.9.1"},
            "python": "3.12.1", "platform": "Linux-6.8-x86_64-with-glibc2.36", "host": "node", "cpu": "EPYC",
            "device": "cpu", "threads": 1, "slurm": {"SLURM_JOB_ID": str(number // 50)},
            "command": "nica-bench sweep sweep.toml --cluster slurm",
            "started": f"2026-01-01T00:{number % 60:02}:00.000+00:00",
            "ended": f"2026-01-01T01:{number % 60:02}:00.000+00:00",
        },
    )  # fmt: skip


def simulate(folder: Path, count: int, arrays: int) -> None:
    """Write so many records, the first of them with arrays, without waiting for the disk at each.

    They are those of a sweep that is still running elsewhere, with one run in a hundred to come.
    """
    rng = np.random.default_rng(0)
    runs: dict[tuple[str, str], list[CellText]] = {}
    store = Store.open(folder)
    content = {"codes": rng.normal(size=(500, 10)).astype(np.float32), "z": rng.normal(size=(500, 2))}
    for number in range(count):
        record = make_record(number, rng)
        spec = record.spec
        text = CellText(spec.scenario_label, spec.method_label, spec.seed, spec.training_seed, spec.key)
        runs.setdefault((text.scenario, text.method), []).append(text)
        if number % 100 == 99:
            continue
        if number < arrays:
            packed = pack(content | {"importance": rng.random(10)})
            digest = hashlib.sha256(packed).hexdigest()
            described = ArraysFile(f"{record.key}.npz", len(packed), digest, (*content, "importance"))
            record = msgspec.structs.replace(record, arrays=described)
            (store.runs / f"{record.key}.npz").write_bytes(packed)
        (store.runs / f"{record.key}.json").write_bytes(encode_record(record))
    journal = Journal(folder)
    entries = [{"scenario": s, "method": m, "keys": [c.key for c in texts]} for (s, m), texts in runs.items()]
    jobs = (tuple(c for texts in runs.values() for c in texts),)
    # a local job of another machine is taken to be running
    journal.write(Array(Array.new_name(), "local", jobs, Resources(), number="1", host="elsewhere"))
    plan = {"format": 1, "command": ["nica-bench", "sweep"], "begun": time.time(), "cells": entries}
    (journal.folder / "plan.json").write_text(json.dumps(plan))


def measured(name: str, command: list[str]) -> Row:
    """Seconds of the clock and of the processor, and peak memory, of a process."""
    say(name)
    start = time.perf_counter()
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen([sys.executable, *command], stdout=nowhere, stderr=nowhere)
        _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed: {command}")
    return {"command": name, "seconds": wall, "cpu": used.ru_utime + used.ru_stime, "peak MB": used.ru_maxrss / 1000}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--records", type=int, default=100_000, help="default: %(default)s")
    options.add_argument("--arrays", type=int, default=5_000, help="of which so many have arrays; default: %(default)s")
    options.add_argument("--folder", type=Path, help="where to write them; default: a temporary folder")
    given = options.parse_args()
    count, arrays = (400, 50) if given.smoke else (given.records, given.arrays)
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        say(f"writing {count} records")
        simulate(folder, count, arrays)
        size = sum(e.stat().st_size for e in os.scandir(folder / "cells"))
        run = ["-m", "nica_bench"]
        packed = str(folder / PACK_NAME)
        rows = [
            measured("count, from files", ["-c", _COUNT, str(folder)]),
            measured("status", [*run, "status", "--out", str(folder)]),
            measured(f"read {min(count, READ)} records", ["-c", _READ, str(folder), str(READ)]),
            measured("table, from files", [*run, "table", "--out", str(folder)]),
            measured("collect", [*run, "collect", str(folder), "--arrays", "pack", "--remove"]),
            measured("count, from the parquet", ["-c", _COUNT, packed]),
            measured("table, from the parquet", [*run, "table", "--out", packed]),
            measured("show", [*run, "show", "--out", str(folder), _some_key(packed)]),
        ]
        after = sum(e.stat().st_size for e in os.scandir(folder) if e.is_file())
    bars = [
        Bar("count", "< 5 s", f"{rows[0]['seconds']:.1f} s", rows[0]["seconds"] < 5),
        Bar("status", "< 5 s", f"{rows[1]['seconds']:.1f} s", rows[1]["seconds"] < 5),
        Bar("collect", "< 60 s", f"{rows[4]['seconds']:.1f} s", rows[4]["seconds"] < 60),
        Bar("collect, memory", "< 1,000 MB", f"{rows[4]['peak MB']:.0f} MB", rows[4]["peak MB"] < 1000),
        Bar("table from the parquet", "< 5 s", f"{rows[6]['seconds']:.1f} s", rows[6]["seconds"] < 5),
    ]
    sizes: list[Row] = [
        {"": "files", "before": count + arrays, "after": 2, "MB before": size / 1e6, "MB after": after / 1e6}
    ]
    sys.exit(finish(given, {f"{count} records, {arrays} with arrays": rows, "On the disk": sizes}, bars))


def _some_key(packed: str) -> str:
    from nica_bench.records.parquet import Pack

    return next(iter(Pack.open(packed).outlines())).key


if __name__ == "__main__":
    main()
