"""Nothing that a folder of records holds is executed: no pickle is loaded, no file that it names is imported."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from helpers.results import record, written
from nica_bench.records.store import Store
from nica_bench.running.resources import Resources
from nica_bench.sweep.job import CellText
from nica_bench.sweep.journal import Array, Journal

EVIL = """
from pathlib import Path
Path({mark!r}).write_text("executed")
from nica_bench.scenario import Scenario
"""


class Evil:
    """A pickle that leaves a mark when it is loaded."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path):
    return tmp_path / "executed"


COMMANDS = {
    "table": ["table", "--out", "FOLDER"],
    "status": ["status", "--out", "FOLDER"],
    "cancel": ["cancel", "--out", "FOLDER"],
    "report": ["report", "--out", "FOLDER", "--save", "report.html"],
    "collect": ["collect", "FOLDER"],
    "merge": ["merge", "FOLDER", "--out", "merged"],
    "plot": ["plot", "scores", "--out", "FOLDER", "--save", "scores.svg"],
    "traversals": ["plot", "traversals", "--out", "FOLDER", "--save", "traversals.png"],
    "commands": ["table", "--kind", "commands", "--out", "FOLDER"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_python_file_that_a_record_names_is_not_imported(tmp_path, monkeypatch, call, mark, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL.format(mark=str(mark)))
    folder = written(tmp_path / "records", [record(method, seed) for method in ("gin", "pca") for seed in range(2)])
    for path in (folder / "cells").glob("*.json"):
        value = json.loads(path.read_text())
        value["spec"]["scenario_label"] = value["spec"]["scenario"] = "./evil.py"
        value["spec"]["method_label"] = "./evil.py"
        value["scores"] = dict.fromkeys(value["scores"]) | {"bits": 1.0}
        path.write_text(json.dumps(value))
    call(*(str(folder) if word == "FOLDER" else word for word in COMMANDS[command]))
    assert not mark.exists()


@pytest.mark.parametrize("label", ["./evil.py", "evil.py:2of4", "../records/evil.py[a=1]", "/evil.py"])
@pytest.mark.parametrize("command", ["report", "traversals", "table"])
def test_a_label_with_a_path_and_a_right_key_imports_nothing(tmp_path, monkeypatch, call, mark, label, command):
    """Labels are no part of the key, so that the record itself is whole."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(EVIL.format(mark=str(mark)))
    folder = tmp_path / "records"
    store = Store.open(folder)
    for seed in range(2):
        one = record("gin", seed)
        path = folder / "cells" / f"{one.key}.json"
        store.write(one)
        value = json.loads(path.read_text())
        value["spec"]["scenario_label"] = label
        value["spec"]["method_label"] = label
        value["scores"] = dict.fromkeys(value["scores"]) | {"bits": 1.0}
        for name, new in (("n_latents", None), ("image_shape", [1, 2, 2])):
            if name in value:
                value[name] = new
        path.write_text(json.dumps(value))
    call(*(str(folder) if word == "FOLDER" else word for word in COMMANDS[command]))
    assert not mark.exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_no_pickle_of_a_folder_is_loaded(folder, monkeypatch, call, tmp_path, mark, command):
    """Pickles under every name that a sweep's folder could have, beside journals that name them."""
    monkeypatch.chdir(tmp_path)
    evil = pickle.dumps(("error", Evil(mark)))
    key = "b" * 64
    text = CellText("gauss-2of4", "pca", 0, 0, key)
    journal = Journal(folder)
    for name, number, born in (("nica-one", "999999", 1.0), ("nica-two", None, None)):
        journal.write(Array(name, "local", ((text,),), Resources(), number=number, born=born, created=0.0))
        for stem in ("999999_0_result", "999999_0_submitted", "999999_result", "999999_submitted", "0" * 32):
            for place in (journal.array_folder(name), journal.array_folder(name).parent, journal.folder):
                (place / f"{stem}.pkl").write_bytes(evil)
    plan = {"format": 1, "command": [], "begun": 0.0}
    plan["cells"] = plan["runs"] = [{"scenario": "gauss-2of4", "method": "pca", "keys": [key]}]
    (journal.folder / "plan.json").write_text(json.dumps(plan))
    code, _, err = call(*(str(folder) if word == "FOLDER" else word for word in COMMANDS[command]))
    assert not mark.exists()
    assert "Traceback" not in err
    assert "fault of nica-bench" not in err, (code, err)
