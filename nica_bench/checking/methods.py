"""Checks of the contract of a method on small data."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.checking.data import CONDITIONS, DIMENSIONS, LATENTS, Small, SmallImages, small_dataset
from nica_bench.checking.finding import Checks
from nica_bench.checking.randomness import GlobalRandomness
from nica_bench.dataset import Dataset, Split, checked_side_information
from nica_bench.errors import ContractError
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.parameters import label, parameters_of, parse_name, parse_values
from nica_bench.running.contract import checked_codes, checked_facts, checked_fits, checked_ranking
from nica_bench.seeds import Streams

__all__ = ["check_method"]

_QUICK = {"steps": 20, "epochs": 2, "iterations": 50, "batch": 50}
"""The values of parameters that determine the length of a training, unless a bound is larger."""
_LONG = 5.0
"""The duration of a fit in seconds from which a message announces how many more follow."""


def check_method(owner: type[Method], path: Path, say: Callable[[str], None] = lambda line: None) -> Checks:
    """Check a method on small data with 2 latents, 4 dimensions and 3 conditions, or on small images.

    Args:
        owner: the class.
        path: its file.
        say: the function that receives a message if a check takes long.
    """
    checks = Checks(owner, path)
    if not checks.declaration("name"):
        return checks
    given = getattr(owner, "side_information", None)
    try:
        checked_side_information(given)
    except ContractError as error:
        checks.that(False, f"{owner.__name__}.{error}", "side_information")
    for flag in ("default", "baseline", "replicated"):
        value = getattr(owner, flag)
        checks.that(isinstance(value, bool), f"{owner.__name__}.{flag} must be True or False, got {value!r}", flag)
    method = None
    with checks.running("__post_init__"):
        method = owner()
    if method is None:
        return checks
    with checks.running("label"):
        same = owner(**parse_values(owner, parse_name(label(method.name, method))[1], method.name))
        checks.that(same == method, f"{owner.__name__}: its label {method.label} gives a different method")
    reasons: list[Any] = []
    for small in (Small(LATENTS, DIMENSIONS), SmallImages()):
        reason, found = None, len(checks.findings)
        with checks.running("skip"):
            reason = method.skip(small)
        if len(checks.findings) > found:
            return checks
        valid = reason is None or (isinstance(reason, str) and bool(reason))
        if not checks.that(valid, f"{owner.__name__}.skip must return a reason or None, got {reason!r}", "skip"):
            return checks
        if reason is None:
            _sized(checks, method, small)
            _Trial(checks, _quick(method), small, say).run()
            return checks
        reasons.append(reason)
    say(f"{owner.__name__}: not checked, since it takes neither small vectors ({reasons[0]}) nor images ({reasons[1]})")
    return checks


def _sized(checks: Checks, method: Method, small: Small | SmallImages) -> None:
    if small.image_shape is not None:  # the size of groups of images does not depend on it
        return
    with checks.running("bytes_per_replicate"):
        size = method.bytes_per_replicate(1000, DIMENSIONS, CONDITIONS, LATENTS)
        sized = isinstance(size, (int, np.integer)) and size > 0
        name = type(method).__name__
        checks.that(sized, f"{name}.bytes_per_replicate must be an integer > 0, got {size!r}")


def _quick(method: Method) -> Method:
    """Return the method with a shorter training, since the contract does not depend on its scores."""
    changes: dict[str, Any] = {}
    for name, spec in parameters_of(type(method)).items():
        if name in _QUICK and spec.type is int and not 0 < getattr(method, name) <= _QUICK[name]:
            changes[name] = max(_QUICK[name], int(spec.low or 0))
    return dataclasses.replace(method, **changes)


class _Trial:
    """Fits of one method and their checks."""

    def __init__(self, checks: Checks, method: Method, small: Small | SmallImages, say: Callable[[str], None]) -> None:
        self._checks = checks
        self._small = small
        self._say = say
        self._method = method
        self._name = type(method).__name__
        self._at = "fit" if "fit" in vars(type(method)) else "fit_group" if "fit_group" in vars(type(method)) else "fit"

    def run(self) -> None:
        """Make all checks that are possible; a failed fit ends them."""
        data, randomness, begun = self._data(0), GlobalRandomness(), time.monotonic()
        fitted = self._fit(data)
        if (seconds := time.monotonic() - begun) > _LONG:
            more = 6 if self._method.replicated else 3
            self._say(f"{self._name}: a fit of {len(data.train.x)} points took {seconds:.0f} s; {more} more follow")
        if fitted is None or not self._outcome(fitted, data):
            return
        if not self._untouched(data, randomness):
            return
        codes = self._codes(fitted, data.test)
        if self._same(fitted, codes, data):
            self._unseen(codes, data)
            self._sizes(fitted, codes, data.test)
        self._checks.made += 1
        other = self._data(1, train=157)
        smaller = self._fit(other)
        if smaller is not None:
            self._outcome(smaller, other)
        if self._method.replicated:
            self._grouped(codes, data)

    def _data(self, seed: int, train: int = 240, secrets: int = 0) -> Dataset:
        return small_dataset(seed, train=train, secrets=secrets, image_shape=self._small.image_shape)

    def _fits(self, group: Sequence[Dataset]) -> Sequence[Fitted] | None:
        with self._checks.running(self._at):
            seen = [d.observations(self._method.side_information) for d in group]
            streams = [Streams.of_fit(i, 0) for i in range(len(group))]
            session = FitSession()
            if self._method.replicated:
                return checked_fits(self._method, self._method.fit_group(seen, streams, session), len(group))
            fits = [self._method.fit(o, s, session) for o, s in zip(seen, streams, strict=True)]
            return checked_fits(self._method, fits, len(group))
        return None

    def _fit(self, data: Dataset) -> Fitted | None:
        fits = self._fits([data])
        return None if fits is None else fits[0]

    def _codes(self, fitted: Fitted, split: Split) -> NDArray[Any]:
        return checked_codes(self._method, fitted, split, "test")

    def _outcome(self, fitted: Fitted, data: Dataset) -> bool:
        """Check what a fit returned, and return whether there are no findings."""
        checks, before = self._checks, len(self._checks.findings)
        with checks.running(self._at):
            both = [
                checked_codes(self._method, fitted, s, n)
                for s, n in ((data.validation, "validation"), (data.test, "test"))
            ]
            width = both[1].shape[1]
            checks.that(both[0].shape[1] == width, f"{self._name}: splits have different numbers of codes", self._at)
            bad = int(sum((~np.isfinite(codes)).sum() for codes in both))
            checks.that(bad == 0, f"{self._name}: {bad} codes are not finite", self._at)
            varied = bool((both[1].max(0) > both[1].min(0)).any())
            checks.that(varied, f"{self._name}: all codes are constant", self._at)
            rankings = {"importance": fitted.importance, **fitted.rankings}
            for name, values in rankings.items():
                ranking = checked_ranking(self._method, name, values, width)
                finite = bool(np.isfinite(ranking.astype(float)).all())
                checks.that(finite, f"{self._name}: {name} holds values that are not finite", self._at)
            checked_facts(self._method, fitted)
            checks.that(fitted.diverged is None, f"{self._name}: its fit diverged: {fitted.diverged}", self._at)
        return len(checks.findings) == before

    def _untouched(self, data: Dataset, randomness: GlobalRandomness) -> bool:
        """Check that a fit changes neither the observations nor the global random generators."""
        if randomness.used():  # an import during the fit may have used them, which a second fit does not repeat
            randomness.move()
            second = self._fit(data)
            if second is not None:
                self._codes(second, data.test)
        used = ", ".join(randomness.used())
        kept = all(np.array_equal(s.x, t.x) for s, t in zip(data.splits, self._data(0).splits, strict=True))
        drawn = self._checks.that(
            not used,
            f"{self._name} uses the random generator of the whole process ({used}): draw from `streams`",
            self._at,
        )
        return self._checks.that(kept, f"{self._name} changes the observations that it receives", self._at) and drawn

    def _same(self, fitted: Fitted, codes: NDArray[Any], data: Dataset) -> bool:
        """Check that equal inputs and seeds give equal codes, and return whether they do."""
        if not self._checks.that(
            np.array_equal(codes, self._codes(fitted, data.test)),
            f"{self._name}: encode returns different codes of the same rows the second time",
            self._at,
        ):
            return False
        second = self._fit(data)
        if second is None:
            return False
        equal = np.array_equal(codes, self._codes(second, data.test))
        ranked = np.array_equal(np.asarray(fitted.importance), np.asarray(second.importance))
        return self._checks.that(
            equal and ranked,
            f"{self._name}: two fits with the same seeds differ: all randomness must come from `streams`",
            self._at,
        )

    def _unseen(self, codes: NDArray[Any], data: Dataset) -> None:
        """Check that codes do not depend on latents or conditions that the method does not declare."""
        method, secret = self._method, self._data(0, secrets=1)
        kept = [
            Split(s.x, s.u if "u" in method.side_information else t.u, s.z if "z" in method.side_information else t.z)
            for s, t in zip(data.splits, secret.splits, strict=True)
        ]
        other = self._fit(dataclasses.replace(data, train=kept[0], validation=kept[1], test=kept[2]))
        if other is not None:
            self._checks.that(
                np.array_equal(codes, self._codes(other, data.test)),
                f"{self._name}: its codes depend on conditions or latents that its side information does not declare",
                self._at,
            )

    def _sizes(self, fitted: Fitted, codes: NDArray[Any], test: Split) -> None:
        """Check that the code of a row does not depend on the other rows."""
        with self._checks.running(self._at):
            for count in (1, 7):
                part = Split(test.x[:count], test.u[:count], None)
                few = checked_codes(self._method, fitted, part, f"{count}-row")
                close = np.allclose(few, codes[:count], rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(codes).max())))
                self._checks.that(
                    bool(close),
                    f"{self._name}: the codes of {count} rows alone differ from those among {len(codes)} rows: "
                    "the code of a row must not depend on the other rows",
                    self._at,
                )

    def _grouped(self, codes: NDArray[Any], data: Dataset) -> None:
        """Check that the codes of a replicate do not depend on the other replicates of its group."""
        if "fit_group" in vars(type(self._method)):
            self._at = "fit_group"
        fits = self._fits([data, self._data(1), self._data(2)])
        if fits is not None:
            same = np.array_equal(codes, self._codes(fits[0], data.test))
            self._checks.that(
                same, f"{self._name}: a dataset's codes differ between a group of three and alone", self._at
            )
