"""The packages of the distribution: those found in `nica_bench/`, and the two folders that are mapped into it.

`packages.find` of pyproject.toml finds below one folder and does not see `methods/` and `scenarios/` as parts of
`nica_bench`; a list there would have to name every package.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["nica_bench", "nica_bench.*"]), "nica_bench.methods", "nica_bench.scenarios"])
