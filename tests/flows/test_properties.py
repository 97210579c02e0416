"""One property test for every kind of flow, and what is particular to some."""

from __future__ import annotations

import itertools

import pytest
import torch

from nica_bench.errors import UsageError
from nica_bench.flows import Coupling, Flow, parameter_count, take

KINDS = [
    *({"coupling": "gin", "zero_sum": z, "clamp": c} for z, c in itertools.product(("mean", "last"), ("atan", "tanh"))),
    *({"coupling": "realnvp", "clamp": c} for c in ("atan", "tanh")),
    {"coupling": "nice"},
]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))


@every_kind
@pytest.mark.parametrize("features", [2, 5, 10])
@pytest.mark.parametrize("replicates", [1, 5])
def test_properties(generators, kind, features, replicates):
    seeds = range(replicates)
    options = dict(blocks=3, hidden=(6, 5), identity=False, dtype=torch.float64, **kind)
    flow = Flow(generators(*seeds), features, **options)
    x = torch.randn(replicates, features, 4, dtype=torch.float64)
    w, log_det = flow(x)
    assert w.shape == x.shape
    assert log_det.shape == (replicates, 4)

    # Inverse, and that a replicate's map does not depend on its neighbours.
    torch.testing.assert_close(flow.inverse(w), x, rtol=0, atol=1e-10)
    torch.testing.assert_close(flow(flow.inverse(x))[0], x, rtol=0, atol=1e-10)
    last = Flow(generators(seeds[-1]), features, **options)
    assert all(torch.equal(p[-1:], q) for p, q in zip(flow.parameters(), last.parameters(), strict=True))
    assert all(torch.equal(p[-1:], q) for p, q in zip(flow.buffers(), last.buffers(), strict=True))
    torch.testing.assert_close(last(x[-1:])[0], w[-1:], rtol=1e-12, atol=1e-12)

    # Log-determinant against autograd: points do not mix, so a sum over them gives each point's Jacobian.
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0].sum((0, 2)), x)
    _, expected = torch.linalg.slogdet(jacobian.permute(1, 3, 0, 2))
    torch.testing.assert_close(log_det, expected, rtol=0, atol=1e-12)
    assert flow.volume_preserving == (kind["coupling"] != "realnvp")
    if flow.volume_preserving:
        assert not log_det.requires_grad
        assert not log_det.any()
    else:
        assert log_det.abs().min() > 1e-6

    # Every parameter gets a gradient.
    (w.square().sum() - log_det.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in flow.parameters())
    if replicates > 1:  # a single small subnet may have no ReLU open
        assert all(p.grad.any() for p in flow.parameters())

    # The same seeds give the same flow, others another.
    again, other = (Flow(generators(*s), features, **options) for s in (seeds, [s + 100 for s in seeds]))
    assert torch.equal(again(x)[0], w)
    assert not torch.equal(other(x)[0], w)

    # Saved and loaded.
    other.load_state_dict(flow.state_dict())
    assert torch.equal(other(x)[0], w)


@every_kind
def test_identity_is_a_permutation(generators, kind):
    flow = Flow(generators(0, 1), 7, identity=True, **kind)
    x = torch.randn(2, 7, 5)
    w, log_det = flow(x)
    assert torch.equal(w.sort(1).values, x.sort(1).values)
    assert not torch.equal(w, x)
    assert not log_det.any()
    expected = x
    for permutation in flow.permutations:
        expected = permutation(expected)
    assert torch.equal(w, expected)
    assert torch.equal(flow.inverse(w), x)


@pytest.mark.parametrize(("coupling", "count"), [("gin", 4480), ("realnvp", 4480), ("nice", 3600)])
def test_parameter_count(generators, coupling, count):
    flow = Flow(generators(0, 1, 2), 10, coupling=coupling, identity=True)
    assert parameter_count(flow) == count
    assert sum(p.numel() for p in flow.parameters()) == 3 * count


@every_kind
def test_gradcheck(generators, kind):
    options = {"kind" if k == "coupling" else k: v for k, v in kind.items()}
    coupling = Coupling(generators(0, 1), 5, hidden=(4, 3), identity=False, dtype=torch.float64, **options)
    names, parameters = zip(*coupling.named_parameters(), strict=True)
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)

    def call(x, *values):
        y, log_det = torch.func.functional_call(coupling, dict(zip(names, values, strict=True)), (x,))
        return y if log_det is None else (y, log_det)

    assert torch.autograd.gradcheck(call, (x, *parameters))
    assert torch.autograd.gradcheck(lambda y: coupling.inverse(y), (x,))


def test_gradient_of_the_log_determinant_alone(generators):
    coupling = Coupling(generators(0, 1), 4, kind="realnvp", identity=False, dtype=torch.float64)
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: coupling(v)[1], (x,))


def test_is_honest_about_second_derivatives(generators):
    flow = Flow(generators(0), 4, identity=False)
    x = torch.randn(1, 4, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(flow(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


@every_kind
def test_only_the_asked_gradients(generators, kind):
    flow = Flow(generators(0, 1), 5, blocks=2, identity=False, **kind)
    x = torch.randn(2, 5, 3, requires_grad=True)
    flow(x)[0].square().sum().backward()
    frozen = Flow(generators(0, 1), 5, blocks=2, identity=False, **kind).requires_grad_(False)
    alone = x.detach().clone().requires_grad_()
    frozen(alone)[0].square().sum().backward()
    assert torch.equal(alone.grad, x.grad)
    assert all(p.grad is None for p in frozen.parameters())


@every_kind
def test_casting_keeps_the_volume(generators, kind):
    flow = Flow(generators(0, 1), 6, blocks=2, identity=False, **kind).double()
    x = torch.randn(2, 6, 1, dtype=torch.float64)
    w, log_det = flow(x)
    assert w.dtype == log_det.dtype == torch.float64
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0].sum((0, 2)), x)[..., 0].movedim(1, 0)
    torch.testing.assert_close(torch.linalg.slogdet(jacobian)[1], log_det[:, 0], rtol=0, atol=1e-12)


@every_kind
def test_scales(generators, kind):
    """The clamp bounds log-scales by 2; the paper's zero sum lets the last one alone go beyond."""
    if kind["coupling"] == "nice":
        pytest.skip("has no scales")
    options = {"kind" if k == "coupling" else k: v for k, v in kind.items()}
    coupling = Coupling(generators(0, 1), 8, identity=False, dtype=torch.float64, **options)
    a = 100 + torch.randn(2, 4, 5, dtype=torch.float64).abs()
    a[:, 1] *= -1
    s = coupling.scale.log_scale(a, coupling._matrix(coupling.zero_sum1, a))
    clamped = 2 * (0.636 * torch.atan(a) if kind["clamp"] == "atan" else torch.tanh(a))
    if kind["coupling"] == "realnvp":
        expected = clamped
    elif kind["zero_sum"] == "mean":
        expected = clamped - clamped.mean(1, keepdim=True)
    else:
        expected = torch.cat((clamped[:, :-1], -clamped[:, :-1].sum(1, keepdim=True)), 1)
    torch.testing.assert_close(s, expected, rtol=1e-14, atol=1e-14)
    assert clamped.abs().max() <= 2


@every_kind
def test_meta_device(generators, kind):
    flow = Flow(generators(0, 1, 2), 5, identity=False, **kind).to("meta")
    x = torch.empty(3, 5, 4, device="meta", requires_grad=True)
    w, log_det = flow(x)
    (w.sum() + log_det.sum()).backward()
    assert w.device.type == log_det.device.type == x.grad.device.type == "meta"
    assert flow.inverse(w.detach()).shape == x.shape
    assert all(p.grad.device.type == "meta" for p in flow.parameters())


def test_compiles(generators):
    flow = Flow(generators(0, 1), 4, blocks=1, identity=False)
    x = torch.randn(2, 4, 3)
    compiled = torch.compile(flow, backend="eager")
    torch.testing.assert_close(compiled(x)[0], flow(x)[0])
    compiled(x)[0].square().sum().backward()
    assert all(p.grad is not None for p in flow.parameters())


@every_kind
def test_take(generators, kind):
    flow = Flow(generators(0, 1, 2, 3), 5, blocks=2, identity=False, **kind)
    x = torch.randn(4, 5, 3)
    w, log_det = flow(x)
    w.sum().backward()
    for indices in ([2, 0], [1, 1, 3], [3]):
        part = take(flow, indices)
        assert type(part) is Flow
        v, part_log_det = part(x[indices])
        torch.testing.assert_close(v, w[indices])
        torch.testing.assert_close(part_log_det, log_det[indices])
        torch.testing.assert_close(part.inverse(v), x[indices], rtol=1e-4, atol=1e-4)
        assert all(p.is_leaf and p.requires_grad and p.grad is None for p in part.parameters())
        assert all(t.shape[0] == len(indices) for t in (*part.parameters(), *part.buffers()))
        assert parameter_count(part) == parameter_count(flow)
    with torch.no_grad():
        next(part.parameters()).zero_()
    assert next(flow.parameters()).any()


def test_take_outside(generators):
    flow = Flow(generators(0, 1), 4, blocks=1, identity=True)
    with pytest.raises(UsageError, match=r"from 0 to 1, got \[2, -1\]"):
        take(flow, [0, 2, -1])
    with pytest.raises(UsageError, match="got none"):
        take(flow, [])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coupling": "gni"}, "unknown coupling 'gni'; did you mean 'gin'"),
        ({"zero_sum": "mena"}, "unknown zero sum 'mena'; did you mean 'mean'"),
        ({"clamp": "atanh"}, "unknown clamp 'atanh'; did you mean"),
        ({"blocks": 0}, "at least one block, got 0"),
    ],
)
def test_bad_options(generators, options, message):
    with pytest.raises(UsageError, match=message):
        Flow(generators(0), 4, identity=True, **options)


def test_one_feature(generators):
    with pytest.raises(UsageError, match="at least 2 features to couple, got 1"):
        Flow(generators(0), 1, identity=True)
