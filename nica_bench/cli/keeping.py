"""`nica-bench merge` and `collect`: merge the records of several folders, and pack many records into one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from nica_bench.cli.console import Debug, Json, Out, counted, say, tell
from nica_bench.errors import UsageError, did_you_mean
from nica_bench.records.merging import Conflict, Merged
from nica_bench.records.merging import merge as merge_folders
from nica_bench.records.store import Store

__all__ = ["collect", "merge"]

_SHOWN = 20  # the number of conflicts that are shown; --json has all
_ARRAYS = ("auto", "pack", "leave")


def merge(
    sources: Annotated[
        list[Path], typer.Argument(metavar="FOLDER", help="Folders of records or .parquet files, e.g. a b.")
    ],
    out_folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder into which the records are copied.")
    ],
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Merge the records of several folders, for example of several machines, into one folder.

    A run with equal scores is kept once. A run with different scores is a conflict: the first record is kept, both are
    shown, and the exit code is 3.

    Example: nica-bench merge machine-a machine-b --out results
    """
    merged = merge_folders(sources, out_folder)
    for path, why in merged.broken.items():
        say(f"note: {path} is left out: {why}")
    if json_:
        typer.echo(json.dumps(_as_json(merged, out_folder), indent=2))
    else:
        counts = f"{merged.copied} copied, {merged.same} present already, {merged.replaced} in place of failed ones"
        tell([f"{counts}, {len(merged.conflicts)} in conflict: {out_folder}"])
        for conflict in merged.conflicts[:_SHOWN]:
            tell(_lines(conflict))
        if len(merged.conflicts) > _SHOWN:
            tell([f"... and {len(merged.conflicts) - _SHOWN} more: --json lists all"])
    if merged.conflicts:
        raise typer.Exit(3)


def _lines(conflict: Conflict) -> list[str]:
    spec = conflict.kept.spec
    seeds = f"seed {spec.seed}, training seed {spec.training_seed}"
    lines = [f"conflict {spec.short}: {spec.method_label} on {spec.scenario_label}, {seeds}"]
    lines += [
        f"  {word} {place} ({record.provenance.get('host')}, torch {_torch(record.provenance)})"
        for word, record, place in zip(
            ("kept ", "other"), (conflict.kept, conflict.other), conflict.places, strict=True
        )
    ]
    lines += [f"  {name}: {kept} kept, {other} other" for name, kept, other in conflict.differing()]
    return lines


def _torch(made: dict[str, Any]) -> str:
    return str((made.get("versions") or {}).get("torch"))


def _as_json(merged: Merged, out_folder: Path) -> dict[str, Any]:
    conflicts = [
        {
            "key": c.kept.key,
            "scenario": c.kept.spec.scenario_label,
            "method": c.kept.spec.method_label,
            "seed": c.kept.spec.seed,
            "training_seed": c.kept.spec.training_seed,
            "kept": str(c.places[0]),
            "other": str(c.places[1]),
            "scores": {name: {"kept": kept, "other": other} for name, kept, other in c.differing()},
        }
        for c in merged.conflicts
    ]
    counts = {"copied": merged.copied, "same": merged.same, "replaced": merged.replaced}
    broken = {str(path): why for path, why in merged.broken.items()}
    return {"out": str(out_folder), **counts, "conflicts": conflicts, "broken": broken}


def collect(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Folder of records, e.g. results; default: --out.")
    ] = None,
    arrays: Annotated[
        str,
        typer.Option(metavar="NAME", help="auto, pack or leave; auto packs arrays if there are 1,000 files or more."),
    ] = "auto",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the files that were packed.")] = False,
    out_folder: Out = Path("results"),
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Pack finished runs into one file, records.parquet.

    Every command reads packed runs like single files, and `run` does not repeat them. The single files are removed with
    --remove only, after the packed file is complete on the disk.

    Example: nica-bench collect results --remove
    """
    from nica_bench.records.packing import pack_runs

    if arrays not in _ARRAYS:
        raise UsageError(f"--arrays: unknown '{arrays}'; {did_you_mean(arrays, _ARRAYS)}")
    store = Store.open(folder or out_folder, create=False)
    packed = pack_runs(store, arrays=arrays, remove=remove)  # type: ignore[arg-type]
    for path, why in packed.left.items():
        say(f"note: {path} is not packed: {why}")
    if json_:
        left = {str(path): why for path, why in packed.left.items()}
        figures = {"runs": packed.runs, "new": packed.new, "arrays": packed.arrays, "removed": packed.removed}
        typer.echo(json.dumps({"path": str(packed.path), **figures, "left": left}, indent=2))
        return
    removed = f", {counted(packed.removed, 'file')} removed" if remove else ""
    tell(
        [
            f"{packed.path}: {counted(packed.runs, 'run')}, {packed.new} of them from single files, "
            f"{counted(packed.arrays, 'set')} of arrays packed{removed}"
        ]
    )
