"""Metrics: pure functions of latents, codes, conditions and the method's own ranking of its codes."""

from nica_bench.metrics.classes import bayes_accuracy, probe_accuracy
from nica_bench.metrics.consistency import Consistency, consistency
from nica_bench.metrics.correlation import correlation, ranks, remove_condition_means, standardise, usable
from nica_bench.metrics.knee import (
    DEFAULT_RULE,
    RULES,
    WIDE_DEFAULT,
    WIDE_RULES,
    estimate_dimension,
    knee_interval,
    spectrum,
)
from nica_bench.metrics.mcc import Assignment, assign, match, matched_correlation, mean_correlation, top_codes
from nica_bench.metrics.plugin import check_metric_declaration, plug_in_scores
from nica_bench.metrics.regression import held_out_r2, leakage, r2_affine, slopes
from nica_bench.metrics.scores import METRICS, Metric, Sample, Scores, score
from nica_bench.metrics.unlabelled import (
    ClassCodes,
    class_information,
    class_moments,
    knee_history,
    score_unlabelled,
    within_class_std,
)

__all__ = [
    "DEFAULT_RULE",
    "METRICS",
    "RULES",
    "WIDE_DEFAULT",
    "WIDE_RULES",
    "Assignment",
    "ClassCodes",
    "Consistency",
    "Metric",
    "Sample",
    "Scores",
    "assign",
    "bayes_accuracy",
    "check_metric_declaration",
    "class_information",
    "class_moments",
    "consistency",
    "correlation",
    "estimate_dimension",
    "held_out_r2",
    "knee_history",
    "knee_interval",
    "leakage",
    "match",
    "matched_correlation",
    "mean_correlation",
    "plug_in_scores",
    "probe_accuracy",
    "r2_affine",
    "ranks",
    "remove_condition_means",
    "score",
    "score_unlabelled",
    "slopes",
    "spectrum",
    "standardise",
    "top_codes",
    "usable",
    "within_class_std",
]
