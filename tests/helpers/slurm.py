"""A sweep on a real Slurm, for the tests of it."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

from helpers import ROOT
from helpers.cli import end, start, wait_for

WAITING = ROOT / "tests" / "integration" / "waiting.py"
SMALL = ["--scenario", "gauss-2of10", "--samples", "200", "--held-out", "100", "--device", "cpu"]


def call(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=True, timeout=60).stdout


class Sweep:
    """A sweep into `out`, and what Slurm knows of its jobs."""

    def __init__(self, folder):
        self.folder = folder
        self.out = folder / "out"
        self.processes = []

    def start(self, *arguments, small=SMALL, out="out"):
        process = start(
            *["sweep", *small, "--cluster", "slurm", "--partition", "main", "--memory", "500M", "--poll", "2"],
            *["--out", out, *arguments],
            cwd=self.folder,
            measured=False,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments, **options):
        return end(self.start(*arguments, **options))

    def end(self):
        for process in self.processes:
            process.kill()
            process.communicate()
        numbers = call("squeue", "--noheader", "--me", "--format=%A").split()
        if numbers:
            call("scancel", "--quiet", *numbers)
            wait_for(lambda: not call("squeue", "--noheader", "--me", "--format=%A").split())

    def open_gate(self):
        """Let the fits of `gated` end."""
        (self.folder / "go").touch()

    def jobs(self, *states):
        """Ids of the jobs in these states, in order."""
        listed = call("squeue", "--noheader", "--array", "--me", f"--states={','.join(states)}", "--format=%i")
        return sorted(listed.split(), key=lambda name: [int(part) for part in name.split("_")])

    def begun(self):
        """Ids of the jobs that are working on runs."""
        found = set()
        for path in self.out.glob("sweep/arrays/*/*_begun.json"):
            number = json.loads((path.parent / "array.json").read_text())["number"]
            if json.loads(path.read_text())["working"]:
                found.add(f"{number}_{path.name.partition('_')[0]}")
        return found

    def submitted(self):
        """How many arrays Slurm was given in all for this folder, by the names of their jobs."""
        names = [path.name for path in (self.out / "sweep" / "arrays").iterdir()]
        found = call(
            "sacct", "--noheader", "--parsable2", "--allocations", f"--name={','.join(names)}", "--format=JobID"
        )
        return len({line.partition("_")[0] for line in found.split()})

    def records(self):
        read = [json.loads(path.read_text()) for path in (self.out / "cells").glob("*.json")]
        return {record["key"]: record for record in read}

    def statuses(self):
        return Counter(r["status"] for r in self.records().values())

    def finished(self):
        """How often each dataset was fitted to the end."""
        return self._noted("finished")

    def resumed(self):
        """How often a fit of each dataset went on from its checkpoint."""
        return self._noted("resumed")

    def _noted(self, what):
        path = self.folder / what
        return Counter(path.read_text().split()) if path.exists() else Counter()


def waiting(seconds, saves=False):
    return ["--method", f"{WAITING}[seconds={seconds},saves={str(saves).lower()}]"]


def gated():
    """Fits that last until `Sweep.open_gate`."""
    return ["--method", f"{WAITING}[gate=true]"]


def hungry(megabytes):
    return ["--method", f"{WAITING.with_name('hungry.py')}[megabytes={megabytes}]"]
