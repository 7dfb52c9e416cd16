"""What a ranking finds: recall, hits, reciprocal rank, nDCG and pseudo relevance at k."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["recall_at_k"]


def recall_at_k(ranked_ids: Sequence[str], gold_ids: Sequence[str], k: int) -> float:
    """Share of the gold ids that are among the first `k` ranked ids.

    Raises:
        ValueError: when `k` is below 1, or when there is no gold id (recall of nothing is undefined).

    >>> recall_at_k(["a", "b", "c"], ["c", "a"], k=2)
    0.5
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
    if not gold_ids:
        raise ValueError("recall_at_k needs at least one gold id; leave out questions without one.")
    top = set(ranked_ids[:k])
    return sum(gold in top for gold in gold_ids) / len(gold_ids)
