"""Names, splits and seeds: who is in which world."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.world import names_of_split, split_of_name
from rablip.world.entities import draw_entities
from rablip.world.lexicon import BUILDERS, FIRST_NAMES, PLACES, SECOND_NAMES, SPLITS


def test_splits_are_disjoint_and_large_enough():
    pools = {split: set(names_of_split(split)) for split in SPLITS}
    for one, other in itertools.combinations(SPLITS, 2):
        assert not pools[one] & pools[other]
    assert sum(map(len, pools.values())) == len(FIRST_NAMES) * len(SECOND_NAMES)
    assert len(pools["test"]) >= 1500


def test_name_words_are_distinct():
    words = [word.lower() for word in (*FIRST_NAMES, *SECOND_NAMES, *PLACES, *BUILDERS)]
    assert len(words) == len(set(words)) == 64 + 64 + 40 + 60


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(), count=st.integers(1, 40), split=st.sampled_from(SPLITS))
def test_entities_of_any_seed_stay_in_their_split(seed, count, split):
    entities = draw_entities(seed, count, split=split)
    names = [entity.name for entity in entities]
    assert len(set(names)) == count
    assert {split_of_name(name) for name in names} == {split}
    assert entities == draw_entities(seed, count, split=split)


def test_another_seed_gives_other_entities():
    assert draw_entities(1, 20, split="test") != draw_entities(2, 20, split="test")


def test_too_many_entities_are_refused_with_the_limit():
    limit = len(names_of_split("validation"))
    assert len(draw_entities(0, limit, split="validation")) == limit
    with pytest.raises(ValueError, match=f"1 to {limit}"):
        draw_entities(0, limit + 1, split="validation")
    with pytest.raises(ValueError, match="num_entities is 0"):
        draw_entities(0, 0, split="test")
    with pytest.raises(ValueError, match="no split 'dev'"):
        draw_entities(0, 1, split="dev")


def test_missing_facts_come_at_their_rate_and_one_at_a_time():
    entities = draw_entities(0, 1500, split="test", missing_fact_rate=0.08)
    missing = [(entity.year is None) + (entity.builder is None) for entity in entities]
    assert set(missing) == {0, 1}
    assert 0.05 < sum(missing) / len(missing) < 0.11


def test_look_alikes_differ_in_one_attribute():
    entities = draw_entities(0, 30, split="test", look_alike_share=1.0)
    for number, entity in enumerate(entities[1:], start=1):
        for part in ("building", "boat"):
            mine = getattr(entity, part)
            differences = [
                sum(mine[name] != getattr(other, part)[name] for name in mine) for other in entities[:number]
            ]
            assert 1 in differences
