"""Folders of records that anybody may have written: a bad record is left out, counted and named; the others are read."""

from __future__ import annotations

import json
import os
import resource
import sys

import pytest

from helpers.cli import nica

HUGE = "9" * 400
BAD = {
    "null": None, "true": True, "5": 5, "-1": -1, "1.5": 1.5, "text": "\u00e9", "empty": "", "list": [], "object": {},
    "nested": [[[[[]]]]], "surrogate": "\ud800", "nul": "a\u0000b", "escape": "\u001b]0;x\u0007", "many": [1] * 1000,
}  # fmt: skip
"""Values that no field of a record may hold everywhere; where one is allowed, the record stays."""


def places(value, path=()):
    """The path of every value in a record, down to three levels."""
    yield path
    if isinstance(value, dict) and len(path) < 3:
        for name, inner in value.items():
            yield from places(inner, (*path, name))


def with_value(value, path, new):
    if not path:
        return new
    return {**value, path[0]: with_value(value[path[0]], path[1:], new)}


def first(folder):
    return sorted((folder / "cells").glob("*.json"))[0]


def paths_of_a_record():
    from helpers.results import record

    return [path for path in places(record().to_json()) if path]


@pytest.mark.parametrize("path", paths_of_a_record(), ids=".".join)
def test_a_bad_value_anywhere_leaves_the_other_records(folder, call, path):
    """Each place of a record with each of the bad values: no reader fails, and what is shown has the others' scores."""
    file = first(folder)
    good = json.loads(file.read_text())
    for name, bad in BAD.items():
        file.write_text(json.dumps(with_value(good, path, bad)))
        for command in (["table"], ["table", "--kind", "runs"], ["status"]):
            code, out, err = call(*command, "--out", folder)
            allowed = (0, 2) if command == ["status"] else (0,)  # no sweep was made into this folder
            assert code in allowed, (path, name, command, err)
            assert "Traceback" not in err, (path, name, command, err)
            assert "fault of nica-bench" not in err, (path, name, command, err)
            assert "\x1b]" not in out + err, (path, name, command)
            if command == ["table"]:
                assert "pca" in out + err, (path, name, out)


@pytest.mark.parametrize("name", ["merge", "collect", "report", "plot", "show", "clean copy"])
@pytest.mark.parametrize("bad", ["status", "key", "cost", "provenance", "scores", "nothing", "cut"])
def test_every_reader_leaves_a_bad_record_out(folder, call, tmp_path, name, bad):
    file = first(folder)
    good = json.loads(file.read_text())
    changes = {"status": [], "key": 5, "cost": None, "provenance": "x", "scores": {"mcc": "high"}}
    text = file.read_text()
    if bad in changes:
        text = json.dumps({**good, bad: changes[bad]})
    file.write_text("" if bad == "nothing" else text[: len(text) // 2] if bad == "cut" else text)
    other = sorted((folder / "cells").glob("*.json"))[1].stem
    commands = {
        "merge": ["merge", folder, "--out", tmp_path / "merged"],
        "collect": ["collect", folder],
        "report": ["report", "--out", folder, "--save", tmp_path / "report.html"],
        "plot": ["plot", "scores", "--out", folder, "--save", tmp_path / "scores.svg"],
        "show": ["show", other[:12], "--out", folder],
        "clean copy": ["table", "--out", folder, "--format", "csv"],
    }
    code, out, err = call(*commands[name])
    assert code in (0, 3), err
    assert "Traceback" not in err
    assert "fault of nica-bench" not in err
    if name not in ("show",):
        assert file.name[:12] in err + out or "1 " in err, err


STRANGE = {
    "fifo": lambda path: os.mkfifo(path),
    "link to /dev/zero": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path),
    "link out of the folder": lambda path: path.symlink_to("/etc/passwd"),
    "folder": lambda path: path.mkdir(),
    "a thousand times nested": lambda path: path.write_text("[" * 100_000),
    "a number beyond all floats": lambda path: path.write_text('{"format": 1e999, "key": ' + HUGE + "}"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00" * 10),
    "1 GB of zeros": lambda path: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 10**9),
}


@pytest.mark.skipif(sys.platform != "linux", reason="needs FIFOs and resource limits of Linux")
@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("command", ["table", "status", "collect"])
def test_only_regular_files_of_bounded_size_are_opened(folder, name, command):
    """In a process with a limit on its memory, so that a file without end would be noticed."""
    STRANGE[name](folder / "cells" / ("a" * 64 + ".json"))
    arguments = ["collect", folder] if command == "collect" else [command, "--out", folder]

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
        resource.setrlimit(resource.RLIMIT_CPU, (60, 60))

    done = nica(*arguments, cwd=folder.parent, preexec_fn=limited)
    assert done.returncode == (2 if command == "status" else 0), done.stderr  # no sweep was made into this folder
    assert "Traceback" not in done.stderr
    assert "root:" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", ["nica-bench.json", ".nica-bench.json"])
def test_a_marker_of_the_folder_is_checked(folder, call, name):
    for text in ("[" * 100_000, "[]", '{"format": []}', "5", "\x00"):
        (folder / name).write_text(text)
        code, _, err = call("table", "--out", folder)
        assert code in (0, 2)
        assert "Traceback" not in err
        assert "fault of nica-bench" not in err


def test_a_key_follows_from_its_spec(folder, call):
    """A record that claims another run's key, or another spec under its key, is broken."""
    paths = sorted((folder / "cells").glob("*.json"))
    value = json.loads(paths[0].read_text())
    value["spec"]["seed"] = 77
    paths[0].write_text(json.dumps(value))
    code, out, err = call("table", "--out", folder, "--kind", "runs", "--format", "csv")
    assert code == 0, err
    assert ",77," not in out
    assert "1 " in err
