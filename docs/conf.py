"""The site: Sphinx, with pages in Markdown (MyST), the theme Furo and citations by sphinxcontrib-bibtex.

All are maintained. MkDocs 1 and Material for MkDocs are at the end of their maintenance, MkDocs 2 is another program,
and Zensical, which follows them, is too young to pin a site to. The site loads nothing from other servers: formulas are
MathML, which browsers render themselves.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.nodes import make_refnode

sys.path.insert(0, str(Path(__file__).parent))
from rooms import picture

project = "nica-bench"
author = "The nica-bench authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.bibtex"]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["deflist", "dollarmath"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = "nica-bench"
html_show_copyright = False
html_show_sphinx = False
html_math_renderer = "mathml"
html_static_path = ["site.css"]
html_css_files = ["site.css"]

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

default_role = "py:obj"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
# A name in backticks becomes a link where it is one of the reference, and stays code otherwise. Types have to be found,
# except those of other packages, whose inventories the build would have to download.
nitpick_ignore_regex = [
    ("py:obj", r".*"),
    ("py:.*", r"(?!nica_bench\.)\w+(\.\w+)+"),
    (
        "py:class",
        r"Tensor|Figure|Clamp|(nica_bench\.flows\.replicates\.)?Module",
    ),  # of torch, a Literal and a type variable
]

COLON = "\N{SYMBOL FOR UNIT SEPARATOR}"
"""Stands for a colon while napoleon works."""


class Rooms(Directive):
    """The picture of the rooms, drawn anew at each build."""

    def run(self) -> list[nodes.Node]:
        """Return the picture as HTML."""
        self.state.document.settings.env.note_reread()
        return [nodes.raw("", picture(), format="html")]


def setup(app: Any) -> None:
    """Register the picture, the renderer of formulas, and the preparation of docstrings and signatures."""
    app.add_directive("rooms", Rooms)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_block_math, None))
    app.connect("autodoc-process-docstring", _prepare, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _finish, priority=600)  # after it
    app.connect("autodoc-process-signature", _sign)
    app.connect("missing-reference", _resolve)


def _inline_math(translator: Any, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block_math(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _prepare(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Keep what a docstring says from being taken for markup."""
    # reStructuredText takes the bars of absolute values for substitutions
    lines[:] = ["".join(_outside_code(line)) for line in lines]
    # napoleon takes what stands before a colon in an attribute or after "Returns:" for a type
    hidden = what in ("attribute", "property", "data")
    for i, line in enumerate(lines):
        if line and not line.startswith(" "):
            hidden = what in ("attribute", "property", "data") or line == "Returns:"
        if hidden and line != "Returns:":
            lines[i] = line.replace(":", COLON)


def _outside_code(line: str) -> list[str]:
    parts = re.split(r"(`[^`]*`)", line)
    return [part if i % 2 else part.replace("|", r"\|") for i, part in enumerate(parts)]


def _finish(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    """Put the colons back."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def _sign(
    app: Any, what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str, str | None] | None:
    """Shorten a signature: arrays by the name that the code gives them, defaults without a text as an ellipsis."""
    if not signature:
        return None
    return _short(re.sub(r"<(?:[^<>]|<\w+>)+>", "...", signature)), returns and _short(returns)


def _short(annotation: str) -> str:
    array = r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\]"
    return re.sub(array, r"~numpy.typing.NDArray[\1]", annotation).replace("[~typing.Any]", "")


def _resolve(app: Any, env: Any, node: Any, content: nodes.Node) -> nodes.Node | None:
    """Link a type that is written without its module, as under TYPE_CHECKING, or with the module that defines it."""
    if node.get("refdomain") != "py" or node["reftype"] not in ("class", "exc"):
        return None
    domain = env.get_domain("py")
    last = node["reftarget"].rpartition(".")[2]
    found = {entry.node_id: (name, entry) for name, entry in domain.objects.items() if name.rpartition(".")[2] == last}
    found = {key: pair for key, pair in found.items() if pair[1].objtype in ("class", "exception", "type")}
    if len(found) != 1:
        return None
    [(name, entry)] = found.values()
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, name)
