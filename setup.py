"""The packages of the distribution: those found in `nica_bench/`, and the two folders that are mapped into it."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["nica_bench", "nica_bench.*"]), "nica_bench.methods", "nica_bench.scenarios"])
