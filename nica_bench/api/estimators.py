"""Methods made of objects with the interface of scikit-learn: `fit(x)` or `fit(x, u)`, and `transform(x)`."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nica_bench.api.sources import source_digest
from nica_bench.dataset import Floats, Integers, Observations, checked_side_information
from nica_bench.errors import ContractError, UsageError
from nica_bench.method import FitSession, Fitted, Method
from nica_bench.seeds import Streams

__all__ = ["Wrapped", "takes_conditions", "wrap"]

Importance = str | Callable[[Any], Any] | None


@dataclass(frozen=True)
class Wrapped(Method):
    """A method that fits clones of an estimator. Made by `wrap`.

    Args:
        estimator: is never fitted itself.
        title: the method's name.
        given: its side information, "", "u", "n" or "un".
        importance: what ranks the codes, see `wrap`.
        values: parameters of the estimator as JSON values, in order, and whether they are not at their default.
        digest: of the source of the estimator's class.
    """

    name: ClassVar[str] = "estimator"

    estimator: Any = field(compare=False)
    title: str = "estimator"
    given: str = ""
    importance: Importance = field(default=None, compare=False)
    values: tuple[tuple[str, Any, bool], ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        own = {"name": self.title, "side_information": self.given, "version": f"{type(self).version}+py-{self.digest}"}
        for name, value in own.items():  # of this one, where other methods have them of the class
            object.__setattr__(self, name, value)

    @property
    def label(self) -> str:
        """The name with those parameters that are not at the default of the class."""
        parts = [
            f"{name}={str(value).lower() if isinstance(value, bool) else value}"
            for name, value, own in self.values
            if own
        ]
        return f"{self.title}[{','.join(parts)}]" if parts else self.title

    def parameter_values(self) -> dict[str, Any]:
        """All parameters of the estimator."""
        return {name: value for name, value, _ in self.values}

    def fit(self, observations: Observations, streams: Streams, session: FitSession) -> Fitted:
        """Fit a clone. A parameter `random_state` that is None gets a number from `streams`."""
        from sklearn.base import clone

        model = clone(self.estimator, safe=False)
        if hasattr(model, "get_params") and model.get_params().get("random_state", 0) is None:
            model.set_params(random_state=int(streams.numpy("estimator").integers(2**31)))
        x, u = np.array(observations.train_x), observations.train_u
        arguments = {}
        if "n" in self.given:
            arguments["n_latents"] = observations.n_latents
        if "u" in self.given and takes_conditions(model.fit):
            model.fit(x, np.array(u), **arguments)
        else:
            model.fit(x, **arguments)

        def encode(x: Floats, u: Integers | None) -> Floats:
            with_u = u is not None and takes_conditions(model.transform)
            codes = model.transform(np.array(x), np.array(u)) if with_u else model.transform(np.array(x))
            return np.asarray(codes)

        curve = getattr(model, "loss_curve_", None)
        return Fitted(
            encode,
            self._ranking(model, encode(observations.train_x, u)),
            loss_curve=None if curve is None else np.asarray(curve, dtype=np.float64),
        )

    def _ranking(self, model: Any, codes: NDArray[Any]) -> NDArray[Any]:
        if callable(self.importance):
            return np.asarray(self.importance(model))
        name = self.importance or "importance_"
        if hasattr(model, name):
            return np.asarray(getattr(model, name))
        if self.importance is not None:
            raise ContractError(f"{self.title}: importance='{name}', but the fitted estimator has no such attribute")
        if codes.ndim != 2 or codes.dtype.kind not in "fiub":
            return np.zeros(0)  # the check of the codes says what is wrong
        return np.asarray(codes.std(0))


def wrap(
    estimator: Any,
    name: str | None = None,
    *,
    side_information: str | None = None,
    importance: Importance = None,
) -> Method:
    """Make a method of an object with `fit(x)` or `fit(x, u)`, and `transform(x)` or `transform(x, u)`.

    Each fit uses a clone of the object. Its parameters, `get_params()` where it has that, go into the keys of runs, and
    so does the source of its class: a change of either computes the runs anew.

    Args:
        estimator: the object, or its class, which is then made without arguments.
        name: of the method in tables; None is the name of the class.
        side_information: "u" if the conditions are given to `fit`; "n" if the number of latents is given to it by the
            keyword `n_latents`; "un" for both; "" for neither. None is "u" where the second parameter of `fit` is
            called u or has no default, and "" where there is none or it is a y that may be left out.
        importance: ranking of the codes, larger is more important: name of an attribute of the fitted object, or a
            function of it. None is its attribute `importance_`, or else the standard deviation of the training codes.

    Raises:
        UsageError: if the object lacks one of the methods, or the name or the side information is not valid.
    """
    made = estimator() if isinstance(estimator, type) else estimator
    owner = type(made)
    for needed in ("fit", "transform"):
        if not callable(getattr(made, needed, None)):
            raise UsageError(f"a method is a name, a Method or an object with fit and transform, got {owner.__name__}")
    title = owner.__name__ if name is None else name
    if not title or not title[0].isalpha() or not all(c.isalnum() or c in "_.-" for c in title):
        raise UsageError(f"the name of a method is letters, digits and '-_.', got '{title}'")
    try:
        given = checked_side_information(
            ("u" if _asks_conditions(made.fit) else "") if side_information is None else side_information
        )
    except ContractError as error:
        raise UsageError(str(error)) from error
    if not set(given) <= set("un"):
        raise UsageError(f"{title}: an estimator is given u, n or both, got '{given}'")
    if "u" in given and not takes_conditions(made.fit):
        raise UsageError(f"{title}: side information u is the second argument of fit, but fit takes one")
    return Wrapped(made, title, given, importance, tuple(_values(made)), source_digest(owner))


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # compiled
        return []
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL)]


def takes_conditions(function: Callable[..., Any]) -> bool:
    """Whether a function takes a second positional argument that can be meant for the conditions.

    One with a default is meant for something else, unless it is called u, or y in `fit`.
    """
    second = _positional(function)[1:2]
    if not second or second[0].kind is inspect.Parameter.VAR_POSITIONAL:
        return False
    return second[0].default is inspect.Parameter.empty or second[0].name in ("u", "y")


def _asks_conditions(fit: Callable[..., Any]) -> bool:
    second = _positional(fit)[1:2]
    return takes_conditions(fit) and (second[0].name == "u" or second[0].default is inspect.Parameter.empty)


def _values(estimator: Any) -> list[tuple[str, Any, bool]]:
    """Parameters of an estimator: name, JSON value, and whether the class has another default."""
    if hasattr(estimator, "get_params"):
        values: Mapping[str, Any] = estimator.get_params()
    else:
        values = {name: v for name, v in getattr(estimator, "__dict__", {}).items() if not name.startswith("_")}
    try:
        signature = inspect.signature(type(estimator)).parameters
        defaults = {name: _plain(p.default) for name, p in signature.items() if p.default is not p.empty}
    except (TypeError, ValueError):
        defaults = {}
    plain = {name: _plain(values[name]) for name in sorted(values)}
    return [(name, v, (name in defaults and v != defaults[name]) or name not in defaults) for name, v in plain.items()]


def _plain(value: Any) -> Any:
    """A parameter as a JSON value that is the same in every process."""
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else str(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:12]
        return f"array{value.shape}:{digest}"
    if isinstance(value, (list, tuple)):
        return "(" + " ".join(str(_plain(v)) for v in value) + ")"
    if isinstance(value, Mapping):
        return "(" + " ".join(f"{k}:{_plain(v)}" for k, v in sorted(value.items(), key=str)) + ")"
    if value is None:
        return "none"
    if isinstance(value, type):
        return f"{value.__name__}:{source_digest(value)}"
    if callable(value) and hasattr(value, "__code__"):
        return f"{value.__qualname__}:{hashlib.sha256(value.__code__.co_code).hexdigest()[:12]}"
    return f"{type(value).__name__}:{source_digest(type(value))}"
