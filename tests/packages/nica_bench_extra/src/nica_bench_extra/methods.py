"""A method that an entry point's module holds."""

from dataclasses import dataclass

import numpy as np

from nica_bench import Fitted, Method, parameter


@dataclass(frozen=True)
class Centred(Method):
    """x without its mean, times a factor."""

    name = "centred"
    factor: float = parameter(1.0, "what x is multiplied by", above=0)

    def fit(self, observations, streams, session):
        mean = observations.train_x.mean(0)
        return Fitted(lambda x, u: self.factor * (x - mean), np.asarray(observations.train_x.std(0)))
