"""What every benchmark needs: options, the machine's line, interleaved timing, tables and bars."""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import nica_bench
from nica_bench.records.provenance import provenance

__all__ = ["Bar", "Row", "finish", "machine", "median_seconds", "parser", "say", "timed_rounds"]

Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """What a benchmark has to show.

    Args:
        name: what is measured.
        expected: the bar, in words.
        measured: what came out, in words.
        met: whether that is enough; None where it was not measured.
    """

    name: str
    expected: str
    measured: str
    met: bool | None


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options that all benchmarks have: --smoke and --json."""
    made = argparse.ArgumentParser(
        description=(description or "").strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--smoke", action="store_true", help="a run of seconds that shows that it works")
    made.add_argument("--json", action="store_true", help="print JSON on stdout instead of tables")
    return made


def machine() -> str:
    """Processor, versions and commit, in one line."""
    known = provenance([], "cpu", 1, time.time())
    packages = {"nica-bench": nica_bench.__version__, **known["versions"]}
    with contextlib.suppress(metadata.PackageNotFoundError):
        packages["FrEIA"] = metadata.version("FrEIA")
    git = known["git"]
    at = "" if git is None else f"; commit {git['commit'][:10]}{' with changes' if git['dirty'] else ''}"
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return f"{known['cpu']}; Python {known['python']}, {versions}{at}"


def timed_rounds(variants: Mapping[str, Callable[[], object]], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """CPU seconds of each variant, one a round, in turn.

    In one thread on a machine of one's own they are the seconds of the clock; on a shared one the clock would count
    the others' work too. What still drifts (clock rates, caches) meets all variants alike, since they take turns.

    Args:
        variants: what to time, by name.
        rounds: how often.
        warm: rounds before that, which don't count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for done in range(warm + rounds):
        for name, variant in variants.items():
            start = time.process_time()
            variant()
            if done >= warm:
                seconds[name].append(time.process_time() - start)
    return seconds


def median_seconds(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Median over rounds."""
    return {name: statistics.median(values) for name, values in seconds.items()}


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def finish(options: argparse.Namespace, tables: Mapping[str, Sequence[Row]], bars: Sequence[Bar]) -> int:
    """Print what was measured and return the exit status: 1 where a bar is missed in a full run.

    Args:
        options: from `parser`.
        tables: rows by title.
        bars: what had to be shown.
    """
    name = Path(sys.argv[0]).stem
    if options.json:
        result = {"benchmark": name, "smoke": options.smoke, "machine": machine(), "tables": tables}
        print(json.dumps({**result, "bars": [asdict(bar) for bar in bars]}, indent=2))
    else:
        print(f"{name}{' (smoke run: the figures mean nothing)' if options.smoke else ''}\n{machine()}")
        for title, rows in tables.items():
            print(f"\n{title}\n\n{_table(rows)}")
        if bars:
            print(f"\n{_table([_row(bar, options.smoke) for bar in bars])}")
    return int(not options.smoke and any(bar.met is False for bar in bars))


def _row(bar: Bar, smoke: bool) -> Row:
    word = "not measured" if bar.met is None else "smoke" if smoke else "met" if bar.met else "short"
    return {"bar": bar.name, "expected": bar.expected, "measured": bar.measured, "": word}


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return "-" if value is None else str(value)


def _table(rows: Sequence[Row]) -> str:
    """A Markdown table whose columns are aligned."""
    heads = list(rows[0])
    runs = [heads, *([_text(row.get(head)) for head in heads] for row in rows)]
    widths = [max(len(line[i]) for line in runs) for i in range(len(heads))]
    numeric = [all(isinstance(row.get(head), (int, float, type(None))) for row in rows) for head in heads]
    lines = [
        "| " + " | ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, numeric, strict=True)) + " |"
        for line in runs
    ]
    rule = "|" + "|".join("-" * (w + 1) + (":" if n else "-") for w, n in zip(widths, numeric, strict=True)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])
