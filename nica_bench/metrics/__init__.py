"""Metrics: pure functions of latents, codes, conditions and a method's own ranking."""

from nica_bench.metrics.blind import score_blind
from nica_bench.metrics.correlation import correlation, ranks, remove_condition_means, standardise, usable
from nica_bench.metrics.knee import DEFAULT_RULE, RULES, estimate_dimension, spectrum
from nica_bench.metrics.mcc import Assignment, assign, match, matched_correlation, mean_correlation, top_codes
from nica_bench.metrics.regression import held_out_r2, leakage, r2_affine, slopes
from nica_bench.metrics.scores import METRICS, Metric, Sample, Scores, score

__all__ = [
    "DEFAULT_RULE",
    "METRICS",
    "RULES",
    "Assignment",
    "Metric",
    "Sample",
    "Scores",
    "assign",
    "correlation",
    "estimate_dimension",
    "held_out_r2",
    "leakage",
    "match",
    "matched_correlation",
    "mean_correlation",
    "r2_affine",
    "ranks",
    "remove_condition_means",
    "score",
    "score_blind",
    "slopes",
    "spectrum",
    "standardise",
    "top_codes",
    "usable",
]
