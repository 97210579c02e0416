"""The difficulty figures that the mixings were published with, on a few seeds of few points.

Published are means over 10 draws. The tolerance is the standard deviation over 40 draws: about two standard errors of
the difference between a mean over 10 draws and one over the 6 draws used here.
"""

import numpy as np
import pytest

from nica_bench.registry import make_scenario


def figures(mixing, seeds):
    scenario = make_scenario(f"gauss-2of10[samples=3000,held_out=1500,mixing={mixing}]")
    data = [scenario.generate(seed) for seed in seeds]
    return {key: np.array([d.difficulty[key] for d in data]) for key in data[0].difficulty}


# mean linear r, raw best-2 and PCA-2, and the tolerance of each
PUBLISHED = {
    "realnvp": ((0.995, 0.94, 0.81), (0.010, 0.051, 0.120)),
    "realnvp,clamp=tanh": ((0.94, 0.81, 0.59), (0.066, 0.142, 0.216)),
    "realnvp,scale=1.2": ((0.905, 0.73, 0.53), (0.057, 0.131, 0.196)),
    "medium": ((0.996, 0.80, 0.68), (0.010, 0.149, 0.164)),
    "mlp": ((0.989, 0.78, 0.69), (0.010, 0.055, 0.106)),
}


@pytest.mark.parametrize("mixing", PUBLISHED)
def test_published_difficulty(mixing):
    measured = figures(mixing, range(6))
    for key, published, tolerance in zip(("linear_r", "raw_best", "pca"), *PUBLISHED[mixing], strict=True):
        assert measured[key].mean() == pytest.approx(published, abs=tolerance), key
    preserved = mixing == "medium"
    assert (measured["log_det_sd"] == 0).all() == preserved
    assert preserved or measured["log_det_sd"].mean() > 0.5


def test_presets_are_in_the_order_of_their_names_and_hard_is_within_its_bounds():
    easy, medium, hard = (figures(name, range(6)) for name in ("easy", "medium", "hard"))
    assert easy["raw_best"].mean() > medium["raw_best"].mean() + 0.05
    assert medium["linear_r"].mean() > hard["linear_r"].mean() + 0.03
    assert hard["raw_best"].mean() < 0.8
    assert ((hard["linear_r"] >= 0.85) & (hard["linear_r"] <= 0.95)).all()
    assert hard["max_sd"].max() < 50
