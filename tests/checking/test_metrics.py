"""check, new and the entry point, for metrics and for methods that train with torch."""

import numpy as np
import pytest

from helpers.cli import nica
from nica_bench import Metric
from nica_bench.checking import check_file
from nica_bench.checking.metrics import check_metric

HEAD = "import numpy as np\nfrom nica_bench import Metric\ndef compute(validation, test, importance):\n    {body}\n"
DECLARED = "mine = Metric('mine', 'a metric', 0, 1, {better}, chance={chance}, compute=compute)\n"
FAULTS = [
    ("return float('nan')", True, None, "expected a number in 0 to 1, got nan"),
    ("return 3.0", True, None, "expected a number in 0 to 1, got 3.0"),
    ("raise RuntimeError('no')", True, None, "RuntimeError: no"),
    ("return float(np.random.rand())", None, None, "uses the random generator of the whole process (numpy.random)"),
    ("return float(abs(test.codes[0, 0]) < 9)", True, None, "higher is better, but the latents themselves score 1"),
    ("return 0.5 + 0.0 * len(test.u)", None, 0.0, "its chance level is 0, but noise scores 0.5"),
]


@pytest.mark.parametrize(("body", "better", "chance", "message"), FAULTS, ids=[fault[-1][:25] for fault in FAULTS])
def test_a_fault_is_found_on_the_line_of_the_function(tmp_path, body, better, chance, message):
    path = tmp_path / "mine.py"
    path.write_text(HEAD.format(body=body) + DECLARED.format(better=better, chance=chance))
    findings = check_file(path).findings
    assert any(message in finding.text for finding in findings), findings
    assert {finding.line for finding in findings} == {3}


def test_a_good_metric_has_no_fault(tmp_path):
    good = Metric("mine", "a metric", 0, 1, None, compute=lambda v, t, i: float(np.isfinite(t.codes).mean()))
    checks = check_metric(good, tmp_path / "mine.py")
    assert checks.made >= 5
    assert not checks.findings


def test_new_writes_files_that_pass_their_check_and_run(tmp_path):
    assert nica("new", "metric", "my-metric", cwd=tmp_path).returncode == 0
    assert nica("new", "method", "--torch", "my-flow", cwd=tmp_path).returncode == 0
    for file, what in (("my_metric.py", "metric 'my_metric'"), ("my_flow.py", "method 'my-flow'")):
        done = nica("check", file, cwd=tmp_path)
        assert (done.returncode, "no findings" in done.stdout, what in done.stdout) == (0, True, True), done.stdout
    run = ["run", "-s", "gauss-2of4", "--conditions", "3", "--samples", "400", "--held-out", "200", "--device", "cpu"]
    run += ["-m", "./my_flow.py[steps=50]", "-M", "./my_metric.py", "--seeds", "0:2", "--out", "out"]
    done = nica(*run, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "my-flow[steps=50]" in done.stdout
    assert "my_metric [95 %]" in nica("table", "--out", "out", "--metric", "my_metric", cwd=tmp_path).stdout


def test_new_refuses_what_is_there(tmp_path):
    taken = nica("new", "metric", "mcc-best", cwd=tmp_path)
    assert (taken.returncode, "a metric 'mcc-best' exists" in taken.stderr) == (2, True)
    wrong = nica("new", "scenario", "--torch", "mine", cwd=tmp_path)
    assert (wrong.returncode, "--torch belongs to a method" in wrong.stderr) == (2, True)


def test_check_says_what_a_data_file_holds(tmp_path):
    x = np.random.default_rng(0).normal(size=(100, 3))
    np.savez(tmp_path / "d.npz", x=x, z=x[:, :1])
    done = nica("check", "./d.npz", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "100 rows (60 train, 20 validation, 20 test), x of 3 dimensions, 1 latents" in done.stdout
    np.savez(tmp_path / "bad.npz", y=x)
    bad = nica("check", "./bad.npz", cwd=tmp_path)
    assert (bad.returncode, "has no x" in bad.stderr) == (2, True)
