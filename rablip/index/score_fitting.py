"""Measuring the scales of scores: sample questions against sample items of every modality of an index."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .embedding_checks import check_matrix, check_vectors
from .knowledge_index import KnowledgeIndex
from .positions import ItemPositions
from .score_scales import ScoreScale, ScoreScales

__all__ = ["MODALITY_COLUMN", "fit_score_scales", "list_modalities", "make_scales"]

MODALITY_COLUMN = "modality"

# The spread over fewer items says more about these items than about their modality.
_MIN_ITEMS = 10
# A spread below this part of the largest score is rounding, not a spread.
_ROUNDING = 1e-6


def make_scales(scores: Mapping[str, np.ndarray]) -> dict[str, ScoreScale]:
    """Scales from the scores of sample questions and sample items.

    Where a modality has fewer than ten items, or all its scores are the same, its spread is the mean one of the other
    modalities (of variances, by their numbers of scores), or 1 where there is none: then it is only moved.

    Args:
        scores: modality -> (num_questions, num_items).

    Raises:
        ValueError: when scores have another shape, none are there, or one is not finite.

    Example:
        >>> scales = make_scales({"text": np.array([[0.0, 2.0] * 5]), "image": np.array([[0.4]])})
        >>> scales["text"].normalize(2.0), scales["image"].spread
        (1.0, 1.0)
    """
    means: dict[str, float] = {}
    variances: dict[str, float] = {}
    for name, values in scores.items():
        if values.ndim != 2 or not values.size or not np.isfinite(values).all():
            raise ValueError(f"Scores of {name!r} must be finite, (num_questions, num_items), got {values.shape}.")
        exact = values.astype(np.float64)
        means[name] = float(exact.mean())
        spread = float(exact.std())
        if values.shape[1] >= _MIN_ITEMS and spread > _ROUNDING * float(np.abs(exact).max()):
            variances[name] = spread**2
    weights = [scores[name].size for name in variances]
    common = math.sqrt(np.average(list(variances.values()), weights=weights)) if variances else 1.0
    return {
        name: ScoreScale(
            mean=means[name],
            spread=math.sqrt(variances[name]) if name in variances else common,
            num_items=values.shape[1],
            num_questions=values.shape[0],
        )
        for name, values in scores.items()
    }


def fit_score_scales(index: KnowledgeIndex, embeddings: Any, *, max_items: int = 2000, seed: int = 0) -> ScoreScales:
    """Measure the scores of sample questions against sample items of every modality of an index.

    Args:
        index: has the column `modality`.
        embeddings: (num_questions, embedding_dim), of questions like those that will be asked; some dozens will do.
        max_items: most items of a modality; of more, so many are drawn.
        seed: of the draw.

    Raises:
        ValueError: when the index is empty or has items without a modality, there is no question, or an embedding is
            none.
    """
    questions = check_matrix(embeddings, index.manifest)
    check_vectors(questions, lambda row: f"question {row}", index.manifest)
    if not len(index) or not len(questions):
        raise ValueError(
            f"Scales are fitted on questions and items, got {len(questions)} questions and {len(index)} items."
        )
    positions = ItemPositions(index)
    rng = np.random.default_rng(seed)
    scores = {}
    for name in list_modalities(positions):
        rows = np.flatnonzero(positions.match({MODALITY_COLUMN: name}))
        if len(rows) > max_items:
            rows = np.sort(rng.choice(rows, max_items, replace=False))
        vectors = index.get(positions.take(rows))
        if vectors.ndim == 2:
            scores[name] = questions @ vectors.T
        else:  # an item scores by the best of its vectors; zeros fill up and are none
            every = np.einsum("qd,nvd->qnv", questions, vectors)
            scores[name] = np.where((vectors != 0).any(axis=2), every, -np.inf).max(axis=2)
    manifest = index.manifest
    return ScoreScales(
        scales=make_scales(scores), index_id=manifest.index_id, model_fingerprint=manifest.model_fingerprint
    )


def list_modalities(positions: ItemPositions) -> list[str]:
    """The modalities that an index holds, sorted.

    Raises:
        ValueError: when it has no column for them, or items without one: no search by modality would find these.
    """
    counts = positions.count_values(MODALITY_COLUMN)
    without = counts.pop(None, 0)
    if without:
        raise ValueError(
            f"{without} items of the index have no modality, and a search by modality would never find them. Give "
            f'every item a value in the column "{MODALITY_COLUMN}".'
        )
    return sorted(counts)
