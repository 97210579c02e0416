"""The site: Sphinx, with pages in Markdown (MyST) and the theme Furo.

All three are maintained. MkDocs 1 and Material for MkDocs are at the end of their maintenance, MkDocs 2 is another
program, and Zensical, which follows them, is too young to pin a site to.
"""

project = "nica-bench"
author = "The nica-bench authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
nitpicky = True
html_theme = "furo"
html_title = "nica-bench"
html_show_sphinx = False
