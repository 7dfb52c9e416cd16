"""What was found, kept, cited and withheld in a run, by the metrics that every benchmark shares."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...metrics import (
    MetricResult,
    ReliabilityBin,
    relevance_scores,
    reliability_bins,
    score_abstentions,
    score_calibration,
    score_citations,
    score_pseudo_recall,
    score_ranking,
)
from ...processing.knowledge_rablip import QuestionExample
from .prediction import JudgedItem, Prediction

__all__ = ["CUTOFFS", "RELEVANCE_SOURCES", "measure_relevance_bins", "score_retrieval", "score_trust"]

RELEVANCE_SOURCES = ("relevance", "rerank_relevance")
CUTOFFS = (1, 3, 5, 10, 20, 50, 100)
_MAIN_CUTOFFS = (1, 5, 10)
_READ_AT_ONCE = 1024
ReadTexts = Callable[[Sequence[str]], Mapping[str, str]]


def score_retrieval(
    questions: Sequence[QuestionExample],
    predictions: Sequence[Prediction],
    *,
    corpus: str,
    depth: int,
    read_texts: ReadTexts | None = None,
    pseudo_answers: Mapping[str, Sequence[str]] | None = None,
) -> list[MetricResult]:
    """The retriever's own ranking against the right items, or against passages that hold an answer.

    Args:
        questions: all questions.
        predictions: one for each, in the same order.
        corpus: what was searched.
        depth: how deep the rankings are; cutoffs beyond it are left out.
        read_texts: gives the texts of items, for pseudo recall.
        pseudo_answers: question id -> answers that a passage must hold to count; None without pseudo recall.

    Returns:
        Recall and hits at every cutoff, reciprocal rank and nDCG where right items are known; pseudo recall where it
        is asked for. A split that hides its labels has none.
    """
    rankings = {made.question_id: made.ranked_ids for made in predictions}
    relevant: dict[str, Collection[str]] = {question.id: question.positive_ids for question in questions}
    # Where no ranking is longer, every larger k finds the same.
    longest = max((len(ranked) for ranked in rankings.values()), default=0)
    cutoffs = [k for k in CUTOFFS if k <= depth and (k in _MAIN_CUTOFFS or k < longest)] or [min(depth, 1)]
    results: list[MetricResult] = []
    if any(relevant.values()):
        for k in sorted(cutoffs, key=lambda k: (k not in _MAIN_CUTOFFS, k)):
            results.append(score_ranking(rankings, relevant, metric="recall", k=k, corpus=corpus))
        results += [score_ranking(rankings, relevant, metric="hit", k=k, corpus=corpus) for k in cutoffs]
        results.append(score_ranking(rankings, relevant, metric="reciprocal_rank", k=None, corpus=corpus))
        if depth >= 10:
            results.append(score_ranking(rankings, relevant, metric="ndcg", k=10, corpus=corpus))
    if pseudo_answers and read_texts is not None:
        # Passages are read by their own ids, whatever a question calls what they are about.
        passages = {made.question_id: [one.id for one in made.ranking] for made in predictions}
        listed = list(dict.fromkeys(name for ranked in passages.values() for name in ranked[: max(cutoffs)]))
        texts: dict[str, str] = {}
        for start in range(0, len(listed), _READ_AT_ONCE):
            texts |= read_texts(listed[start : start + _READ_AT_ONCE])
        for form in ("substring", "strict"):
            results += [
                score_pseudo_recall(passages, texts, pseudo_answers, form=form, k=k, corpus=corpus) for k in cutoffs
            ]
    return results


def score_trust(
    questions: Sequence[QuestionExample], predictions: Sequence[Prediction], *, threshold: float = 0.5
) -> list[MetricResult]:
    """Abstentions, citations and relevance, where the data says what is right.

    Args:
        questions: all questions.
        predictions: one for each, in the same order.
        threshold: from which relevance an item is taken to be relevant.
    """
    results: list[MetricResult] = []
    pairs = [
        (question, made)
        for question, made in zip(questions, predictions, strict=True)
        if not made.problem and not question.metadata.get("hidden_labels")
    ]
    unanswerable = {question.id: not question.answerable for question, _ in pairs}
    if any(unanswerable.values()):
        results.append(score_abstentions({question.id: made.abstained for question, made in pairs}, unanswerable))
    known = [(question, made) for question, made in pairs if question.positive_ids and made.text is not None]
    if known:
        cited = {question.id: made.cited_names for question, made in known}
        results.append(score_citations(cited, {question.id: question.positive_ids for question, _ in known}))
    for source in RELEVANCE_SOURCES:
        judged = _judge_items(pairs, source)
        if judged:
            results.append(_score_relevance(judged, source, threshold))
            confidences, right = _split_judged(judged)
            result = score_calibration(confidences, right)
            results.append(replace(result, metric=f"{source}_{result.metric}"))
    return results


def measure_relevance_bins(
    questions: Sequence[QuestionExample], predictions: Sequence[Prediction], *, source: str = "relevance"
) -> list[ReliabilityBin]:
    """How often items of a given relevance really are right, in ten equal bins; nothing where nothing is known.

    Args:
        questions: all questions.
        predictions: one for each, in the same order.
        source: `"relevance"`, the generator's, or `"rerank_relevance"`.
    """
    judged = _judge_items(list(zip(questions, predictions, strict=True)), source)
    if not judged:
        return []
    confidences, right = _split_judged(judged)
    return reliability_bins(list(confidences.values()), list(right.values()))


def _judge_items(
    pairs: Sequence[tuple[QuestionExample, Prediction]], source: str
) -> dict[str, dict[str, tuple[float, bool]]]:
    """Question -> item -> its relevance, and whether it is right; of questions whose right items are known."""
    found: dict[str, dict[str, tuple[float, bool]]] = {}
    for question, made in pairs:
        right = set(question.positive_ids)
        items: Sequence[JudgedItem] = made.evidence if source == "relevance" else made.candidates
        values: list[tuple[str, Any]] = [(item.name, getattr(item, source)) for item in items]
        judged = {name: (float(value), name in right) for name, value in values if value is not None}
        if right and judged:
            found[question.id] = judged
    return found


def _split_judged(judged: Mapping[str, Mapping[str, tuple[float, bool]]]) -> tuple[dict[str, float], dict[str, bool]]:
    pairs = {f"{question}/{item}": pair for question, items in judged.items() for item, pair in items.items()}
    return {name: value for name, (value, _) in pairs.items()}, {name: right for name, (_, right) in pairs.items()}


def _score_relevance(
    judged: Mapping[str, Mapping[str, tuple[float, bool]]], source: str, threshold: float
) -> MetricResult:
    """F1 of items taken to be relevant; its values per question are the share of items that are judged right."""
    rows = [list(items.values()) for items in judged.values()]
    scores = relevance_scores(
        [[value for value, _ in row] for row in rows],
        [[right for _, right in row] for row in rows],
        threshold=threshold,
    )
    shares = [sum((value >= threshold) == right for value, right in row) / len(row) for row in rows]
    return MetricResult(
        metric=f"{source}_f1",
        variant=f"threshold {threshold:g}",
        value=scores.f1,
        values=dict(zip(judged, shares, strict=True)),
        is_mean=False,
        details={"precision": scores.precision, "recall": scores.recall},
    )
