from itertools import product

import numpy as np
import pytest

from nica_bench.seeds import Streams

AXES = ("latents", "noise", "initialisation", "evaluation")


def test_no_two_streams_share_numbers_and_each_is_the_same_again():
    roots = [Streams(s) for s in (0, 1, 2)] + [Streams.of_fit(s, i) for s, i in product((0, 1, 2), (0, 1, 11))]
    drawn = [(r.numpy(a).integers(2**62, size=4), r.torch(a).initial_seed()) for r in roots for a in AXES]
    assert len({tuple(numbers) for numbers, _ in drawn}) == len({seed for _, seed in drawn}) == len(roots) * len(AXES)
    again = Streams.of_fit(2, 11).numpy("evaluation").integers(2**62, size=4)
    np.testing.assert_array_equal(again, drawn[-1][0])


@pytest.mark.parametrize("training_seed", [0, 1])
def test_a_method_cannot_make_the_data_from_its_streams(training_seed):
    data = Streams(5).numpy("latents").standard_normal(8)
    given = Streams.of_fit(5, training_seed)
    for streams in (given, Streams(given.seed), Streams.of_fit(given.seed, training_seed)):
        assert not np.array_equal(data, streams.numpy("latents").standard_normal(8))
