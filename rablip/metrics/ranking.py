"""What one ranking finds: recall, hits, precision, reciprocal rank and nDCG at k."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "hit_at_k",
    "ndcg_at_k",
    "precision_at_k",
    "rank_by_score",
    "recall_at_k",
    "reciprocal_rank",
]


def recall_at_k(ranked_ids: Sequence[str], gold_ids: Collection[str], k: int) -> float:
    """Share of the gold ids that are among the first `k` ranked ids.

    Args:
        ranked_ids: the ids found, best first.
        gold_ids: the ids to be found.
        k: how many of the ranking count.

    Raises:
        ValueError: when `k` is below 1, when an id stands twice in the ranking, or when there is no gold id (recall
            of nothing is undefined).

    Example:
        >>> recall_at_k(["a", "b", "c"], ["c", "a"], k=2)
        0.5
    """
    top = _top(ranked_ids, gold_ids, k)
    return sum(gold in top for gold in gold_ids) / len(gold_ids)


def hit_at_k(ranked_ids: Sequence[str], gold_ids: Collection[str], k: int) -> float:
    """1 where any gold id is among the first `k` ranked ids, else 0. PreFLMR and others report this as Recall@k.

    Args:
        ranked_ids: the ids found, best first.
        gold_ids: the ids, any of which is enough.
        k: how many of the ranking count.

    Raises:
        ValueError: as `recall_at_k`.

    Example:
        >>> hit_at_k(["a", "b", "c"], ["c", "a"], k=1), hit_at_k(["a", "b", "c"], ["c"], k=2)
        (1.0, 0.0)
    """
    top = _top(ranked_ids, gold_ids, k)
    return float(any(gold in top for gold in gold_ids))


def precision_at_k(ranked_ids: Sequence[str], gold_ids: Collection[str], k: int) -> float:
    """Gold ids among the first `k` ranked ids, divided by `k` even where fewer were ranked, as pytrec_eval does.

    Args:
        ranked_ids: the ids found, best first.
        gold_ids: the ids to be found.
        k: how many of the ranking count.

    Raises:
        ValueError: as `recall_at_k`.

    Example:
        >>> precision_at_k(["a", "b"], ["a", "b"], k=5)
        0.4
    """
    return len(_top(ranked_ids, gold_ids, k) & set(gold_ids)) / k


def reciprocal_rank(ranked_ids: Sequence[str], gold_ids: Collection[str], k: int | None = None) -> float:
    """1 / rank of the first gold id; 0 where none was found.

    Args:
        ranked_ids: the ids found, best first.
        gold_ids: the ids, any of which is enough.
        k: how many of the ranking count (MRR@5 has 5); None for all of it.

    Raises:
        ValueError: as `recall_at_k`.

    Example:
        >>> reciprocal_rank(["a", "b", "c"], ["c", "b"]), reciprocal_rank(["a", "b", "c"], ["c"], k=2)
        (0.5, 0.0)
    """
    gold = _top(ranked_ids, gold_ids, k) & set(gold_ids)
    return next((1 / rank for rank, found in enumerate(ranked_ids, start=1) if found in gold), 0.0)


def ndcg_at_k(ranked_ids: Sequence[str], gains: Mapping[str, float] | Collection[str], k: int) -> float:
    """Normalised discounted cumulative gain: the gains found, discounted by log2(rank + 1), over the best possible.

    Gains count as they are (trec_eval's choice; others raise 2 to them). Gains of zero and below count nowhere.

    Args:
        ranked_ids: the ids found, best first.
        gains: relevant id to its gain; or just the relevant ids, for a gain of 1 each.
        k: how many of the ranking, and of the best possible one, count.

    Raises:
        ValueError: when a gain is not finite; else as `recall_at_k`.

    Source:
        Jarvelin and Kekalainen 2002, with the discount of trec_eval.

    Example:
        >>> round(ndcg_at_k(["a", "x", "b"], ["a", "b"], k=3), 4)  # (1 + 1 / 2) / (1 + 1 / log2(3))
        0.9197
        >>> round(ndcg_at_k(["a", "b"], {"a": 1, "b": 3}, k=2), 4)  # (1 + 3 / log2(3)) / (3 + 1 / log2(3))
        0.7967
    """
    _top(ranked_ids, gains, k)
    graded = dict(gains) if isinstance(gains, Mapping) else dict.fromkeys(gains, 1.0)
    if not all(math.isfinite(gain) for gain in graded.values()):
        raise ValueError(f"Gains must be finite numbers, but are {graded!r}.")
    positive = {found: gain for found, gain in graded.items() if gain > 0}
    if not positive:
        raise ValueError("A ranking is scored against at least one gold id, but no gain is above 0.")
    reached = _discounted([positive.get(found, 0.0) for found in ranked_ids[:k]])
    return reached / _discounted(sorted(positive.values(), reverse=True)[:k])


def rank_by_score(scores: Mapping[str, float]) -> list[str]:
    """Ids by falling score; equal scores by falling id, which is how trec_eval and pytrec_eval break ties.

    Metrics of a ranking look at its order alone, so ties have to be broken before. Any fixed rule does; this one makes
    figures comparable with pytrec_eval's.

    Args:
        scores: id to score.

    Raises:
        ValueError: when a score is NaN: it has no place in an order.

    Example:
        >>> rank_by_score({"a": 1.0, "b": 2.0, "c": 1.0})
        ['b', 'c', 'a']
    """
    unordered = [found for found, score in scores.items() if math.isnan(score)]
    if unordered:
        raise ValueError(f"The scores of {len(unordered)} ids are NaN, such as that of {unordered[0]!r}.")
    return sorted(scores, key=lambda found: (scores[found], found), reverse=True)


def _top(ranked_ids: Sequence[str], gold_ids: Collection[str], k: int | None) -> set[str]:
    """The first `k` ids, after the checks that all metrics share."""
    if isinstance(ranked_ids, str) or isinstance(gold_ids, str):
        raise TypeError(f"Rankings and gold ids hold ids, but a string was given: {ranked_ids!r}, {gold_ids!r}.")
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
    if not gold_ids:
        raise ValueError("A ranking is scored against at least one gold id; leave out questions without one.")
    if len(set(ranked_ids)) < len(ranked_ids):
        twice = next(found for place, found in enumerate(ranked_ids) if found in ranked_ids[:place])
        raise ValueError(f"The ranking holds {twice!r} twice: each id has one place in a ranking.")
    return set(ranked_ids[:k])


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))
