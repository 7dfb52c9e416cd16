"""Which candidates a training step shows: positives, hard negatives, mined negatives, distractors, in random order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ...processing.knowledge_rablip import KnowledgeItem, QuestionExample
from .distractors import NoiseMix, sample_distractors
from .mining import split_by_modality
from .pools import TrainingPool

NegativeStrategy = Literal["mixed", "random", "random_hard", "modality"]
NEGATIVE_STRATEGIES: tuple[NegativeStrategy, ...] = ("mixed", "random", "random_hard", "modality")


@dataclass(frozen=True)
class CandidateSet:
    """Candidates of one training row, in the order in which they are shown.

    Args:
        items: the candidates.
        relevance: 1.0 relevant, 0.0 not, per candidate.
        answerable: whether every item that the answer needs is among them.
    """

    items: tuple[KnowledgeItem, ...]
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
    all_ids = pool.item_ids
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


def choose_negatives(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    count: int,
    *,
    hop: int = 0,
    strategy: NegativeStrategy = "mixed",
) -> list[str]:
    """Negatives of one question by a named strategy.

    Args:
        pool: where the question comes from; all strategies but "random" read `pool.mined`.
        example: the question.
        generator: source of randomness.
        count: how many.
        hop: which search is trained.
        strategy: "mixed" is `sample_negatives`; "random" any items; "random_hard" retrieved ones, evenly, whatever
            their modality; "modality" in turn retrieved ones of a modality that no right item has and that rank above
            the right ones, and retrieved ones of the right one's modality (`split_by_modality`).

    Returns:
        At most `count` different ids, none of them a positive of any hop.

    Raises:
        ValueError: the strategy is unknown, or it needs mined candidates and there are none for the question.
    """
    if strategy == "mixed":
        return sample_negatives(pool, example, generator, count, hop=hop)
    if strategy not in NEGATIVE_STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}; it must be one of {', '.join(NEGATIVE_STRATEGIES)}.")
    right = {item for positives in example.hops for item in positives} | set(example.positive_ids)
    if strategy == "random":
        drawn = [pool.item_ids[int(place)] for place in generator.integers(len(pool.item_ids), size=4 * count)]
        return list(dict.fromkeys(item for item in drawn if item not in right))[:count]
    if (example.id, hop) not in pool.mined:
        raise ValueError(
            f"The strategy {strategy!r} needs retrieved candidates, and question {example.id!r} has none. Call "
            "`mine_candidates` first."
        )
    found = pool.mined[example.id, hop]
    wrong = [item for item in found if item not in right]
    if strategy == "random_hard":
        return choose_distinct(generator, wrong, count)
    wrong_modality, same_modality = split_by_modality(found, example.hops[hop], pool.items)
    lists = [
        [item for item in choose_distinct(generator, ids, len(ids)) if item not in right]
        for ids in (wrong_modality, same_modality)
    ]
    chosen: list[str] = []
    turn = int(generator.integers(2))
    while len(chosen) < count and any(lists):
        if lists[turn % 2]:
            chosen.append(lists[turn % 2].pop())
        turn += 1
    return chosen


def sample_noisy_candidates(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    noise: NoiseMix,
    *,
    max_candidates: int,
    max_pictures: int,
    positive_rate: float = 0.85,
) -> CandidateSet:
    """Candidates of one ASKG row with injected noise: the right items among 0 to many distractors, in random order.

    Args:
        pool: where the question comes from; `find_distractors` has filled `pool.distractors`.
        example: the question; an unanswerable one gets distractors only.
        generator: source of randomness.
        noise: how many distractors, of which kinds.
        max_candidates: most candidates shown.
        max_pictures: most pictures among them, the question's own included.
        positive_rate: how often the right items of an answerable question are shown.

    Returns:
        [`CandidateSet`]; where not every item that the answer needs is shown, nothing counts as relevant.

    Raises:
        ValueError: there is no room for all items that the answer needs (`check_room`).
    """
    needed = check_room(pool, example, max_candidates=max_candidates, max_pictures=max_pictures)
    shows_positives = bool(needed) and generator.random() < positive_rate
    positives = [pool.items[item] for item in needed] if shows_positives else []
    count = int(generator.integers(noise.min_distractors, noise.max_distractors + 1))
    if positives and generator.random() < noise.clean_rate:
        count = 0
    count = min(count, max_candidates - len(positives))
    negatives = sample_distractors(pool, example, generator, count, weights=noise.weights)
    return _arrange(positives, negatives, generator, max_pictures - len(example.images), shows_positives)


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

    Raises:
        ValueError: there is no room for all items that the answer needs (`check_room`).
    """
    needed = check_room(pool, example, max_candidates=max_candidates, max_pictures=max_pictures)
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
    return _arrange(
        [pool.items[item] for item in positives],
        [pool.items[item] for item in negatives],
        generator,
        max_pictures - len(example.images),
        shows_positives,
    )


def check_room(pool: TrainingPool, example: QuestionExample, *, max_candidates: int, max_pictures: int) -> list[str]:
    """The items that the answer needs, each once, after a check that a row has room for all of them.

    Args:
        pool: where the question comes from.
        example: the question.
        max_candidates: most candidates shown.
        max_pictures: most pictures among them, the question's own included.

    Raises:
        ValueError: there are more of them, or of their pictures; names the question.
    """
    needed = list(dict.fromkeys(item for hop in example.hops for item in hop))
    num_pictures = len(example.images) + sum(pool.has_picture(item) for item in needed)
    if len(needed) > max_candidates or num_pictures > max_pictures:
        raise ValueError(
            f"Question {example.id!r} has {len(needed)} positive_ids and, with its own, {num_pictures} pictures; "
            f"there is room for {max_candidates} candidates (max_candidates) and {max_pictures} pictures (max_images "
            "of the model). Raise them, or name fewer positive_ids."
        )
    return needed


def _arrange(
    positives: Sequence[KnowledgeItem],
    negatives: Sequence[KnowledgeItem],
    generator: np.random.Generator,
    max_pictures: int,
    answerable: bool,
) -> CandidateSet:
    """All positives and the negatives whose pictures there is room for, in random order."""
    room = max_pictures - sum(item.image is not None for item in positives)
    shown_negatives = []
    for item in negatives:
        if item.image is None or room > 0:
            shown_negatives.append(item)
            room -= item.image is not None
    labelled = [(item, 1.0) for item in positives] + [(item, 0.0) for item in shown_negatives]
    shuffled = [labelled[index] for index in generator.permutation(len(labelled))]
    return CandidateSet(
        items=tuple(item for item, _ in shuffled),
        relevance=tuple(label for _, label in shuffled),
        answerable=answerable,
    )


__all__ = [
    "NEGATIVE_STRATEGIES",
    "CandidateSet",
    "NegativeStrategy",
    "check_room",
    "choose_distinct",
    "choose_negatives",
    "sample_candidates",
    "sample_negatives",
    "sample_noisy_candidates",
]
