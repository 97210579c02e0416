"""What is refused before it can do harm: classes, parameters, devices and facts that are not what they should be."""

import numpy as np
import pytest

from helpers.cli import HEAD, SMALL, nica, records, write_method
from nica_bench.errors import ContractError, UsageError
from nica_bench.method import Fitted
from nica_bench.parameters import Range
from nica_bench.registry import load_method_file, make_method, make_scenario
from nica_bench.running.contract import checked_facts
from nica_bench.running.plan import make_runs

PLAIN = "    def fit(self, observations, streams, session):\n        return Fitted(lambda x, u: x, observations.train_x.std(0))\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("@dataclass(frozen=True)\nclass Nameless(Method):\n" + PLAIN, "Nameless needs a name"),
        (
            "from nica_bench import parameter\nclass Undone(Method):\n    name = 'undone'\n"
            "    k: float = parameter(0.5, 'a number')\n" + PLAIN,
            r"Undone has parameters \(k\) but is no dataclass",
        ),
    ],
)
def test_a_class_that_would_run_with_other_parameters_than_it_says(tmp_path, body, says):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + body)
    with pytest.raises(UsageError, match=says):
        load_method_file(path)


def test_ranges_that_differ_have_different_keys_and_short_ones_stay_short():
    assert [str(Range(*ends)) for ends in ((-5.0, 5.0), (0.5, 3.0), (1e-3, 2.0))] == ["-5:5", "0.5:3", "0.001:2"]
    method = make_method("pca")
    one, other = (make_scenario(f"gauss-2of4[means=-5:{high}]") for high in ("5", "5.0000001"))
    keys = {run.spec.key for run in make_runs([one, other], [method], [0], 1)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("fitted", "says"),
    [
        ({"heldout_loss": "high"}, "heldout_loss is a number or None, got str"),
        ({"loss_curve": np.array([object()])}, "loss_curve need real numbers"),
        ({"loss_curve": np.ones((2, 2))}, r"loss_curve needs shape \(steps,\), got \(2, 2\)"),
        ({"training": {"model": object()}}, "training: expected a JSON value"),
    ],
)
def test_facts_of_a_fit_that_no_record_can_hold(fitted, says):
    with pytest.raises(ContractError, match=says):
        checked_facts(make_method("pca"), Fitted(lambda x, u: x, np.ones(2), **fitted))


def test_one_methods_odd_loss_curve_is_its_own_row_only(tmp_path):
    option = write_method(tmp_path, "odd", "return Fitted(lambda x, u: x, np.ones(D), loss_curve=np.array([object()]))")
    done = nica("run", "-s", "gauss-2of4", *SMALL, "--seeds", "0", *option, "-m", "pca", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    status = {method: r["status"] for (method, _, _), r in records(tmp_path / "results").items()}
    assert status == {"odd": "error", "pca": "ok"}
    again = nica("run", "-s", "gauss-2of4", *SMALL, "--seeds", "0", *option, cwd=tmp_path)
    assert "1 failed before (--retry failed repeats them)" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-p", "gin.steps=5", "-p", "gin.steps=7"], "-p: gin.steps is given twice"),
        (["--device", "cpx", "--dry-run"], "unknown device 'cpx'"),
    ],
)
def test_the_command_line_says_it_at_once(tmp_path, arguments, says):
    done = nica("run", "-s", "gauss-2of4", *arguments, cwd=tmp_path)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "results").exists()
