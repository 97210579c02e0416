import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ["--conditions", "3", "--samples", "400", "--held-out", "200", "--seeds", "0:2"]
QUICK = ["-p", "gin.steps=5", "-p", "ivae.steps=5"]


def nica(*arguments, cwd):
    command = [sys.executable, "-m", "nica_bench", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, env=environment)


def test_the_main_job_in_small_then_cached_then_tables(tmp_path):
    first = nica("run", "--scenario", "gauss-2of4", *SMALL, *QUICK, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "14 records" in first.stdout
    assert "linear-oracle" in first.stdout
    assert max(map(len, first.stdout.splitlines()[:-1])) <= 80
    assert "fewer than the n k + 1 = 5" in " ".join(first.stderr.split())
    cells = sorted((tmp_path / "results/cells").glob("*.json"))
    before = {c: c.stat().st_mtime_ns for c in cells}
    again = nica("run", "--scenario", "gauss-2of4", *SMALL, *QUICK, cwd=tmp_path)
    assert again.returncode == 0
    assert {c: c.stat().st_mtime_ns for c in cells} == before
    table = json.loads(nica("table", "--json", cwd=tmp_path).stdout)
    rows = table["gauss-2of4[conditions=3,samples=400,held_out=200]"]
    assert len(rows) == 7
    assert [r["kind"] for r in rows] == ["method"] * 4 + ["floor"] * 3
    cells[0].write_text(cells[0].read_text()[:100])
    mended = nica("run", "--scenario", "gauss-2of4", *SMALL, *QUICK, cwd=tmp_path)
    assert mended.returncode == 0
    assert "broken record" in mended.stderr
    assert json.loads(cells[0].read_text())["status"] == "ok"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-s", "gaus-2of10"], "did you mean 'gauss'"),
        (["-s", "gauss-5of3"], "1 <= n <= D"),
        (["-s", "gauss-2of10", "-m", "gim"], "did you mean 'gin'"),
        (["-s", "gauss-2of10", "--conditions", "1"], "conditions is a whole number >= 2"),
        (["-s", "gauss-2of10", "--samples", "0"], "samples is a whole number >= 10"),
        (["-s", "gauss-2of10", "--noise", "-1"], "noise is a number >= 0"),
        (["-s", "gauss-2of10", "--seeds", "3:1"], "0 <= low < high"),
        (["-s", "gauss-2of10", "-m", "gin[lrr=1]"], "did you mean 'lr'"),
        (["-s", "gauss-2of10", "-m", "./none.py"], "no method file"),
        (["-s", "gauss-2of10", "--device", "tpu"], "unknown device 'tpu'"),
        (["-s", "gauss-2of10", "--out", "other"], "holds something else"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(arguments, says, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.csv").write_text("a")
    done = nica("run", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("**/*-*.json.tmp"))


METHOD = """
from dataclasses import dataclass
import numpy as np, os, time
from nica_bench import Fitted, Method

@dataclass(frozen=True)
class Mine(Method):
    name = "mine"
    def fit(self, observations, streams, session):
        D = observations.dimensions
        {body}
"""


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("raise RuntimeError('no luck')", "error", "no luck"),
        ("return Fitted(lambda x, u: x[:, :, None], np.ones(D))", "error", "codes need shape"),
        ("return Fitted(lambda x, u: x * np.nan, np.ones(D))", "error", "not finite"),
        ("return Fitted(lambda x, u: x, np.ones(D + 1))", "error", "importance needs shape"),
        ("os.kill(os.getpid(), 9)", "killed", "SIGKILL"),
        ("time.sleep(1000)", "timeout", "limit of 8 s"),
    ],
)
def test_a_failure_is_a_row_and_the_others_go_on(body, status, says, tmp_path):
    (tmp_path / "mine.py").write_text(METHOD.format(body=body))
    done = nica(
        "run", "-s", "gauss-2of4", *SMALL, "-m", "./mine.py", "-m", "pca", "--timeout", "8" if status == "timeout" else "60",
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    records = [json.loads(p.read_text()) for p in Path(tmp_path, "results/cells").glob("*.json")]
    mine = [r for r in records if r["spec"]["method"] == "mine"]
    assert [r["status"] for r in mine] == [status] * 2
    assert all(says in r["message"] for r in mine)
    assert [r["status"] for r in records if r["spec"]["method"] == "pca"] == ["ok"] * 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["list", "methods"], ["list", "scenarios"]])
def test_torch_is_not_imported_to_look_around(arguments, tmp_path):
    code = (
        "import sys\nfrom nica_bench.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code\n"
        "assert 'torch' not in sys.modules and 'sklearn' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
