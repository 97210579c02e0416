"""Formats of tables: for people, for papers and for other programs."""

from __future__ import annotations

import csv
import html.parser
import io
import json
import re
import shutil
import subprocess

import pandas as pd
import pytest

from helpers.results import some
from helpers.tables import run, tables_of
from nica_bench.errors import UsageError
from nica_bench.tables import FORMATS, TABLE_KINDS, Column, Table, render, rows_of, scores_table
from nica_bench.tables.table import bracket, number

AWKWARD = r"a_b & c% $d$ #e {f} ~g ^h \i <j> |k| 'l' \"m\" [n] `o` ± é"


@pytest.mark.parametrize("kind", [k for k in TABLE_KINDS if k not in ("variance", "slopes")])
@pytest.mark.parametrize("format", FORMATS)
def test_every_kind_in_every_format(folder, kind, format):
    tables, _ = tables_of(folder, kind)
    data = render(tables, format)
    assert data
    if format == "json":
        assert list(json.loads(data)) == [t.title for t in tables]
    if format == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        assert len(rows) == sum(len(t.rows) for t in tables)
    if format == "parquet":
        assert len(pd.read_parquet(io.BytesIO(data))) == sum(len(t.rows) for t in tables)


# Formats


def awkward_table(best=True):
    rows = [{"name": AWKWARD, "value": 0.5, "best": best}, {"name": "[1]", "value": None, "best": False}]
    columns = (
        Column("na_me", lambda r: r["name"], right=False),
        Column("value", lambda r: number(r["value"]), lambda r: r["value"], mark=True),
    )
    return Table(f"title {AWKWARD}", columns, rows, f"caption {AWKWARD}", marked=lambda r: r["best"])


def test_marked_cells_are_bold_and_have_an_asterisk():
    assert rb"**.500\***" in render([awkward_table()], "markdown")
    assert rb"\textbf{.500*}" in render([awkward_table()], "latex")
    assert b"<strong>.500*</strong>" in render([awkward_table()], "html")
    for format in ("markdown", "latex", "html"):
        text = render([awkward_table(best=False)], format)
        assert not any(mark in text for mark in (b".500*", b"**.500", b"\\textbf", b"<strong>"))


def test_latex_is_escaped():
    text = render([awkward_table()], "latex").decode()
    body = text[text.index(r"\begin{table}") :]
    assert not re.search(r"(?<!\\)[%$#_~^]", body)
    assert not re.search(r"^\[", body, re.MULTILINE)  # it would be the optional argument of the \\ before it
    assert body.count(r"\toprule") == body.count(r"\bottomrule") == 1
    assert all(line.count(" & ") == 1 for line in body.splitlines() if line.endswith(r"\\"))
    assert text.isascii()


@pytest.mark.skipif(
    not shutil.which("pdflatex"), reason="there is no pdflatex here: apt-get install texlive-latex-base"
)
def test_latex_compiles(tmp_path, folder):
    tables = [awkward_table()] + [
        t for k in ("scores", "pairs", "failures", "commands") for t in tables_of(folder, k)[0]
    ]
    body = render(tables, "latex").decode()
    packages = r"\usepackage[T1]{fontenc}\usepackage{textcomp}\usepackage{booktabs}"
    (tmp_path / "t.tex").write_text(rf"\documentclass{{article}}{packages}\begin{{document}}{body}\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_html_is_well_formed():
    class Parser(html.parser.HTMLParser):
        stack, runs = [], []

        def handle_starttag(self, tag, attributes):
            self.stack.append(tag)

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

        def handle_data(self, data):
            if self.stack and self.stack[-1] in ("td", "th"):
                self.runs.append(data)

    parser = Parser()
    parser.feed(render([awkward_table()], "html").decode())
    assert not parser.stack
    assert AWKWARD in parser.runs


def test_markdown_keeps_its_columns():
    lines = [x for x in render([awkward_table()], "markdown").decode().splitlines() if x.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}


def test_a_narrow_terminal_has_fewer_columns_and_the_caption_names_the_others():
    table = scores_table("s", rows_of(some())["gauss-2of4[conditions=3]"])
    narrow = table.fitted(80)
    assert "any" in [c.head for c in table.columns]
    assert "any" not in [c.head for c in narrow.columns]
    assert "Not shown in this narrow terminal: any" in narrow.caption
    assert table.fitted(90) is table


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.5, 3, ".500"), (-0.5, 2, "-.50"), (1.0, 2, "1.00"), (None, 3, "-"), (-0.0001, 2, ".00"), (10.05, 1, "10.1")],
)
def test_numbers_for_people(value, digits, text):
    assert number(value, digits) == text


def test_an_interval_for_people():
    assert bracket(0.987, 0.908, 0.994) == ".987 [.908 .994]"
    assert bracket(0.987, None, None) == ".987"


def test_files_by_their_ending(folder, tmp_path):
    for ending, start in ((".tex", b"% needs"), (".md", b"**gauss"), (".csv", b"scenario,"), (".parquet", b"PAR1")):
        run("--out", folder, "--save", tmp_path / f"t{ending}")
        assert (tmp_path / f"t{ending}").read_bytes().startswith(start)
    with pytest.raises(UsageError, match="cannot be written: No such file"):
        run("--out", folder, "--save", tmp_path / "none" / "t.csv")
