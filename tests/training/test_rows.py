"""Rows are functions of seed, epoch and place; negatives follow their strategy; distractors are of their kind."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip import KnowledgeItem, QuestionExample
from rablip.training import (
    DISTRACTOR_KINDS,
    NoiseMix,
    QuestionRows,
    TrainingPool,
    choose_negatives,
    find_distractors,
    make_generator_row,
    make_search_row,
    mine_candidates,
    sample_distractors,
    split_by_modality,
)
from tests.processing.tiny_tokenizers import make_retriever_processor
from tests.tiny import make_retriever
from tests.training.tiny_pool import make_pool


@pytest.fixture(scope="module")
def pool() -> TrainingPool:
    pool = make_pool()
    processor = make_retriever_processor(max_images=3)
    mine_candidates(make_retriever(), processor, pool, k=20)
    find_distractors(make_retriever(), processor, pool, k=30, num_kept=8)
    return pool


search_row = partial(make_search_row, num_candidates=3, max_positives=1)


def test_a_row_is_a_function_of_seed_epoch_and_place(pool: TrainingPool) -> None:
    rows, again = QuestionRows(pool, search_row, seed=3), QuestionRows(pool, search_row, seed=3)
    assert [rows[n] for n in (5, 2)] == [again[n] for n in (5, 2)]
    first = [rows[n].question.id for n in range(len(rows))]
    assert sorted(first) == sorted(example.id for example in pool.examples)
    rows.set_epoch(1)
    second = [rows[n].question.id for n in range(len(rows))]
    assert sorted(first) == sorted(second) and first != second
    rows.set_epoch(0)
    assert [rows[n].question.id for n in range(len(rows))] == first
    assert [QuestionRows(pool, search_row, seed=4)[n].question.id for n in range(len(rows))] != first


def test_validation_rows_stay_as_they_are(pool: TrainingPool) -> None:
    rows = QuestionRows(pool, search_row, seed=3, shuffle=False)
    before = [rows[n] for n in range(6)]
    rows.set_epoch(7)
    assert [rows[n] for n in range(6)] == before
    assert [row.question.id for row in before] == [example.id for example in pool.examples[:6]]


def test_modalities_are_balanced_and_no_question_is_repeated_before_all_are_shown(pool: TrainingPool) -> None:
    rows = QuestionRows(pool, search_row, seed=0, answerable_only=True, balance_modalities=True)
    groups = rows.group_by_modality()
    ids = {rows.examples[place].id: modality for modality, places in groups.items() for place in places}
    shown = [rows[n].question.id for n in range(len(rows))]
    counts = {modality: sum(ids[key] == modality for key in shown) for modality in groups}
    assert len(groups) == 3 and max(counts.values()) - min(counts.values()) <= 1
    for modality, places in groups.items():
        of_group = [key for key in shown if ids[key] == modality][: len(places)]
        assert len(set(of_group)) == len(of_group)


def test_a_pool_without_usable_questions_is_an_error(pool: TrainingPool) -> None:
    nothing = TrainingPool(items=pool.items, examples=[QuestionExample(id="q", question="Who?")])
    with pytest.raises(ValueError, match="None of the 1 questions"):
        QuestionRows(nothing, search_row, seed=0, answerable_only=True)


@pytest.mark.parametrize("strategy", ["mixed", "random", "random_hard", "modality"])
def test_negatives_are_never_right(pool: TrainingPool, strategy: str) -> None:
    generator = np.random.default_rng(0)
    for example in pool.examples:
        for hop in range(len(example.hops)):
            chosen = choose_negatives(pool, example, generator, 3, hop=hop, strategy=strategy)
            assert len(chosen) == len(set(chosen)) <= 3
            assert not set(chosen) & {item for positives in example.hops for item in positives}
            if strategy in ("random_hard", "modality"):
                assert set(chosen) <= set(pool.mined[example.id, hop])


def test_modality_aware_negatives_are_of_both_sorts(pool: TrainingPool) -> None:
    seen = set()
    for example in pool.examples:
        if not example.answerable:
            continue
        wrong_modality, same_modality = split_by_modality(pool.mined[example.id, 0], example.hops[0], pool.items)
        right = {pool.items[item].modality for item in example.hops[0]}
        assert not {pool.items[item].modality for item in wrong_modality} & right
        assert {pool.items[item].modality for item in same_modality} <= right
        found = pool.mined[example.id, 0]
        best = min((found.index(item) for item in example.hops[0] if item in found), default=len(found))
        assert all(found.index(item) < best for item in wrong_modality)
        chosen = choose_negatives(pool, example, np.random.default_rng(1), 4, strategy="modality")
        sorts = {item in wrong_modality for item in chosen}
        if len(wrong_modality) >= 2 and len(same_modality) >= 2:
            seen.add(frozenset(sorts))
    assert seen == {frozenset({True, False})}, "both sorts are drawn wherever both are there"


def test_unknown_and_unmined_strategies_are_named(pool: TrainingPool) -> None:
    example = pool.examples[0]
    with pytest.raises(ValueError, match="must be one of mixed, random"):
        choose_negatives(pool, example, np.random.default_rng(0), 1, strategy="hardest")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mine_candidates"):
        choose_negatives(make_pool(), example, np.random.default_rng(0), 1, strategy="modality")


@pytest.mark.parametrize("kind", DISTRACTOR_KINDS)
def test_distractors_are_of_their_kind(pool: TrainingPool, kind: str) -> None:
    generator, found = np.random.default_rng(0), 0
    for example in pool.examples:
        right = set(example.positive_ids)
        titles = {pool.items[item].title for item in right}
        words = {word for title in titles for word in (title or "").casefold().split()}
        for item in sample_distractors(pool, example, generator, 3, weights={kind: 1.0}):
            found += 1
            assert item.id not in right
            if kind == "same_entity":
                assert words & set((item.title or "").casefold().split())
            elif kind == "look_alike":
                assert item.title not in titles
                assert item.modality in {pool.items[key].modality for key in right}
            elif kind == "other_modality":
                assert item.modality not in {pool.items[key].modality for key in right}
            elif kind == "empty":
                assert item.id.endswith("#empty") and item.image is None and not item.text and not item.caption
    assert found > 20


@given(seed=st.integers(0, 2**32), count=st.integers(0, 12), max_pictures=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_noisy_rows_keep_their_promises(seed: int, count: int, max_pictures: int) -> None:
    pool = NOISY[0] if NOISY else None
    if pool is None:
        pool = make_pool()
        find_distractors(make_retriever(), make_retriever_processor(max_images=3), pool, k=30)
        NOISY.append(pool)
    generator = np.random.default_rng(seed)
    example = pool.examples[seed % len(pool.examples)]
    needed = {item for hop in example.hops for item in hop}
    row = make_generator_row(
        pool, example, generator, max_candidates=8, max_pictures=max_pictures + 2, noise=NoiseMix(count)
    )
    relevant = {item.id for item, value in zip(row.candidates, row.relevance, strict=True) if value}
    assert relevant in (set(), needed)
    assert (row.answer is None) == (relevant != needed or not needed)
    assert len(row.candidates) <= 8 and len({item.id for item in row.candidates}) == len(row.candidates)
    pictures = sum(item.image is not None for item in row.candidates) + len(example.images)
    assert pictures <= max(max_pictures + 2, sum(pool.has_picture(item) for item in relevant) + len(example.images))


NOISY: list[TrainingPool] = []


def test_places_say_nothing_under_noise(pool: TrainingPool) -> None:
    """ "Always the first" is as good as a guess: the release's pairs give 100 %."""
    generator = np.random.default_rng(0)
    examples = [example for example in pool.examples if example.answerable]
    first, chance, rows = 0.0, 0.0, 0
    for number in range(4000):
        row = make_generator_row(
            pool, examples[number % len(examples)], generator, max_candidates=6, max_pictures=9, noise=NoiseMix(5)
        )
        if any(row.relevance):
            first, chance, rows = first + row.relevance[0], chance + float(np.mean(row.relevance)), rows + 1
    assert abs(first - chance) / rows < 0.03


def test_a_fixed_number_of_distractors_is_kept(pool: TrainingPool) -> None:
    example = next(example for example in pool.examples if example.answerable)
    for count in (0, 3):
        noise = NoiseMix(max_distractors=count, min_distractors=count, clean_rate=0.0)
        for seed in range(10):
            row = make_generator_row(
                pool, example, np.random.default_rng(seed), max_candidates=9, max_pictures=9, noise=noise
            )
            if any(row.relevance):
                assert len(row.candidates) - sum(row.relevance) == count


def test_more_right_items_than_room_are_named(pool: TrainingPool) -> None:
    example = next(example for example in pool.examples if example.answerable)
    many = dataclasses.replace(example, positive_ids=tuple(pool.item_ids[:5]), metadata={})
    crowded = dataclasses.replace(pool, distractors={many.id: {}})
    for noise in (None, NoiseMix(2)):
        with pytest.raises(ValueError, match=f"{many.id}.*5 positive_ids.*room for 3 candidates"):
            make_generator_row(crowded, many, np.random.default_rng(0), max_candidates=3, max_pictures=9, noise=noise)


def test_half_of_the_rows_show_the_right_items_alone(pool: TrainingPool) -> None:
    example = next(example for example in pool.examples if example.answerable)

    def share_clean(noise: NoiseMix) -> float:
        rows = [
            make_generator_row(
                pool, example, np.random.default_rng(seed), max_candidates=9, max_pictures=9, noise=noise
            )
            for seed in range(400)
        ]
        shown = [row for row in rows if any(row.relevance)]
        return sum(all(row.relevance) for row in shown) / len(shown)

    assert share_clean(NoiseMix(min_distractors=1)) == pytest.approx(0.5, abs=0.08)
    assert share_clean(NoiseMix(min_distractors=1, clean_rate=0.0)) == 0.0
    with pytest.raises(ValueError, match="clean_rate is 1.5"):
        NoiseMix(clean_rate=1.5)


def test_wrong_weights_are_named(pool: TrainingPool) -> None:
    for weights in ({"nearby": 1.0}, {}, {"empty": 0.0}, {"empty": -1.0}):
        with pytest.raises(ValueError, match="look_alike"):
            NoiseMix(weights=weights)
    for most, least in ((-1, 0), (2, 3), (4, -1)):
        with pytest.raises(ValueError, match="at least 0 and in this order"):
            NoiseMix(max_distractors=most, min_distractors=least)
    with pytest.raises(ValueError, match="find_distractors"):
        sample_distractors(make_pool(), pool.examples[0], np.random.default_rng(0), 1, weights={"empty": 1})


def test_untitled_items_can_be_emptied() -> None:
    from rablip.training import empty_item

    assert empty_item(KnowledgeItem(id="7", text="Built in 1889.")).title == "No content"
