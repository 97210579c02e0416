"""A method that takes time, for sweeps that are disturbed; each fit that ends adds a line to a file."""

import os
import time
from dataclasses import dataclass

import numpy as np

from nica_bench import Fitted, Method
from nica_bench.parameters import parameter


@dataclass(frozen=True)
class Waiting(Method):
    name = "waiting"
    seconds: float = parameter(0.0, "to wait", low=0)

    def fit(self, observations, streams, session):
        time.sleep(self.seconds)
        if path := os.environ.get("WAITING_LOG"):
            with open(path, "a") as file:
                file.write(f"{abs(observations.train_x[0, 0]):.6f}\n")
        return Fitted(lambda x, u: x, np.ones(observations.dimensions))
