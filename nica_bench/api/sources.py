"""What identifies a class that is neither installed nor in a file of its own: a digest of its source."""

from __future__ import annotations

import hashlib
import inspect
from types import CodeType, FunctionType

from nica_bench.method import Method
from nica_bench.registry import method_types, scenario_types
from nica_bench.scenario import Scenario

__all__ = ["add_source_to_version", "source_digest"]


def source_digest(owner: type) -> str:
    """The first digits of the SHA-256 of the source of a class and of its bases outside of nica-bench.

    Where there is no source, as for a class that was made by `exec`, the compiled functions take its place.
    """
    texts = []
    for each in owner.__mro__:
        if each is object or each.__module__.partition(".")[0] in ("nica_bench", "abc", "typing"):
            continue
        try:
            texts.append(inspect.getsource(each))
        except (OSError, TypeError):
            texts += [_function_text(name, value) for name, value in sorted(vars(each).items())]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def _function_text(name: str, value: object) -> str:
    function = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
    function = function.fget if isinstance(function, property) else function
    if isinstance(function, FunctionType):
        return f"{name}: {_code_text(function.__code__)} {function.__defaults__!r}"
    return f"{name}: {value!r}" if isinstance(value, (int, float, str, bool, tuple, type(None))) else name


def _code_text(code: CodeType) -> str:
    constants = [_code_text(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def add_source_to_version(owner: type[Method] | type[Scenario]) -> None:
    """Make the source of a class part of its version, so that a change of it makes new runs.

    Classes that are installed, and those of a file given by its path, are left as they are: their authors, or the
    content of the file, say when runs are to be made anew.
    """
    module = owner.__module__
    if module.startswith("nica_bench") or owner in [*method_types().values(), *scenario_types().values()]:
        return
    owner.version = f"{owner.version.partition('+')[0]}+py-{source_digest(owner)}"
