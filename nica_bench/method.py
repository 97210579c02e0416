"""The method contract: what sees observations and conditions, never latents, and returns codes with a ranking."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Floats, Integers, Observations
from nica_bench.errors import NicaBenchError
from nica_bench.parameters import check_all, label, values_of
from nica_bench.program import Program
from nica_bench.scenario import Scenario
from nica_bench.seeds import Streams

__all__ = ["Codec", "FitSession", "Fitted", "Interrupted", "Method", "Progress"]


class Interrupted(NicaBenchError):
    """A fit was asked to stop (`FitSession.interrupted`) and has left its checkpoint, where it was given a path."""


@dataclass(frozen=True)
class Progress:
    """How far a fit is: steps done of how many, and the present loss where there is one."""

    step: int
    steps: int
    loss: float | None = None


@dataclass(frozen=True)
class FitSession:
    """Where and how to fit: the same for every method.

    Args:
        device: torch device for methods that use torch.
        compile: compile training steps with torch.compile.
        report: takes the progress of a fit; may be called at every step.
        checkpoint: file in which the fit may save its state, and from which it goes on where that is there; None for
            no such file. Whoever gave it removes it when the fit's results are safe.
        checkpoint_seconds: between two saves; a fit that is killed loses at most what it did since the last one.
        interrupted: asked now and then whether to save the state and raise `Interrupted`.
        threads: cores that the fit may use.
    """

    device: str = "cpu"
    compile: bool = False
    report: Callable[[Progress], None] = lambda progress: None
    checkpoint: Path | None = None
    checkpoint_seconds: float = 180.0
    interrupted: Callable[[], bool] = lambda: False
    threads: int = 1


@dataclass(frozen=True)
class Codec:
    """A trained model without its training: what `Method.restore` makes of saved weights.

    Args:
        encode: from observations x (N, D) and conditions u (N,), or None where the method does not use them, to codes
            (N, D').
        decode: from codes (N, D') back to observations (N, D), where the method can.
        program: gives `decode` as plain operations, with which a page decodes by itself; raises UsageError where it
            has no such form.
    """

    encode: Callable[[Floats, Integers | None], Floats]
    decode: Callable[[Floats], Floats] | None = None
    program: Callable[[], Program] | None = None


@dataclass(frozen=True)
class Fitted:
    """The outcome of one fit.

    Args:
        encode: from observations x (N, D) and conditions u (N,), or None where the method does not use them, to codes
            (N, D').
        importance: the method's own ranking of its codes, shape (D',), larger is more important; made without z.
        rankings: other rankings by name, shape (D',) each, kept beside the codes.
        heldout_loss: loss on validation data, where the method has one; nats per observed dimension for densities.
        loss: the same of any observations x (N, D) and conditions u (N,), or None where the method does not use them,
            as they are, without noise of the method's own; whatever is estimated for it comes from training data.
        training: facts of the fit for the record: steps, learnable parameters, ...
        loss_curve: training loss at every step, shape (steps,).
        diverged: why the fit is of no use although it ended, or None.
        decode: from codes (N, D') back to observations (N, D), where the method can.
        weights: the trained model's arrays by name; empty where there are none to keep.
        history: arrays over training for the record's file, the first axis a point in time: `step` (T,) and, for a
            spectrum followed over training, `spectrum` (T, D').
    """

    encode: Callable[[Floats, Integers | None], Floats]
    importance: NDArray[np.floating[Any]]
    rankings: Mapping[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    heldout_loss: float | None = None
    loss: Callable[[Floats, Integers | None], float] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    loss_curve: NDArray[np.floating[Any]] | None = None
    diverged: str | None = None
    decode: Callable[[Floats], Floats] | None = None
    weights: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    history: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Method(ABC):
    """A method. A subclass is a frozen dataclass whose fields made by `parameter` are its parameters.

    An implementer must give `name` and `fit`; may give the rest. A method that trains with torch derives from
    `nica_bench.training.TorchMethod` instead and fits many datasets at once.
    """

    name: ClassVar[str]
    side_information: ClassVar[str] = ""
    """What it is given beside x, in letters of `nica_bench.dataset.SIDE_INFORMATION`: u, n, f, z. A method with z is a
    supervised reference: it says what can be read off x, and is neither a result nor a baseline."""
    default: ClassVar[bool] = True
    """It is part of a run that names no method."""
    baseline: ClassVar[bool] = False
    """It identifies nothing: what a score has to beat."""
    replicated: ClassVar[bool] = False
    """It fits many datasets or initialisations at once, in `fit_group`."""
    large: ClassVar[bool] = False
    """Its operations are large enough to be spread over the threads that a fit may use; others use one."""
    version: ClassVar[str] = "1"
    """Part of every run's key: change it when the same seed gives other codes."""

    def __post_init__(self) -> None:
        check_all(self, self.name)

    @property
    def label(self) -> str:
        """The name with those parameters that are not at their default: `ivae[lr=0.001]`."""
        return label(self.name, self)

    def parameter_values(self) -> dict[str, Any]:
        """Return the parameters as JSON values: with the name and the version they identify the method in a key."""
        return values_of(self)

    @classmethod
    def kind(cls) -> str:
        """Return "method", "baseline" or "reference": the part of a table in which it stands."""
        if "z" in cls.side_information:
            return "reference"
        return "baseline" if cls.baseline else "method"

    def skip(self, scenario: Scenario) -> str | None:
        """Why the method makes no sense on a scenario, or None where it does."""
        return None

    @abstractmethod
    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit one dataset. All randomness comes from `streams`."""

    def fit_group(self, group: Sequence[Observations], streams: Sequence[Streams], session: FitSession) -> list[Fitted]:
        """Fit several datasets of one shape at once; only asked of a method that says `replicated`."""
        return [self.fit(observations, s, session) for observations, s in zip(group, streams, strict=True)]

    def restore(self, weights: Mapping[str, NDArray[Any]], scenario: Scenario) -> Codec | None:
        """Rebuild a fit from its `Fitted.weights`, with no training; None for a method that has no weights.

        Args:
            weights: arrays by name.
            scenario: that the fit was for.
        """
        return None

    def bytes_per_replicate(self, observations: int, n_observed: int, conditions: int, n_latents: int) -> int:
        """Memory that one more dataset in a group takes while training, in bytes; groups are sized by it."""
        return 4 * observations * (n_observed + conditions) * 4
