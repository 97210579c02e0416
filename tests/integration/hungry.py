"""A method that takes memory for each dataset that it fits at once, for sweeps that have too little."""

from dataclasses import dataclass

import numpy as np

from nica_bench import Fitted, Method
from nica_bench.parameters import parameter


@dataclass(frozen=True)
class Hungry(Method):
    name = "hungry"
    replicated = True
    megabytes: int = parameter(0, "to take a dataset", low=0)

    def fit(self, observations, streams, session):
        return self.fit_group([observations], [streams], session)[0]

    def fit_group(self, group, streams, session):
        taken = np.ones((self.megabytes * len(group), 1 << 17))
        assert taken.size >= 0
        return [Fitted(lambda x, u: x, np.ones(x.n_observed)) for x in group]
