from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def generators():
    """A function of seeds: one fresh generator a seed."""
    return lambda *seeds: [torch.Generator().manual_seed(seed) for seed in seeds]
