"""Tables as text or as files: for the terminal, and in Markdown, LaTeX, HTML, CSV, JSON and Parquet."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from nica_bench.tables.table import Column, Row, Table, shared_legends

__all__ = ["BINARY", "FORMATS", "SUFFIXES", "html_table", "render", "terminal_table"]


def render(tables: Sequence[Table], format: str) -> bytes:
    """Return tables in a format of `FORMATS`; text is encoded in UTF-8. For the terminal see `terminal_table`."""
    return FORMATS[format](tables)


def terminal_table(table: Table, width: int | None = None) -> Any:
    """Return a table for the terminal, a `rich.table.Table`, with a line between sections.

    Args:
        table: the table.
        width: the width in characters; None: that of the terminal.
    """
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    fitted = table.fitted(width or Console().width)
    shown = RichTable(
        title=escape(fitted.title), caption=escape(fitted.explanation) or None, caption_justify="left",
        box=box.SIMPLE_HEAD, padding=0, show_edge=False,
    )  # fmt: skip
    for column, head in zip(fitted.columns, fitted.heads(), strict=True):
        long = column.wrap
        justify: Any = "right" if column.right else "left"
        shown.add_column(escape(head), no_wrap=not long, overflow="fold" if long else "ellipsis", justify=justify)
    # a space in place of the mark keeps the digits of a column aligned
    padded = [c.right and any(fitted.bold(c, row) for row in fitted.rows) for c in fitted.columns]
    for row, texts, end in zip(fitted.rows, fitted.texts(), fitted.ends(), strict=True):
        styled = [
            f"[bold]{escape(text)}[/bold]" if fitted.bold(column, row) else escape(text + " " * pad)
            for column, text, pad in zip(fitted.columns, texts, padded, strict=True)
        ]
        shown.add_row(*styled, end_section=end)
    return shown


def _rich(tables: Sequence[Table]) -> bytes:
    from rich.console import Console

    buffer = io.StringIO()
    console = Console(file=buffer)
    for table in shared_legends(tables):
        console.print(terminal_table(table, console.width))
    return buffer.getvalue().encode()


def _markdown(tables: Sequence[Table]) -> bytes:
    lines = []
    for table in shared_legends(tables):
        lines += [f"**{_md(table.title)}**", "", "| " + " | ".join(_md(c.head) for c in table.columns) + " |"]
        lines += ["|" + "|".join("---:" if c.right else "---" for c in table.columns) + "|"]
        for row, texts in zip(table.rows, table.texts(), strict=True):
            cells = [
                f"**{_md(t)}**" if table.bold(c, row) else _md(t) for c, t in zip(table.columns, texts, strict=True)
            ]
            lines.append("| " + " | ".join(cells) + " |")
        lines += ["", _md(table.explanation), ""] if table.explanation else [""]
    return ("\n".join(lines).rstrip() + "\n").encode()


def _md(text: str) -> str:
    for character in "\\|*_<`":
        text = text.replace(character, "\\" + character)
    return " ".join(text.split())


_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}", "`": r"\textasciigrave{}",
    "[": "{[}", "]": "{]}", "\u2026": r"\dots{}",
}  # fmt: skip


def latex_escape(text: str) -> str:
    """Return text that LaTeX sets literally; a character beyond ASCII without an entry in the table becomes `?`."""
    # LaTeX would take a bracket at the start of a row for the optional argument of the `\\` before it.
    return "".join(_LATEX.get(c, c if " " <= c < "\x7f" else ("?" if c.isprintable() else " ")) for c in text)


def _latex(tables: Sequence[Table]) -> bytes:
    lines = ["% needs \\usepackage{booktabs} and \\usepackage[T1]{fontenc}, \\usepackage{textcomp}"]
    for table in tables:
        columns = "".join("r" if c.right else "l" for c in table.columns)
        lines += [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_escape(f'{table.title}. {table.explanation}')}}}",
        ]
        lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
        lines += [" & ".join(latex_escape(c.head) for c in table.columns) + r" \\", r"\midrule"]
        for row, texts, end in zip(table.rows, table.texts(), table.ends(), strict=True):
            cells = [
                rf"\textbf{{{latex_escape(t)}}}" if table.bold(c, row) else latex_escape(t)
                for c, t in zip(table.columns, texts, strict=True)
            ]
            lines.append(" & ".join(cells) + r" \\")
            if end:
                lines.append(r"\midrule")
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}", ""]
    return "\n".join(lines).encode()


def html_table(table: Table, identifier: str = "") -> str:
    """Return a table as HTML with one body per section, headers with a scope, and sort values in `data-value`.

    Args:
        table: the table.
        identifier: the id of the element; the element has none if this is empty.
    """
    name = f' id="{html.escape(identifier)}"' if identifier else ""
    lines = [f"<table{name}>", f"<caption>{html.escape(table.explanation)}</caption>", "<thead><tr>"]
    for column in table.columns:
        lines.append(f'<th scope="col"{_number_class(column)}>{html.escape(column.head)}</th>')
    lines += ["</tr></thead>", "<tbody>"]
    for row, texts, end in zip(table.rows, table.texts(), table.ends(), strict=True):
        lines.append("<tr>" + "".join(_cell(table, row, c, t, i) for i, (c, t) in enumerate(_pairs(table, texts))))
        lines[-1] += "</tr>"
        if end:
            lines += ["</tbody>", "<tbody>"]
    return "\n".join([*lines, "</tbody>", "</table>"])


def _pairs(table: Table, texts: Sequence[str]) -> list[tuple[Column, str]]:
    return list(zip(table.columns, texts, strict=True))


def _cell(table: Table, row: Row, column: Column, text: str, index: int) -> str:
    shown = html.escape(text)
    if table.bold(column, row):
        shown = f"<strong>{shown}</strong>"
    if column.code:
        shown = f"<code>{shown}</code>"
    value = column.value(row) if column.value else None
    sort = f' data-value="{value!r}"' if column.value and value is not None else ""
    tag, scope = ("th", ' scope="row"') if index == 0 else ("td", "")
    kind = ' class="long"' if column.wrap and index else _number_class(column)
    return f"<{tag}{scope}{kind}{sort}>{shown}</{tag}>"


def _number_class(column: Column) -> str:
    return ' class="number"' if column.right else ""


def _html(tables: Sequence[Table]) -> bytes:
    return "\n".join(f"<h2>{html.escape(t.title)}</h2>\n{html_table(t)}" for t in tables).encode() + b"\n"


def flat(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Return the rows of all tables as one list; each row begins with the title of its table."""
    names: dict[str, None] = {}
    rows = []
    for table in tables:
        for row in table.rows:
            whole = {table.key: table.title, **row} if table.key not in row else dict(row)
            names.update(dict.fromkeys(whole))
            rows.append(whole)
    return [{name: row.get(name) for name in names} for row in rows]


def _csv(tables: Sequence[Table]) -> bytes:
    rows = flat(tables)
    buffer = io.StringIO()
    names = list(rows[0]) if rows else [tables[0].key, *(c.head for c in tables[0].columns)]
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: " ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()})
    return buffer.getvalue().encode()


def _json(tables: Sequence[Table]) -> bytes:
    return (json.dumps({t.title: [dict(row) for row in t.rows] for t in tables}, indent=2) + "\n").encode()


def _parquet(tables: Sequence[Table]) -> bytes:
    import pandas as pd

    buffer = io.BytesIO()
    frame = pd.DataFrame(flat(tables)).convert_dtypes()
    frame.to_parquet(buffer, engine="pyarrow", index=False)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Sequence[Table]], bytes]] = {
    "rich": _rich,
    "markdown": _markdown,
    "latex": _latex,
    "csv": _csv,
    "html": _html,
    "parquet": _parquet,
    "json": _json,
}
"""The formats of `table --format`, by name."""

BINARY = ("parquet",)
"""The binary formats, which are written to a file or a pipe, never to a terminal."""

SUFFIXES = {
    ".txt": "rich", ".md": "markdown", ".tex": "latex", ".csv": "csv", ".html": "html", ".parquet": "parquet",
    ".json": "json",
}  # fmt: skip
"""The format of a file by its suffix."""
