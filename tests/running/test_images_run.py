"""A run on images, as a process: its table, its records, and one more on records alone."""

import json

from helpers.cli import nica


def test_digits_end_with_a_table_of_their_own(tmp_path):
    done = nica(
        "run",
        "-s",
        "digits",
        "-m",
        "gin-conv[steps=4]",
        "-m",
        "pca",
        "-m",
        "linear-oracle",
        "--json",
        "--no-figures",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["method"].partition("[")[0]: row for row in json.loads(done.stdout)["digits"]}
    pca = rows["pca"]
    assert pca["consistency"] > 0.999, "it has no randomness"
    assert pca["consistency_chance"] < 0.7
    assert 0.8 < pca["bayes_22"] < 1
    assert pca["bits"] is None, "it has no density"
    assert rows["gin-conv"]["bits"] is not None
    assert all(row["mcc"] is None for row in rows.values())
    records = [json.loads(p.read_text()) for p in (tmp_path / "results" / "cells").glob("*.json")]
    assert {r["scores"].get("mcc") for r in records} == {None}
    assert {r["status"] for r in records} == {"ok", "skipped"}
    shown = nica("table", "--markdown", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "knee" in shown.stdout
    assert "n/a" in shown.stdout


def test_files_that_are_missing_are_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.setenv("NICA_BENCH_DATA", str(tmp_path))
    done = nica("run", "-s", "mnist", "-m", "pca", cwd=tmp_path)
    assert done.returncode == 2
    assert "nica-bench data mnist" in done.stderr
    assert "Traceback" not in done.stderr
