"""A method that an entry point names itself."""

from dataclasses import dataclass

import numpy as np

from nica_bench import Fitted, Method


@dataclass(frozen=True)
class RandomCodes(Method):
    """x through a random linear map."""

    name = "random-codes"
    default = False

    def fit(self, observations, streams, session):
        linear = streams.numpy("map").normal(size=(observations.n_observed, 3))
        return Fitted(lambda x, u: x @ linear, np.ones(3))
