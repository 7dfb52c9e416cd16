"""Losses and scores as pure tensor functions."""

from __future__ import annotations

import torch
from torch import nn


def contrastive_loss(scores: torch.Tensor, positive_mask: torch.Tensor) -> torch.Tensor:
    r"""
    Multi-positive InfoNCE of questions against knowledge items.

    For every question with at least one positive, the loss is the mean over its positives *p* of
    `-log(exp(s_p) / (exp(s_p) + sum over negatives n of exp(s_n)))`: other positives of the same question are left
    out of the denominator, so that right answers never push each other away.

    Args:
        scores (`torch.Tensor` of shape `(num_questions, num_items)`): similarities, already divided by the
            temperature.
        positive_mask (`torch.Tensor` of shape `(num_questions, num_items)`): non-zero where the item is a positive of
            the question. A question without positives does not contribute.

    Returns:
        `torch.Tensor`: scalar, the mean over questions with a positive; 0 (with gradient) when there is none.

    Raises:
        ValueError: the shapes differ.

    Example:

    ```python
    >>> import torch
    >>> from rablip.modeling_rablip.losses_rablip import contrastive_loss

    >>> loss = contrastive_loss(torch.zeros(2, 4), torch.tensor([[1, 0, 0, 0], [0, 1, 0, 0]]))
    >>> round(loss.item(), 4)  # log(4)
    1.3863

    ```
    """
    if scores.shape != positive_mask.shape:
        raise ValueError(
            f"`scores` has shape {tuple(scores.shape)} and `positive_mask` {tuple(positive_mask.shape)}; give one "
            "mask entry per score."
        )
    positives = positive_mask.bool()
    scores = scores.float()
    negative_scores = scores.masked_fill(positives, float("-inf"))
    # logaddexp with -inf has a NaN gradient where a question has no negatives, hence the large finite floor.
    negative_logsumexp = torch.logsumexp(negative_scores.clamp(min=-1e4), dim=1, keepdim=True)
    per_positive = torch.logaddexp(scores, negative_logsumexp) - scores
    num_positives = positives.sum(dim=1)
    per_question = (per_positive * positives).sum(dim=1) / num_positives.clamp(min=1)
    has_positive = (num_positives > 0).to(per_question.dtype)
    return (per_question * has_positive).sum() / has_positive.sum().clamp(min=1)


def relevance_loss(
    relevance_logits: torch.Tensor, relevance_labels: torch.Tensor, *, ignore_value: float = -100.0
) -> torch.Tensor:
    r"""
    Binary cross-entropy of relevance logits, padded candidates left out.

    Args:
        relevance_logits (`torch.Tensor` of shape `(batch_size,)` or `(batch_size, num_candidates)`): logits.
        relevance_labels (`torch.Tensor` of the same shape): 1 relevant, 0 irrelevant, `ignore_value` no candidate.
        ignore_value (`float`, defaults to -100.0): label of entries that do not count.

    Returns:
        `torch.Tensor`: scalar mean over the entries that count; 0 (with gradient) when there is none.

    Raises:
        ValueError: the shapes differ.

    Example:

    ```python
    >>> import torch
    >>> from rablip.modeling_rablip.losses_rablip import relevance_loss

    >>> round(relevance_loss(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, -100.0]])).item(), 4)  # log(2)
    0.6931

    ```
    """
    if relevance_logits.shape != relevance_labels.shape:
        raise ValueError(
            f"`relevance_logits` has shape {tuple(relevance_logits.shape)} and `relevance_labels` "
            f"{tuple(relevance_labels.shape)}; give one label per candidate."
        )
    counted = relevance_labels != ignore_value
    labels = torch.where(counted, relevance_labels, torch.zeros_like(relevance_labels)).float()
    per_candidate = nn.functional.binary_cross_entropy_with_logits(relevance_logits.float(), labels, reduction="none")
    return (per_candidate * counted).sum() / counted.sum().clamp(min=1)


def language_modeling_loss(logits: torch.Tensor, labels: torch.Tensor, *, ignore_index: int = -100) -> torch.Tensor:
    r"""
    Mean token cross-entropy; 0 (with gradient) instead of NaN when no token counts.

    Args:
        logits (`torch.Tensor` of shape `(batch_size, seq_len, vocab_size)`): logits aligned with the labels (already
            shifted for decoder-only models).
        labels (`torch.LongTensor` of shape `(batch_size, seq_len)`): token ids, `ignore_index` where none counts.
        ignore_index (`int`, defaults to -100): label of tokens that do not count.

    Returns:
        `torch.Tensor`: scalar.

    Example:

    ```python
    >>> import torch
    >>> from rablip.modeling_rablip.losses_rablip import language_modeling_loss

    >>> language_modeling_loss(torch.zeros(1, 2, 8), torch.tensor([[-100, -100]])).item()
    0.0

    ```
    """
    summed = nn.functional.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), ignore_index=ignore_index, reduction="sum"
    )
    return summed / (labels != ignore_index).sum().clamp(min=1)


__all__ = ["contrastive_loss", "language_modeling_loss", "relevance_loss"]
