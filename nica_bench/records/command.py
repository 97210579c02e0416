"""The command that makes a record again."""

from __future__ import annotations

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
    if digest := spec.scenario_version.partition("+")[2]:
        sizes = f"{record.n_latents}of{record.n_observed}"
        name = f"SCENARIO.py:{sizes}" if spec.scenario.endswith(f"-{sizes}") else "SCENARIO.py"
        scenario = f"./{name}{spec.scenario_label.removeprefix(spec.scenario)}"
        files.append(f"SCENARIO.py: the file whose SHA-256 begins with {digest}")
    if digest := spec.method_version.partition("+")[2]:
        method = f"./METHOD.py{spec.method_label.removeprefix(spec.method)}"
        files.append(f"METHOD.py: the file whose SHA-256 begins with {digest}")
    parts = ["nica-bench run -s", shlex.quote(scenario), "-m", shlex.quote(method), "--seeds", seeds]
    parts += ["--training-seeds", str(training_seeds)] if training_seeds > 1 else []
    command = " ".join([*parts, *flags])
    if not files:
        return command
    return f"{command}  # {'; '.join(files)}" + (f"; in: {made_by}" if made_by else "")
