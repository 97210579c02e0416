"""Kinds of tables: what their rows say, and which records they take."""

from __future__ import annotations

import re
import statistics

import pytest

from helpers.results import record, scores_of, some, written
from helpers.tables import run, tables_of
from nica_bench.errors import UsageError
from nica_bench.records.collection import Collection, collect
from nica_bench.stats import iqm_interval, median_interval
from nica_bench.tables import Query, rows_of, scores_table, table_kind


def test_methods_then_baselines_then_references_each_by_median():
    rows = rows_of(some())["gauss-2of4[conditions=3]"]
    assert [r["method"] for r in rows] == ["gin", "ivae", "pca", "raw-x", "label-only", "linear-oracle"]
    gin = rows[0]
    median = median_interval(list(scores_of("gin", range(8)).values()))
    assert (gin["mcc"], gin["mcc_low"], gin["mcc_high"]) == (median.value, median.low, median.high)
    baseline = rows[3]["mcc"]
    assert (gin["baseline"], gin["baseline_method"]) == (baseline, "raw-x")
    assert gin["mcc_normalised"] == pytest.approx((median.value - baseline) / (1 - baseline))
    assert rows[3]["mcc_normalised"] == 0
    assert gin["best"]
    assert not any(r["best"] for r in rows[1:])
    assert rows[1]["dimension_correct"] is None


def test_runs_that_failed_or_were_not_run_are_counted():
    records = some(methods=("raw-x", "pca"))
    records += [record("gin", s, mcc=0.97) for s in range(5)] + [record("gin", 5, status="error")]
    row = rows_of(records)["gauss-2of4[conditions=3]"][0]
    assert (row["method"], row["failed"], row["not_run"], row["runs"]) == ("gin", 1, 2, 8)
    assert row["success"] == 5 / 8
    table = scores_table("s", [row])
    assert table.texts()[0][-1] == "1/2/8"


def test_one_dataset_has_no_interval():
    row = rows_of([record("gin", 0, mcc=0.9)])["gauss-2of4[conditions=3]"][0]
    assert (row["mcc"], row["mcc_low"], row["mcc_high"]) == (0.9, None, None)
    assert scores_table("s", [row]).texts()[0][2] == ".900"


def test_a_method_that_always_fails_scores_the_baseline():
    records = some(methods=("raw-x", "pca")) + [record("gin", s, status="killed") for s in range(8)]
    rows = rows_of(records)["gauss-2of4[conditions=3]"]
    assert [r["method"] for r in rows] == [
        "pca",
        "gin",
        "raw-x",
    ]  # last of the methods, although the baseline is higher
    assert rows[1]["mcc_normalised"] == 0
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
    # ivae has not run with five conditions: it scores the baseline there, and that is counted
    assert (rows["ivae"]["not_run"], rows["ivae"]["datasets"], rows["gin"]["not_run"]) == (8, 16, 0)


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
        (["--save", "a.xlsx"], "expected a suffix among .txt"),
        (["-s", "gaus-2of4"], "did you mean 'gauss-2of4"),
        (["-m", "gim"], "no records of method 'gim'; did you mean 'gin'"),
        (["--seeds", "70:80"], "no records are left"),
        (["--kind", "variance"], "run with --training-seeds 3"),
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
    assert "2 datasets have records of only one of gin and pca: 6 are compared" in err
    assert "gin" in out


def test_variance(tmp_path):
    records = [record("gin", s, i, mcc=0.5 + 0.1 * s + 0.01 * i) for s in range(4) for i in range(3)]
    (table,), _ = tables_of(written(tmp_path / "o", records), "variance")
    assert table.rows[0]["std_training"] == pytest.approx(0.01)
    assert table.rows[0]["runs"] == 12


def test_difficulty(folder):
    (table,), _ = tables_of(folder, "difficulty")
    row = table.rows[0]
    assert (row["datasets"], row["linear_r_high"], row["log_det_sd"]) == (8, 0.99, pytest.approx(0.85))


def test_failures_have_their_cause(tmp_path):
    records = some(range(4), ("raw-x",)) + [record("gin", s, status="diverged") for s in (0, 1)] + [record("gin", 2)]
    (table,), _ = tables_of(written(tmp_path / "o", records), "failures")
    assert [(r["status"], r["seeds"], r["runs"]) for r in table.rows] == [("diverged", "0:2", 2), ("not run", "3", 1)]
    assert table.rows[0]["message"] == "diverged: it did not work"


def test_commands_reproduce_the_runs(tmp_path):
    records = [record("gin", s, i) for s in (0, 1, 5) for i in range(2)]
    (table,), _ = tables_of(written(tmp_path / "o", records), "commands")
    assert (
        table.rows[0]["command"]
        == "nica-bench run -s 'gauss-2of4[conditions=3]' -m gin --seeds 0:2,5 --training-seeds 2"
    )


def test_slopes_stand_beside_the_theory(folder, tmp_path):
    (table,), _ = tables_of(folder, "slopes")
    gin = next(r for r in table.rows if r["method"] == "gin" and "conditions=3" in r["scenario"])
    expected = sorted(scores_of("gin", list(range(8))).values())
    assert gin["slope"] == pytest.approx(2 - statistics.median(expected))
    assert gin["slope_error"] == pytest.approx(1 - statistics.median(expected))
    assert (gin["theory"], gin["true_loss"], gin["failed"]) == ("slope free, intercept free", -1.6, 0)
    assert {r["method"] for r in table.rows} == {"gin", "pca", "ivae"}  # no baselines
    with pytest.raises(UsageError, match="coordinates=natural"):
        tables_of(written(tmp_path / "o", [record("gin", 0, truth={"family": "gamma", "coordinates": "z"})]), "slopes")


def test_rows_by_a_number_stand_in_its_order():
    records = [record("gin", conditions=c, samples=400) for c in (10, 2, 5)]
    [table], _ = table_kind("scores").build(Collection(tuple(records)), Query("mcc", ("conditions", "method")))
    assert [row["conditions"] for row in table.rows] == [2, 5, 10]
