"""The Python code of the README and of its page, as it stands there."""

import os
import re
import subprocess
import sys

from helpers import ROOT


def run(code, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    (folder / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_eight_lines_of_the_readme(tmp_path):
    section = (ROOT / "README.md").read_text().partition("\n## Use from Python\n")[2].partition("\n## ")[0]
    [code] = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert len(code.splitlines()) <= 8
    shown = run(code, tmp_path)
    assert re.search(r"^mcc +0\.\d{3}$", shown, re.MULTILINE)
    assert re.search(r"^FastICA\[n_components=2\] ", shown, re.MULTILINE)
    assert len(list((tmp_path / "mine" / "cells").glob("*.json"))) == 6


def test_the_page(tmp_path):
    page = (ROOT / "docs" / "python.md").read_text()
    first, second = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert "raw-x" in run(first, tmp_path)
    assert run(second, tmp_path).startswith("9 ")
    assert (tmp_path / "scores.png").exists()
