"""The peer: the authors' network and training loop, on FrEIA and a DataLoader.

As the paper's published code has it: one dataset at a time, observations batch first, the members of each class counted
by Python, the loss from each class' standard deviation in the batch, averaged over dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import FrEIA.framework as ff
import FrEIA.modules as fm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nica_bench.flows import MLP, Flow

__all__ = ["Published", "from_loader", "from_memory"]

Batches = Iterator[tuple[Tensor, Tensor]]


class Published:
    """GIN as its authors train it, with the weights of a replicate of ours.

    Args:
        flow: GIN couplings of even size, on the CPU.
        replicate: which of its replicates.
        conditions: number of classes.
        augmentation: sd of the noise added to x.
    """

    def __init__(self, flow: Flow, replicate: int, conditions: int, *, augmentation: float = 0.01) -> None:
        features = flow.permutations[0].order.shape[1]
        self.conditions = conditions
        self.augmentation = augmentation
        nodes = [ff.InputNode(features)]
        for permutation, coupling in zip(flow.permutations, flow.couplings, strict=True):
            order = permutation.order[replicate]
            subnets = iter([_subnet(coupling.subnet1, replicate), _subnet(coupling.subnet2, replicate)])
            coupled = {"subnet_constructor": lambda inputs, outputs, made=subnets: next(made), "clamp": 2.0}
            nodes.append(ff.Node(nodes[-1], fm.PermuteRandom, {}))
            nodes[-1].module.perm.data, nodes[-1].module.perm_inv.data = order.clone(), order.argsort()
            nodes.append(ff.Node(nodes[-1], fm.GINCouplingBlock, coupled))
        self.net = ff.GraphINN([*nodes, ff.OutputNode(nodes[-1])])
        self.optimiser = torch.optim.Adam([p for p in self.net.parameters() if p.requires_grad], lr=1e-2)

    def loss(self, x: Tensor, u: Tensor) -> Tensor:
        """Negative log-likelihood, in nats a dimension (a scalar). Args: x, shape (B, D); u, classes, shape (B,)."""
        w, log_det = self.net(x)
        sds = torch.stack([w[u == k].std(0, unbiased=False) for k in range(self.conditions)])
        losses = 0.5 + sds[u].log().mean(1) + 0.5 * math.log(2 * math.pi) - log_det / x.shape[1]
        return losses.mean()

    def step(self, x: Tensor, u: Tensor, *, count: Callable[[Tensor], Any] = torch.sum) -> None:
        """One optimiser step; a batch in which a class has fewer than two members is skipped.

        Args:
            x: observations, shape (B, D).
            u: classes, shape (B,).
            count: how a class' members are counted. The published code takes Python's own `sum`, which goes through
                the points one by one.
        """
        if min([count(u == k).item() for k in range(self.conditions)]) < 2:
            return
        self.optimiser.zero_grad()
        loss = self.loss(x + self.augmentation * torch.randn_like(x), u)
        loss.backward()
        self.optimiser.step()

    def encode(self, x: NDArray[Any]) -> NDArray[Any]:
        """Codes of observations, both of shape (N, D)."""
        with torch.no_grad():
            codes, _ = self.net(torch.from_numpy(x.copy()))
        return cast("NDArray[Any]", codes.numpy())

    def steps(self, data: Batches, steps: int, *, count: Callable[[Tensor], Any] = torch.sum) -> Callable[[], None]:
        """A call that takes the next steps."""

        def run() -> None:
            for _ in range(steps):
                self.step(*next(data), count=count)

        return run


def _subnet(mlp: MLP, replicate: int) -> nn.Sequential:
    """An MLP's replicate as plain layers."""
    layers: list[nn.Module] = []
    for ours in mlp.layers:
        linear = nn.Linear(ours.weight.shape[2], ours.weight.shape[1])
        with torch.no_grad():
            linear.weight.copy_(ours.weight[replicate])
            linear.bias.copy_(ours.bias[replicate, :, 0])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def from_loader(x: Tensor, u: Tensor, size: int) -> Batches:
    """Batches without end as the authors make them: a DataLoader that collects points one by one."""
    loader: DataLoader[Any] = DataLoader(TensorDataset(x, u), batch_size=size, shuffle=True, drop_last=True)
    while True:
        yield from loader


def from_memory(x: Tensor, u: Tensor, size: int) -> Batches:
    """Batches without end from data that is shuffled once an epoch and cut."""
    while True:
        order = torch.randperm(len(x))
        xs, us = x[order], u[order]
        for start in range(0, len(x) - size + 1, size):
            yield xs[start : start + size], us[start : start + size]
