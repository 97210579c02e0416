import numpy as np
import pytest

from nica_bench.latents import IDENTITY, LOG, LOGIT

POINTS = {"z": np.linspace(-9, 9, 37), "log z": np.geomspace(1e-9, 1e9, 37), "logit z": np.linspace(1e-6, 1 - 1e-6, 37)}


@pytest.mark.parametrize("coordinate", [IDENTITY, LOG, LOGIT], ids=lambda c: c.name)
def test_both_ways_and_the_slope(coordinate):
    z = POINTS[coordinate.name]
    v = coordinate.forward(z)
    assert (np.diff(v) > 0).all()
    np.testing.assert_allclose(coordinate.inverse(v), z, rtol=1e-12)
    h = 1e-6
    slope = (coordinate.inverse(v + h) - coordinate.inverse(v - h)) / (2 * h)
    np.testing.assert_allclose(-coordinate.log_slope(v), np.log(slope), rtol=1e-5, atol=1e-6)


def test_logit_keeps_its_digits_next_to_both_ends():
    np.testing.assert_allclose(LOGIT.forward(np.array([1e-300])), np.log(1e-300), rtol=1e-14)
    np.testing.assert_allclose(LOGIT.forward(np.array([1 - 2.0**-24])), -np.log(2.0**-24), rtol=1e-7)


def test_the_support_is_open():
    assert LOGIT.inside(np.array([0.0, 0.5, 1.0, np.nan])).tolist() == [False, True, False, False]
    assert LOG.inside(np.array([0.0, 1.0, np.inf])).tolist() == [False, True, False]
