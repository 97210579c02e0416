"""A metric that an entry point brings: it is computed in every run."""

from nica_bench import Metric

width = Metric("width", "number of codes", 1, 10_000, None, needs_latents=False, compute=lambda v, t, i: len(i))
