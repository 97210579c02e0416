"""The same weights in FrEIA 0.2 give the same outputs, log-determinants, losses and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nica_bench.flows import Flow

modules = pytest.importorskip("FrEIA.modules")
BLOCKS = {"gin": modules.GINCouplingBlock, "realnvp": modules.GLOWCouplingBlock, "nice": modules.NICECouplingBlock}


def reference_block(coupling, kind, clamp, features, r):
    """FrEIA's block with the weights of replicate r, and its (parameter, ours) pairs."""
    pairs = []

    def copied(mlp):
        layers: list[nn.Module] = []
        for ours in mlp.layers:
            linear = nn.Linear(ours.weight.shape[2], ours.weight.shape[1], dtype=torch.float64)
            with torch.no_grad():
                linear.weight.copy_(ours.weight[r])
                linear.bias.copy_(ours.bias[r, :, 0])
            pairs.extend([(linear.weight, ours.weight), (linear.bias, ours.bias)])
            layers += [linear, nn.ReLU()]
        return nn.Sequential(*layers[:-1])

    options = {} if kind == "nice" else {"clamp_activation": clamp.upper()}
    block = BLOCKS[kind]([(features,)], subnet_constructor=nn.Linear, split_len=features // 2, **options)
    first, second = ("G", "F") if kind == "nice" else ("subnet1", "subnet2")
    setattr(block, first, copied(coupling.subnet1))
    setattr(block, second, copied(coupling.subnet2))
    return block, pairs


@pytest.mark.parametrize("features", [2, 5, 10])
@pytest.mark.parametrize(
    ("kind", "clamp"), [("gin", "atan"), ("gin", "tanh"), ("realnvp", "atan"), ("realnvp", "tanh"), ("nice", "atan")]
)
def test_same_as_freia(generators, kind, clamp, features):
    flow = Flow(generators(0, 1), features, blocks=8, coupling=kind, clamp=clamp, identity=False, dtype=torch.float64)
    data = torch.randn(2, features, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = data.clone().requires_grad_()
    w, log_det = flow(x)
    losses = w.square().mean((1, 2)) / 2 - log_det.mean(1)
    losses.sum().backward()
    for r in range(2):
        given = data[r].mT.clone().requires_grad_()
        v, total, pairs = given, torch.zeros(50, dtype=torch.float64), []
        for permutation, coupling in zip(flow.permutations, flow.couplings, strict=True):
            block, more = reference_block(coupling, kind, clamp, features, r)
            pairs += more
            (v,), change = block((v[:, permutation.order[r]],))
            total = total + change
        loss = v.square().mean() / 2 - total.mean()
        loss.backward()
        torch.testing.assert_close(w[r].mT, v, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(log_det[r], total, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(losses[r], loss, rtol=1e-9, atol=1e-9)
        for ours, theirs in [(x.grad[r].mT, given.grad)] + [(p.grad[r].view_as(q.grad), q.grad) for q, p in pairs]:
            assert (ours - theirs).norm() <= 1e-6 * theirs.norm() + 1e-15
            torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)
