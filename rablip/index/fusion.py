"""Joining what several searches found for one question into one ranking: by ranks, or by scores of one scale.

Scores of different searches do not compare: an inner product with a picture and one with a text come from other
distributions, and BM25 has no upper end. Either only ranks are used (`fuse_ranks`), or scores are brought to one scale
first (score_scales.py) and then compared (`fuse_scores`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from .identifiers import hash_ids
from .knowledge_index import SearchHit

__all__ = ["fuse_ranks", "fuse_scores"]


def fuse_ranks(
    rankings: Sequence[Sequence[SearchHit]],
    *,
    k: int,
    weights: Sequence[float] | None = None,
    constant: float = 60.0,
    ties: Mapping[str, float] | None = None,
) -> list[SearchHit]:
    """Reciprocal-rank fusion: an id scores the sum of `weight / (constant + rank)` over the rankings that hold it.

    Ranks count from 1; the scores of the hits are not looked at. Equal sums are ordered by `ties` and then by a hash
    of the id, so that the answer depends neither on the order of the rankings nor on how ids of a modality are
    spelled. Rankings that share no id are interleaved: first the best of each, then the second of each.

    Args:
        rankings: what each search found, best first.
        k: at most so many hits.
        weights: what each ranking counts, at least 0; one of weight 0 is as if it were not there. None for 1 each.
        constant: how little the first ranks stand out, at least 0.
        ties: id -> what decides between equal sums, higher first; ids that it lacks come last.

    Returns:
        The ids by their sums, best first, with the sums as scores. The hits of a smaller `k` are the first of them.

    Raises:
        ValueError: when `k` is below 1, a weight or the constant is negative or not finite, all weights are 0, there
            are not as many weights as rankings, or a ranking holds an id twice.

    Example:
        >>> by_vectors = [SearchHit("a", 0.9), SearchHit("b", 0.8)]
        >>> by_words = [SearchHit("b", 11.0), SearchHit("c", 3.0)]
        >>> [(hit.id, round(hit.score, 4)) for hit in fuse_ranks([by_vectors, by_words], k=2)]
        [('b', 0.0325), ('a', 0.0164)]
    """
    _check_k(k)
    if not math.isfinite(constant) or constant < 0:
        raise ValueError(f"constant must be a finite number of at least 0, got {constant!r}.")
    factors = [1.0] * len(rankings) if weights is None else [float(weight) for weight in weights]
    if len(factors) != len(rankings):
        raise ValueError(f"There are {len(rankings)} rankings but {len(factors)} weights. Give one per ranking.")
    if any(not math.isfinite(factor) or factor < 0 for factor in factors) or (factors and not any(factors)):
        raise ValueError(f"weights must be finite, at least 0 and not all 0, got {factors}.")
    shares: dict[str, list[float]] = {}
    for factor, ranking in zip(factors, rankings, strict=True):
        ids = [hit.id for hit in ranking]
        if len(set(ids)) != len(ids):
            twice = next(item_id for item_id in ids if ids.count(item_id) > 1)
            raise ValueError(f"The id {twice!r} stands twice in one ranking. Give every ranking each id once.")
        if factor:
            for rank, item_id in enumerate(ids, start=1):
                shares.setdefault(item_id, []).append(factor / (constant + rank))
    # math.fsum rounds once: the sum is the same in whatever order the rankings come.
    return _order({item_id: math.fsum(parts) for item_id, parts in shares.items()}, k, ties or {})


def fuse_scores(rankings: Sequence[Sequence[SearchHit]], *, k: int) -> list[SearchHit]:
    """The best hits of several rankings whose scores are on one scale; an id in several counts by its best score.

    Equal scores are ordered as by `fuse_ranks`.

    Args:
        rankings: what each search found.
        k: at most so many hits.

    Raises:
        ValueError: when `k` is below 1 or a score is NaN.

    Example:
        >>> texts, pictures = [SearchHit("t", 2.1), SearchHit("u", 0.3)], [SearchHit("p", 1.7)]
        >>> [hit.id for hit in fuse_scores([texts, pictures], k=2)]
        ['t', 'p']
    """
    _check_k(k)
    best: dict[str, float] = {}
    for hit in (hit for ranking in rankings for hit in ranking):
        if math.isnan(hit.score):
            raise ValueError(f"The score of {hit.id!r} is not a number.")
        best[hit.id] = max(hit.score, best.get(hit.id, -math.inf))
    return _order(best, k, {})


def _order(scores: Mapping[str, float], k: int, ties: Mapping[str, float]) -> list[SearchHit]:
    names = list(scores)
    hashes = dict(zip(names, hash_ids(names).tolist(), strict=True))
    ordered = sorted(names, key=lambda name: (-scores[name], -ties.get(name, -math.inf), hashes[name], name))
    return [SearchHit(name, scores[name]) for name in ordered[:k]]


def _check_k(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, got {k!r}.")
