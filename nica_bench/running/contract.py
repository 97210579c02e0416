"""Checks of the values that `fit` and `encode` of a method return."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.dataset import Split
from nica_bench.errors import ContractError
from nica_bench.method import Fitted, Method
from nica_bench.records.plain import plain
from nica_bench.records.spec import RecordError

__all__ = ["checked_codes", "checked_facts", "checked_fits", "checked_history", "checked_ranking"]


def checked_fits(method: Method, fits: object, count: int) -> Sequence[Fitted]:
    """Return the fits of a group.

    Args:
        method: the method.
        fits: the value that `fit_group` returned.
        count: the number of datasets in the group.

    Raises:
        ContractError: if it is not a sequence of `count` `Fitted`.
    """
    if not isinstance(fits, Sequence):
        raise ContractError(f"{method.name}: fit_group must return a list of Fitted, got {type(fits).__name__}")
    if len(fits) != count:
        raise ContractError(f"{method.name}: fit_group must return {count} fits, got {len(fits)}")
    for fitted in fits:
        if not isinstance(fitted, Fitted):
            raise ContractError(f"{method.name}: fit must return a Fitted, got {type(fitted).__name__}")
    return fits


def _real(method: Method, what: str, values: Any) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise ContractError(f"{method.name}: {what} need real numbers, got type {array.dtype}")
    return array


def checked_codes(method: Method, fitted: Fitted, split: Split, name: str) -> NDArray[Any]:
    """Return the codes of a split.

    Args:
        method: the method.
        fitted: its fit.
        split: the split, N rows.
        name: the name of the split, for messages.

    Returns:
        Codes, shape (N, D'); they may hold values that are not finite.

    Raises:
        ContractError: if the codes are not one row of real numbers for each observation.
    """
    returned = fitted.encode(split.x, split.u if "u" in method.side_information else None)
    codes = np.array(_real(method, "codes", returned))  # a copy: the method may return one buffer again and again
    rows = split.x.shape[0]
    if codes.ndim != 2 or codes.shape[0] != rows or codes.shape[1] == 0:
        raise ContractError(f"{method.name}: {name} codes need shape ({rows}, codes), got {codes.shape}")
    return codes


def checked_ranking(method: Method, name: str, values: Any, codes: int) -> NDArray[Any]:
    """Return a ranking of codes, such as the importance, shape (D',).

    Args:
        method: the method.
        name: the name of the ranking, for messages and as part of the name of an array.
        values: the ranking.
        codes: the number of codes D'.

    Raises:
        ContractError: if it is not one real number per code, or the name is not valid.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ContractError(f"{method.name}: names of rankings are letters, digits and '_-.', got '{name}'")
    array = _real(method, name, values)
    if array.shape != (codes,):
        raise ContractError(f"{method.name}: {name} needs shape ({codes},), got {array.shape}")
    return array


def checked_facts(method: Method, fitted: Fitted) -> tuple[dict[str, Any], NDArray[Any] | None]:
    """Return the facts of a training for the record, held-out loss included, and the loss curve.

    Args:
        method: the method.
        fitted: its fit.

    Raises:
        ContractError: if the held-out loss is not a number, the curve not a real vector, or a fact not a JSON value.
    """
    loss = fitted.heldout_loss
    if loss is not None and (isinstance(loss, bool) or not isinstance(loss, (int, float, np.integer, np.floating))):
        raise ContractError(f"{method.name}: heldout_loss is a number or None, got {type(loss).__name__}")
    try:
        facts = plain(dict(fitted.training), "training")
    except RecordError as error:
        raise ContractError(f"{method.name}: {error}") from error
    curve = None if fitted.loss_curve is None else _real(method, "loss_curve", fitted.loss_curve)
    if curve is not None and curve.ndim != 1:
        raise ContractError(f"{method.name}: loss_curve needs shape (steps,), got {curve.shape}")
    return {**facts, "heldout_loss": None if loss is None else float(loss)}, curve


def checked_history(method: Method, fitted: Fitted) -> dict[str, NDArray[Any]]:
    """Return the arrays that a fit recorded over its training.

    Args:
        method: the method.
        fitted: its fit.

    Raises:
        ContractError: if a name is not valid, an array does not hold real numbers, or arrays differ in length.
    """
    history: dict[str, NDArray[Any]] = {}
    for name, values in fitted.history.items():
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise ContractError(f"{method.name}: names in the history are letters, digits and '_-.', got '{name}'")
        history[name] = _real(method, f"history of {name}", values)
    lengths = {array.shape[:1] for array in history.values()}
    if len(lengths) > 1 or () in lengths:
        shapes = {name: array.shape for name, array in history.items()}
        raise ContractError(f"{method.name}: arrays of the history need one length, got {shapes}")
    return history
