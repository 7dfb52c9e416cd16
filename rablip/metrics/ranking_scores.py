"""Rankings of many questions scored by one metric, with the questions that cannot count left out and counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal

from .ranking import hit_at_k, ndcg_at_k, precision_at_k, recall_at_k, reciprocal_rank
from .results import MetricResult
from .scorer_inputs import compare_ids, require_choice

__all__ = ["score_ranking"]

_METRICS: Mapping[str, Callable[[Sequence[str], Any, Any], float]] = {
    "hit": hit_at_k,
    "ndcg": ndcg_at_k,
    "precision": precision_at_k,
    "recall": recall_at_k,
    "reciprocal_rank": reciprocal_rank,
}


def score_ranking(
    rankings: Mapping[str, Sequence[str]],
    relevant: Mapping[str, Mapping[str, float] | Collection[str]],
    *,
    metric: Literal["hit", "ndcg", "precision", "recall", "reciprocal_rank"],
    k: int | None,
    corpus: str | None = None,
) -> MetricResult:
    """The mean of a ranking metric over questions.

    Only questions with a relevant item count. One of them without a ranking scores 0, as `trec_eval -c` has it
    (pytrec_eval by itself leaves it out, so that a system which answers easy questions only looks better).

    Args:
        rankings: question id to ids, best first.
        relevant: question id to its relevant ids, or to the gain of each id, of which those above 0 are relevant.
        metric: which one; "recall" is a share of the relevant ids, "hit" whether there is any.
        k: how many of each ranking count; None, for all of it, is possible for "reciprocal_rank" only.
        corpus: what was searched, such as `"distractor"` or `"full"`.

    Returns:
        The mean, from 0 to 1; None where no question has a relevant item. The variant is "graded" for nDCG with gains
        and "binary" otherwise. `details` says how many questions had no ranking, how many were left out because
        nothing is relevant to them, and how many rankings belong to no question.

    Raises:
        TypeError: when ids of questions differ in type only, or a ranking is a string.
        ValueError: when `k` is below 1 or missing, when an id stands twice in a ranking, when a gain is not finite,
            when `relevant` is empty, or when the metric is unknown.

    Example:
        >>> result = score_ranking({"q1": ["a", "b"], "q2": ["c", "d"]}, {"q1": ["b"], "q2": ["x"], "q3": []},
        ...                        metric="recall", k=2, corpus="full")
        >>> result.value, result.num_questions, result.details["without_relevant"]
        (0.5, 2, 1)
    """
    require_choice(metric, sorted(_METRICS), name="metric")
    if k is None and metric != "reciprocal_rank":
        raise ValueError(f"The metric {metric!r} needs a k: how many of each ranking count.")
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
    unknown = compare_ids(rankings, relevant)["unknown_predictions"]
    values: dict[str, float] = {}
    unranked = 0
    for question_id, judged in relevant.items():
        gold = {found: gain for found, gain in judged.items() if gain > 0} if isinstance(judged, Mapping) else judged
        if not gold:
            continue
        unranked += question_id not in rankings
        try:
            values[question_id] = _METRICS[metric](rankings.get(question_id, ()), gold, k)
        except (TypeError, ValueError) as error:
            raise type(error)(f"Question {question_id!r}: {error}") from error
    is_graded = metric == "ndcg" and any(isinstance(judged, Mapping) for judged in relevant.values())
    return MetricResult(
        metric=metric if k is None else f"{metric}_at_k",
        variant="graded" if is_graded else "binary",
        value=sum(values.values()) / len(values) if values else None,
        values=values,
        k=k,
        corpus=corpus,
        details={
            "missing_predictions": unranked,
            "unknown_predictions": unknown,
            "without_relevant": len(relevant) - len(values),
        },
    )
