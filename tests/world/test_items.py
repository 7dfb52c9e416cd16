"""Knowledge items hold what they should, and no more."""

from __future__ import annotations

import re

import pytest

from rablip.processing.knowledge_rablip import Modality
from rablip.world import WorldKnobs, make_world, world_vocabulary
from rablip.world.lexicon import BOAT_ATTRIBUTES, BUILDERS, BUILDING_ATTRIBUTES, LOADS, PLACES, YEARS
from rablip.world.wording import word_fact


def _words(*texts):
    return set(re.findall(r"\w+", " ".join(text or "" for text in texts)))


def test_size_of_the_benchmark(benchmark_world):
    assert len(benchmark_world.items) >= 2000
    assert len({item.id for item in benchmark_world.items}) == len(benchmark_world.items)
    modalities = [item.modality for item in benchmark_world.items]
    assert modalities.count(Modality.IMAGE) == modalities.count(Modality.IMAGE_TEXT) == 600


def test_what_is_visible_is_in_no_text(benchmark_world):
    visible = {
        value for space in (BUILDING_ATTRIBUTES, BOAT_ATTRIBUTES) for values in space.values() for value in values
    }
    for item in benchmark_world.items:
        words = {word.lower() for word in _words(item.text, item.title, item.caption, item.source)}
        assert not words & visible, item
        assert not item.metadata


def test_written_values_are_in_their_own_item_only(benchmark_world):
    written = {"year": set(YEARS), "builder": set(BUILDERS), "boat": set(LOADS), "building": set(PLACES)}
    for item in benchmark_world.items:
        found = {part for part, values in written.items() if values & _words(item.text, item.caption)}
        assert len(found) == 1
        assert ("building" in found) == (item.modality is Modality.IMAGE)
        assert ("boat" in found) == (item.modality is Modality.IMAGE_TEXT)


def test_pictures_depend_on_visible_attributes_only(small_world):
    """Another place, load, year or builder leaves the picture of an item as it is."""
    from dataclasses import replace

    from rablip.world.catalog import build_catalog

    other = tuple(
        replace(entity, place="Kilham", load="110", year="1700", builder="Willey") for entity in small_world.entities
    )
    items = build_catalog(other, split="test", seed=5, knobs=WorldKnobs()).items
    pictures = {item.id: item.image for item in items if item.image}
    assert pictures == {item.id: item.image for item in small_world.items if item.image}


def test_texts_say_what_the_entities_are(small_world):
    texts = {item.text for item in small_world.items}
    for entity in small_world.entities:
        for fact in ("year", "builder", "load"):
            sentence = word_fact(entity, fact)
            assert sentence is None or sentence in texts


def test_vocabulary_holds_every_word(benchmark_world):
    vocabulary = set(world_vocabulary())
    for item in benchmark_world.items:
        assert _words(item.text, item.title, item.caption) <= vocabulary
    for question in benchmark_world.questions:
        assert _words(question.question, *question.answers) <= vocabulary


def test_picture_accessor(small_world):
    assert small_world.picture("30000003").mode == "RGB"
    asked = next(question for question in small_world.questions if question.images)
    assert small_world.picture(asked.id).size == (96, 96)
    with pytest.raises(KeyError, match="t000000"):
        small_world.picture("t000000")


@pytest.mark.parametrize("modality", ["text", "image", "image_text"])
def test_a_dropped_modality_is_gone_from_items_and_evidence(modality):
    world = make_world(1, 20, knobs=WorldKnobs(dropped_modality=modality))
    ids = {item.id for item in world.items}
    assert modality not in {item.modality.value for item in world.items}
    assert any(question.answerable for question in world.questions)
    for question in world.questions:
        assert {*question.positive_ids, *question.negative_ids} <= ids


def test_knobs_for_the_mix_of_items():
    world = make_world(1, 30, knobs=WorldKnobs(num_facts=0, boat_share=0.5))
    modalities = [item.modality.value for item in world.items]
    assert modalities.count("text") == 0 and modalities.count("image") == 30
    assert 5 < modalities.count("image_text") < 25


@pytest.mark.parametrize(
    "knobs",
    [
        {"unanswerable_share": 1.5},
        {"num_facts": 3},
        {"dropped_modality": "video"},
        {"kind_shares": {"colour": 1.0}},
        {"questions_per_entity": -1},
        {"name_alike_distractors": -1},
    ],
)
def test_knobs_out_of_range_are_refused_by_name(knobs):
    with pytest.raises(ValueError, match=next(iter(knobs))):
        WorldKnobs(**knobs)
