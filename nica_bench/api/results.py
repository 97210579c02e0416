"""Records of runs with their tables and figures, for a program or a notebook."""

from __future__ import annotations

import html
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nica_bench.figures import figure_kind
from nica_bench.records.collection import Collection, collect
from nica_bench.records.record import Record, Status
from nica_bench.running.plan import parse_seeds
from nica_bench.stats import frame_of
from nica_bench.tables import Query, Table, html_table, render, table_kind

if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["Runs", "Tables", "read"]

Names = str | Iterable[str]


class Tables(Sequence[Table]):
    """Tables, one for each scenario or one in all. They show themselves as text, and in a notebook as HTML.

    Args:
        tables: them.
        notes: what a reader must know beside them, a line each.
    """

    def __init__(self, tables: Sequence[Table], notes: Iterable[str]) -> None:
        self._tables = tuple(tables)
        self.notes = tuple(dict.fromkeys(notes))

    def __len__(self) -> int:
        return len(self._tables)

    def __getitem__(self, index: Any) -> Any:
        return self._tables[index]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of all tables as plain values."""
        return [dict(row) for table in self._tables for row in table.rows]

    def render(self, format: str = "markdown") -> bytes:
        """The tables in a format: markdown, latex, csv, json, html, parquet, or rich, which is plain text."""
        return render(self._tables, format)

    def __repr__(self) -> str:
        text = self.render("rich").decode()
        return "\n".join([text.rstrip(), *(f"note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        shown = "\n".join(f"<h4>{html.escape(table.title)}</h4>\n{html_table(table)}" for table in self._tables)
        return shown + "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)


class Runs:
    """Records of runs: what `run` and `read` return. In a notebook they show themselves as a table.

    Args:
        collection: the records.
        folder: a temporary folder in which they are, which is kept for as long as this object.
    """

    def __init__(self, collection: Collection, folder: TemporaryDirectory[str] | None = None) -> None:
        self._collection = collection
        self._folder = folder

    @property
    def records(self) -> tuple[Record, ...]:
        """The records, in the order of scenario, method, seed and training seed."""
        return self._collection.records

    @property
    def failed(self) -> tuple[Record, ...]:
        """The records of runs that failed; `message` says why."""
        return tuple(r for r in self.records if r.status not in (Status.OK, Status.SKIPPED))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the records, a line each."""
        return self._collection.notes

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def select(
        self, scenarios: Names = (), methods: Names = (), seeds: int | str | Iterable[int] = (), hosts: Names = ()
    ) -> Runs:
        """Some of the runs; what is left out is no condition.

        Args:
            scenarios, methods: labels as in a table, or names, which stand for all their variants.
            seeds: data seeds, or a text such as "0:10".
            hosts: names of machines.

        Raises:
            UsageError: if a name is not among the records, or none is left.
        """
        names = [(value,) if isinstance(value, str) else tuple(value) for value in (scenarios, methods, hosts)]
        chosen = parse_seeds(str(seeds)) if isinstance(seeds, (int, str)) else list(seeds)
        return Runs(self._collection.select(names[0], names[1], chosen, names[2]), self._folder)

    def table(
        self, kind: str = "scores", *, metric: str | None = None, by: Names = (), threshold: float = 0.95
    ) -> Tables:
        """Tables of the runs, as `nica-bench table` shows them.

        Args:
            kind: such as "scores", "pairs" or "failures".
            metric: name of a metric, or the file of an added one; None is the kind's own choice.
            by: what the rows are of, such as ("method", "scenario").
            threshold: MCC from which a dataset counts as a success.

        Raises:
            UsageError: for an unknown kind, metric or row, or one that the records cannot show.
        """
        parts = tuple(part.strip() for part in by.split(",")) if isinstance(by, str) else tuple(by)
        tables, notes = table_kind(kind).build(self._collection, Query(metric, parts, threshold))
        return Tables(tables, [*self.notes, *notes])

    def to_frame(self) -> pd.DataFrame:
        """A pandas data frame with one row for each run; see `nica_bench.stats.frame_of` for its columns."""
        return frame_of(self.records)

    def plot(
        self,
        kind: str = "scores",
        *,
        metric: str | None = None,
        ranks: Sequence[int] = (),
        save: str | os.PathLike[str] | None = None,
    ) -> Figure:
        """Draw a figure of the runs, as `nica-bench plot` does.

        Args:
            kind: such as "scores", "spectrum" or "latents".
            metric: as in `table`.
            ranks: of the codes in the figure "traversals", 1 is the most important one.
            save: file to write it to as well: .png, .svg or .pdf.

        Raises:
            UsageError: for an unknown kind or metric, or records that the figure cannot show.
        """
        from nica_bench.figures.saving import save_figure
        from nica_bench.figures.style import Request, theme

        shown = figure_kind(kind)
        if save is not None:
            save_figure(shown, self._collection, Path(save), metric=metric, ranks=ranks)
        with theme():
            figure = shown.draw(Request(self._collection, metric, ranks)).figure
        # a notebook shows figures by itself only after pyplot was imported there
        vars(figure)["_repr_png_"] = partial(_png, figure)
        return figure

    def arrays(self, record: Record) -> Mapping[str, NDArray[np.generic]]:
        """The arrays of a record by name: importance, correlation, some test codes, the loss curve, ...

        Raises:
            NicaBenchError: if they cannot be read.
        """
        return self._collection.arrays(record)

    def __repr__(self) -> str:
        scenarios = len({r.spec.scenario_label for r in self.records})
        methods = len({r.spec.method_label for r in self.records})
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"<{len(self)} runs of {methods} methods on {scenarios} scenarios{failed}: .table(), .to_frame(), .plot()>"
        )

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def read(*paths: str | os.PathLike[str]) -> Runs:
    """Read records: the folder of a run, a folder of published results, or a file `records.parquet`.

    Args:
        paths: one or several; where two hold the same run, one that finished takes precedence, else the first.

    Raises:
        UsageError: if a path does not exist or holds no records.
    """
    return Runs(collect([os.fspath(path) for path in paths]))
