"""A replicate's numbers do not depend on which others it was trained with, bit for bit."""

from __future__ import annotations

import pytest
import torch

from nica_bench.flows import MLP, Flow

GROUPS = ([3, 4], [15, 0], [9, 2, 7], [1, 14, 8, 0, 5])


def train(generators, seeds, features, batch, *, flat, **options):
    """Outputs and gradients of a late step and the parameters after 50; everything random by seed, so by replicate."""
    flow = Flow(generators(*seeds), features, identity=True, **options)
    parameters = list(flow.parameters())

    # Fused Adam rounds a tensor's last elements, which fill no vector, otherwise than the rest: there every replicate
    # needs a whole number of vectors, as it has with all its parameters in one row. Else the foreach one.
    def row(tensors):
        joined = torch.cat([t.detach().flatten(1) for t in tensors], 1)
        return torch.nn.functional.pad(joined, (0, -joined.shape[1] % 16))

    rows = torch.nn.Parameter(row(parameters))
    optimiser = torch.optim.Adam([rows], lr=1e-2, fused=True) if flat else torch.optim.Adam(parameters, 1e-2)
    x = torch.stack([torch.randn(features, batch, generator=g) for g in generators(*seeds)])
    scale = 1 + torch.stack([torch.randint(0, 3, (1, batch), generator=g) for g in generators(*seeds)])
    x = x * scale + x.roll(1, 1).sin()
    for _ in range(50):
        flow.zero_grad()
        w, log_det = flow(x)
        loss = (w.square().mean(-1) + 1e-3).log().sum() / 2 - log_det.mean(-1).sum()
        loss.backward()
        if flat:
            rows.grad = row([p.grad for p in parameters])
        optimiser.step()
        if flat:
            start = 0
            for p in parameters:
                p.data = rows.detach()[:, start : start + p[0].numel()].reshape_as(p)
                start += p[0].numel()
    return [w.detach(), *(p.grad for p in parameters), *(p.detach() for p in parameters)]


@pytest.mark.parametrize("coupling", ["gin", "realnvp", "nice"])
@pytest.mark.parametrize(
    ("features", "batch", "hidden", "flat"),
    [(10, 1000, (10, 10), True), (10, 200, (10, 10), False), (7, 97, (10, 10), False), (5, 64, (7, 9), False)],
)
def test_bit_for_bit_in_any_group(generators, coupling, features, batch, hidden, flat):
    options = {"flat": flat, "coupling": coupling, "blocks": 2, "hidden": hidden}
    together = train(generators, range(16), features, batch, **options)
    for seeds in GROUPS:
        part = train(generators, seeds, features, batch, **options)
        for one, other in zip(part, together, strict=True):
            assert torch.equal(one, other[seeds]), f"a tensor of {tuple(one.shape)} differs in the group {seeds}"


@pytest.mark.parametrize("batch", [33, 250, 997, 1000])
def test_mlp_bit_for_bit(generators, batch):
    def gradients(seeds):
        mlp = MLP(generators(*seeds), (7, 6, 3))
        x = torch.stack([torch.randn(7, batch, generator=g) for g in generators(*seeds)]).requires_grad_()
        out = mlp(x)
        out.sin().sum().backward()
        return [out.detach(), x.grad, *(p.grad for p in mlp.parameters())]

    together = gradients(range(16))
    for seeds in GROUPS:
        assert all(torch.equal(one, other[seeds]) for one, other in zip(gradients(seeds), together, strict=True))
