"""The command that makes a record again."""

from __future__ import annotations

import re
import shlex

from nica_bench.records.record import Record

__all__ = ["command_again"]


def command_again(record: Record, seeds: str, training_seeds: int, *flags: str, made_by: str | None = None) -> str:
    """The command that makes runs again, for a shell.

    A record knows the file of a method or scenario by its hash alone, since the path is that of another machine. Such a
    file is METHOD.py or SCENARIO.py, and a comment says which it is.

    Args:
        record: of one of them.
        seeds: of the data, as `run` takes them.
        training_seeds: number of initialisations; 1 is not written.
        flags: more of them.
        made_by: the command that made the record, which has the path.
    """
    spec = record.spec
    scenario, method, files = spec.scenario_label, spec.method_label, []
    for digest in spec.scenario_version.split("+")[1:]:
        if digest.startswith(("py-", "data-")):
            files.append(f"{spec.scenario}: given to nica_bench.run, not a name; its SHA-256 begins with {digest}")
        elif re.search(r"\.\w+$", spec.scenario):
            scenario = f"./{spec.scenario_label}"
            files.append(f"{spec.scenario}: the data file whose SHA-256 begins with {digest}")
        else:
            sizes = f"{record.n_latents}of{record.n_observed}"
            name = f"SCENARIO.py:{sizes}" if spec.scenario.endswith(f"-{sizes}") else "SCENARIO.py"
            scenario = f"./{name}{spec.scenario_label.removeprefix(spec.scenario)}"
            files.append(f"SCENARIO.py: the file whose SHA-256 begins with {digest}")
    for digest in spec.method_version.split("+")[1:]:
        if digest.startswith("py-"):
            files.append(f"{spec.method}: a class given to nica_bench.run, whose source's SHA-256 begins with {digest}")
        else:
            method = f"./METHOD.py{spec.method_label.removeprefix(spec.method)}"
            files.append(f"METHOD.py: the file whose SHA-256 begins with {digest}")
    parts = ["nica-bench run -s", shlex.quote(scenario), "-m", shlex.quote(method), "--seeds", seeds]
    parts += ["--training-seeds", str(training_seeds)] if training_seeds > 1 else []
    command = " ".join([*parts, *flags])
    if not files:
        return command
    return f"{command}  # {'; '.join(files)}" + (f"; in: {made_by}" if made_by else "")
