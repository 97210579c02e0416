"""The errors a user can cause, each with a message that says what was expected and what came."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ContractError", "NicaBenchError", "UsageError", "did_you_mean"]


class NicaBenchError(Exception):
    """Base of every error that is shown as one message, without a traceback."""


class UsageError(NicaBenchError, ValueError):
    """Bad input: a wrong name, value, folder or file. The command line exits with 2."""


class ContractError(NicaBenchError):
    """A method or a scenario does not keep its contract (wrong shape, non-finite codes, ...)."""


def did_you_mean(name: str, known: Iterable[str], limit: int = 3) -> str:
    """The end of an error message: the known names nearest to `name`, or all of them where none is near.

    Args:
        name: what was given.
        known: the right names.
        limit: how many near names to offer.
    """
    names = sorted(set(known))
    if not names:
        return "there are none"
    near = difflib.get_close_matches(name.lower(), names, n=limit, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(f"'{n}'" for n in near) + "?"
    return "known: " + ", ".join(names)
