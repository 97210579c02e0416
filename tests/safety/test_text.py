"""What a record says is escaped where it is shown: in a terminal, in HTML, in LaTeX and in CSV."""

from __future__ import annotations

import csv
import io
import json

import pytest

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b5n\u202egnp\r\b"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>[bold]x[/bold][link=http://x]y[/]:boom:"
LATEX = r"\input{/etc/passwd}$&%#_^~{}\write18{true}"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]
CONTROL = {chr(i) for i in (*range(9), 11, 12, 13, *range(14, 32), 127, *range(128, 160))} | {"\u202e"}


def change(folder, where, text):
    """Put a text into every record: as the label of its method or scenario, a message, a note or its host."""
    for path in (folder / "cells").glob("*.json"):
        value = json.loads(path.read_text())
        if where in ("method_label", "scenario_label"):
            value["spec"][where] = text
        elif where == "message":
            value |= {"status": "error", "message": text, "scores": {}}
        elif where == "notes":
            value["notes"] = [text]
        elif where == "truth":
            value["truth"]["images"] = text
        else:
            value["provenance"][where] = text
        path.write_text(json.dumps(value))


EVERYWHERE = ["method_label", "scenario_label", "message", "notes", "host", "command", "truth"]
READERS = {
    "table": ["table"],
    "markdown": ["table", "--format", "markdown"],
    "failures": ["table", "--kind", "failures"],
    "commands": ["table", "--kind", "commands"],
    "runs": ["table", "--kind", "runs"],
    "show": ["show", "KEY"],
}


@pytest.mark.parametrize("where", EVERYWHERE)
@pytest.mark.parametrize("reader", READERS)
def test_no_control_character_reaches_the_terminal(folder, call, where, reader):
    change(folder, where, "a" + ESCAPES + "b")
    key = next((folder / "cells").glob("*.json")).stem[:12]
    code, out, err = call(*(key if word == "KEY" else word for word in READERS[reader]), "--out", folder)
    assert code == 0, err
    assert not CONTROL & set(out + err), (out, err)


@pytest.mark.parametrize("where", EVERYWHERE)
def test_no_markup_reaches_the_page(folder, call, tmp_path, where):
    change(folder, where, MARKUP)
    page = tmp_path / "report.html"
    code, _, err = call("report", "--out", folder, "--save", page)
    assert code == 0, err
    text = page.read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text


@pytest.mark.parametrize("where", EVERYWHERE)
def test_markup_of_the_terminal_is_shown_as_it_is(folder, call, where):
    change(folder, where, "[bold]x[/bold] :boom: [/]")
    for command in (["table"], ["table", "--kind", "failures"], ["table", "--kind", "runs"]):
        code, out, err = call(*command, "--out", folder)
        assert code == 0, err
        assert "💥" not in out + err


@pytest.mark.parametrize("where", ["method_label", "scenario_label"])
def test_latex_is_escaped(folder, call, where):
    change(folder, where, LATEX)
    code, out, err = call("table", "--out", folder, "--format", "latex")
    assert code == 0, err
    assert r"\input" not in out
    assert r"\write18" not in out


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("where", ["method_label", "scenario_label", "message", "host"])
@pytest.mark.parametrize("kind", ["scores", "failures", "runs", "commands"])
def test_a_spreadsheet_takes_no_field_for_a_formula(folder, call, formula, where, kind):
    change(folder, where, formula)
    code, out, err = call("table", "--out", folder, "--kind", kind, "--format", "csv")
    assert code == 0, err
    for row in csv.reader(io.StringIO(out)):
        for field in row:
            try:
                float(field)
            except ValueError:
                assert not field.lstrip().startswith(("=", "+", "-", "@")) or field == "-", field


def test_a_long_message_is_cut(folder, call):
    change(folder, "message", "x" * 5_000_000)
    for command in (
        ["table"],
        ["table", "--kind", "failures"],
        ["show", next((folder / "cells").glob("*.json")).stem[:9]],
    ):
        code, out, err = call(*command, "--out", folder)
        assert code == 0, err
        assert len(out) + len(err) < 200_000
