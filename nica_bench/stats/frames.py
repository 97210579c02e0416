"""Records as a data frame with one row per run, for further analysis."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nica_bench.metrics import METRICS
from nica_bench.records.record import Record
from nica_bench.stats.blocks import blocks_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_of"]


def frame_of(records: Iterable[Record]) -> pd.DataFrame:
    """Return a tidy data frame of records.

    Args:
        records: the records; no key occurs twice.

    Returns:
        One row per record. Columns: key, scenario and method (labels, with a version if a label stands for several),
        kind, side_information, seed, training_seed, status, message; every metric by its name; `dimension.<rule>`,
        `difficulty.<measure>`, `scenario.<parameter>`, `method.<parameter>`, heldout_loss, seconds, cpu_seconds,
        peak_memory_bytes, host, device, commit and the versions. A number that a record does not have is NaN.
    """
    import pandas as pd

    blocks, _ = blocks_of(records)
    rows = [
        _row(series.scenario, series.method, record)
        for block in blocks
        for series in block.series
        for record in series.records.values()
    ]
    # These columns always exist, so that a program can rely on their names.
    columns = dict.fromkeys((*_row_head(), *METRICS))
    for row in rows:
        columns.update(dict.fromkeys(row))
    return pd.DataFrame(rows, columns=list(columns))


def _row_head() -> tuple[str, ...]:
    return "key", "scenario", "method", "kind", "side_information", "seed", "training_seed", "status", "message"


def _row(scenario: str, method: str, record: Record) -> dict[str, Any]:
    spec, made = record.spec, record.provenance
    head = (
        record.key, scenario, method, record.kind, record.side_information or "-", spec.seed, spec.training_seed,
        record.status.value, record.message,
    )  # fmt: skip
    return {
        **dict(zip(_row_head(), head, strict=True)),
        **record.scores,
        **{f"dimension.{name}": value for name, value in record.dimensions.items()},
        **{f"difficulty.{name}": value for name, value in record.difficulty.items()},
        **{f"scenario.{name}": value for name, value in spec.scenario_parameters.items()},
        **{f"method.{name}": value for name, value in spec.method_parameters.items()},
        "heldout_loss": record.training.get("heldout_loss"),
        "seconds": record.cost.get("wall_seconds"),
        "cpu_seconds": record.cost.get("cpu_seconds"),
        "peak_memory_bytes": record.cost.get("peak_memory_bytes"),
        "host": made.get("host"),
        "device": made.get("device"),
        "commit": (made.get("git") or {}).get("commit"),
        "nica_bench": made.get("nica_bench"),
        "torch": (made.get("versions") or {}).get("torch"),
    }
