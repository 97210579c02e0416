"""Adam over one buffer: the same learning as torch's, and a replicate's bits do not depend on its group."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nica_bench.errors import ContractError
from nica_bench.flows import MLP
from nica_bench.training.optimiser import FlatAdam

GROUPS = ([3, 12], [9, 2, 7], [1, 14, 8, 0, 5], list(range(16)))


def model_of(seeds, dtype=torch.float32):
    """A perceptron of 41 numbers a replicate, which fill no whole number of vectors."""
    return MLP([torch.Generator().manual_seed(seed) for seed in seeds], (3, 5, 2, 3), dtype=dtype)


def problem(seeds, dtype=torch.float32):
    """Loss of a model that is to learn a curve of each replicate's own."""
    x = torch.stack([torch.randn(3, 64, generator=torch.Generator().manual_seed(100 + s)) for s in seeds]).to(dtype)
    return lambda model: (model(x) - x.sin() - x.roll(1, 1)).square().mean((1, 2))


def train(seeds, steps=60, scale=None, dtype=torch.float32):
    model, loss = model_of(seeds, dtype), problem(seeds, dtype)
    optimiser = FlatAdam(list(model.parameters()), 1e-2)
    for step in range(steps):
        optimiser.step(loss(model), 1e-2 * (1 - step / steps), scale)
    return torch.cat([p.detach().flatten(1) for p in model.parameters()], 1), loss(model).detach()


def test_a_replicate_has_the_same_bits_in_every_group():
    together, losses = train(range(16))
    for seeds in GROUPS:
        parameters, loss = train(seeds)
        assert torch.equal(parameters, together[seeds]), f"parameters differ in the group {seeds}"
        assert torch.equal(loss, losses[seeds])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_learns_as_torchs_adam_does(dtype):
    seeds = range(4)
    ours, _ = train(seeds, 40, dtype=dtype)
    model, loss = model_of(seeds, dtype), problem(seeds, dtype)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2, foreach=False)
    start = torch.cat([p.detach().flatten(1) for p in model.parameters()], 1)
    for step in range(40):
        adam.param_groups[0]["lr"] = 1e-2 * (1 - step / 40)
        adam.zero_grad()
        loss(model).sum().backward()
        adam.step()
    theirs = torch.cat([p.detach().flatten(1) for p in model.parameters()], 1)
    assert (theirs - start).abs().median() > 0.05
    limit = 1e-6 if dtype is torch.float32 else 1e-14
    torch.testing.assert_close(ours, theirs, rtol=limit, atol=limit)


def test_the_parameters_keep_their_values_and_fill_whole_vectors():
    model = model_of([0, 1])
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = FlatAdam(list(model.parameters()), 1e-2)
    assert optimiser.replicates == 2
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
    assert all(p.storage_offset() % 16 == 0 for p in model.parameters())
    assert next(model.parameters()).untyped_storage().nbytes() % 64 == 0


def test_the_factor_of_a_replicate_scales_its_update_alone():
    start, _ = train([0, 1, 2], steps=0)
    whole, _ = train([0, 1, 2], steps=1)
    scaled, _ = train([0, 1, 2], steps=1, scale=torch.tensor([1.0, 0.0, 0.1]))
    assert torch.equal(scaled[0], whole[0])
    assert torch.equal(scaled[1], start[1])
    torch.testing.assert_close(scaled[2] - start[2], 0.1 * (whole[2] - start[2]), rtol=1e-4, atol=1e-7)


def test_a_frozen_replicate_is_zero_and_the_others_do_not_notice():
    seeds = [0, 1, 2]
    model, loss = model_of(seeds), problem(seeds)
    optimiser = FlatAdam(list(model.parameters()), 1e-2)
    alive = torch.tensor([True, True, True])
    for step in range(60):
        optimiser.step(torch.where(alive, loss(model), 0.0), 1e-2 * (1 - step / 60))
        if step == 10:
            optimiser.freeze(1)
            alive = torch.tensor([True, False, True])
    rows = torch.cat([p.detach().flatten(1) for p in model.parameters()], 1)
    assert not rows[1].any()
    assert torch.equal(rows[[0, 2]], train(seeds)[0][[0, 2]])


def test_a_parameter_that_the_loss_does_not_use_stays():
    used, unused = nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(2, 4))
    FlatAdam([used, unused], 0.1).step(used.square().sum(1), 0.1)
    torch.testing.assert_close(used.detach(), torch.full((2, 3), 0.9))
    assert torch.equal(unused, torch.ones(2, 4))


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ([], "got none"),
        ([torch.zeros(2, 3), torch.zeros(3, 3)], r"\(3,\) torch.float32"),
        ([torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.float64)], "torch.float64 on cpu"),
    ],
)
def test_parameters_of_two_kinds_are_refused(parameters, says):
    with pytest.raises(ContractError, match=says):
        FlatAdam([nn.Parameter(p) for p in parameters], 1e-2)


def test_a_long_gradient_is_cut_to_the_bound_and_one_that_is_not_finite_is_left_out():
    long, cut, short = torch.tensor([3.0, 4.0]), torch.tensor([0.6, 0.8]), torch.tensor([0.3, 0.4])

    def after(gradients, clip):
        p = nn.Parameter(torch.zeros(3, 2))
        optimiser = FlatAdam([p], 0.1)
        for g in gradients:
            optimiser.step((p * torch.stack([g, short, g * float("nan")])).sum(1), 0.1, clip=clip)
        return p.detach()

    bounded, expected = after([long, short], 1.0), after([cut, short], 0.0)
    torch.testing.assert_close(bounded[:2], expected[:2])
    assert not torch.allclose(bounded[0], after([long, short], 0.0)[0])
    assert bounded[2].tolist() == [0, 0]
