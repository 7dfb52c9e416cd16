"""Metrics while training: how well relevance is told, and how many answers are right."""

from __future__ import annotations

from typing import Any

import numpy as np
from transformers import EvalPrediction


def measure_relevance(prediction: EvalPrediction) -> dict[str, float]:
    """Of relevance logits and labels: F1 at probability 0.5, and the area under the ROC curve.

    Args:
        prediction: logits and labels (num_pairs,) or (num_rows, num_candidates); labels of -100 count nowhere.

    Returns:
        `relevance_f1`, and `relevance_auc` where both labels occur.

    Example:
        >>> logits, labels = np.array([2.0, -1.0, 3.0]), np.array([1.0, 0.0, -100.0])
        >>> measure_relevance(EvalPrediction(predictions=logits, label_ids=labels))
        {'relevance_f1': 1.0, 'relevance_auc': 1.0}
    """
    logits = np.asarray(prediction.predictions, dtype=np.float64).ravel()
    labels = np.asarray(prediction.label_ids, dtype=np.float64).ravel()
    logits, labels = logits[labels != -100], labels[labels != -100] >= 0.5
    found = logits >= 0
    hits = int((found & labels).sum())
    measured = {"relevance_f1": 2 * hits / max(int(found.sum()) + int(labels.sum()), 1)}
    if labels.any() and not labels.all():
        measured["relevance_auc"] = _area_under_curve(logits, labels)
    return measured


class AnswerMetrics:
    """`compute_metrics` of the generator's stage.

    Args:
        processor: decodes answers.

    Example (with a processor):
        `GeneratorTrainer(..., compute_metrics=AnswerMetrics(processor))`
    """

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        """`exact_match` over rows with an answer to learn (case and white space aside), and `measure_relevance`."""
        predictions: Any = prediction.predictions
        labels: Any = prediction.label_ids
        (ids, relevance), (answers, judged) = predictions, labels
        measured = measure_relevance(EvalPrediction(predictions=relevance, label_ids=judged))
        answers = np.asarray(answers)
        rows = (answers != -100).any(axis=1)
        if rows.any():
            said = self.processor.decode_answers(np.asarray(ids)[rows].tolist())
            wanted = self.processor.decode_answers(answers[rows].tolist())
            same = [_plain(one) == _plain(other) for one, other in zip(said, wanted, strict=True)]
            measured["exact_match"] = sum(same) / len(same)
        return measured


def _area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """How often a right one scores above a wrong one; ties count half."""
    order = np.argsort(scores, kind="stable")
    values, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.repeat(first + (counts + 1) / 2, counts)
    num_right = int(labels.sum())
    of_right = ranks[labels[order]].sum()
    return float((of_right - num_right * (num_right + 1) / 2) / (num_right * (len(labels) - num_right)))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


__all__ = ["AnswerMetrics", "measure_relevance"]
