"""The flows against FrEIA with copied weights, against autograd, and their own properties."""

import FrEIA.modules as freia
import pytest
import torch
from torch import nn

from nica_bench.errors import UsageError
from nica_bench.flows import Coupling, Flow, parameter_count, take

KINDS = [
    {"coupling": "gin"},
    {"coupling": "gin", "zero_sum": "last", "clamp": "tanh"},
    {"coupling": "realnvp"},
    {"coupling": "realnvp", "clamp": "tanh"},
    {"coupling": "nice"},
]
PEERS = {"gin": freia.GINCouplingBlock, "realnvp": freia.GLOWCouplingBlock, "nice": freia.NICECouplingBlock}


def generators(*seeds):
    return [torch.Generator().manual_seed(s) for s in seeds]


def flow(kind, *seeds, features=6, **more):
    return Flow(generators(*seeds), features, blocks=3, identity=False, dtype=torch.float64, **kind, **more)


def points(replicates, features, batch, seed=9):
    return torch.randn(replicates, features, batch, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def subnet(inputs, outputs):
    layers = [nn.Linear(inputs, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, outputs)]
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("kind", PEERS)
def test_a_block_agrees_with_freia_in_value_determinant_and_every_gradient(kind):
    ours = Coupling(generators(0, 1, 2), 10, kind=kind, identity=False, dtype=torch.float64)
    x = points(3, 10, 50)
    y, log_det = ours(x)
    loss = y.pow(2).mean((1, 2)) - (0 if log_det is None else log_det.mean(1))
    loss.sum().backward()
    for r in range(3):
        peer = PEERS[kind]([(10,)], subnet_constructor=subnet)
        first, second = (peer.F, peer.G) if kind == "nice" else (peer.subnet2, peer.subnet1)
        pairs = []
        for mine, theirs in ((ours.subnet2, first), (ours.subnet1, second)):
            for layer, linear in zip(mine.layers, theirs[::2], strict=True):
                linear.weight.data = layer.weight.data[r].clone()
                linear.bias.data = layer.bias.data[r, :, 0].clone()
                pairs += [(layer.weight.grad[r], linear.weight), (layer.bias.grad[r, :, 0], linear.bias)]
        (expected,), jacobian = peer((x[r].T,))
        torch.testing.assert_close(y[r].T, expected, rtol=1e-6, atol=1e-12)
        if log_det is not None:
            torch.testing.assert_close(log_det[r], jacobian, rtol=1e-6, atol=1e-12)
        peer_loss = expected.pow(2).mean() - (0 if log_det is None else jacobian.mean())
        torch.testing.assert_close(loss[r], peer_loss, rtol=1e-6, atol=1e-12)
        peer_loss.backward()
        for gradient, parameter in pairs:
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2, 3, 4)])
@pytest.mark.parametrize("features", [2, 5, 10])
def test_inverse_and_determinant(kind, seeds, features):
    model = flow(kind, *seeds, features=features)
    x = points(len(seeds), features, 7).requires_grad_()
    w, log_det = model(x)
    torch.testing.assert_close(model.inverse(w), x, rtol=0, atol=1e-10)
    rows = [torch.autograd.grad(w[:, j].sum(), x, retain_graph=True)[0] for j in range(features)]
    expected = torch.linalg.slogdet(torch.stack(rows, 1).permute(0, 3, 1, 2))[1]
    torch.testing.assert_close(log_det, expected, rtol=0, atol=1e-10)
    if kind["coupling"] != "realnvp":
        assert expected.abs().max() < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_hand_written_gradients_against_finite_differences(kind):
    model = flow(kind, 0, 1, features=5)
    x = points(2, 5, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: model(x), (x, *model.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_replicates_are_their_own(kind):
    model, other = flow(kind, 3, 7), flow(kind, 1, 3, 2)
    cut = take(other, [1, 0])
    x = points(1, 6, 20).expand(2, -1, -1)
    torch.testing.assert_close(model(x)[0][0], cut(x)[0][0], rtol=0, atol=0)
    assert not torch.equal(model(x)[0][0], model(x)[0][1])


@pytest.mark.parametrize("kind", KINDS)
def test_identity_initialisation_permutes(kind):
    model = Flow(generators(0, 1), 6, identity=True, **kind)
    x = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model(x)[0].sort(1)[0], x.sort(1)[0])


def test_parameter_counts_are_the_papers():
    for kind, count in (("gin", 4480), ("realnvp", 4480), ("nice", 3600)):
        assert parameter_count(Flow(generators(0, 1), 10, coupling=kind, identity=True)) == count


def test_what_is_unknown_is_named():
    with pytest.raises(UsageError, match="did you mean 'gin'"):
        Flow(generators(0), 4, coupling="ginn", identity=True)
