"""In-batch retrieval metrics: where the right items stand among all items of a batch, and how often near the top."""

from __future__ import annotations

import numpy as np
import torch
from transformers import EvalPrediction

from ...processing.knowledge_rablip import Modality

_CUTOFFS = (1, 5)


def rank_positives(
    scores: torch.Tensor, positive_mask: torch.Tensor, modalities: torch.Tensor | None = None
) -> torch.Tensor:
    """How many wrong items score at least as high as a question's best right one, over all and by modality.

    A tie counts against the right item, so that equal embeddings find nothing; other right items do not count.

    Args:
        scores: (num_questions, num_items).
        positive_mask: (num_questions, num_items), non-zero where the item is right.
        modalities: (num_items,) int64, the place of each item's modality in `Modality`; None if unknown.

    Returns:
        (num_questions, 1 + number of modalities) int64: the rank from 0 of the best right item, then of the best right
        text, picture and picture with text; -1 where the question has none.

    Raises:
        ValueError: the shapes do not belong together.

    Example:
        >>> scores, right = torch.tensor([[0.9, 0.5, 0.1]]), torch.tensor([[0, 1, 1]])
        >>> rank_positives(scores, right, torch.tensor([0, 0, 1])).tolist()
        [[1, 1, 1, -1]]
    """
    if scores.shape != positive_mask.shape or (modalities is not None and len(modalities) != scores.shape[1]):
        raise ValueError(
            f"`scores` has shape {tuple(scores.shape)}, `positive_mask` {tuple(positive_mask.shape)} and `modalities` "
            f"{None if modalities is None else tuple(modalities.shape)}. Give one mask entry per score and one "
            "modality per item."
        )
    positives = positive_mask.bool()
    groups = [positives]
    for number in range(len(Modality)):
        groups.append(torch.zeros_like(positives) if modalities is None else positives & (modalities == number))
    ranks = []
    for group in groups:
        best = scores.masked_fill(~group, -torch.inf).amax(dim=1, keepdim=True)
        ahead = ((scores >= best) & ~positives).sum(dim=1)
        ranks.append(torch.where(group.any(dim=1), ahead, -1))
    return torch.stack(ranks, dim=1)


def measure_recall(prediction: EvalPrediction) -> dict[str, float]:
    """Recall at 1 and 5 within the batch, over all questions and by the modality of what is to be found.

    Args:
        prediction: its `predictions` are the rows of `rank_positives` of all questions.

    Returns:
        `recall@1`, `recall@5`, and the same with `_text`, `_image`, `_image_text` for modalities that were looked for;
        the share of questions, among those with such a right item in their batch. Without any question, nothing.

    Example:
        >>> ranks = np.array([[0, 0, -1, -1], [3, -1, 3, -1]])
        >>> measure_recall(EvalPrediction(ranks, None))["recall@1"]
        0.5
    """
    ranks = np.asarray(prediction.predictions)
    metrics: dict[str, float] = {}
    for column, suffix in enumerate(("", *(f"_{modality.value}" for modality in Modality))):
        of_group = ranks[:, column][ranks[:, column] >= 0]
        if len(of_group):
            metrics |= {f"recall@{k}{suffix}": float((of_group < k).mean()) for k in _CUTOFFS}
    return metrics


__all__ = ["measure_recall", "rank_positives"]
