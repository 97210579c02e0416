"""A method that takes time or memory, for sweeps that are disturbed; each fit that ends adds a line to a file."""

import os
import time
from dataclasses import dataclass

import numpy as np

from nica_bench import Fitted, Method
from nica_bench.parameters import parameter


@dataclass(frozen=True)
class Waiting(Method):
    name = "waiting"
    replicated = True
    seconds: float = parameter(0.0, "to wait a dataset", low=0)
    megabytes: int = parameter(0, "to take a dataset", low=0)
    together: bool = parameter(False, "wait for all datasets at once")

    def fit(self, observations, streams, session):
        return self.fit_group([observations], [streams], session)[0]

    def fit_group(self, group, streams, session):
        taken = np.ones((self.megabytes * len(group), 1 << 17))
        time.sleep(self.seconds * (1 if self.together else len(group)))
        del taken
        if path := os.environ.get("WAITING_LOG"):
            with open(path, "a") as file:
                file.writelines(f"{abs(x.train_x[0, 0]):.6f}\n" for x in group)
        return [Fitted(lambda x, u: x, np.ones(x.dimensions)) for x in group]
