"""A training step of the paper's EMNIST network against the same network in FrEIA, in one thread and one run.

Batch 240 of 28 x 28 images, ten classes, Adam. The weights are copied from ours, and the losses of the same images
have to be equal. Both take turns, so that a busy machine is busy for both. The memory is that of a process which does
nothing but our steps.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any

import FrEIA.framework as ff
import FrEIA.modules as fm
import torch
from torch import Tensor, nn

from benchmarks.common import Bar, Row, finish, median_seconds, parser, say, timed_rounds
from nica_bench.flows import ConvNet, Downsampling, ImageFlow
from nica_bench.flows.convnet import Precision
from nica_bench.training.device import prepare
from nica_bench.training.moments import gaussian_losses
from nica_bench.training.optimiser import FlatAdam

SHAPE, CLASSES = (1, 28, 28), 10
OURS, ROUNDED, PEER = "nica-bench", "nica-bench, bfloat16", "FrEIA"
MEMORY = 2 * 2**30


class Ours:
    """Our network and its optimiser."""

    def __init__(self, precision: Precision) -> None:
        prepare("cpu")
        self.flow = ImageFlow([torch.Generator().manual_seed(0)], SHAPE, precision=precision)
        self.optimiser = FlatAdam(list(self.flow.parameters()), 1e-3)

    def loss(self, x: Tensor, u: Tensor) -> Tensor:
        """In nats a dimension. Args: x, shape (B, D); u, shape (B,)."""
        onehot = nn.functional.one_hot(u, CLASSES).T[None].float()
        return gaussian_losses(self.flow(x.T[None])[0], onehot).mean(1)

    def step(self, x: Tensor, u: Tensor) -> None:
        """One optimiser step."""
        self.optimiser.step(self.loss(x + 0.01 * torch.randn_like(x), u), 1e-3)


class Peer:
    """FrEIA's blocks with our weights, in the order of the paper."""

    def __init__(self, flow: ImageFlow) -> None:
        nodes: list[Any] = [ff.InputNode(*SHAPE)]
        flat = False
        for layer in flow.layers:
            if isinstance(layer, Downsampling):
                nodes.append(ff.Node(nodes[-1], fm.IRevNetDownsampling, {}))
                continue
            subnets = [_copied(layer.coupling.subnet1), _copied(layer.coupling.subnet2)]
            if not isinstance(layer.coupling.subnet1, ConvNet) and not flat:
                nodes.append(ff.Node(nodes[-1], fm.Flatten, {}))
                flat = True
            nodes.append(ff.Node(nodes[-1], fm.PermuteRandom, {}))
            order = layer.permutation.order[0]
            nodes[-1].module.perm.data, nodes[-1].module.perm_inv.data = order.clone(), order.argsort()
            made = iter(subnets)
            options = {"subnet_constructor": lambda inputs, outputs, made=made: next(made), "clamp": 2.0}
            nodes.append(ff.Node(nodes[-1], fm.GINCouplingBlock, options))
        self.net = ff.GraphINN([*nodes, ff.OutputNode(nodes[-1])])
        self.optimiser = torch.optim.Adam([p for p in self.net.parameters() if p.requires_grad], lr=1e-3)

    def loss(self, x: Tensor, u: Tensor) -> Tensor:
        """In nats a dimension. Args: x, shape (B, D); u, shape (B,)."""
        w, _ = self.net(x.view(-1, *SHAPE))
        sds = torch.stack([w[u == k].std(0, unbiased=False) for k in range(CLASSES)])
        return (0.5 + sds[u].log().mean(1) + 0.5 * math.log(2 * math.pi)).mean()

    def step(self, x: Tensor, u: Tensor) -> None:
        """One optimiser step."""
        self.optimiser.zero_grad()
        self.loss(x + 0.01 * torch.randn_like(x), u).backward()
        self.optimiser.step()


def _copied(net: nn.Module) -> nn.Sequential:
    """A subnet of ours as plain layers."""
    layers: list[nn.Module] = []
    flat = net.flat()  # type: ignore[operator]
    for weight, bias in zip(flat[::2], flat[1::2], strict=True):
        inputs, outputs = weight.shape[2], weight.shape[1]
        layer = nn.Conv2d(inputs, outputs, 3, padding=1) if weight.ndim == 5 else nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(weight[0])
            layer.bias.copy_(bias[0].flatten())  # type: ignore[union-attr]
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def batch(size: int) -> tuple[Tensor, Tensor]:
    """Images of noise: what they show makes no difference to the time."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(size, math.prod(SHAPE), generator=generator), torch.arange(size) % CLASSES


def peak_memory(size: int, steps: int) -> int:
    """Bytes of a fresh process that does our steps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return int(pool.apply(_steps_alone, (size, steps)))


def _steps_alone(size: int, steps: int) -> int:
    ours, (x, u) = Ours("float32"), batch(size)
    for _ in range(steps):
        ours.step(x, u)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser(__doc__)
    options.add_argument("--batch", type=int, default=240, help="batch size; default %(default)s")
    options.add_argument("--rounds", type=int, default=11, help="turns that each takes; default %(default)s")
    given = options.parse_args(arguments)
    size, rounds = (40, 1) if given.smoke else (given.batch, given.rounds)

    x, u = batch(size)
    ours, rounded = Ours("float32"), Ours("bfloat16")
    peer = Peer(ours.flow)
    mine, theirs = float(ours.loss(x, u).detach()), float(peer.loss(x, u).detach())
    difference = abs(mine - theirs) / abs(theirs)
    say(f"losses {mine:.6f} and {theirs:.6f}")
    variants: dict[str, Callable[[], object]] = {
        name: lambda who=who: who.step(x, u)  # type: ignore[misc]
        for name, who in ((OURS, ours), (ROUNDED, rounded), (PEER, peer))
    }
    seconds = median_seconds(timed_rounds(variants, rounds))
    memory = peak_memory(size, 1 if given.smoke else 3)
    rows: list[Row] = [
        {"step": name, "CPU ms": 1e3 * s, "times ours": s / seconds[OURS]} for name, s in seconds.items()
    ]
    ratio = seconds[PEER] / seconds[OURS]
    bars = [
        Bar("a step against FrEIA's", ">= 1 x, aim 1.3 x", f"{ratio:.2f} x", ratio >= 1),
        Bar("memory of a process", "<= 2 GiB", f"{memory / 2**30:.2f} GiB", memory <= MEMORY),
        Bar("losses with copied weights", "equal", f"to {difference:.0e} relative", difference < 1e-4),
    ]
    title = f"EMNIST network, batch {size}, one thread, median of {rounds} rounds"
    return finish(given, {title: rows}, bars)


if __name__ == "__main__":
    sys.exit(main())
