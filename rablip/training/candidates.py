"""Which candidates a training step shows: positives, hard negatives, mined negatives, in random order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..processing.knowledge_rablip import QuestionExample
from .pools import TrainingPool


@dataclass(frozen=True)
class CandidateSet:
    """Candidates of one training row, in the order in which they are shown.

    Args:
        ids: item ids.
        relevance: 1.0 relevant, 0.0 not, per candidate.
        answerable: whether every item that the answer needs is among them.
    """

    ids: tuple[str, ...]
    relevance: tuple[float, ...]
    answerable: bool


def choose_distinct(generator: np.random.Generator, ids: Sequence[str], count: int) -> list[str]:
    """At most `count` different ids in random order."""
    distinct = list(dict.fromkeys(ids))
    if count <= 0 or not distinct:
        return []
    picked = generator.permutation(len(distinct))[:count]
    return [distinct[index] for index in picked]


def sample_negatives(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    count: int,
    *,
    hop: int = 0,
    mined_share: float = 0.5,
    random_share: float = 0.2,
) -> list[str]:
    """Negatives of one question: the reader's (same entity, look-alikes, other modality), mined and random ones.

    Args:
        pool: where the question comes from.
        example: the question.
        generator: source of randomness.
        count: how many.
        hop: which search is trained; `pool.mined` is read for it.
        mined_share: expected share of retrieved candidates among the rest, where there are any.
        random_share: expected share of random items.

    Returns:
        At most `count` different ids, none of them a positive of any hop.
    """
    forbidden = {item for positives in example.hops for item in positives} | set(example.positive_ids)
    mined = [item for item in pool.mined.get((example.id, hop), []) if item not in forbidden]
    given = [item for item in example.negative_ids if item not in forbidden]
    all_ids = list(pool.items)
    chosen: dict[str, None] = {}
    for _ in range(4 * count):
        if len(chosen) >= count:
            break
        if generator.random() < random_share or not (mined or given):
            candidate = all_ids[int(generator.integers(len(all_ids)))]
        elif mined and (not given or generator.random() < mined_share):
            # Candidates near the top are the ones that the next part of the path really meets.
            candidate = mined[int(len(mined) * generator.random() ** 2)]
        else:
            candidate = given[int(generator.integers(len(given)))]
        if candidate not in forbidden:
            chosen[candidate] = None
    return list(chosen)


def sample_candidates(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    *,
    max_candidates: int,
    max_pictures: int,
    positive_rate: float = 0.75,
    num_negatives_weights: Sequence[float] = (0.35, 0.3, 0.2, 0.15),
) -> CandidateSet:
    """Candidates of one ASKG row: 0..K of them, 0..K relevant, of mixed modality, in random order.

    Either every item that the answer needs is shown (they are labelled relevant), or the last one, which holds the
    answer, is missing and nothing counts as relevant: what is left cannot answer the question.

    Args:
        pool: where the question comes from.
        example: the question; an unanswerable one gets negatives only.
        generator: source of randomness.
        max_candidates: most candidates shown.
        max_pictures: most pictures among them, the question's own included.
        positive_rate: how often the positives of an answerable question are shown.
        num_negatives_weights: probability of 0, 1, 2, ... negatives beside the positives.

    Returns:
        [`CandidateSet`]; empty with small probability.
    """
    needed = list(dict.fromkeys(item for hop in example.hops for item in hop))
    shows_positives = bool(needed) and generator.random() < positive_rate
    positives = needed if shows_positives else []
    weights = np.asarray(num_negatives_weights, dtype=float)
    count = int(generator.choice(len(weights), p=weights / weights.sum()))
    if not shows_positives:
        count += 1 if generator.random() < 0.9 else 0
    last_hop = len(example.hops) - 1
    hop = last_hop if generator.random() < 0.5 else 0
    negatives = sample_negatives(pool, example, generator, min(count, max_candidates - len(positives)), hop=hop)
    if needed and not shows_positives and last_hop and generator.random() < 0.5:
        negatives = [*negatives[: max_candidates - 1], needed[0]]
    room = max_pictures - len(example.images) - sum(pool.picture(item) is not None for item in positives)
    shown_negatives = []
    for item in negatives:
        has_picture = pool.picture(item) is not None
        if not has_picture or room > 0:
            shown_negatives.append(item)
            room -= has_picture
    labelled = [(item, 1.0) for item in positives] + [(item, 0.0) for item in shown_negatives]
    shuffled = [labelled[index] for index in generator.permutation(len(labelled))]
    return CandidateSet(
        ids=tuple(item for item, _ in shuffled),
        relevance=tuple(label for _, label in shuffled),
        answerable=shows_positives,
    )


__all__ = ["CandidateSet", "choose_distinct", "sample_candidates", "sample_negatives"]
