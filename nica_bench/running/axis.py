"""One axis of a grid: a scenario or a method, and the values that its parameters take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TypeVar

from nica_bench.errors import UsageError
from nica_bench.method import Method
from nica_bench.parameters import parse_name
from nica_bench.running.resources import Resources
from nica_bench.scenario import Scenario

__all__ = ["Axis"]

T = TypeVar("T", Scenario, Method)


@dataclass(frozen=True)
class Axis:
    """A scenario or a method, and the values that its parameters take.

    Args:
        text: a name as on the command line; parameters in its brackets take precedence over `parameters`.
        parameters: texts by the parameter's name; several values span a grid.
        thing: the scenario or method itself if it is given as an object.
        error: the function that returns the error of a parameter, or of the whole axis (None), with its place.
        resources: the resources of the jobs of a method; None: those of all methods.
    """

    text: str
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    thing: Scenario | Method | None = None
    error: Callable[[str | None, str], UsageError] = lambda name, message: UsageError(message)
    resources: Resources | None = None

    @classmethod
    def of(cls, given: str | Scenario | Method | Axis) -> Axis:
        """Return the axis of a text or an object."""
        if isinstance(given, Axis):
            return given
        return cls(given) if isinstance(given, str) else cls(given.name, thing=given)

    @property
    def name(self) -> str:
        """The name before the brackets."""
        return parse_name(self.text)[0]

    @property
    def size(self) -> int:
        """The number of points."""
        return math.prod(map(len, self._values().values()))

    def texts(self) -> list[str]:
        """Return the points in the order of the parameters; the last parameter changes fastest."""
        values = self._values()
        points = (",".join(f"{k}={v}" for k, v in zip(values, p, strict=True)) for p in product(*values.values()))
        return [f"{self.name}[{point}]" if point else self.name for point in points]

    def without(self, names: Iterable[str]) -> Axis:
        """Return the axis with defaults in place of the values of these parameters."""
        name, inside = parse_name(self.text)
        dropped = set(names)
        left = ",".join(f"{k}={v}" for k, v in inside.items() if k not in dropped)
        kept = {k: v for k, v in self.parameters.items() if k not in dropped}
        return replace(self, text=f"{name}[{left}]" if left else name, parameters=kept)

    def completed(self, shared: Mapping[str, tuple[str, ...]], error: Callable[[str, str], UsageError]) -> Axis:
        """Return the axis with values for those parameters of which it has none.

        Args:
            shared: texts by the name of the parameter.
            error: the function that returns the error of one of these.
        """
        own = self._values()
        added = {name: values for name, values in shared.items() if name not in own}

        def placed(name: str | None, message: str) -> UsageError:
            return error(name, message) if name is not None and name in added else self.error(name, message)

        return replace(self, parameters={**added, **self.parameters}, error=placed)

    def points(self, make: Callable[[str], T]) -> list[tuple[str, T]]:
        """Return the scenarios or methods of the points, with their texts.

        Raises:
            UsageError: if a name or value is wrong, with its place.
        """
        if self.thing is not None:
            return [(self.thing.label, self.thing)]  # type: ignore[list-item]
        found = []
        for text in self.texts():
            try:
                found.append((text, make(text)))
            except UsageError as error:
                raise self.error(self._culprit(make), str(error)) from error
        return found

    def first(self, make: Callable[[str], T]) -> T:
        """Return the scenario or method with default parameters. Raises UsageError, with its place."""
        if self.thing is not None:
            return self.thing  # type: ignore[return-value]
        try:
            return make(self.name)
        except UsageError as error:
            raise self.error("name", str(error)) from error

    def _values(self) -> dict[str, tuple[str, ...]]:
        return {**self.parameters, **{key: (value,) for key, value in parse_name(self.text)[1].items()}}

    def _culprit(self, make: Callable[[str], T]) -> str | None:
        """Return the parameter whose value alone is refused, or None if there is none."""
        for key, values in self.parameters.items():
            for value in values:
                try:
                    make(f"{self.name}[{key}={value}]")
                except UsageError:
                    return key
        return None
