"""`nica-bench sweep`, `status` and `cancel` as processes of this machine."""

from __future__ import annotations

import json
import os
import signal
from importlib.resources import files

import psutil
import pytest
import torch

from helpers.cli import SMALL, end, nica, records, start, wait_for, write_method
from nica_bench.records.store import Store
from nica_bench.sweep import Journal


def test_local_debug_and_run_make_the_same_records(tmp_path):
    wait = write_method(tmp_path, "mine", "return Fitted(lambda x, u: x, np.ones(D))")
    asked = ["-s", "gauss-2of10", "-m", "raw-x", *wait, *SMALL, "--seeds", "0:2"]
    ran = nica("run", *asked, "--out", "ran", cwd=tmp_path)
    local = nica("sweep", *asked, "--out", "local", cwd=tmp_path)
    debug = nica("sweep", *asked, "--out", "debug", "--cluster", "debug", cwd=tmp_path)
    assert (ran.returncode, local.returncode, debug.returncode) == (0, 0, 0), local.stderr + debug.stderr
    one, two, three = (records(tmp_path / name) for name in ("ran", "local", "debug"))
    assert len(one) == 4
    for key, record in one.items():
        for other in (two[key], three[key]):
            assert other["key"] == record["key"]
            assert other["scores"] == record["scores"]
            assert other["arrays"]["sha256"] == record["arrays"]["sha256"]
    again = nica("sweep", *asked, "--out", "local", "--json", cwd=tmp_path)
    assert "4 runs: 4 there, 0 to submit" in again.stderr
    assert json.loads(again.stdout)
    assert records(tmp_path / "local") == two
    shown = nica("status", "--out", "local", cwd=tmp_path)
    assert shown.stdout.splitlines()[-1].split() == ["all", "4", "4", "0", "0", "0", "0"]
    assert nica("cancel", "--out", "local", cwd=tmp_path).stderr.startswith("no jobs of a sweep")


def test_a_local_sweep_outlives_its_submitter_and_is_cancelled(tmp_path):
    wait = write_method(
        tmp_path,
        "slow",
        "Path(f'{time.time()}.begun').touch(); time.sleep(4); return Fitted(lambda x, u: x, np.ones(D))",
    )
    asked = ["sweep", "-s", "gauss-2of10", *wait, *SMALL, "--seeds", "0:4", "--jobs", "1", "--out", "out"]
    process = start(*asked, cwd=tmp_path, measured=False)
    wait_for(lambda: list(tmp_path.glob("*.begun")), process)
    process.kill()
    process.wait()  # its pipes are the job's too, which goes on
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "in jobs that run already, 0 to submit" in done.stderr
    assert len(records(tmp_path / "out")) == 4
    assert len(list(tmp_path.glob("*.begun"))) == 4
    endless = write_method(tmp_path, "endless", "Path('begun').touch(); time.sleep(1000)")
    asked = ["sweep", "-s", "gauss-2of10", *endless, *SMALL, "--seeds", "0:4", "--jobs", "1", "--out", "other"]
    process = start(*asked, cwd=tmp_path, measured=False)
    wait_for(lambda: (tmp_path / "begun").exists(), process)
    busy = nica(*asked, cwd=tmp_path)
    assert busy.returncode == 2
    assert "is sweeping into" in busy.stderr
    stopped = nica("cancel", "--out", "other", cwd=tmp_path)
    assert "cancelled: 1 job of 1 array" in stopped.stderr
    done = end(process)
    assert done.returncode == 3
    assert "killed: endless" in done.stderr
    assert len(records(tmp_path / "other")) == 4


def test_ctrl_c_ends_the_jobs_of_this_machine_and_says_so(tmp_path):
    endless = write_method(tmp_path, "endless", "Path('begun').touch(); time.sleep(1000)")
    asked = ["sweep", "-s", "gauss-2of10", *endless, *SMALL, "--seeds", "0:2", "--out", "out"]
    process = start(*asked, cwd=tmp_path, measured=False, start_new_session=True)
    wait_for(lambda: (tmp_path / "begun").exists(), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    done = end(process)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "stopped: finished runs are kept; the same command resumes"
    assert "Traceback" not in done.stderr
    (array,) = Journal(tmp_path / "out").open_arrays()
    wait_for(lambda: not psutil.pid_exists(int(array.number)))
    assert "no jobs of a sweep into out are running" in nica("cancel", "--out", "out", cwd=tmp_path).stderr
    assert {record["status"] for record in records(tmp_path / "out").values()} == {"killed"}


def test_a_scenario_of_a_file_and_a_method_that_leaves(tmp_path):
    text = files("nica_bench.checking").joinpath("templates", "scenario.txt").read_text()
    text = text.replace("$name", "mine").replace("$class_name", "Mine").replace("$title", "Mine")
    (tmp_path / "scenario.py").write_text(text)
    leaves = write_method(tmp_path, "leaves", "sys.exit(0)")
    (tmp_path / "sweep.toml").write_text('metrics = ["bits"]\nout = "out"\nseeds = 0\n')
    asked = ["-s", "./scenario.py:2of4[samples=300,held_out=100]", "-m", "raw-x", *leaves]
    done = nica("sweep", "sweep.toml", *asked, "--cluster", "debug", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "killed: leaves on mine-2of4" in done.stderr
    assert "the method ended its process: exit code 0" in done.stderr
    assert "note: no table of bits: no record has the metric" in done.stderr
    assert "raw-x" in done.stdout  # the usual table
    made = records(tmp_path / "out")
    assert {key[0]: record["status"] for key, record in made.items()} == {"raw-x": "ok", "leaves": "killed"}
    shown = nica("show", made["leaves", 0, 0]["key"], "--out", "out", cwd=tmp_path).stdout.splitlines()[-1]
    command, _, comment = shown.partition("  # ")
    scenario, method = "'./SCENARIO.py:2of4[samples=300,held_out=100]'", "./METHOD.py"
    assert command == f"nica-bench run -s {scenario} -m {method} --seeds 0 --force"
    assert comment.count("the file whose SHA-256 begins with") == 2
    if not torch.cuda.is_available():
        done = nica("sweep", "sweep.toml", *asked, "--device", "cuda", "--out", "none", cwd=tmp_path)
        assert (done.returncode, "'cuda' is not available here" in done.stderr) == (2, True)
        assert not (tmp_path / "none").exists()


def test_init_and_dry_run(tmp_path):
    assert nica("sweep", "--init", cwd=tmp_path).returncode == 0
    twice = nica("sweep", "--init", cwd=tmp_path)
    assert (twice.returncode, "is there already" in twice.stderr) == (2, True)
    plan = nica("sweep", "sweep.toml", "--dry-run", "--out", "none", "--memory", "3G", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    assert "200 runs: 0 cached, 200 pending; " in plan.stdout
    assert not (tmp_path / "none").exists()


def test_sbatch_missing_and_a_partition_that_is_not_there(tmp_path, no_slurm):
    asked = ["sweep", "-s", "gauss-2of10", "-m", "raw-x", "--cluster", "slurm", "--partition", "mian"]
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 2
    assert "needs the command sbatch, which is not here" in done.stderr
    for name in ("sbatch", "squeue", "scancel", "srun"):
        no_slurm(name, "exit 1")
    no_slurm("sinfo", "echo main; echo gpu")
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 2
    assert "Slurm has no partition 'mian'; did you mean 'main'?" in done.stderr
    assert not (tmp_path / "results").exists()
    plan = nica(*asked, "--dry-run", cwd=tmp_path)
    assert "#SBATCH --partition=mian" in plan.stdout
    assert "#SBATCH --array" not in plan.stdout
    assert plan.returncode == 2
    no_slurm("sinfo", "echo 'Unable to contact slurm controller' >&2; exit 1")
    done = nica(*asked, cwd=tmp_path)
    assert done.returncode == 3
    assert "nothing was submitted, for Slurm does not answer: sinfo: Unable to contact" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-s", "gauss-2of10", "--cluster", "slrum"], "unknown cluster 'slrum'; did you mean 'slurm'"),
        ([], "sweep takes a file"),
        (["none.toml"], "none.toml cannot be read"),
        (["-s", "gauss-2of10", "--seeds", "0:1000000", "-m", "pca"], "1,000,000 runs"),
        (["-s", "gauss-2of10", "--time", "soon"], "a time is written"),
        (["--attach", "--out", "nowhere"], "does not exist"),
    ],
)
def test_refused_on_the_command_line(tmp_path, arguments, message):
    done = nica("sweep", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_status_where_nothing_was_swept(tmp_path):
    Store.open(tmp_path)
    done = nica("status", "--out", tmp_path, cwd=tmp_path)
    assert (done.returncode, "no sweep was made into" in done.stderr) == (2, True)
