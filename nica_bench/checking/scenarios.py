"""Checks of the contract of a scenario on small data."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from nica_bench.checking.finding import Checks
from nica_bench.checking.randomness import GlobalRandomness
from nica_bench.dataset import Dataset
from nica_bench.latents import FAMILIES
from nica_bench.parameters import Range, parameters_of
from nica_bench.records.plain import plain
from nica_bench.records.spec import RecordError
from nica_bench.scenario import Scenario

__all__ = ["check_scenario"]

_FEW = {"samples": 500, "held_out": 200}
"""The values of parameters that determine the number of points, unless a bound is larger."""


def check_scenario(owner: type[Scenario], path: Path) -> Checks:
    """Check a scenario.

    Args:
        owner: the class.
        path: its file.
    """
    checks = Checks(owner, path)
    if not checks.declaration("family"):
        return checks
    promise = getattr(owner, "equivalence", None)
    checks.that(
        isinstance(promise, str) and bool(promise.strip()),
        f"{owner.__name__}.equivalence must name the class of the theory, such as 'component-wise affine', got "
        f"{promise!r}",
        "equivalence",
    )
    checks.that(
        isinstance(owner.sized, bool), f"{owner.__name__}.sized must be True or False, got {owner.sized!r}", "sized"
    )
    for sizes in [(2, 4), (1, 3)] if owner.sized else [None]:
        scenario = _made(checks, owner, sizes)
        if scenario is None:
            return checks
        _tried(checks, scenario)
        if checks.findings:
            return checks
    return checks


def _made(checks: Checks, owner: type[Scenario], sizes: tuple[int, int] | None) -> Scenario | None:
    with checks.running("__post_init__"):
        given = {} if sizes is None else {"n_latents": sizes[0], "n_observed": sizes[1]}
        values: dict[str, Any] = {
            name: max(_FEW[name], int(spec.low or 0))
            for name, spec in parameters_of(owner).items()
            if name in _FEW and spec.type is int
        }
        scenario = owner(**given, **values)
        for name in ("n_latents", "n_observed", "conditions", "samples"):
            value = getattr(scenario, name)
            whole = (isinstance(value, int) and value > 0) or (name == "n_latents" and value is None)
            checks.that(whole, f"{owner.__name__}.{name} must be an integer > 0, got {value!r}", name)
        for name, value in dataclasses.asdict(scenario).items():
            plain = isinstance(value, (int, float, str, bool, Range, dict, type(None)))
            checks.that(plain, f"{owner.__name__}.{name} must be a value of a parameter, got {value!r}", name)
        return None if checks.findings else scenario
    return None


def _tried(checks: Checks, scenario: Scenario) -> None:
    name = type(scenario).__name__
    data: list[Any] = []
    randomness = GlobalRandomness()
    with checks.running("generate"):
        data = [scenario.generate(seed) for seed in (0, 0, 1)]
    used = ", ".join(randomness.used())
    if len(data) < 3 or not checks.that(
        not used,
        f"{name}.generate uses the random generator of the whole process ({used}): draw from Streams(seed)",
        "generate",
    ):
        return
    for made in data:
        if not checks.that(
            isinstance(made, Dataset), f"{name}.generate must return a Dataset, got {type(made).__name__}", "generate"
        ):
            return
    first, same, other = data
    checks.that(
        _equal(first, same), f"{name}: the same seed gives different data: draw from Streams(seed) alone", "generate"
    )
    if scenario.sized:
        checks.that(not _equal(first, other), f"{name}: different seeds give the same data", "generate")
    _shapes(checks, scenario, first)
    _facts(checks, scenario, first)
    with checks.running("warnings"):
        lines = scenario.warnings()
        texts = isinstance(lines, list) and all(isinstance(line, str) for line in lines)
        checks.that(texts, f"{name}.warnings must return a list of texts, got {lines!r}", "warnings")


def _equal(a: Dataset, b: Dataset) -> bool:
    return all(
        np.array_equal(s.x, t.x) and np.array_equal(s.u, t.u) and (s.z is t.z is None or np.array_equal(s.z, t.z))  # type: ignore[arg-type]
        for s, t in zip(a.splits, b.splits, strict=True)
    )


def _shapes(checks: Checks, scenario: Scenario, data: Dataset) -> None:
    name = type(scenario).__name__
    for what in ("n_latents", "n_observed", "conditions"):
        came, said = getattr(data, what), getattr(scenario, what)
        checks.that(came == said, f"{name}: its data have {came} {what}, but the scenario says {said}", "generate")
    count = len(data.train.x)
    checks.that(
        count == scenario.samples, f"{name}: {count} training points, but samples is {scenario.samples}", "generate"
    )
    for split, part in zip(("train", "validation", "test"), data.splits, strict=True):
        checks.that(len(part.x) > 0, f"{name}: {split} is empty", "generate")
        if part.z is not None and len(part.z):
            still = np.flatnonzero(part.z.max(0) == part.z.min(0)).tolist()
            checks.that(
                not still, f"{name}: latents {still} of {split} are constant, so no code can recover them", "generate"
            )
        floats = np.issubdtype(part.x.dtype, np.floating)
        checks.that(floats, f"{name}: x of {split} must hold floating-point numbers, got {part.x.dtype}", "generate")
    seen = set(data.train.u.tolist())
    lacking = sorted(set(range(data.conditions)) - seen)
    checks.that(not lacking, f"{name}: no training point has condition {lacking[:3]} of {data.conditions}", "generate")
    rows = [{row.tobytes() for row in part.x} for part in data.splits]
    shared = len(rows[0] & rows[2]) + len(rows[0] & rows[1]) + len(rows[1] & rows[2])
    checks.that(shared == 0, f"{name}: {shared} observations are in more than one split", "generate")
    checks.that(
        data.image_shape == scenario.image_shape,
        f"{name}: image_shape is {data.image_shape} in its data and {scenario.image_shape} in the scenario",
        "image_shape",
    )


def _facts(checks: Checks, scenario: Scenario, data: Dataset) -> None:
    name = type(scenario).__name__
    for what, value in (("truth", data.truth), ("difficulty", data.difficulty)):
        try:
            plain(value, what)
            said = ""
        except RecordError as error:
            said = str(error)
        checks.that(not said, f"{name}: {what} must fit into a record: {said}", "generate")
    numbers = [
        k for k, v in data.difficulty.items() if isinstance(v, bool) or not isinstance(v, (int, float, np.number))
    ]
    checks.that(
        not numbers, f"{name}: difficulty must hold numbers, got other values for {', '.join(numbers)}", "generate"
    )
    family = scenario.distribution_name
    known = family is None or family in FAMILIES
    checks.that(
        known, f"{name}.distribution_name must be one of {', '.join(FAMILIES)}, got {family!r}", "distribution_name"
    )
    checks.that(
        data.family == family,
        f"{name}: its data have family {data.family!r}, but the scenario says {family!r}",
        "distribution_name",
    )
