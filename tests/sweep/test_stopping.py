"""A job that Slurm stops: its fits leave their states, and the job that is queued again goes on from them.

submitit's own process and handler run here; only scontrol, which queues again, is played.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from submitit.core.utils import DelayedSubmission, JobPaths

from helpers.cli import HEAD, METHOD, records, wait_for
from nica_bench.records.store import Store
from nica_bench.registry import load_method_file, make_method, make_scenario
from nica_bench.running.plan import Run
from nica_bench.running.work import Setting
from nica_bench.sweep.job import CellText, SweepJob, begun_file

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs signals")

# Each fit asks whether it is to stop until there is a file that lets it end; a fit of several is one state.
BODY = """
        return self.fit_group([observations], [streams], session)[0]

    def fit_group(self, group, streams, session):
        from nica_bench.method import Interrupted
        seeds = "-".join(str(stream.seed % 1000) for stream in streams)
        had = session.checkpoint.read_text() if session.checkpoint.exists() else "nothing"
        while not Path("go").exists():
            if session.interrupted():
                session.checkpoint.parent.mkdir(exist_ok=True)
                session.checkpoint.write_text(f"state of {{seeds}}")
                raise Interrupted("stopped")
            Path(f"asked {{seeds}}").touch()
            time.sleep(0.01)
        Path(f"went on {{seeds}}").write_text(had)
        return [Fitted(lambda x, u: x, np.ones(o.n_observed)) for o in group]
"""


@pytest.fixture
def job(tmp_path):
    file = tmp_path / "patient.py"
    text = HEAD + METHOD.format(title="Patient", name="patient", body=BODY.format())
    file.write_text(text.replace('name = "patient"', 'name = "patient"\n    replicated = True'))
    load_method_file(file)
    scenario, method = make_scenario("gauss-2of4[samples=200,held_out=100]"), make_method(str(file))
    runs = [Run(scenario, method, seed, 0) for seed in range(4)]
    texts = tuple(CellText(scenario.label, str(file), c.seed, 0, c.spec.key) for c in runs)
    out = Store.open(tmp_path / "out").folder
    setting = Setting(str(out), "cpu", False, ("nica-bench",))
    return SweepJob(str(tmp_path / "array"), 0, texts, {}, setting, (str(file),), workers=2)


def started(tmp_path, job, requeued):
    """The process that Slurm would start for the job as it was submitted, or queued again."""
    folder, tools = tmp_path / "array", tmp_path / "bin"
    paths = JobPaths(folder, "7")
    if not requeued:
        folder.mkdir()
        tools.mkdir()
        (tools / "scontrol").write_text(
            f"#!/bin/sh\necho $@, $(ls {tmp_path}/out/checkpoints | wc -l) states > {tmp_path}/requeued\n"
        )
        (tools / "scontrol").chmod(0o755)
        delayed = DelayedSubmission(job)
        delayed.set_timeout(60, 3)
        delayed.dump(paths.submitted_pickle)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "COV"))}
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    variables |= {"SUBMITIT_EXECUTOR": "slurm", "SLURM_JOB_ID": "7", "PATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "submitit.core._submit", folder]
    log = open(tmp_path / "log", "a")  # noqa: SIM115 (the process writes it)
    return subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=log, stderr=log)


def with_workers(tmp_path, number):
    paths = JobPaths(tmp_path / "array", "7")
    delayed = DelayedSubmission.load(paths.submitted_pickle)
    delayed.function.workers = number
    delayed.dump(paths.submitted_pickle)


def noted(tmp_path):
    """How many groups the job noted of each kind."""
    return {kind: len(groups) for kind, groups in json.loads(begun_file(tmp_path / "array", 0).read_bytes()).items()}


def test_a_job_that_is_stopped_saves_its_fits_and_goes_on_from_them(tmp_path, job):
    process = started(tmp_path, job, requeued=False)
    try:
        wait_for(lambda: len(list(tmp_path.glob("asked *"))) == 2)
        asked = {path.name.removeprefix("asked ") for path in tmp_path.glob("asked *")}
        assert [name.count("-") for name in asked] == [1, 1]  # two seeds each
        process.send_signal(signal.SIGUSR2)
        assert process.wait(120) == 255, (tmp_path / "log").read_text()
        # Slurm ends the processes of a job that is queued again: by then all has to be on the disk
        assert (tmp_path / "requeued").read_text() == "requeue 7, 2 states\n"
        states = {path.read_text() for path in (tmp_path / "out" / "checkpoints").iterdir()}
        assert states == {f"state of {name}" for name in asked}
        assert records(tmp_path / "out") == {}
        assert noted(tmp_path) == {"working": 2, "waiting": 0}

        # another number of workers would make other groups of the runs: what was cut off together stays together,
        # also where the job is stopped again before its turn
        for path in tmp_path.glob("asked *"):
            path.unlink()
        with_workers(tmp_path, 1)
        process = started(tmp_path, job, requeued=True)
        wait_for(lambda: list(tmp_path.glob("asked *")))
        assert noted(tmp_path) == {"working": 1, "waiting": 1}
        process.send_signal(signal.SIGUSR2)
        assert process.wait(120) == 255, (tmp_path / "log").read_text()
        assert noted(tmp_path) == {"working": 1, "waiting": 1}

        (tmp_path / "go").touch()
        with_workers(tmp_path, 4)
        process = started(tmp_path, job, requeued=True)
        assert process.wait(120) == 0, (tmp_path / "log").read_text()
    finally:
        process.kill()
    assert {path.name.removeprefix("went on "): path.read_text() for path in tmp_path.glob("went on *")} == {
        name: f"state of {name}" for name in asked
    }
    assert [record["status"] for record in records(tmp_path / "out").values()] == ["ok"] * 4
    assert list((tmp_path / "out" / "checkpoints").iterdir()) == []
