"""Metrics: pure functions of predictions and references, each to the letter of its benchmark's official scorer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answers import exact_match, majority_answer, majority_matches, normalize_answer
from .aokvqa import AOKVQAReference, AOKVQAScores, score_aokvqa, score_aokvqa_choices, score_aokvqa_direct_answers
from .bart_score import BartScorer
from .calibration import ReliabilityBin, expected_calibration_error, reliability_bins, score_calibration
from .encyclopedic_vqa import AnswerEquivalence, EncyclopedicVQAReference, score_encyclopedic_vqa
from .infoseek import InfoSeekReference, score_infoseek
from .infoseek_answers import read_value_range
from .intervals import Figure, bootstrap_interval, proportion_figure, ratio_figure, wilson_interval
from .mrag_bench import MRAGBenchReference, parse_mrag_bench_reply, score_mrag_bench
from .multimodalqa import MultimodalQAReference, MultimodalQAScores, score_multimodalqa
from .paired import PairedDifference, compare_paired
from .pseudo_relevance import holds_answer, pseudo_recall_at_k, score_pseudo_recall
from .ranking import hit_at_k, ndcg_at_k, precision_at_k, rank_by_score, recall_at_k, reciprocal_rank
from .ranking_scores import score_ranking
from .results import MetricResult
from .trust import (
    PrecisionRecall,
    abstain_scores,
    citation_scores,
    relevance_scores,
    score_abstentions,
    score_citations,
)
from .vqa import VQAReference, score_vqa, vqa_accuracy
from .webqa import WebQAReference, score_webqa, webqa_accuracy
from .webqa_fluency import score_webqa_fluency, score_webqa_overall
from .webqa_leaderboard import webqa_leaderboard_row
from .webqa_normalization import normalize_webqa_answer
from .webqa_retrieval import score_webqa_retrieval

if TYPE_CHECKING:
    from .modules import load_metric

__all__ = [
    "AOKVQAReference",
    "AOKVQAScores",
    "AnswerEquivalence",
    "BartScorer",
    "EncyclopedicVQAReference",
    "Figure",
    "InfoSeekReference",
    "MRAGBenchReference",
    "MetricResult",
    "MultimodalQAReference",
    "MultimodalQAScores",
    "PairedDifference",
    "PrecisionRecall",
    "ReliabilityBin",
    "VQAReference",
    "WebQAReference",
    "abstain_scores",
    "bootstrap_interval",
    "citation_scores",
    "compare_paired",
    "exact_match",
    "expected_calibration_error",
    "hit_at_k",
    "holds_answer",
    "load_metric",
    "majority_answer",
    "majority_matches",
    "ndcg_at_k",
    "normalize_answer",
    "normalize_webqa_answer",
    "parse_mrag_bench_reply",
    "precision_at_k",
    "proportion_figure",
    "pseudo_recall_at_k",
    "rank_by_score",
    "ratio_figure",
    "read_value_range",
    "recall_at_k",
    "reciprocal_rank",
    "relevance_scores",
    "reliability_bins",
    "score_abstentions",
    "score_aokvqa",
    "score_aokvqa_choices",
    "score_aokvqa_direct_answers",
    "score_calibration",
    "score_citations",
    "score_encyclopedic_vqa",
    "score_infoseek",
    "score_mrag_bench",
    "score_multimodalqa",
    "score_pseudo_recall",
    "score_ranking",
    "score_vqa",
    "score_webqa",
    "score_webqa_fluency",
    "score_webqa_overall",
    "score_webqa_retrieval",
    "vqa_accuracy",
    "webqa_accuracy",
    "webqa_leaderboard_row",
    "wilson_interval",
]


def __getattr__(name: str) -> Any:
    """Imports what needs `evaluate` on first use."""
    if name != "load_metric":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .modules import load_metric

    return load_metric
