"""The overview of unlabelled data, whose true latents are unknown: the scores that need no latents."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.metrics import Consistency, consistency
from nica_bench.records.record import Record, Status
from nica_bench.stats import Block, Series, quantity
from nica_bench.tables.rows import FAILED, SIDE_INFO, counts
from nica_bench.tables.seconds import TIME, mean_seconds
from nica_bench.tables.table import Column, Row, Table, number

__all__ = ["Arrays", "unlabelled_rows", "unlabelled_table"]

Arrays = Callable[[Record], Mapping[str, NDArray[Any]]]
"""A function that returns the arrays of a record by name."""

LEGEND = (
    "The true latents are unknown, so the MCC is not applicable. side info lists what a method receives besides x: u "
    "conditions, n number of latents. knee is the number of latents at the elbow of the method's own ranking, the "
    "largest log gap after the first five values, with the smallest and the largest answer of five rules in brackets "
    "(see --kind knees). moved is how far the knee of the codes' std moved over the last half of training. bits/dim "
    "is the negative log-likelihood of the test images in bits per dimension, with normal noise of std .01 added to "
    "pixels in [0, 1]. Bayes is the accuracy of naive Bayes on all codes, Bayes 22 that on the leading 22 codes, and "
    "probe 22 that of a linear probe on the leading 22 codes. consistency is the MCC between the leading codes of "
    "two training seeds, with its chance level in parentheses and the number of codes. Over training seeds, knee is "
    "the lower median, its interval the union, moved the maximum, and other values are medians. time is the mean "
    "wall time per dataset. failed is failed runs / runs not run / all runs."
)
NAMES = (
    "bits",
    "knee",
    "knee_low",
    "knee_high",
    "knee_moved",
    "bayes",
    "bayes_knee",
    "bayes_22",
    "probe_22",
)


def unlabelled_rows(block: Block, arrays: Arrays | None) -> list[dict[str, Any]]:
    """Return one row per method: methods before baselines, the fewest bits per dimension first.

    Args:
        block: the records of a scenario whose true latents are unknown.
        arrays: the function that returns the arrays of a record, from which the consistency between training seeds is
            computed; None: no consistency.
    """
    rows = [_row(block, series, arrays) for series in block.series]
    infinite = float("inf")
    return sorted(
        rows, key=lambda r: (r["kind"] != "method", infinite if r["bits"] is None else r["bits"], r["method"])
    )


def unlabelled_table(title: str, rows: Sequence[Row]) -> Table:
    """Return the table of rows of `unlabelled_rows`; a value that is not applicable is shown as n/a."""
    columns = (
        Column("method", lambda r: r["method"], right=False, wrap=True),
        SIDE_INFO,
        Column("knee", _knee, lambda r: r["knee"]),
        Column("moved", lambda r: _whole(r["knee_moved"]), lambda r: r["knee_moved"], drop=1),
        Column("bits/dim", lambda r: _value(r["bits"]), lambda r: r["bits"]),
        Column("Bayes", lambda r: _value(r["bayes"]), lambda r: r["bayes"]),
        Column("Bayes 22", lambda r: _value(r["bayes_22"]), lambda r: r["bayes_22"], drop=3),
        Column("probe 22", lambda r: _value(r["probe_22"]), lambda r: r["probe_22"], drop=2),
        Column("consistency", _consistency_text, lambda r: r["consistency"]),
        Column("MCC", lambda r: "n/a", lambda r: None, drop=4),
        TIME,
        FAILED,
    )
    caption = ""
    for published in sorted({r["published"] for r in rows if r["published"] is not None}):
        found = [r["method"] for r in rows if r["knee"] is not None and r["knee_low"] <= published <= r["knee_high"]]
        found = found or ["none"]
        caption += f" The paper counts {published} latents in these data, inside the interval of {', '.join(found)}."
    images = sorted({r["images"] for r in rows if r["images"]})
    if images:
        caption += f" Images: {', '.join(images)}."
    return Table(title, columns, rows, caption.strip(), LEGEND, lambda r: r["kind"] != "method")


def _row(block: Block, series: Series, arrays: Arrays | None) -> dict[str, Any]:
    done = [r for r in series.records.values() if r.status is Status.OK]
    found = _consistency(series, arrays) if arrays is not None else []
    return {
        "method": series.method,
        "kind": series.first.kind,
        "side_information": series.first.side_information or "-",
        **{name: _OVER.get(name, _median)(_values(done, name)) for name in NAMES},
        "consistency": _median([c.mcc for _, c in found]),
        "consistency_within": _median([c.within for _, c in found]),
        "consistency_chance": _median([c.chance for _, c in found]),
        "consistency_codes": min((k for k, _ in found), default=None),
        "pairs": len(found),
        "published": next((v for r in done if isinstance(v := r.truth.get("paper_latents"), int)), None),
        "images": next((str(v) for r in done if (v := r.truth.get("images"))), None),
        **mean_seconds(series),
        **counts([block.outcomes(series, quantity("seconds"))]),
        "seeds": series.seeds,
        "mcc": None,
        "best": False,
    }


def _consistency(series: Series, arrays: Arrays) -> list[tuple[int, Consistency]]:
    """Return the consistency of every two training seeds on the same data, with the number of leading codes compared.

    That number is the smaller knee of the two runs, or the number of stored codes for a method that is given a number
    of latents; it is at most the number of stored codes.
    """
    by_seed: dict[int, list[Record]] = {}
    for (seed, _), record in sorted(series.records.items()):
        if record.status is Status.OK:
            by_seed.setdefault(seed, []).append(record)
    found = []
    for seed, records in by_seed.items():
        for a, b in itertools.combinations(records, 2):
            first, second = arrays(a), arrays(b)
            if "leading_codes" not in first or "leading_codes" not in second:
                continue
            knees = [int(v) for r in (a, b) if (v := r.scores.get("knee")) is not None]
            k = max(1, min([*knees, first["leading_codes"].shape[1], second["leading_codes"].shape[1]]))
            one, other, labels = first["leading_codes"][:, :k], second["leading_codes"][:, :k], first["leading_u"]
            if np.isfinite(one).all() and np.isfinite(other).all() and np.array_equal(labels, second["leading_u"]):
                found.append((k, consistency(one, other, labels, np.random.default_rng(seed))))
    return found


def _values(records: Sequence[Record], name: str) -> list[float]:
    return [v for r in records if (v := r.scores.get(name)) is not None]


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


_OVER: dict[str, Callable[[Sequence[float]], float | None]] = {
    "knee": lambda values: statistics.median_low(values) if values else None,  # a number of codes is whole
    "knee_low": lambda values: min(values, default=None),
    "knee_high": lambda values: max(values, default=None),
    "knee_moved": lambda values: max(values, default=None),
}
"""The aggregates over training seeds of those values of which not the median is taken."""


def _value(value: float | None) -> str:
    return "n/a" if value is None else number(value)


def _whole(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.0f}"


def _knee(row: Row) -> str:
    if row["knee"] is None:
        return "n/a"
    return f"{row['knee']:.0f} [{row['knee_low']:.0f} {row['knee_high']:.0f}]"


def _consistency_text(row: Row) -> str:
    if row["consistency"] is None:
        return "n/a"
    return f"{number(row['consistency'])} ({number(row['consistency_chance'])}) of {row['consistency_codes']}"
