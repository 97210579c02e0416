"""Processes of the command line, and method files for the tests of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SMALL = ["--conditions", "3", "--samples", "400", "--held-out", "200", "--device", "cpu"]
HEAD = """
from dataclasses import dataclass
from pathlib import Path
import os, signal, sys, time
import numpy as np
from nica_bench import Fitted, Method
from nica_bench.method import Progress
"""
METHOD = """
@dataclass(frozen=True)
class {title}(Method):
    name = "{name}"
    def fit(self, observations, streams, session):
        D = observations.n_observed
        {body}
"""


def start(*arguments, cwd, measured=True, conf=None, installed=False, **options):
    """A process of the command line; where its coverage is measured, it has a file of its own to write.

    `installed`: the program `nica-bench` itself, whose import path does not begin with the working folder.
    """
    program = [Path(sys.executable).parent / "nica-bench"] if installed else [sys.executable, "-m", "nica_bench"]
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    if not measured:
        environment = {name: v for name, v in environment.items() if not name.startswith("COV")}
    if conf is not None:
        environment["SLURM_CONF"] = str(conf)
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        cwd=cwd,
        text=True,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def end(process):
    """Output of a process that is to end by itself."""
    try:
        stdout, stderr = process.communicate(timeout=240)
    finally:
        process.kill()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def nica(*arguments, cwd, **options):
    return end(start(*arguments, cwd=cwd, **options))


def write_method(folder, name, body):
    """A method file; returns the option that runs it."""
    Path(folder, f"{name}.py").write_text(HEAD + METHOD.format(title=name.title(), name=name, body=body))
    return ["-m", f"./{name}.py"]


def records(folder):
    """Records by (method, seed, init)."""
    read = [json.loads(path.read_text()) for path in Path(folder, "cells").glob("*.json")]
    return {(r["spec"]["method"], r["spec"]["seed"], r["spec"]["init"]): r for r in read}


def wait_for(condition, process=None):
    """Wait for something that another process does; fails after a time that is never needed."""
    last = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < last, "it does not happen"
        assert process is None or process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


def dead(pid):
    """Whether a process has ended; one that nobody has waited for yet is dead too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
