"""A method that takes time, for sweeps that are disturbed; each fit that ends or goes on adds a line to a file."""

import os
import time
from dataclasses import dataclass

import numpy as np

from nica_bench import Fitted, Method
from nica_bench.method import Interrupted
from nica_bench.parameters import parameter


@dataclass(frozen=True)
class Waiting(Method):
    name = "waiting"
    seconds: float = parameter(0.0, "to wait", low=0)
    gate: bool = parameter(False, "to wait until there is a file called go, besides")
    saves: bool = parameter(False, "save the time that has passed when it is interrupted, and go on from there")

    def fit(self, observations, streams, session):
        name = f"{abs(observations.train_x[0, 0]):.6f}"
        if self.saves:
            self.wait(session, name)
        else:
            time.sleep(self.seconds)
        while self.gate and not os.path.exists(os.path.join(os.environ["WAITING_LOGS"], "go")):
            time.sleep(0.05)
        note("finished", name)
        return Fitted(lambda x, u: x, np.ones(observations.n_observed))

    def wait(self, session, name):
        passed = 0.0
        if session.checkpoint.exists():
            passed = float(session.checkpoint.read_text())
            note("resumed", name)
        begun = time.monotonic() - passed
        while time.monotonic() - begun < self.seconds:
            if session.interrupted():
                session.checkpoint.parent.mkdir(exist_ok=True)
                session.checkpoint.write_text(str(time.monotonic() - begun))
                raise Interrupted("interrupted")
            time.sleep(0.05)


def note(what, name):
    if folder := os.environ.get("WAITING_LOGS"):
        with open(os.path.join(folder, what), "a") as file:
            file.write(f"{name}\n")
