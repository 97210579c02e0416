from __future__ import annotations

import pytest
import torch
from torch.autograd import gradcheck

from nica_bench.errors import UsageError
from nica_bench.flows import Permutation


@pytest.mark.parametrize(("replicates", "features"), [(1, 2), (2, 10), (5, 7)])
def test_moves_rows_and_back(generators, replicates, features):
    permutation = Permutation(generators(*range(replicates)), features)
    x = torch.randn(replicates, features, 11)
    y = permutation(x)
    for r in range(replicates):
        assert torch.equal(permutation.order[r].sort().values, torch.arange(features))
        assert torch.equal(y[r], x[r, permutation.order[r]])
    assert torch.equal(permutation.inverse(y), x)
    assert torch.equal(permutation(permutation.inverse(x)), x)


def test_gradient_is_the_inverse(generators):
    permutation = Permutation(generators(0, 1, 2), 5)
    x = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert gradcheck(permutation, (x,))
    assert gradcheck(permutation.inverse, (x,))
    g = torch.randn(3, 5, 4, dtype=torch.float64)
    (grad,) = torch.autograd.grad(permutation(x), x, g)
    assert torch.equal(grad, permutation.inverse(g))


def test_a_slice_of_a_larger_tensor(generators):
    permutation = Permutation(generators(0, 1), 5)
    x = torch.randn(2, 9, 4)[:, 2:7]
    assert torch.equal(permutation(x), permutation(x.contiguous()))


def test_is_saved(generators):
    one, other = Permutation(generators(0, 1), 8), Permutation(generators(2, 3), 8)
    assert not torch.equal(one.order, other.order)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.order, other.order)


def test_no_generator():
    with pytest.raises(UsageError, match="at least one generator"):
        Permutation([], 3)
