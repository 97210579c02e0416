"""The house: which rooms the engine has, and which may import which."""

from __future__ import annotations

import ast

from helpers import ROOT

FOLDERS = {"nica_bench": "nica_bench", "methods": "nica_bench.methods", "scenarios": "nica_bench.scenarios"}


def modules():
    """The file of each module by its dotted name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join([package, *parts])] = path
    return found


def imports():
    """The modules that each module imports, anywhere in its file."""
    known = modules()
    found = {name: set() for name in known}
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                found[name] |= {target if target in known else node.module for target in full}
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
        found[name] &= known.keys()
    return found


def room(name):
    """The room of a module: its folder in the engine, or the file itself where it stands on top."""
    return ".".join(name.split(".")[:2])


def floors(graph):
    """The floor of each node, 1 for what imports nothing else; raises where there is a circle."""
    floor = {}

    def climb(node, above):
        assert node not in above, f"a circle of imports: {' -> '.join([*above[above.index(node) :], node])}"
        if node not in floor:
            floor[node] = 1 + max((climb(other, [*above, node]) for other in sorted(graph[node])), default=0)
        return floor[node]

    for node in sorted(graph):
        climb(node, [])
    return floor


def test_no_module_imports_itself_over_others():
    floors({name: targets - {name} for name, targets in imports().items()})


def test_rooms_stand_on_few_floors_and_no_arrow_runs_up():
    graph = {}
    for name, targets in imports().items():
        graph.setdefault(room(name), set()).update(room(target) for target in targets)
    graph = {name: targets - {name} for name, targets in graph.items()}
    height = floors(graph)
    assert len(graph) <= 33, sorted(graph)  # and beside them benchmarks/ and .ci/
    assert max(height.values()) <= 11, height


def test_the_engine_knows_no_method_and_no_scenario_by_name():
    for name, targets in imports().items():
        if not name.startswith(("nica_bench.methods", "nica_bench.scenarios")):
            assert not {t for t in targets if room(t) in ("nica_bench.methods", "nica_bench.scenarios")}, name
