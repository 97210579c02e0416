"""Published results: what is committed follows from the committed records, and one command makes it again."""

import json
import shutil
from pathlib import Path

import pytest

from helpers import ROOT
from helpers.cli import nica
from helpers.results import arrays, record
from nica_bench import UsageError
from nica_bench.publishing import read_publication, table_text, versions_text
from nica_bench.records.collection import collect
from nica_bench.records.packing import pack_runs
from nica_bench.records.store import Store
from nica_bench.running.grid import Request, resolve

RESULTS = ROOT / "results"
PUBLISHED = sorted(path.parent for path in RESULTS.glob("*/sweep.toml"))


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_what_is_published_follows_from_its_records(folder):
    publication = read_publication(folder)
    assert resolve(Request(), publication.file.request).size > 0
    if not (folder / "records.parquet").exists():
        pytest.skip(f"{folder.name} has not been run yet")
    assert (folder / "table.md").read_text() == table_text(publication)
    assert (folder / "versions.json").read_text() == versions_text(collect([folder / "records.parquet"]))
    for figure in publication.figures:
        assert (folder / "figures" / f"{figure.name}.png").exists()


def test_all_that_was_asked_for_is_there():
    assert {"gauss", "families", "sizes", "mnist", "digits"} <= {folder.name for folder in PUBLISHED}


def test_the_table_of_the_readme_is_a_published_one():
    root = RESULTS.parent
    text = (root / "README.md").read_text()
    begin = text.index("| method | side info | MCC [95 %]")
    shown = text[begin : text.index("\n\n", begin)].splitlines()
    table = (RESULTS / "gauss" / "table.md").read_text().split("**gauss-2of10[conditions=3,mixing=easy]**")[1]
    published = table[table.index("| method") :].split("\n\n")[0].splitlines()
    assert shown == published
    assert len(shown) > 8


SWEEP = """
seeds = "0:3"
method = ["pca", "raw-x"]
[[scenario]]
name = "gauss-2of3"
samples = 200
held-out = 100
"""
SHOWN = """
[publish]
title = "A trial"
tables = [{ kind = "scores" }, { kind = "scores", by = ["method"], metric = "mcc_within" }]
figures = [{ kind = "scores" }, { kind = "spectrum", name = "close", method = "pca" }]
"""


@pytest.fixture
def trial(tmp_path):
    folder = tmp_path / "results" / "trial"
    folder.mkdir(parents=True)
    (folder / "sweep.toml").write_text(SWEEP + SHOWN)
    return folder


def test_one_command_makes_all_of_it_and_again_the_same(tmp_path, trial):
    done = nica("publish", "results/trial", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = {path.name for path in trial.rglob("*") if "work" not in path.parts}
    assert made >= {"records.parquet", "table.md", "versions.json", "report.html", "scores.png", "close.png"}
    assert len(collect([trial / "records.parquet"]).records) == 6
    text = (trial / "table.md").read_text()
    assert text == table_text(read_publication(trial))
    assert text.startswith("# A trial\n")
    assert "| pca |" in text
    [maker] = json.loads((trial / "versions.json").read_text())
    assert maker["records"] == 6
    # what the sweep does not ask for any more is not published any more, and kept
    (trial / "sweep.toml").write_text(SWEEP.replace("0:3", "0:2") + SHOWN)
    assert nica("publish", "results/trial", cwd=tmp_path).returncode == 0
    assert len(collect([trial / "records.parquet"]).records) == 4
    assert "0/2 |" in (trial / "table.md").read_text()
    (trial / "sweep.toml").write_text(SWEEP + SHOWN)
    done = nica("publish", "results/trial", cwd=tmp_path)
    assert "6 there, 0 to submit" in done.stderr
    # where only what is published is left, nothing is computed again
    shutil.rmtree(trial / "work")
    done = nica("publish", "results/trial", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (trial / "table.md").read_text() == text
    assert not list((trial / "work" / "cells").glob("*.json"))


def test_tables_from_what_is_there_run_nothing(tmp_path, trial):
    store = Store.open(tmp_path / "other")
    for seed in range(3):
        store.write(record("gin", seed), arrays("gin", seed, 0.5))
        store.write(record("raw-x", seed, status="error"))
    pack_runs(store)
    (store.folder / "records.parquet").rename(trial / "records.parquet")
    (trial / "sweep.toml").write_text('title = "T"\n' + SWEEP)
    done = nica("publish", "--tables", "results/trial", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not (trial / "work").exists()
    assert (trial / "figures" / "scores.png").exists()
    text = (trial / "table.md").read_text()
    assert text.startswith("# T\n")
    assert "3/0/3" in text


def test_arrays_are_published_where_the_table_needs_them(tmp_path, trial):
    """The table of images compares the codes of two initialisations, which are arrays."""
    text = 'training-seeds = 2\nmethod = ["pca"]\n[[scenario]]\nname = "digits"\n'
    (trial / "sweep.toml").write_text(text + '[publish]\narrays = true\nfigures = [{ kind = "spectrum" }]\n')
    for _ in range(2):  # the second time from what was published
        done = nica("publish", "results/trial", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(list(trial.glob("arrays-*.zip"))) == 1
        assert "| 1.000 (" in (trial / "table.md").read_text()
        shutil.rmtree(trial / "work")
    assert (trial / "table.md").read_text() == table_text(read_publication(trial))
    collection = collect([trial / "records.parquet"])
    assert all("leading_codes" in collection.arrays(r) for r in collection.records)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("titel = 'x'", 2, "unknown key 'publish.titel'; did you mean 'title'"),
        ("title = 3", 2, "publish.title: expected a text that is not empty, got 3"),
        ("tables = [1]", 2, "publish.tables[0]: expected a table, got 1"),
        ("figures = [\n{},\n{ kind = 'scoers' }]", 4, "unknown kind of figure 'scoers'; did you mean 'scores'"),
        ("tables = [\n{ knid = 'scores' }]", 3, "unknown key 'publish.tables[0].knid'; did you mean 'kind'"),
        ("tables = [{ by = 3 }]", 2, "publish.tables[0].by: expected a text or a list of texts, got 3"),
        ("tables = [{ threshold = 'x' }]", 2, "publish.tables[0].threshold: expected a number from 0 to 1, got 'x'"),
        ("figures = [{ name = '../x' }]", 2, "publish.figures[0].name: expected the name of a file in figures/"),
        ("figures = [{ dimension = '3:1' }]", 2, "dimensions are written low:high"),
        ("[[publish.figures]]\nkind = 'scoers'", 3, "unknown kind of figure 'scoers'"),
    ],
)
def test_a_wrong_publish_table_is_told_with_its_line(trial, text, line, said):
    (trial / "sweep.toml").write_text("[publish]\n" + text)
    with pytest.raises(UsageError) as error:
        read_publication(trial)
    assert f"sweep.toml, line {line}: " in str(error.value)
    assert said in str(error.value)


def test_a_publish_file_of_before_is_not_left_out_in_silence(trial):
    (trial / "publish.toml").write_text("title = 'x'")
    with pytest.raises(UsageError, match=r"publish\.toml is not read: its keys stand in the table \[publish\]"):
        read_publication(trial)


def test_a_folder_that_publishes_nothing(tmp_path, trial):
    with pytest.raises(UsageError, match=r"no sweep\.toml"):
        read_publication(tmp_path)
    done = nica("publish", "--tables", "results/trial", cwd=tmp_path)
    assert done.returncode == 2
    assert "has no records.parquet yet" in done.stderr
    (trial / "sweep.toml").write_text(SWEEP + "seedz = 3\n" + SHOWN)
    done = nica("publish", "results/trial", cwd=tmp_path)
    assert (done.returncode, "no parameter 'seedz'" in done.stderr) == (2, True)


def test_the_folder_of_results_takes_the_records_of_the_readmes_commands(tmp_path):
    """`run` without --out writes into results/, which in a clone holds what is published."""
    import subprocess

    root = RESULTS.parent
    if not (root / ".git").exists():
        pytest.skip("not in a clone")
    listed = subprocess.run(["git", "ls-files", "results"], cwd=root, capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        if Path(name).suffix != ".html" and (root / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, tmp_path / name)
    done = nica(
        "run", "-s", "gauss-2of3", "-m", "pca", "--samples", "100", "--held-out", "50", "--seeds", "0", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert nica("table", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda folder: folder.name)
def test_nothing_published_names_places_of_a_machine(folder):
    if not (folder / "records.parquet").exists():
        pytest.skip(f"{folder.name} has not been run yet")
    commands = {r.provenance["command"].split()[0] for r in collect([folder / "records.parquet"]).records}
    assert commands == {"nica-bench"}
    texts = [path.read_text() for path in (folder / "table.md", folder / "versions.json", folder / "report.html")]
    assert not [text for text in texts if "/tmp/" in text or "/home/" in text]
