"""The picture of the rooms: which part of the code imports which, read from the import statements themselves.

A room is a folder of `nica_bench`, a module on its top level, `methods` or `scenarios`. The floor of a room is 1 if it
imports no other room, and otherwise one more than the highest floor that it imports from. `python docs/rooms.py` prints
the floors; `python docs/rooms.py FILE.svg` draws them.
"""

from __future__ import annotations

import ast
import sys
from html import escape
from pathlib import Path

__all__ = ["floors", "imports", "picture", "room", "rooms", "text"]

ROOT = Path(__file__).parents[1]
FOLDERS = {"nica_bench": "nica_bench", "methods": "nica_bench.methods", "scenarios": "nica_bench.scenarios"}
AUTHORS = {"dataset", "errors", "method", "parameters", "registry", "scenario", "seeds"}
"""Modules that the author of a method or scenario reads."""
FRAME = {"", "__main__", "_version"}
"""Modules that only name and start the package."""

Graph = dict[str, set[str]]

WIDTH, HEIGHT, GAP, FLOOR = 104, 26, 16, 66
"""Of a box, between two boxes, and from floor to floor, in pixels."""


def modules() -> dict[str, Path]:
    """Return the file of each module by its dotted name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join([package, *parts])] = path
    return found


def imports() -> Graph:
    """Return the modules that each module imports, anywhere in its file."""
    known = modules()
    found: Graph = {name: set() for name in known}
    for name, path in known.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                full = [f"{node.module}.{alias.name}" for alias in node.names]
                found[name] |= {target if target in known else node.module for target in full}
            elif isinstance(node, ast.Import):
                found[name] |= {alias.name for alias in node.names}
        found[name] &= known.keys()
    return found


def room(module: str) -> str:
    """Return the room of a module: the part of its dotted name after the package, "" for the package itself."""
    return [*module.split("."), ""][1]


def rooms() -> Graph:
    """Return the rooms that each room imports."""
    graph: Graph = {}
    for name, targets in imports().items():
        graph.setdefault(room(name), set()).update(room(target) for target in targets)
    return {name: targets - {name} for name, targets in graph.items()}


def floors(graph: Graph) -> dict[str, int]:
    """Return the floor of each node, 1 for a node that imports nothing.

    Raises:
        ValueError: if there is a circle; the message names it.
    """
    floor: dict[str, int] = {}

    def climb(node: str, above: list[str]) -> int:
        if node in above:
            raise ValueError(f"a circle of imports: {' -> '.join([*above[above.index(node) :], node])}")
        if node not in floor:
            floor[node] = 1 + max((climb(other, [*above, node]) for other in sorted(graph[node])), default=0)
        return floor[node]

    for node in sorted(graph):
        climb(node, [])
    return floor


def text() -> str:
    """Return one line for each floor, from the top."""
    height = floors(_shown(rooms()))
    lines = []
    for level in range(max(height.values()), 0, -1):
        lines.append(f"{level:2}  {' '.join(sorted(name for name in height if height[name] == level))}")
    return "\n".join(lines)


def picture() -> str:
    """Return the rooms as an SVG image, one row for each floor.

    An arrow from A to B is left out if A also imports a room that imports B, directly or not.
    """
    graph = _shown(rooms())
    height = floors(graph)
    arrows = [(a, b) for a in sorted(graph) for b in sorted(_reduced(graph, a))]
    rows, chains = _layers(height, arrows)
    x = _places(rows, chains)
    width = max(x.values()) + WIDTH
    parts = [
        f'<svg class="rooms" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {len(rows) * FLOOR}" '
        'role="img" aria-label="The rooms of nica-bench and their imports" font-family="sans-serif" font-size="12">',
        "<style>.rooms path{fill:none;stroke:currentColor;stroke-opacity:.4}.rooms text{fill:currentColor;"
        "text-anchor:middle}.rooms rect{fill:#8886;stroke:currentColor;stroke-opacity:.5}"
        ".rooms .author rect{fill:#4a90d966}.rooms .plug rect{fill:#3fa65f66}</style>",
    ]

    def middle(node: str) -> tuple[float, float]:
        return x[node] + WIDTH / 2, _row(rows, node) * FLOOR + 20

    for chain in chains:
        points = [middle(node) for node in chain]
        (x0, y0), *rest = points
        path = [f"M{x0:.0f} {y0 + HEIGHT / 2:.0f}"]
        start = x0, y0 + HEIGHT / 2
        for i, (x1, y1) in enumerate(rest):
            end = x1, y1 - HEIGHT / 2
            bend = (start[1] + end[1]) / 2
            path.append(f"C{start[0]:.0f} {bend:.0f} {end[0]:.0f} {bend:.0f} {end[0]:.0f} {end[1]:.0f}")
            start = x1, y1 + HEIGHT / 2
            if i < len(rest) - 1:
                path.append(f"L{start[0]:.0f} {start[1]:.0f}")
        parts.append(f'<path d="{"".join(path)}"/>')
    for node in graph:
        cx, cy = middle(node)
        kind = "author" if node in AUTHORS else "plug" if node in ("methods", "scenarios") else "engine"
        parts.append(
            f'<g class="{kind}"><rect x="{cx - WIDTH / 2:.0f}" y="{cy - HEIGHT / 2:.0f}" width="{WIDTH}" '
            f'height="{HEIGHT}" rx="4"/><text x="{cx:.0f}" y="{cy + 4:.0f}">{escape(node)}</text></g>'
        )
    return "".join([*parts, "</svg>"])


def _shown(graph: Graph) -> Graph:
    return {name: targets - FRAME for name, targets in graph.items() if name not in FRAME}


def _reduced(graph: Graph, node: str) -> set[str]:
    """The imports of a room that none of its other imports implies."""

    def below(name: str, seen: set[str]) -> set[str]:
        for other in graph[name] - seen:
            seen.add(other)
            below(other, seen)
        return seen

    implied = set().union(*(below(other, set()) for other in graph[node]), set())
    return graph[node] - implied


def _layers(height: dict[str, int], arrows: list[tuple[str, str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Rows from the top, with a place in each row that an arrow passes; and the nodes of each arrow."""
    top = max(height.values())
    rows: list[list[str]] = [[] for _ in range(top)]
    for name in sorted(height):
        rows[top - height[name]].append(name)
    chains = []
    for a, b in arrows:
        chain = [a]
        for level in range(height[a] - 1, height[b], -1):
            chain.append(f"{a}>{b}@{level}")
            rows[top - level].append(chain[-1])
        chains.append([*chain, b])
    return rows, chains


def _row(rows: list[list[str]], node: str) -> int:
    return next(i for i, row in enumerate(rows) if node in row)


def _width(node: str) -> float:
    return 0 if ">" in node else WIDTH


def _places(rows: list[list[str]], chains: list[list[str]]) -> dict[str, float]:
    """The left edge of each node: orders by the mean of neighbours, then moves towards them as far as there is room."""
    near: dict[str, list[str]] = {node: [] for row in rows for node in row}
    for chain in chains:
        for a, b in zip(chain, chain[1:], strict=False):
            near[a].append(b)
            near[b].append(a)
    x: dict[str, float] = {}
    for row in rows:
        _spread(row, {node: float(i * (WIDTH + GAP)) for i, node in enumerate(row)}, x)
    for turn in range(60):
        for row in rows if turn % 2 else rows[::-1]:
            wish = {
                node: sum(x[other] for other in near[node]) / len(near[node]) if near[node] else x[node] for node in row
            }
            if turn < 40:
                row.sort(key=wish.__getitem__)
            _spread(row, wish, x)
    left = min(x.values())
    return {node: place - left + 2 for node, place in x.items()}


def _spread(row: list[str], wish: dict[str, float], x: dict[str, float]) -> None:
    """Place a row in its order, close to where its nodes wish to be, without overlap."""
    groups: list[tuple[list[str], float, float]] = []  # nodes, width, wished left edge; neighbours that meet are joined
    for node in row:
        nodes, size = [node], _width(node) + GAP
        at = wish[node] + (WIDTH - _width(node)) / 2
        while groups and groups[-1][2] + groups[-1][1] > at:
            before, wide, left = groups.pop()
            at = (left * len(before) + (at - wide) * len(nodes)) / (len(before) + len(nodes))
            nodes, size = [*before, *nodes], wide + size
        groups.append((nodes, size, at))
    for nodes, _, at in groups:
        for node in nodes:
            x[node] = at - (WIDTH - _width(node)) / 2
            at += _width(node) + GAP


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(picture(), encoding="utf-8")
    else:
        print(text())
