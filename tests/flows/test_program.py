"""A flow's inverse as plain operations: run by numpy, they give what the flow gives."""

import json

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from torch import nn

from nica_bench.errors import UsageError
from nica_bench.flows import Coupling, ImageFlow, inverse_program
from nica_bench.flows.program import inverse_operations


def run(operations, weights, x):
    """The operations as they are described for JSON, one vector (D,)."""
    for operation in json.loads(json.dumps(operations)):
        if operation["op"] == "gather":
            x = x.reshape(len(operation["order"]), -1)[operation["order"]].ravel()
            continue
        height, width = operation["side"]
        value = x[slice(*operation["given"])].reshape(-1, height, width)
        for index, layer in enumerate(operation["layers"]):
            value = apply(layer, weights, np.maximum(value, 0) if index else value)
        moved = x[slice(*operation["moved"])].reshape(-1, height, width)
        if operation["clamp"] is None:
            moved = moved - value
        else:
            a, t = np.split(value, 2)
            s = {"atan": np.arctan, "tanh": np.tanh}[operation["clamp"]](a)
            s = operation["factor"] * (s - s.mean(0) * operation["centred"])
            moved = (moved - t) * np.exp(-s)
        x = x.copy()
        x[slice(*operation["moved"])] = moved.ravel()
    return x


def apply(layer, weights, x):
    out, given, kernel = layer["out"], layer["in"], layer["kernel"]
    end = layer["at"] + out * given * max(kernel, 1) ** 2
    weight, bias = weights[layer["at"] : end], weights[end : end + out]
    if not kernel:
        return (weight.reshape(out, given) @ x.ravel() + bias).reshape(-1, 1, 1)
    weight = weight.reshape(out, given, kernel, kernel)
    maps = [sum(correlate2d(x[i], weight[o, i], mode="same") for i in range(given)) + bias[o] for o in range(out)]
    return np.array(maps)


@pytest.mark.parametrize("clamp", ["atan", "tanh"])
@pytest.mark.parametrize("coupling", ["gin", "realnvp", "nice"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 4, 6), (1, 2, 6)])
def test_operations_give_what_the_flow_gives(generators, coupling, shape, clamp):
    # of several replicates it is the first one's
    flow = ImageFlow(
        generators(0, 1), shape, coupling=coupling, clamp=clamp, widths=(5, 6), conv_blocks=2, identity=False
    )
    program = inverse_program(flow)
    assert program.volume_preserving == (coupling != "realnvp")
    w = torch.randn(2, flow.features, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = flow.inverse(w)[0].numpy()
    described, weights = program.described()
    for column in range(3):
        found = run(described, weights.astype(np.float64), w[0, :, column].numpy().astype(np.float64))
        # random scales let numbers grow, and with them what float32 rounds off
        np.testing.assert_allclose(found, expected[:, column], rtol=0, atol=1e-4 * np.abs(expected).max())


def test_the_papers_network_is_exported_whole(generators):
    described, weights = inverse_program(ImageFlow(generators(0), (1, 28, 28))).described()
    assert weights.size == 2_620_192
    assert weights.dtype == np.float32
    assert len(json.dumps(described)) < 60_000


def test_what_has_no_such_form_is_named(generators):
    with pytest.raises(UsageError, match="inverse of Tanh is not known"):
        inverse_operations(nn.Tanh())
    with pytest.raises(UsageError, match="centred"):
        inverse_operations(Coupling(generators(0), 4))
    flow = ImageFlow(generators(0), (1, 4, 4))
    flow.layers[1].coupling.incompressible = 0.5
    with pytest.raises(UsageError, match="centred"):
        inverse_program(flow)
