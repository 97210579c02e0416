"""Records and processes for the tests of the store."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

from helpers import ROOT
from nica_bench.records.record import Record, RunSpec

SIDE_INFORMATION = "u"


def make_record(seed=0, **changes):
    spec = RunSpec("gauss-2of10", {"conditions": 3}, "1", "ivae", {"lr": 1e-3}, "1", seed, 0)
    fields = {
        "spec": spec, "status": "ok", "side_information": SIDE_INFORMATION, "n_latents": 2, "n_observed": 10,
        "image_shape": None, "scores": {"mcc": 0.5},
    }  # fmt: skip
    return Record.make(**{**fields, **changes})


def make_arrays(number=0.0, size=50):
    return {"spectrum": np.full(size, number), "codes": np.arange(6, dtype=np.float32).reshape(2, 3)}


def temporary_files(folder):
    return sorted(folder.rglob(".tmp-*"))


def python(code, *arguments, **options):
    # Not measured for coverage: a process that is killed would leave a broken data file.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        **options,
    )


def write_often(store, number):
    for i in range(40):
        store.write(make_record(scores={"mcc": float(number)}), make_arrays(number, size=100 + 10 * number + i))
