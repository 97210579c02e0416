"""Records that are not as they should be: each is said in one line, none is dropped without a word."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys

import pytest

from helpers.results import edit, record, some, written
from helpers.tables import run
from nica_bench.errors import UsageError
from nica_bench.records.collection import collect


@pytest.fixture
def own(folder, tmp_path):
    """A copy that may be spoilt."""
    return shutil.copytree(folder, tmp_path / "own")


def test_an_empty_folder_and_none(tmp_path):
    with pytest.raises(UsageError, match=r"does not exist$"):
        run("--out", tmp_path / "none")
    with pytest.raises(UsageError, match=r"no records in .*: run something first"):
        run("--out", written(tmp_path / "empty", []))


def test_records_of_an_unknown_schema_are_left_out_and_counted(own):
    old, newer = some()[:2]
    edit(own, old, format=0)
    edit(own, newer, n_observed=None)
    out, err = run("--out", own, "--csv")
    assert "2 files are no whole records and are left out" in err
    assert "`$.format`" in err or "`n_observed`" in err  # whichever is first
    row = next(r for r in csv.DictReader(io.StringIO(out)) if r["method"] == "gin" and "=3" in r["scenario"])
    assert (row["not_run"], row["runs"]) == ("2", "8")


def test_only_newer_records_is_an_error_with_the_reason(tmp_path):
    folder = written(tmp_path / "o", [record()])
    edit(folder, record(), format=99)
    with pytest.raises(UsageError, match=r"no records in .*; 1 files are no whole records .*: update nica-bench"):
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
    assert "2 runs are in more than one folder, 2 of them differ in their scores: each counts once" in collection.notes
    assert "all with the same scores" in collect([a, a]).notes[0]


def test_every_bad_folder_says_what_is_wrong_and_shows_the_rest(tmp_path):
    records = some(range(3), ("gin", "raw-x")) + [record("gin", s, version="2", mcc=0.5) for s in range(3)]
    records += [record("pca", s, status="error") for s in range(3)]
    out, err = run("--out", written(tmp_path / "o", records))
    assert "'gin' stands for 2 different methods" in err
    assert "pca finished on no dataset" in err
    assert "gin (version 2)" in out
    assert "3/0/3" in out


def test_reading_agrees_with_the_stores_own_scan(folder):
    from nica_bench.records.store import Store

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
