"""Standard terms: words of earlier versions occur in nothing that is shown, and not in docstrings of cleaned modules."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from helpers.results import record, some, written
from nica_bench.cli.app import build
from nica_bench.figures import FIGURE_KINDS, Request
from nica_bench.figures.style import label_of, theme
from nica_bench.records.collection import collect
from nica_bench.report import make_report
from nica_bench.stats import quantities
from nica_bench.tables import TABLE_KINDS, Query, render

ROOT = Path(__file__).parent.parent

OLD = {
    "told": "receives, side information",
    "floors?": "baseline",
    "adj": "norm.",
    "adjusted": "normalised",
    "sds?": "std",
    "cells?": "run",
    "inits?": "training seed",
    "initialisations": "training seeds",
    "initialisation seeds?": "training seed",
    "blind": "unlabelled",
    "nobody": "unknown",
    "anybody": "a user",
    "set off": "bold",
    "go(es)? before": "takes precedence over",
    "by and by": "gradually",
    "now and then": "at intervals",
    "what (it|this) is at": "the group that it is computing",
    "the truth in hand": "the true latents",
    "makes? (no )?sense on": "can run on",
    "(?<!linear-)oracles?": "supervised reference",
    "bound, not a": "supervised reference",
    r"(line|row|point|panel|curve|table|bit|nat|second|value|column|sentence|verdict)s? an? "
    "(dataset|run|method|scenario|row|dimension|code|group|seed|record|fit|class|cause|family|module|line|initialisation)": "per",
}
"""Patterns of words that are no longer used, with the standard term."""

OLD_HEADERS = {
    "told",
    "adj",
    "best",
    "dim",
    "s",
    "fail",
    "sets",
    "again",
    "mcc",
    "init",
    "off",
    "truth",
    ">.95 [95 %]",
    "22",
}

DONE = ("tables", "figures", "report", "stats", "metrics", "running", "checking", "methods", "scenarios")
DONE_COMMANDS = ("inspect", "results", "keeping", "watching", "console", "data", "authors", "app")
"""The rooms, and the modules of `cli`, whose docstrings are checked."""


OF_CELLS = ("table.py", "formats.py", "codes.py")
"""Modules whose docstrings speak of the cells of a table or matrix."""


def found(text: str) -> list[str]:
    """Return the old words in a text, with their context."""
    hits = []
    for pattern, term in OLD.items():
        for match in re.finditer(rf"(?<![\w`-])(?:{pattern})(?![\w-])", text, re.IGNORECASE):
            context = text[max(0, match.start() - 30) : match.end() + 30]
            hits.append(f"'{match[0]}' in '{context}': write {term}")
    return hits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Records with failed and missing runs, several training seeds, and arrays."""
    records = some() + some(range(3), ("gin", "pca", "raw-x"), conditions=5)
    records += [record("gin", 9, status="diverged"), record("gin", 0, 1), record("gin", 1, 1)]
    return written(tmp_path_factory.mktemp("words") / "out", records, with_arrays=True)


def test_old_words_are_found():
    for text in ("told u", "a cell", "1 line a dataset", "a bound, not a method", "SD of x", "an oracle"):
        assert found(text), text
    for text in ("max_sd", "linear-oracle", "boundary", "an early run", "cellular", "one line per dataset"):
        assert not found(text), text


@pytest.mark.parametrize("kind", TABLE_KINDS)
def test_tables_use_standard_terms(folder, kind):
    tables, notes = TABLE_KINDS[kind].build(collect([folder]), Query())
    assert not {column.head for table in tables for column in table.columns} & OLD_HEADERS
    for format in ("markdown", "rich", "html", "latex", "json", "csv"):
        assert found(render(tables, format).decode()) == []
    assert found(f"{TABLE_KINDS[kind].help} {' '.join(notes)}") == []


def test_tables_by_metric_use_standard_terms(folder):
    for query in (Query("mcc_within"), Query("mcc", ("method", "conditions"))):
        tables, _ = TABLE_KINDS["scores"].build(collect([folder]), query)
        assert found(render(tables, "markdown").decode()) == []
    assert found(" ".join(f"{q.description} {label_of(q)}" for q in quantities().values())) == []


@pytest.mark.parametrize("kind", [k for k in FIGURE_KINDS if not FIGURE_KINDS[k].images])
def test_figures_use_standard_terms(folder, kind):
    import matplotlib.text

    request = Request(collect([folder]))
    with theme():
        drawing = FIGURE_KINDS[kind].draw(request)
    texts = [t.get_text() for t in drawing.figure.findobj(matplotlib.text.Text)]
    assert found("; ".join([*texts, drawing.alt, *request.notes, FIGURE_KINDS[kind].help])) == []


def test_a_report_uses_standard_terms(folder):
    page, _ = make_report(collect([folder]))
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    assert found(re.sub(r"<[^>]*>", " ", text)) == []


COMMANDS = sorted(c.name or c.callback.__name__ for c in build().registered_commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_uses_standard_terms_and_has_an_example(command):
    result = CliRunner().invoke(build(), [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    text = " ".join(re.sub("[│╭╮╰╯─]", " ", result.output).split())
    assert found(text) == []
    assert "Example" in text or "e.g." in text


def _docstrings(path: Path) -> list[tuple[int, str]]:
    """Return all docstrings of a module, those of attributes included, and its comments, with their lines."""
    source = path.read_text(encoding="utf-8")
    texts = [
        (node.lineno, node.value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    comments = [(i + 1, line.partition("# ")[2]) for i, line in enumerate(source.splitlines()) if "# " in line]
    return texts + comments


def _modules() -> list[Path]:
    places = [ROOT / name if name in ("methods", "scenarios") else ROOT / "nica_bench" / name for name in DONE]
    return [p for place in places for p in sorted(place.glob("*.py"))] + [
        ROOT / "nica_bench" / "cli" / f"{name}.py" for name in DONE_COMMANDS
    ]


@pytest.mark.parametrize("path", _modules(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_docstrings_use_standard_terms_and_are_sentences(path):
    hits = []
    for line, text in _docstrings(path):
        # a table has cells
        hits += [f"{path.name}:{line}: {hit}" for hit in found(text) if not (path.name in OF_CELLS and "'cell" in hit)]
        if text.startswith(("Who ", "What ", "Why ", "How ", "Where ", "Which ")):
            hits.append(f"{path.name}:{line}: '{text.splitlines()[0]}' is not a sentence")
    assert hits == []
