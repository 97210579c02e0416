"""The flow of images: the paper's network, its inverse and volume, and the same weights in FrEIA."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nica_bench.errors import UsageError
from nica_bench.flows import ConvCoupling, ConvNet, Convolutional, Downsampling, ImageFlow, parameter_count, take

modules = pytest.importorskip("FrEIA.modules")
BLOCKS = {"gin": modules.GINCouplingBlock, "realnvp": modules.GLOWCouplingBlock}
SMALL = {"widths": (5, 6), "conv_blocks": 2, "identity": False}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_the_papers_network_has_its_number_of_parameters_and_inverts(generators):
    flow = ImageFlow(generators(0), (1, 28, 28), identity=False)
    assert parameter_count(flow) == 2_620_192
    x = torch.rand(1, 784, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        w, log_det = flow(x)
        assert not log_det.any()
        torch.testing.assert_close(flow.inverse(w), x, rtol=0, atol=1e-4)


def test_it_starts_as_a_permutation_of_the_pixels(generators):
    flow, x = ImageFlow(generators(0), (1, 8, 8)), noise(1, 64, 3)
    with torch.no_grad():
        w, log_det = flow(x)
        assert torch.equal(w.sort(1).values, x.sort(1).values)
        assert not torch.equal(w, x)
        assert not log_det.any()


@pytest.mark.parametrize("coupling", ["gin", "realnvp", "nice"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 6), (1, 2, 2), (2, 6, 2)])
def test_log_determinant_inverse_and_gradients(generators, coupling, shape):
    flow = ImageFlow(generators(0, 1), shape, coupling=coupling, dtype=torch.float64, **SMALL)
    x = noise(2, flow.features, 2, dtype=torch.float64)
    w, log_det = flow(x)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0].sum((0, 2)), x)
    _, expected = torch.linalg.slogdet(jacobian.permute(1, 3, 0, 2))
    torch.testing.assert_close(log_det, expected, rtol=0, atol=1e-10)
    assert flow.volume_preserving == (coupling != "realnvp")
    torch.testing.assert_close(flow.inverse(w), x, rtol=0, atol=1e-9)
    (w.square().sum() - log_det.sum()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in flow.parameters())
    # a replicate is what it is alone, and what is cut out
    for alone in (ImageFlow(generators(1), shape, coupling=coupling, dtype=torch.float64, **SMALL), take(flow, [1])):
        torch.testing.assert_close(alone(x[1:])[0], w[1:], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_in_float32_volume_is_kept_to_a_hundred_thousandth(generators, precision):
    flow = ImageFlow(generators(0), (1, 8, 8), precision=precision, **SMALL)
    x = noise(1, 64, 1)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v)[0][0, :, 0], x)[:, 0, :, 0]
    if precision == "float32":  # the products' rounding makes no function that autograd could follow in bfloat16
        assert abs(float(torch.linalg.slogdet(jacobian)[1])) < 1e-5
    with torch.no_grad():
        torch.testing.assert_close(flow.inverse(flow(x)[0]), x, rtol=0, atol=1e-4)


def test_gradients_agree_with_finite_differences(generators):
    for kind in ("gin", "realnvp"):
        coupling = ConvCoupling(
            generators(0, 1), 4, Convolutional(2, 3), hidden=(3, 2), kind=kind, identity=False, dtype=torch.float64
        )
        x = noise(2, 24, 2, dtype=torch.float64).requires_grad_()
        names, parameters = zip(*coupling.named_parameters(), strict=True)

        def call(x, *values, coupling=coupling, names=names):
            y, log_det = torch.func.functional_call(coupling, dict(zip(names, values, strict=True)), (x,))
            return y if log_det is None else (y, log_det)

        assert torch.autograd.gradcheck(call, (x, *parameters))


def copied(net, r):
    """A subnet's replicate as torch's own layers, and (parameter, ours) pairs."""
    layers, pairs = [], []
    for weight, bias in zip(*[iter(net.flat())] * 2, strict=True):
        own = bias[r].flatten()
        if isinstance(net, ConvNet):
            layer = nn.Conv2d(weight.shape[2], weight.shape[1], 3, padding=1)
        else:
            layer = nn.Linear(weight.shape[2], weight.shape[1])
        with torch.no_grad():
            layer.weight.copy_(weight[r])
            layer.bias.copy_(own)
        pairs += [(layer.weight, weight), (layer.bias, bias)]
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1]), pairs


@pytest.mark.parametrize("coupling", ["gin", "realnvp"])
def test_same_as_freia(generators, coupling):
    flow = ImageFlow(generators(0, 1), (1, 12, 8), coupling=coupling, identity=False)
    data = noise(2, 96, 5)
    w, log_det = flow(data)
    (w.square().mean((1, 2)) / 2 - log_det.mean(1) / 96).sum().backward()
    for r in range(2):
        v, total, pairs = data[r].T.reshape(5, 1, 12, 8), torch.zeros(5), []
        for layer in flow.layers:
            if isinstance(layer, Downsampling):
                (v,), _ = modules.IRevNetDownsampling([tuple(v.shape[1:])])((v,))
                continue
            if not isinstance(layer.coupling, ConvCoupling):
                v = v.flatten(1)
            block = BLOCKS[coupling]([tuple(v.shape[1:])], subnet_constructor=lambda i, o: nn.Identity())
            for name in ("subnet1", "subnet2"):
                net, more = copied(getattr(layer.coupling, name), r)
                setattr(block, name, net)
                pairs += more
            (v,), change = block((v[:, layer.permutation.order[r]],))
            total = total + change
        (v.square().mean() / 2 - total.mean() / 96).backward()
        # without the constraint random couplings blow some codes up to hundreds
        torch.testing.assert_close(w[r].T, v, rtol=1e-5, atol=1e-5 * max(1.0, float(v.detach().abs().max())))
        torch.testing.assert_close(log_det[r], total, rtol=1e-3, atol=1e-4)
        for theirs, ours in pairs:
            difference = (ours.grad[r].view_as(theirs.grad) - theirs.grad).norm()
            assert difference <= 1e-3 * theirs.grad.norm() + 1e-9


def test_weights_are_xavier_and_last_layers_zero(generators):
    flow = ImageFlow(generators(0), (1, 28, 28))
    for layer in flow.layers:
        if isinstance(layer, Downsampling):
            continue
        for net in (layer.coupling.subnet1, layer.coupling.subnet2):
            *first, last_weight, last_bias = net.flat()
            assert not last_weight.any()
            assert not last_bias.any()
            for weight in first[::2]:
                fans = (weight[0, 0].numel() + weight[0, :, 0].numel()) if weight.ndim == 5 else sum(weight.shape[1:])
                assert float(weight.detach().std()) * (fans / 2) ** 0.5 == pytest.approx(
                    1, abs=0.2 if weight.ndim == 5 else 0.02
                )


def test_meta_device(generators):
    flow = ImageFlow(generators(0, 1), (1, 8, 8)).to("meta")
    x = torch.empty(2, 64, 4, device="meta", requires_grad=True)
    w, log_det = flow(x)
    (w.sum() + log_det.sum()).backward()
    assert w.device.type == x.grad.device.type == flow.inverse(w.detach()).device.type == "meta"
    assert all(p.grad.device.type == "meta" for p in flow.parameters())


def test_odd_sides(generators):
    with pytest.raises(UsageError, match="even height and width to take apart, got 7 x 8"):
        ImageFlow(generators(0), (1, 7, 8))
