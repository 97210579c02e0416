from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from helpers.results import changed, record, some
from nica_bench.errors import UsageError
from nica_bench.stats import best_of, blocks_of, compare, compare_all, frame_of, holm, quantity
from nica_bench.stats.blocks import seed_text
from nica_bench.stats.paired import signed_rank

MCC = quantity("mcc")


def block_of(records):
    blocks, notes = blocks_of(records)
    assert len(blocks) == 1
    return blocks[0], notes


def outcome(block, method, wanted=MCC):
    return block.results(wanted)[method]


def test_the_baseline_is_the_best_with_no_more_side_information():
    records = [
        *(record("raw-x", s, mcc=0.6) for s in range(3)),
        *(record("label-only", s, mcc=0.7) for s in range(3)),
        *(record("linear-oracle", s, mcc=0.99) for s in range(3)),
        *(record(m, s, mcc=0.9) for m in ("gin", "pca", "ivae") for s in range(3)),
    ]
    block, _ = block_of(records)
    # label-only sees the conditions, pca does not; the oracle sees the latents and is a baseline for nobody
    assert {m: outcome(block, m).baseline.method for m in ("gin", "pca", "ivae", "linear-oracle")} == {
        "gin": "label-only", "pca": "raw-x", "ivae": "label-only", "linear-oracle": "raw-x",
    }  # fmt: skip
    assert MCC.normalised(0.9, 0.7) == pytest.approx(2 / 3)
    assert MCC.normalised(0.7, 0.7) == 0
    assert MCC.normalised(1.0, 0.7) == 1
    assert MCC.normalised(0.6, 0.7) < 0
    assert MCC.normalised(0.9, 1.0) is None


def test_if_less_is_better_the_baseline_is_the_lowest():
    leakage = quantity("leakage")
    block, _ = block_of([record("raw-x", 0, mcc=0.6), record("label-only", 0, mcc=0.7), record("gin", 0, mcc=0.9)])
    assert outcome(block, "gin", leakage).baseline.method == "label-only"
    assert leakage.normalised(0.1, 0.3) == pytest.approx(2 / 3)


def test_a_failure_scores_the_baseline_of_its_dataset_and_is_no_success():
    records = [record("raw-x", s, mcc=0.5 + s / 10) for s in range(4)]
    records += [record("gin", 0, mcc=0.99), record("gin", 1, mcc=0.97), record("gin", 2, mcc=0.98)]
    records += [record("gin", 3, status="diverged")]
    block, _ = block_of(records)
    gin = outcome(block, "gin")
    assert gin.by_dataset() == pytest.approx({0: 0.99, 1: 0.97, 2: 0.98, 3: 0.8})
    assert gin.success_by_dataset(0.5) == {0: 1, 1: 1, 2: 1, 3: 0}
    assert (gin.failed, gin.missing) == (1, 0)


def test_failing_does_not_pay():
    records = [record("raw-x", s, mcc=0.9) for s in range(3)]
    records += [record("gin", 0, mcc=0.3), record("gin", 1, mcc=0.4), record("gin", 2, status="timeout")]
    block, _ = block_of(records)
    assert outcome(block, "gin").by_dataset()[2] == 0.3


def test_a_dataset_that_others_have_is_missing_and_said():
    records = [*some(range(6), ("gin", "raw-x")), *some(range(4), ("pca",))]
    block, notes = block_of(records)
    pca = outcome(block, "pca")
    assert (pca.missing, len(pca.runs)) == (2, 6)
    assert any("pca has no record of seeds 4:6" in note for note in notes)


def test_a_method_that_failed_everywhere_stands_last_and_is_in_no_comparison():
    records = some(range(8), ("gin", "raw-x")) + [record("pca", s, status="error") for s in range(8)]
    block, notes = block_of(records)
    assert any("pca finished on no dataset (error): error: it did not work" in note for note in notes)
    pairs, _ = compare_all(block, MCC)
    assert {(p.a, p.b) for p in pairs} == {("gin", "raw-x")}
    assert outcome(block, "pca").failed == 8


def test_without_baselines_a_failure_scores_nothing():
    block, _ = block_of([record("gin", 0, mcc=0.9), record("gin", 1, status="oom"), record("pca", 0), record("pca", 1)])
    assert outcome(block, "gin").by_dataset()[1] == 0
    assert outcome(block, "gin").baseline is None


def test_what_has_no_good_end_is_not_filled_in():
    block, _ = block_of([record("raw-x", 0), record("gin", 0), record("gin", 1, status="error")])
    assert outcome(block, "gin", quantity("dimension")).by_dataset() == {0: 2.0}
    assert outcome(block, "gin", quantity("seconds")).by_dataset() == {0: 1.0}
    # it is given n, so it finishes without an estimate: no failure
    block, _ = block_of([record("raw-x", 0), record("ivae", 0), record("ivae", 1)])
    assert outcome(block, "ivae", quantity("dimension_correct")).by_dataset() == {}


def test_versions_of_a_method_are_kept_apart():
    records = [record("gin", s, mcc=0.9) for s in range(3)] + [record("gin", s, mcc=0.5, version="2") for s in range(3)]
    block, notes = block_of(records)
    assert [s.method for s in block.series] == ["gin (version 1)", "gin (version 2)"]
    assert notes[0] == "'gin' stands for 2 different methods, which are kept apart: gin (version 1), gin (version 2)"
    assert outcome(block, "gin (version 2)").by_dataset() == {0: 0.5, 1: 0.5, 2: 0.5}


def test_training_seeds_are_averaged_for_each_dataset():
    records = [record("gin", s, i, mcc=0.5 + 0.1 * i) for s in range(3) for i in range(3)]
    records += [record("raw-x", s, mcc=0.4) for s in range(3)]
    block, notes = block_of(records)
    assert outcome(block, "gin").by_dataset() == pytest.approx({0: 0.6, 1: 0.6, 2: 0.6})
    assert outcome(block, "gin").success_by_dataset(0.55) == pytest.approx({0: 2 / 3, 1: 2 / 3, 2: 2 / 3})
    assert outcome(block, "raw-x").missing == 0
    assert any("different numbers of training seeds" in note for note in notes)


def test_one_dataset_is_said():
    _, notes = block_of([record("gin", 4)])
    assert notes == ["gauss-2of4[conditions=3]: only one dataset (seed 4), so there is no interval and no test"]


def test_pairs_use_the_datasets_that_both_have():
    gin, pca = {s: 0.9 + 0.001 * s for s in range(8)}, {s: 0.8 - 0.002 * s * s for s in range(6)}
    records = [record("gin", s, mcc=v) for s, v in gin.items()] + [record("pca", s, mcc=v) for s, v in pca.items()]
    block, _ = block_of(records)
    (pair,), notes = compare_all(block, MCC)
    both = compare({s: gin[s] for s in pca}, pca)
    assert (pair.a, pair.b, pair.incomplete, pair.comparison) == ("gin", "pca", 2, both)
    assert "2 datasets have records of only one of gin and pca: 6 are compared" in notes[0]


def test_holm_is_over_all_pairs_and_p_is_scipys():
    block, _ = block_of(some(range(10)))
    pairs, _ = compare_all(block, MCC)
    assert len(pairs) == 10  # five rivals without the oracle
    values = {m: o.by_dataset() for m, o in block.results(MCC).items()}
    raw = [stats.wilcoxon([values[p.a][s] - values[p.b][s] for s in range(10)]).pvalue for p in pairs]
    np.testing.assert_allclose([p.comparison.p_value for p in pairs], raw, rtol=1e-12)
    np.testing.assert_allclose([p.p_holm for p in pairs], holm(raw), rtol=1e-12)


def test_where_less_is_better_improvement_is_turned_round():
    block, _ = block_of([record("gin", s, mcc=0.9) for s in range(3)] + [record("pca", s, mcc=0.5) for s in range(3)])
    (pair,), _ = compare_all(block, quantity("leakage"))
    assert (pair.a, pair.comparison.improvement.value) == ("gin", 1.0)
    assert pair.comparison.median.value == pytest.approx(-0.4)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 8, 10, 25, 50, 51, 60])
@pytest.mark.parametrize("shape", ["plain", "ties", "zeros"])
def test_signed_rank_p_values_equal_scipys(count, shape):
    rng = np.random.default_rng(count)
    difference = rng.normal(0.3, 1, count)
    if shape == "ties":
        difference = np.round(difference, 1) + 0.05
    if shape == "zeros":
        difference[1::3] = 0
    with np.errstate(all="ignore"):
        peer = stats.wilcoxon(difference).pvalue
    assert signed_rank(difference) == pytest.approx(peer, rel=1e-12)


def test_the_best_needs_the_test():
    levels = {"gin": 0.9, "pca": 0.7, "raw-x": 0.8}

    def records(spread, seeds):
        rng = np.random.default_rng(0)
        return [record(m, s, mcc=v + spread * rng.uniform()) for m, v in levels.items() for s in range(seeds)]

    assert best_of(block_of(records(0.05, 10))[0], MCC) == "gin"
    assert best_of(block_of(records(0.05, 5))[0], MCC) is None  # five datasets can't reach .05
    assert best_of(block_of(records(0.05, 10)[:10])[0], MCC) is None  # alone
    levels["raw-x"] = 0.9
    assert best_of(block_of(records(0.1, 10))[0], MCC) is None


def test_a_frame_has_one_row_per_record_and_fills_nothing_in():
    records = [record("gin", 0, mcc=0.9), record("ivae", 0), record("gin", 1, status="timeout")]
    frame = frame_of(records)
    assert list(frame["key"]) == [r.key for r in records[::2] + records[1:2]]
    assert frame["mcc"].tolist()[0] == 0.9
    assert math.isnan(frame["mcc"].tolist()[1])
    assert frame.set_index("method").loc["ivae", "side_information"] == "un"
    assert frame["scenario.conditions"].tolist() == [3, 3, 3]
    assert frame["method.lr"].tolist() == [0.01] * 3
    assert frame["dimension.kneedle"].notna().sum() == 1
    assert {"mcc_spearman", "status", "difficulty.linear_r", "commit"} <= set(frame.columns)
    assert frame_of([]).empty


def test_an_unknown_metric_offers_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'mcc_within'"):
        quantity("mcc_witin")
    new = record("gin", 0, scores={"mcc": 0.5, "slope": 1.1})
    assert quantity("slope", [new]).of(new) == 1.1


@pytest.mark.parametrize(("seeds", "text"), [([0, 1, 2], "0:3"), ([7], "7"), ([5, 3, 4, 9], "3:6,9"), ([], "")])
def test_seeds_as_they_are_given(seeds, text):
    assert seed_text(seeds) == text


def test_a_method_that_makes_no_sense_on_a_scenario_is_no_failure():
    skipped = [record("pca", s, status="skipped", message="its observations are no vectors") for s in range(2)]
    block, notes = block_of([record("gin", s) for s in range(2)] + skipped)
    assert [series.method for series in block.series] == ["gin"]
    assert notes.count("pca was not run on gauss-2of4[conditions=3]: its observations are no vectors") == 1
    assert blocks_of(skipped)[0] == []


def test_scenarios_stand_in_the_order_of_their_numbers():
    grid = [(conditions, samples) for conditions in (2, 5, 10) for samples in (1_000, 10_000)]
    records = [record(conditions=c, samples=s) for c, s in reversed(grid)]
    named = [(b.spec.scenario_parameters["conditions"], b.spec.scenario_parameters["samples"]) for b in _of(records)]
    assert named == grid
    wide = changed(records[0], scenario="gauss-2of10", scenario_label="gauss-2of10")
    assert [block.spec.scenario for block in _of([wide, *records])] == ["gauss-2of4"] * 6 + ["gauss-2of10"]


def _of(records):
    return blocks_of(records)[0]
