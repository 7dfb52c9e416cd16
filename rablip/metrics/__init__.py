"""Metrics: pure functions of predictions and references, each to the letter of its benchmark's official scorer."""

from __future__ import annotations

from .answers import exact_match, majority_answer, majority_matches, normalize_answer
from .intervals import Figure, bootstrap_interval, proportion_figure, ratio_figure, wilson_interval
from .paired import PairedDifference, compare_paired
from .ranking import recall_at_k
from .results import MetricResult
from .trust import PrecisionRecall, abstain_scores, citation_scores

__all__ = [
    "Figure",
    "MetricResult",
    "PairedDifference",
    "PrecisionRecall",
    "abstain_scores",
    "bootstrap_interval",
    "citation_scores",
    "compare_paired",
    "exact_match",
    "majority_answer",
    "majority_matches",
    "normalize_answer",
    "proportion_figure",
    "ratio_figure",
    "recall_at_k",
    "wilson_interval",
]
