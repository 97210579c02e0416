from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from nica_bench.errors import UsageError
from nica_bench.flows import MLP, Linear, parameter_count


def test_linear_draws_as_torch_does(generators):
    layer = Linear(generators(7, 8), 5, 3)
    for r, seed in enumerate((7, 8)):
        torch.manual_seed(seed)
        reference = nn.Linear(5, 3)
        assert torch.equal(layer.weight[r], reference.weight)
        assert torch.equal(layer.bias[r, :, 0], reference.bias)


def test_linear_applies_each_replicate_to_its_own_input(generators):
    layer = Linear(generators(0, 1, 2), 4, 3, dtype=torch.float64)
    x = torch.randn(3, 4, 6, dtype=torch.float64)
    expected = torch.einsum("roi,rib->rob", layer.weight, x) + layer.bias
    torch.testing.assert_close(layer(x), expected)


def test_zero_draws_nothing(generators):
    (generator,) = generators(0)
    layer = Linear([generator], 4, 3, zero=True)
    assert not layer.weight.any()
    assert not layer.bias.any()
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


@pytest.mark.parametrize("widths", [(3, 2), (3, 4, 2), (4, 5, 6, 7)])
def test_mlp_against_torch_modules(generators, widths):
    mlp = MLP(generators(0, 1), widths, dtype=torch.float64)
    x = torch.randn(2, widths[0], 9, dtype=torch.float64, requires_grad=True)
    out = mlp(x)
    out.square().sum().backward()
    for r in range(2):
        layers: list[nn.Module] = []
        for layer in mlp.layers:
            copy = nn.Linear(layer.weight.shape[2], layer.weight.shape[1], dtype=torch.float64)
            with torch.no_grad():
                copy.weight.copy_(layer.weight[r])
                copy.bias.copy_(layer.bias[r, :, 0])
            layers += [copy, nn.ReLU()]
        reference = nn.Sequential(*layers[:-1])
        given = x[r].detach().mT.clone().requires_grad_()
        expected = reference(given)
        expected.square().sum().backward()
        torch.testing.assert_close(out[r].mT, expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(x.grad[r].mT, given.grad, rtol=1e-12, atol=1e-12)
        for layer, copy in zip(mlp.layers, layers[::2], strict=True):
            torch.testing.assert_close(layer.weight.grad[r], copy.weight.grad, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(layer.bias.grad[r, :, 0], copy.bias.grad, rtol=1e-12, atol=1e-12)


def test_mlp_gradcheck(generators):
    mlp = MLP(generators(0, 1), (3, 5, 4, 2), dtype=torch.float64)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    parameters = tuple(mlp.parameters())
    names = [name for name, _ in mlp.named_parameters()]

    def call(x, *values):
        return torch.func.functional_call(mlp, dict(zip(names, values, strict=True)), (x,))

    assert gradcheck(call, (x, *parameters))


def test_mlp_is_honest_about_second_derivatives(generators):
    mlp = MLP(generators(0), (3, 4, 1), dtype=torch.float64)
    x = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(mlp(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_only_the_asked_gradients(generators):
    mlp = MLP(generators(0, 1), (3, 4, 2))
    x = torch.randn(2, 3, 5)
    mlp(x).sum().backward()
    assert all(p.grad is not None for p in mlp.parameters())
    frozen = MLP(generators(0, 1), (3, 4, 2)).requires_grad_(False)
    frozen(x.requires_grad_()).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in frozen.parameters())


def test_zero_last_and_count(generators):
    mlp = MLP(generators(0, 1), (3, 4, 2), zero_last=True)
    assert not mlp(torch.randn(2, 3, 5)).any()
    assert parameter_count(mlp) == 4 * 4 + 5 * 2


def test_bad_sizes(generators):
    with pytest.raises(UsageError, match="at least one generator"):
        Linear([], 2, 2)
    with pytest.raises(UsageError, match="got 0 and 2"):
        Linear(generators(0), 0, 2)
    with pytest.raises(UsageError, match=r"two widths.*\[3\]"):
        MLP(generators(0), [3])
