"""A training that is cut off goes on bit for bit; what is no checkpoint of it is never taken for one."""

import errno
import functools
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from nica_bench.errors import UsageError
from nica_bench.files import tensors
from nica_bench.files.tensors import TensorFileError, read_tensors, write_tensors
from nica_bench.method import FitSession, Interrupted
from nica_bench.registry import make_method, make_scenario
from nica_bench.seeds import Streams

VECTORS, IMAGES = "gauss-2of4[samples=300,held_out=100,conditions=3]", "digits[samples=300,held_out=100]"
CASES = [
    ("gin[steps=40,batch=100,blocks=4]", VECTORS),
    ("gin[schedule=paper,batch=100,blocks=1]", VECTORS),
    ("ivae[steps=40,batch=100]", VECTORS),
    ("gin-conv[steps=24,batch=50]", IMAGES),
    ("glow-conv[steps=24,batch=50]", IMAGES),
]


def fit(method, scenario, path=None, seconds=1e9, stop=None, seed=0):
    """Fit; `stop` is how often the fit may ask before it is interrupted."""
    method, scenario = make_method(method), make_scenario(scenario)
    seen = scenario.generate(seed).observations(method.side_information)
    asked = iter(range(stop)) if stop is not None else None
    interrupted = (lambda: next(asked, None) is None) if asked is not None else (lambda: False)
    session = FitSession(checkpoint=path, checkpoint_seconds=seconds, interrupted=interrupted)
    return method.fit(seen, Streams.of_fit(seed, 0), session)


@functools.cache
def whole_fit(method, scenario):
    """The fit that nothing interrupts."""
    return fit(method, scenario)


def assert_same(one, other):
    for name in one.weights:
        np.testing.assert_array_equal(one.weights[name], other.weights[name])
    assert set(one.history) == set(other.history)
    for name in one.history:
        np.testing.assert_array_equal(one.history[name], other.history[name])
    np.testing.assert_array_equal(one.loss_curve, other.loss_curve)
    np.testing.assert_array_equal(one.importance, other.importance)
    assert one.heldout_loss == other.heldout_loss
    assert dict(one.training) == dict(other.training)


@pytest.mark.parametrize(("method", "scenario"), CASES)
def test_an_interrupted_fit_goes_on_bit_for_bit(tmp_path, method, scenario):
    path = tmp_path / "fit.safetensors"
    with pytest.raises(Interrupted, match="interrupted after step 7; its checkpoint is kept"):
        fit(method, scenario, path, stop=7)
    with pytest.raises(Interrupted, match="after step 18"):
        fit(method, scenario, path, stop=11)
    assert_same(fit(method, scenario, path), whole_fit(method, scenario))


CHILD = """
import sys
from pathlib import Path
import nica_bench.training.checkpoint as checkpoints
from test_checkpoints import fit
saved = checkpoints.Checkpoint.save
def save(self, state):
    print(saved(self, state), flush=True)
checkpoints.Checkpoint.save = save
fit(sys.argv[1], sys.argv[2], Path(sys.argv[3]), seconds=0.0)
"""


@pytest.mark.parametrize(
    ("method", "scenario"), [("gin[steps=150,batch=100,blocks=2]", VECTORS), ("gin-conv[steps=24,batch=50]", IMAGES)]
)
def test_a_fit_that_is_killed_goes_on_bit_for_bit(tmp_path, method, scenario):
    path = tmp_path / "fit.safetensors"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, method, scenario, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.path.dirname(__file__)},
    )
    for _ in range(9):
        assert child.stdout.readline() == b"True\n"
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    arrays, _ = read_tensors(path)  # whole, though the process was killed while it saved at every step
    assert len(arrays["run.losses"]) >= 9
    assert_same(fit(method, scenario, path), whole_fit(method, scenario))


def test_a_checkpoint_of_something_else_is_refused_and_left(tmp_path):
    path, (method, scenario) = tmp_path / "fit.safetensors", CASES[0]
    with pytest.raises(Interrupted):
        fit(method, scenario, path, stop=3)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"fit.safetensors is the checkpoint of something else: expected method gin\["):
        fit("gin[steps=40,batch=100,blocks=2]", scenario, path)
    with pytest.raises(UsageError, match=r"expected seeds .*, found .*; remove it to begin anew"):
        fit(method, scenario, path, seed=1)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "other"])
def test_a_damaged_checkpoint_is_not_taken(tmp_path, damage):
    path, (method, scenario) = tmp_path / "fit.safetensors", CASES[0]
    with pytest.raises(Interrupted):
        fit(method, scenario, path, stop=3)
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[-100] ^= 1
    path.write_bytes({"cut": whole[:-10], "changed": bytes(changed), "empty": b"", "other": b"<html>" * 99}[damage])
    with pytest.warns(UserWarning, match=r"training begins anew: .*fit.safetensors.* (found|damaged)"):
        again = fit(method, scenario, path)
    assert_same(again, whole_fit(method, scenario))


def test_a_full_disk_does_not_end_the_training(tmp_path, monkeypatch):
    path, (method, scenario) = tmp_path / "fit.safetensors", CASES[0]

    def full(folder, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tensors, "write_whole", full)
    with pytest.warns(UserWarning, match=r"no checkpoint in .*fit.safetensors: the disk is full; training goes on"):
        fitted = fit(method, scenario, path, seconds=0.0)
    assert list(tmp_path.iterdir()) == []
    assert_same(fitted, whole_fit(method, scenario))


def test_a_tensor_file_has_its_arrays_or_says_why_not(tmp_path):
    path = tmp_path / "new" / "a.safetensors"
    arrays = {"a": np.arange(6.0).reshape(2, 3).T, "b": np.array(True), "c": np.zeros((0, 2), np.int64)}
    write_tensors(path, arrays, {"key": "k"})
    found, metadata = read_tensors(path)
    assert metadata == {"key": "k"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    with pytest.raises(FileNotFoundError):
        read_tensors(tmp_path / "none")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TensorFileError, match=r"a\.safetensors: expected a whole safetensors file, found"):
        read_tensors(path)


@pytest.mark.parametrize(("method", "scenario"), [CASES[0], *CASES[2:]])
def test_a_fit_is_rebuilt_from_its_weights(method, scenario):
    fitted, data = whole_fit(method, scenario), make_scenario(scenario).generate(0)
    codec = make_method(method).restore(fitted.weights, make_scenario(scenario))
    x, u = data.test.x, data.test.u
    np.testing.assert_array_equal(codec.encode(x, u), fitted.encode(x, u))
    assert (codec.decode is None) == (fitted.decode is None)
    if codec.decode is not None:
        np.testing.assert_allclose(codec.decode(codec.encode(x, u)), x, atol=1e-4)
    name = next(iter(fitted.weights))
    for wrong in ({**fitted.weights, name: np.zeros(3)}, {**fitted.weights, "extra": np.zeros(3)}, {}):
        with pytest.raises(UsageError, match=r"weights of another network .*: array '.*' expected .*, found"):
            make_method(method).restore(wrong, make_scenario(scenario))
