"""The findings of checks: breaches of the contract of a class, with the line of its file."""

from __future__ import annotations

import dataclasses
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nica_bench.errors import NicaBenchError
from nica_bench.parameters import parameters_of

__all__ = ["Checks", "Finding"]


_CONTRACT = frozenset(("name", "family", "equivalence", "sized", "version"))


@dataclass(frozen=True)
class Finding:
    """A breach of the contract.

    Args:
        path, line: the place.
        text: the expected value and the value found.
    """

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


class _Running:
    """A context that turns an error into a finding."""

    def __init__(self, checks: Checks, at: str) -> None:
        self._checks = checks
        self._at = at

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if not isinstance(error, (Exception, SystemExit)):
            return False
        said = str(error) if isinstance(error, NicaBenchError) else f"{type(error).__name__}: {error}"
        line = self._checks.raised(error) or self._checks.line(self._at)
        self._checks.add(f"{self._checks.owner.__name__}.{self._at}: {said}", line)
        return True


class Checks:
    """The checks of one class: their number and their findings.

    Args:
        owner: the class.
        path: its file.
    """

    def __init__(self, owner: type, path: Path) -> None:
        self.owner = owner
        self.path = path
        self.made = 0
        self.findings: list[Finding] = []

    def that(self, holds: bool, text: str, at: str = "") -> bool:
        """Make a check, and return whether it passed.

        Args:
            holds: whether the check passes.
            text: the text of the finding if it does not.
            at: the name of the responsible member of the class; empty for the class itself.
        """
        self.made += 1
        if not holds:
            self.add(text, self.line(at))
        return holds

    def running(self, at: str) -> _Running:
        """Return a context in which a member of the class runs; an error in it becomes a finding at its line."""
        self.made += 1
        return _Running(self, at)

    def add(self, text: str, line: int) -> None:
        """Add a finding, unless it is there already."""
        finding = Finding(self.path, line, text.partition("\n")[0])
        if finding not in self.findings:
            self.findings.append(finding)

    def line(self, at: str = "") -> int:
        """Return the line on which a member of the class is defined, or that of the class."""
        member = inspect.unwrap(vars(self.owner).get(at) or self.owner)
        member = member.fget if isinstance(member, property) and member.fget else member
        code = getattr(member, "__code__", None)
        if code is not None:
            return int(code.co_firstlineno)
        try:
            lines, first = inspect.getsourcelines(self.owner)
        except (OSError, TypeError):
            return 1
        for i, text in enumerate(lines):
            if at and re.match(rf"\s+{re.escape(at)}\s*[:=]", text):
                return first + i
        return first

    def raised(self, error: BaseException) -> int | None:
        """Return the last line of the file in the traceback of an error, or None."""
        traceback, found = error.__traceback__, None
        while traceback is not None:
            if Path(traceback.tb_frame.f_code.co_filename) == self.path:
                found = traceback.tb_lineno
            traceback = traceback.tb_next
        return found

    def declaration(self, name_field: str) -> bool:
        """Check what methods and scenarios share: a name, a frozen dataclass, and fields that are parameters."""
        owner = self.owner
        name = getattr(owner, name_field, None)
        named = isinstance(name, str) and re.fullmatch(r"[A-Za-z][\w.-]*", name) is not None
        sizes = re.search(r"-\d+of\d+$", str(name))
        self.that(sizes is None, f"{owner.__name__}.{name_field} must not end in '-<n>of<D>', got {name!r}", name_field)
        self.that(
            named, f"{owner.__name__}.{name_field} must consist of letters, digits and '-_.', got {name!r}", name_field
        )
        self.that(
            isinstance(owner.__dict__.get("version", getattr(owner, "version", None)), str),
            f"{owner.__name__}.version must be a text",
            "version",
        )
        self.that(
            bool((owner.__doc__ or "").strip()) and not str(owner.__doc__).startswith(f"{owner.__name__}("),
            f"{owner.__name__} has no docstring; `nica-bench list` shows its first line",
        )
        params: Any = owner.__dict__.get("__dataclass_params__")
        own = {key: str(value) for key, value in vars(owner).get("__annotations__", {}).items()}
        undone = [key for key, value in own.items() if "ClassVar" not in value and key not in _CONTRACT]
        undone += [key for key, value in vars(owner).items() if isinstance(value, dataclasses.Field)]
        good = params.frozen if params is not None else not undone
        self.that(good, f"{owner.__name__} is not a frozen dataclass: write @dataclass(frozen=True) above it")
        if not (named and good):
            return False
        given = {"n_latents", "n_observed"} if name_field == "family" else set()
        known = parameters_of(owner)
        for made in dataclasses.fields(owner):
            if made.name not in known and made.name not in given and made.init:
                self.that(
                    False,
                    f"{owner.__name__}.{made.name} is a field but not a parameter: write "
                    f"`{made.name}: ... = parameter(default, 'description')`",
                    made.name,
                )
        return not self.findings
