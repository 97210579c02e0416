"""Random injective mixings of the latents into observations, fixed by a dataset's seed."""

from nica_bench.mixings.catalogue import MIXINGS, Acceptance, Recipe, draw_mixings
from nica_bench.mixings.mixing import Mixing
from nica_bench.mixings.width import subnet_width

__all__ = ["MIXINGS", "Acceptance", "Mixing", "Recipe", "draw_mixings", "subnet_width"]
