from __future__ import annotations

import csv
import html.parser
import io
import json
import re
import shutil
import statistics
import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from nica_bench.cli.app import build
from nica_bench.collection import Collection, collect
from nica_bench.errors import NicaBenchError, UsageError
from nica_bench.statistics import iqm_interval, median_interval
from nica_bench.tables import FORMATS, TABLE_KINDS, Column, Query, Table, render, rows_of, scores_table, table_kind
from nica_bench.tables.table import bracket, number
from tests.results import edit, record, scores_of, some, written

AWKWARD = r"a_b & c% $d$ #e {f} ~g ^h \i <j> |k| 'l' \"m\" [n] `o` ± é"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Only to be read."""
    records = some() + some(methods=("gin", "pca", "raw-x"), conditions=5)
    return written(tmp_path_factory.mktemp("tables") / "out", records)


@pytest.fixture
def own(folder, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(folder, tmp_path / "own")


def tables_of(folder, kind="scores", **query):
    tables, notes = table_kind(kind).build(collect([folder]), Query(**query))
    return tables, notes


def run(*arguments):
    """The command's standard output and error; raises what the command raises."""
    result = CliRunner().invoke(build(), ["table", *map(str, arguments)])
    if isinstance(result.exception, NicaBenchError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


# The overview


def test_methods_then_floors_then_bounds_each_by_median():
    rows = rows_of(some())["gauss-2of4[conditions=3]"]
    assert [r["method"] for r in rows] == ["gin", "ivae", "pca", "raw-x", "label-only", "linear-oracle"]
    gin = rows[0]
    median = median_interval(list(scores_of("gin", range(8)).values()))
    assert (gin["mcc"], gin["mcc_low"], gin["mcc_high"]) == (median.value, median.low, median.high)
    floor = rows[3]["mcc"]
    assert (gin["floor"], gin["floor_method"]) == (floor, "raw-x")
    assert gin["mcc_adjusted"] == pytest.approx((median.value - floor) / (1 - floor))
    assert rows[3]["mcc_adjusted"] == 0
    assert gin["best"]
    assert not any(r["best"] for r in rows[1:])
    assert rows[1]["dimension_correct"] is None


def test_failed_and_missing_cells_are_counted():
    records = some(methods=("raw-x", "pca"))
    records += [record("gin", s, mcc=0.97) for s in range(5)] + [record("gin", 5, status="error")]
    row = rows_of(records)["gauss-2of4[conditions=3]"][0]
    assert (row["method"], row["failed"], row["missing"], row["cells"]) == ("gin", 1, 2, 8)
    assert row["success"] == 5 / 8
    table = scores_table("s", [row])
    assert table.texts()[0][-1] == "1+2/8"


def test_one_dataset_has_no_interval():
    row = rows_of([record("gin", 0, mcc=0.9)])["gauss-2of4[conditions=3]"][0]
    assert (row["mcc"], row["mcc_low"], row["mcc_high"]) == (0.9, None, None)
    assert scores_table("s", [row]).texts()[0][2] == ".900"


def test_the_floor_is_worth_nothing_where_all_failed():
    records = some(methods=("raw-x", "pca")) + [record("gin", s, status="killed") for s in range(8)]
    rows = rows_of(records)["gauss-2of4[conditions=3]"]
    assert [r["method"] for r in rows] == ["pca", "gin", "raw-x"]  # last of the methods, although the floor is higher
    assert rows[1]["mcc_adjusted"] == 0
    assert rows[1]["success"] == 0


# By metric and by anything


def test_a_metric_with_median_iqm_and_mean(folder):
    (first, _), _ = tables_of(folder, metric="mcc_within")
    row = next(r for r in first.rows if r["method"] == "gin")
    values = [v - 0.02 for v in scores_of("gin", range(8)).values()]
    assert row["median"] == pytest.approx(median_interval(values).value)
    assert row["iqm"] == pytest.approx(iqm_interval(values).value)
    assert row["mean"] == pytest.approx(sum(values) / 8)


def test_by_method_is_stratified_and_missing_scenarios_count(folder):
    (table,), _ = tables_of(folder, by=("method",))
    rows = {r["method"]: r for r in table.rows}
    values = list(scores_of("gin", range(8)).values()) * 2
    expected = median_interval(values, [0] * 8 + [1] * 8)
    assert (rows["gin"]["median"], rows["gin"]["median_low"]) == (expected.value, expected.low)
    # ivae has not run with five conditions: it scores the floor there, and that is counted
    assert (rows["ivae"]["missing"], rows["ivae"]["datasets"], rows["gin"]["missing"]) == (8, 16, 0)


def test_by_a_parameter_of_the_scenario(folder):
    (table,), _ = tables_of(folder, by=("conditions", "method"))
    assert {(r["conditions"], r["method"]) for r in table.rows} >= {(3, "gin"), (5, "gin"), (3, "ivae")}
    (table,), _ = tables_of(folder, by=("method", "scenario"))
    assert [c.head for c in table.columns][:2] == ["method", "scenario"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--by", "metod"], "unknown 'metod'; did you mean 'method'"),
        (["--by", "scenario"], "must hold 'method'"),
        (["--by", "method,method"], "a name twice"),
        (["--metric", "mc"], "unknown metric 'mc'; did you mean 'mcc'"),
        (["--metric", "r2_affine"], "no record has the metric 'r2_affine'"),
        (["--kind", "score"], "unknown kind of table 'score'; did you mean 'scores'"),
        (["--kind", "pairs", "--by", "method"], "belong to --kind scores"),
        (["--format", "latx"], "unknown format 'latx'; did you mean 'latex'"),
        (["--json", "--csv"], "one format at a time, got json and csv"),
        (["--save", "a.xlsx"], "a table's file ends in .txt"),
        (["-s", "gaus-2of4"], "did you mean 'gauss-2of4"),
        (["-m", "gim"], "no records of method 'gim'; did you mean 'gin'"),
        (["--seeds", "70:80"], "no records are left"),
        (["--kind", "variance"], "run with --inits 3"),
    ],
)
def test_bad_requests_are_one_message(folder, arguments, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        run("--out", folder, *arguments)


def test_a_name_is_its_label_or_all_its_variants(folder, tmp_path):
    chosen = collect([folder]).select(["gauss-2of4"])
    assert {r.spec.scenario_label for r in chosen.records} == {"gauss-2of4"}
    other = written(tmp_path / "b", some(methods=("gin",)) + some(methods=("gin",), conditions=4))
    assert len(collect([other]).select(["gauss-2of4"]).records) == 16


# Kinds


def test_pairs(folder):
    (first, _), _ = tables_of(folder, "pairs")
    assert {(r["a"], r["b"]) for r in first.rows} >= {("gin", "pca"), ("gin", "raw-x")}
    assert all(r["datasets"] == 8 and r["p_holm"] >= r["p"] for r in first.rows)


def test_half_of_a_pair_missing_is_said(tmp_path):
    folder = written(tmp_path / "o", some(range(8), ("gin", "raw-x")) + some(range(6), ("pca",)))
    out, err = run("--out", folder, "--kind", "pairs")
    assert "2 datasets have only one of gin and pca: 6 are compared" in err
    assert "gin" in out


def test_variance(tmp_path):
    records = [record("gin", s, i, mcc=0.5 + 0.1 * s + 0.01 * i) for s in range(4) for i in range(3)]
    (table,), _ = tables_of(written(tmp_path / "o", records), "variance")
    assert table.rows[0]["sd_initialisation"] == pytest.approx(0.01)
    assert table.rows[0]["cells"] == 12


def test_difficulty(folder):
    (table,), _ = tables_of(folder, "difficulty")
    row = table.rows[0]
    assert (row["datasets"], row["linear_r_high"], row["log_det_sd"]) == (8, 0.99, pytest.approx(0.85))


def test_failures_have_their_cause(tmp_path):
    records = some(range(4), ("raw-x",)) + [record("gin", s, status="diverged") for s in (0, 1)] + [record("gin", 2)]
    (table,), _ = tables_of(written(tmp_path / "o", records), "failures")
    assert [(r["status"], r["seeds"], r["cells"]) for r in table.rows] == [("diverged", "0:2", 2), ("missing", "3", 1)]
    assert table.rows[0]["message"] == "diverged: it did not work"


def test_commands_make_the_cells_again(tmp_path):
    records = [record("gin", s, i) for s in (0, 1, 5) for i in range(2)]
    (table,), _ = tables_of(written(tmp_path / "o", records), "commands")
    assert table.rows[0]["command"] == "nica-bench run -s 'gauss-2of4[conditions=3]' -m gin --seeds 0:2,5 --inits 2"


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


def test_best_values_are_set_off_only_where_marked():
    assert b"**.500**" in render([awkward_table()], "markdown")
    assert rb"\textbf{.500}" in render([awkward_table()], "latex")
    assert b"<strong>.500</strong>" in render([awkward_table()], "html")
    for format in ("markdown", "latex", "html"):
        text = render([awkward_table(best=False)], format)
        assert not any(mark in text for mark in (b"**.500**", b"\\textbf", b"<strong>"))


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
        stack, cells = [], []

        def handle_starttag(self, tag, attributes):
            self.stack.append(tag)

        def handle_endtag(self, tag):
            assert self.stack.pop() == tag

        def handle_data(self, data):
            if self.stack and self.stack[-1] in ("td", "th"):
                self.cells.append(data)

    parser = Parser()
    parser.feed(render([awkward_table()], "html").decode())
    assert not parser.stack
    assert AWKWARD in parser.cells


def test_markdown_keeps_its_columns():
    lines = [x for x in render([awkward_table()], "markdown").decode().splitlines() if x.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {3}


def test_a_narrow_terminal_gets_fewer_columns_and_is_told():
    table = scores_table("s", rows_of(some())["gauss-2of4[conditions=3]"])
    narrow = table.fitted(76)
    assert "best" in [c.head for c in table.columns]
    assert "best" not in [c.head for c in narrow.columns]
    assert "Too narrow for: best." in narrow.caption
    assert table.fitted(80) is table


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


# Bad records: each is said in one line, none is dropped without a word


def test_an_empty_folder_and_none(tmp_path):
    with pytest.raises(UsageError, match=r"does not exist$"):
        run("--out", tmp_path / "none")
    with pytest.raises(UsageError, match=r"no records in .*: run something first"):
        run("--out", written(tmp_path / "empty", []))


def test_records_of_an_older_schema_are_left_out_and_counted(own):
    old, older = some()[:2]
    edit(own, old, format=0)
    edit(own, older, dimensions=None)
    out, err = run("--out", own, "--csv")
    assert "2 records of an older schema are left out" in err
    assert "run their cells again" in err
    row = next(r for r in csv.DictReader(io.StringIO(out)) if r["method"] == "gin" and "=3" in r["scenario"])
    assert (row["missing"], row["cells"]) == ("2", "8")


def test_only_older_records_is_an_error_with_the_reason(tmp_path):
    folder = written(tmp_path / "o", [record()])
    edit(folder, record(), format=0)
    with pytest.raises(UsageError, match=r"no records in .*; 1 records of an older schema"):
        run("--out", folder)


def test_broken_files_and_copies_are_named(own):
    first, second = some()[:2]
    path = own / "cells" / f"{first.key}.json"
    (own / "cells" / "copy of one.json").write_text(path.read_text())
    path.write_text(path.read_text()[:50])
    edit(own, second, scores={"mcc": "high"})
    _, err = run("--out", own, "--csv")
    assert "2 files are no whole records" in err
    other = own / "cells" / f"{some()[3].key}.json"
    (own / "cells" / "twice.json").write_text(other.read_text())
    _, err = run("--out", own, "--csv")
    assert "2 files are copies of records under another name and are not counted twice" in err


def test_a_number_that_is_none_never_reaches_a_median(own):
    first = some()[0]
    path = own / "cells" / f"{first.key}.json"
    path.write_text(path.read_text().replace(json.dumps(first.scores["mcc"]), "NaN", 1))
    _, err = run("--out", own, "--csv")
    assert "1 files are no whole records" in err


def test_two_machines_and_two_versions_are_said(tmp_path):
    other = {
        "host": "two",
        "cpu": "slow",
        "nica_bench": "0.0.9",
        "versions": {"torch": "2.6.0"},
        "git": {"dirty": True},
    }
    records = some(range(3), ("gin",)) + [record("pca", s, provenance=other) for s in range(3)]
    _, err = run("--out", written(tmp_path / "o", records))
    assert "records come from 2 machines, one (fast): 3, two (slow): 3: their seconds don't compare" in err
    assert "made by 2 versions" in err
    assert "3 of 6 records were made from code with uncommitted changes" in err


def test_one_cell_in_two_folders_counts_once(tmp_path):
    a = written(tmp_path / "a", [record("gin", 0, mcc=0.9), record("gin", 1, status="error")])
    b = written(tmp_path / "b", [record("gin", 0, mcc=0.8), record("gin", 1, mcc=0.7)])
    collection = collect([a, b])
    assert [r.scores["mcc"] for r in collection.records] == [0.9, 0.7]  # the first folder's; ok before failed
    assert "2 cells are in more than one folder, 2 of them differ in their scores: each counts once" in collection.notes
    assert "all with the same scores" in collect([a, a]).notes[0]


def test_every_bad_folder_says_what_is_wrong_and_shows_the_rest(tmp_path):
    records = some(range(3), ("gin", "raw-x")) + [record("gin", s, version="2", mcc=0.5) for s in range(3)]
    records += [record("pca", s, status="error") for s in range(3)]
    out, err = run("--out", written(tmp_path / "o", records))
    assert "'gin' stands for 2 different methods" in err
    assert "pca finished on no dataset" in err
    assert "gin (version 2)" in out
    assert "3/3" in out


def test_reading_agrees_with_the_stores_own_scan(folder):
    from nica_bench.store import Store

    scan = Store.open(folder, create=False).scan()
    assert {r.key: r for r in collect([folder]).records} == scan.records


def test_tables_need_neither_torch_nor_what_draws(folder):
    code = (
        "import sys\nfrom nica_bench.cli import main\n"
        f"sys.argv[1:] = ['table', '--out', {str(folder)!r}]\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & "
        "{'torch', 'sklearn', 'pandas', 'matplotlib', 'seaborn', 'jinja2', 'pyarrow'}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == "[]"


def test_slopes_stand_beside_the_theory(folder, tmp_path):
    (table,), _ = tables_of(folder, "slopes")
    gin = next(r for r in table.rows if r["method"] == "gin" and "conditions=3" in r["scenario"])
    expected = sorted(scores_of("gin", list(range(8))).values())
    assert gin["slope"] == pytest.approx(2 - statistics.median(expected))
    assert gin["slope_error"] == pytest.approx(1 - statistics.median(expected))
    assert (gin["theory"], gin["oracle_loss"], gin["failed"]) == ("slope free, intercept free", -1.6, 0)
    assert {r["method"] for r in table.rows} == {"gin", "pca", "ivae"}  # no floors
    with pytest.raises(UsageError, match="coordinates=natural"):
        tables_of(written(tmp_path / "o", [record("gin", 0, truth={"family": "gamma", "coordinates": "z"})]), "slopes")


def test_rows_by_a_number_stand_in_its_order():
    records = [record("gin", conditions=c, samples=400) for c in (10, 2, 5)]
    [table], _ = table_kind("scores").build(Collection(tuple(records)), Query("mcc", ("conditions", "method")))
    assert [row["conditions"] for row in table.rows] == [2, 5, 10]
