"""Records for tests of what reads them: no method is run."""

import json

import msgspec
import numpy as np

from nica_bench.records.record import Record, RunSpec
from nica_bench.records.store import Store

SIDE_INFORMATION = {"gin": "u", "pca": "", "ivae": "un", "raw-x": "", "label-only": "u", "linear-oracle": "nz"}
KINDS = {"raw-x": "baseline", "label-only": "baseline", "linear-oracle": "reference"}
LEVELS = {"gin": 0.97, "pca": 0.75, "ivae": 0.85, "raw-x": 0.8, "label-only": 0.6, "linear-oracle": 0.99}


def record(
    method="gin", seed=0, training_seed=0, mcc=0.5, *, status="ok", version="1", conditions=3, samples=400, **changes
):
    default = "" if conditions == 5 else f"conditions={conditions}"
    extra = "" if samples == 400 else f"samples={samples}"
    inside = ",".join(filter(None, (default, extra)))
    spec = RunSpec(
        "gauss-2of4", {"conditions": conditions, "samples": samples}, "1", method, {"lr": 0.01}, version, seed, training_seed,
        scenario_label="gauss-2of4" + (f"[{inside}]" if inside else ""),
    )  # fmt: skip
    side_information = SIDE_INFORMATION.get(method, "u")
    ok = status == "ok"
    scores = {
        "mcc": mcc,
        "mcc_within": mcc - 0.02,
        "mcc_best": min(1.0, mcc + 0.01),
        "leakage": 1 - mcc,
        "slope": 2 - mcc,
        "slope_error": 1 - mcc,
    }
    if "n" not in side_information:
        scores |= {"dimension": 2.0, "dimension_correct": float(mcc > 0.7)}
    fields = {
        "spec": spec, "status": status, "side_information": side_information, "kind": KINDS.get(method, "method"),
        "n_latents": 2, "n_observed": 4, "image_shape": None,
        "message": "" if ok else f"{status}: it did not work", "scores": scores if ok else {},
        "dimensions": {"kneedle": 2 if mcc > 0.7 else 3} if ok and "n" not in side_information else {},
        "difficulty": {"linear_r": 0.99 - 0.01 * seed, "log_det_sd": 0.5 + 0.1 * seed, "raw_best": 0.9} if ok else {},
        "truth": {"family": "normal", "coordinates": "z", "oracle_loss": -1.6} if ok else {},
        "training": {"heldout_loss": -1.5 + 0.01 * seed} if method in ("gin", "ivae") and ok else {"heldout_loss": None},
        "cost": {"wall_seconds": 1.0 + seed, "cpu_seconds": 1.0, "peak_memory_bytes": 1000},
        "provenance": {
            "nica_bench": "0.1.0", "git": {"commit": "a" * 40, "dirty": False}, "versions": {"torch": "2.13.0"},
            "python": "3.11.7", "host": "one", "cpu": "fast", "device": "cpu", "ended": "2026-01-01T00:00:00",
        },
    }  # fmt: skip
    return Record.make(**{**fields, **changes})


def changed(made, **fields):
    """A record with other fields, or with other fields of its spec, whose key it then has."""
    in_spec = {name: fields.pop(name) for name in RunSpec.__struct_fields__ if name in fields}
    values = {
        name: getattr(made, name)
        for name in Record.__struct_fields__
        if name not in ("key", "truth_text", "origin", "started", "ended")
    }
    values |= {
        "truth": made.truth,
        "provenance": made.provenance,
        "spec": msgspec.structs.replace(made.spec, **in_spec),
        **fields,
    }
    return Record.make(**values)


def arrays(method, seed, mcc, conditions=3):
    rng = np.random.default_rng([seed, len(method)])
    z = rng.normal(size=(200, 2))
    codes = np.hstack([mcc * z[:, ::-1] * [-1, 1] + 0.1 * rng.normal(size=(200, 2)), 0.01 * rng.normal(size=(200, 2))])
    table = np.corrcoef(np.hstack([z, codes]), rowvar=False)[:2, 2:]
    found = {
        "importance": codes.std(0),
        "correlation": table,
        "assignment": np.array([[1, 0], [1, -1]]),
        "codes": codes.astype(np.float32),
        "z": z.astype(np.float32),
        "u": rng.integers(conditions, size=200),
    }
    if method in ("gin", "ivae"):
        found["loss"] = 10 * np.exp(-np.arange(300) / 50) - 6 + 0.1 * rng.normal(size=300)
    return found


def scores_of(method, seeds):
    """Scores that look like those of a method; the same on each call."""
    rng = np.random.default_rng(list(map(ord, method)))
    return dict(zip(seeds, np.clip(LEVELS[method] - rng.exponential(0.02, len(seeds)), 0, 1).tolist(), strict=True))


def some(seeds=range(8), methods=tuple(LEVELS), **options):
    return [record(m, seed, mcc=mcc, **options) for m in methods for seed, mcc in scores_of(m, list(seeds)).items()]


def written(folder, records, with_arrays=False):
    store = Store.open(folder)
    for r in records:
        packed = None
        if with_arrays and r.status == "ok":
            packed = arrays(r.spec.method, r.spec.seed, r.scores["mcc"], r.spec.scenario_parameters["conditions"])
        store.write(r, packed)
    return folder


def edit(folder, record, **changes):
    """Change a record's file by hand, as an older version or an accident would have left it."""
    path = folder / "cells" / f"{record.key}.json"
    value = json.loads(path.read_text())
    for name, change in changes.items():
        if change is None:
            del value[name]
        else:
            value[name] = change
    path.write_text(json.dumps(value))
