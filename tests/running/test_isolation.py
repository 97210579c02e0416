"""What one method's fit does to its data and its process does not reach the next."""

from __future__ import annotations

import builtins
import os
import random
import sys

import numpy as np
import pytest

from helpers.cli import SMALL, nica, records, write_method
from nica_bench.dataset import Dataset, Split
from nica_bench.running import isolation
from nica_bench.running.isolation import ImportClock, checksum, isolated
from nica_bench.seeds import Streams

RUN = ["run", "-s", "gauss-2of4", *SMALL, "--seeds", "0:2", "--jobs", "1"]


def data():
    generator = np.random.default_rng(0)
    parts = [
        Split(generator.normal(size=(20, 4)), generator.integers(0, 3, 20), generator.normal(size=(20, 2)))
        for _ in range(3)
    ]
    return Dataset(*parts, conditions=3)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("name", ["x", "u", "z"])
def test_the_checksum_sees_one_changed_value(part, name):
    whole = data()
    before = checksum(whole)
    assert checksum(data()) == before
    array = getattr(getattr(whole, part), name)
    array.setflags(write=True)
    array[-1] += 1
    assert checksum(whole) != before


CHANGES = {
    "in-fit": """
        import torch
        x = torch.from_numpy(observations.train_x)
        x[:, 1:] *= 0.0
        return Fitted(lambda x, u: x, np.ones(D))
""",
    "in-encode": """
        def encode(x, u):
            x.setflags(write=True)
            x[:, 1:] = 0
            return x
        return Fitted(encode, np.ones(D))
""",
}


@pytest.mark.parametrize("way", CHANGES)
@pytest.mark.filterwarnings("ignore")
def test_a_method_that_changes_its_data_fails_and_the_next_gets_them_as_they_were(tmp_path, way):
    alone = nica(*RUN, "-m", "pca", "--out", "alone", cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    done = nica(*RUN, *write_method(tmp_path, "changes", CHANGES[way]), "-m", "pca", "--out", "both", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    both, expected = records(tmp_path / "both"), records(tmp_path / "alone")
    for seed in (0, 1):
        assert both["pca", seed, 0]["scores"] == expected["pca", seed, 0]["scores"]
        guilty = both["changes", seed, 0]
        assert guilty["status"] == "error"
        assert f"{way.removeprefix('in-')} changed the data in place: work on a copy" in guilty["message"]


def test_codes_are_kept_as_they_were_returned(tmp_path):
    """An encoder that returns one buffer at every call is scored on the codes of each call."""
    reused = """
        buffer = np.empty((10_000, D))
        def encode(x, u):
            codes = buffer[: len(x)]
            codes[:] = x
            return codes
        return Fitted(encode, observations.train_x.std(0))
"""
    fresh = "return Fitted(lambda x, u: x * 1.0, observations.train_x.std(0))"
    options = [*write_method(tmp_path, "reused", reused), *write_method(tmp_path, "fresh", fresh)]
    done = nica(*RUN, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(next(tmp_path.glob("*/cells")).parent)
    for seed in (0, 1):
        assert found["reused", seed, 0]["scores"] == found["fresh", seed, 0]["scores"]


def test_files_named_as_standard_modules_do_not_reach_a_worker(tmp_path):
    for name in ("locale", "socket", "random", "json", "sklearn"):
        (tmp_path / f"{name}.py").write_text(
            f"raise RuntimeError('the {name}.py of the working folder was imported')\n"
        )
    done = nica(*RUN, "-m", "pca", "--out", "there", cwd=tmp_path, installed=True)
    assert done.returncode == 0, done.stderr
    assert {r["status"] for r in records(tmp_path / "there").values()} == {"ok"}


def test_the_state_of_the_process_is_as_it_was(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    before = (
        os.getcwd(),
        dict(os.environ),
        list(sys.path),
        sys.getrecursionlimit(),
        np.geterr(),
        torch.get_num_threads(),
    )
    with isolated(Streams(0)):
        os.environ["NICA_BENCH_TEST"] = "1"
        del os.environ["PATH"]
        (tmp_path / "below").mkdir()
        os.chdir("below")
        sys.path.insert(0, "nowhere")
        sys.setrecursionlimit(5000)
        np.seterr(all="raise")
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(before[-1] + 1)
        torch.use_deterministic_algorithms(True)
        sys.stdout = None
    assert before == (
        os.getcwd(), dict(os.environ), list(sys.path), sys.getrecursionlimit(), np.geterr(), torch.get_num_threads(),
    )  # fmt: skip
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert sys.stdout is not None


def test_the_state_is_put_back_after_an_error():
    limit = sys.getrecursionlimit()

    def fails():
        sys.setrecursionlimit(limit + 1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), isolated(Streams(0)):
        fails()
    assert sys.getrecursionlimit() == limit


def test_global_generators_begin_where_the_fit_alone_decides():
    torch = pytest.importorskip("torch")

    def draws(seed):
        with isolated(Streams(seed)):
            return random.random(), np.random.rand(), torch.rand(()).item()  # noqa: NPY002

    first = draws(1)
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    assert draws(1) == first
    assert not set(draws(2)) & set(first)


def test_the_clock_of_imports_counts_imports_and_nothing_else(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(isolation.time, "time", lambda: now[0])
    monkeypatch.setattr(isolation.time, "process_time", lambda: now[0] / 2)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "clock_of_the_test", type(sys)("clock_of_the_test"))
    sys.modules["clock_of_the_test"].now = now
    (tmp_path / "inner_of_the_test.py").write_text("from clock_of_the_test import now\nnow[0] += 10\n")
    (tmp_path / "outer_of_the_test.py").write_text(
        "import inner_of_the_test\nfrom clock_of_the_test import now\nnow[0] += 1\n"
    )
    original = builtins.__import__
    with ImportClock() as clock:
        now[0] += 1000
        import outer_of_the_test  # noqa: F401
    assert (clock.wall, clock.cpu) == (11, 5.5)
    assert builtins.__import__ is original
