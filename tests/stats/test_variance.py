from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nica_bench.errors import UsageError
from nica_bench.stats import split_variance


def test_by_hand():
    # Means 1 and 3, grand mean 2; MSB = 2 (1 + 1) / 1 = 4, MSW = (.5 + .5) / 2 = .5, n0 = 2
    split = split_variance({0: [0.5, 1.5], 1: [2.5, 3.5]})
    assert split.training == pytest.approx(0.5)
    assert split.data == pytest.approx((4 - 0.5) / 2)
    assert split.share.value == pytest.approx(1.75 / 2.25)
    assert (split.datasets, split.runs) == (2, 4)


def test_mean_squares_are_those_of_the_f_test():
    rng = np.random.default_rng(0)
    groups = [rng.normal(rng.normal(), 0.7, 6) for _ in range(9)]
    split = split_variance(dict(enumerate(groups)))
    f = stats.f_oneway(*groups).statistic
    assert (split.training + 6 * split.data) / split.training == pytest.approx(f)


@pytest.mark.parametrize("sizes", [[4] * 2000, [2, 3, 7, 1] * 500])
def test_it_finds_the_components(sizes):
    rng = np.random.default_rng(1)
    groups = {i: (rng.normal(0, 2.0) + rng.normal(0, 1.0, n)).tolist() for i, n in enumerate(sizes)}
    split = split_variance(groups, resamples=200)
    assert split.data == pytest.approx(4, rel=0.1)
    assert split.training == pytest.approx(1, rel=0.1)
    assert split.share.low < 0.8 < split.share.high


def test_equal_datasets_have_no_variance_of_their_own():
    split = split_variance({0: [0.0, 1.0], 1: [0.0, 1.0], 2: [1.0, 0.0]})
    assert split.data == 0
    assert split.share.value == 0


def test_nothing_varies():
    split = split_variance({0: [0.5, 0.5], 1: [0.5, 0.5]})
    assert (split.data, split.training, split.share.value) == (0, 0, 0)


@pytest.mark.parametrize("scores", [{}, {0: [1.0, 2.0]}, {0: [1.0], 1: [2.0]}])
def test_too_little_is_said(scores):
    with pytest.raises(UsageError, match="at least two datasets and two training seeds"):
        split_variance(scores)
