"""Conditional latent distributions: each family described once."""

from nica_bench.latents.normal import ConditionalNormal

__all__ = ["ConditionalNormal"]
