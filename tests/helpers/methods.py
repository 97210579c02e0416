"""Built-in methods as the registry finds them, shortened where a test is not about how well they are trained."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path

from helpers import ROOT
from nica_bench.method import FitSession
from nica_bench.parameters import parameters_of
from nica_bench.registry import make_scenario, method_types
from nica_bench.seeds import Streams

BUILT_IN = [name for name, owner in method_types().items() if Path(inspect.getfile(owner)).parent == ROOT / "methods"]
VECTORS = make_scenario("gauss-2of5[conditions=3,samples=600,held_out=200]")
IMAGES = make_scenario("digits[samples=200,held_out=50]")


def shortened(name, **parameters):
    """A method with those of these parameters that it has."""
    method = method_types()[name]()
    known = parameters_of(type(method)).keys() & parameters.keys()
    return dataclasses.replace(method, **{key: parameters[key] for key in known})


def fit_each(method, seen, training_seeds):
    """Fits of (seed of the data, observations), in one group where the method can."""
    observations = [o for _, o in seen]
    streams = [Streams.of_fit(seed, t) for (seed, _), t in zip(seen, training_seeds, strict=True)]
    if method.replicated:
        return method.fit_group(observations, streams, FitSession())
    return [method.fit(o, s, FitSession()) for o, s in zip(observations, streams, strict=True)]


def small_scenario(name):
    """A small scenario that the method takes."""
    method = method_types()[name]()
    return next(s for s in (VECTORS, IMAGES) if method.skip(s) is None)
