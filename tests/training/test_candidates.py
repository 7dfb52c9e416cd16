"""What a training step shows: positions say nothing, positives are complete, negatives are negatives."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rablip.training import CandidateSet, TrainingPool, sample_candidates, sample_negatives
from rablip.training.data.candidates import choose_distinct
from tests.training.tiny_pool import make_pool


def ids_of(shown: CandidateSet) -> list[str]:
    return [item.id for item in shown.items]


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    return make_pool()


def test_positions_of_relevant_candidates_are_uniform(pool: TrainingPool, full: bool) -> None:
    generator = np.random.default_rng(0)
    counts = {size: Counter() for size in (2, 3, 4)}
    answerable = [example for example in pool.examples if example.answerable]
    for number in range(40_000 if full else 8_000):
        example = answerable[number % len(answerable)]
        shown = sample_candidates(pool, example, generator, max_candidates=4, max_pictures=4)
        if len(ids_of(shown)) in counts and sum(shown.relevance) == 1:
            counts[len(ids_of(shown))][shown.relevance.index(1.0)] += 1
    for size, positions in counts.items():
        total = sum(positions.values())
        assert total > 300
        expected = total / size
        chi_square = sum((positions[place] - expected) ** 2 / expected for place in range(size))
        # The 0.999 quantiles of chi-square with size - 1 degrees of freedom.
        assert chi_square < {2: 10.83, 3: 13.82, 4: 16.27}[size], positions


def test_the_number_of_relevant_candidates_runs_from_none_to_all(pool: TrainingPool) -> None:
    generator = np.random.default_rng(1)
    seen = Counter()
    for example in pool.examples * 4:
        shown = sample_candidates(pool, example, generator, max_candidates=4, max_pictures=4)
        assert len(ids_of(shown)) == len(set(ids_of(shown))) <= 4
        seen[int(sum(shown.relevance)), len(ids_of(shown))] += 1
        positives = {item for hop in example.hops for item in hop}
        relevant = {item for item, label in zip(ids_of(shown), shown.relevance, strict=True) if label}
        assert relevant in (set(), positives)
        assert shown.answerable == (bool(positives) and relevant == positives)
        assert sum(item.image is not None for item in shown.items) + len(example.images) <= 4
    assert {relevant for relevant, _ in seen} == {0, 1, 2}
    assert (0, 0) in seen and (1, 1) in seen and (1, 4) in seen


def test_an_answer_is_never_to_be_learned_without_what_it_needs(pool: TrainingPool) -> None:
    generator = np.random.default_rng(2)
    two_hops = [example for example in pool.examples if len(example.hops) == 2]
    partial = 0
    for example in two_hops * 20:
        shown = sample_candidates(pool, example, generator, max_candidates=4, max_pictures=4)
        first = example.hops[0][0]
        if first in ids_of(shown) and not shown.answerable:
            partial += 1
            assert not any(shown.relevance)
    assert partial > 0


def test_negatives_are_no_positive_of_any_hop_and_come_from_every_source(pool: TrainingPool) -> None:
    generator = np.random.default_rng(3)
    example = next(example for example in pool.examples if len(example.hops) == 2)
    mined = [*example.positive_ids, *list(pool.items)[:3]]
    pool.mined[example.id, 1] = mined
    seen = Counter()
    for _ in range(400):
        negatives = sample_negatives(pool, example, generator, 4, hop=1)
        assert len(negatives) == len(set(negatives)) == 4
        assert not set(negatives) & set(example.positive_ids)
        seen.update(negatives)
    pool.mined.clear()
    assert all(item in seen for item in example.negative_ids)
    assert all(item in seen for item in mined if item not in example.positive_ids)
    assert len(seen) > len(example.negative_ids) + len(mined)


def test_the_same_seed_gives_the_same_candidates(pool: TrainingPool) -> None:
    draws = [
        [
            sample_candidates(pool, example, np.random.default_rng(5), max_candidates=4, max_pictures=4)
            for example in pool.examples
        ]
        for _ in range(2)
    ]
    assert draws[0] == draws[1]


def test_choosing_more_than_there_is_gives_all() -> None:
    assert sorted(choose_distinct(np.random.default_rng(0), ["b", "a", "b"], 5)) == ["a", "b"]
    assert choose_distinct(np.random.default_rng(0), [], 2) == []
