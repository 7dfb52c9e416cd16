"""The pre-training split: true descriptions, readable rows, and nothing of a test entity."""

from __future__ import annotations

import re

import pytest

from rablip.world import (
    make_pretraining_split,
    make_reading_rows,
    make_viewing_rows,
    make_world,
    names_of_split,
    world_vocabulary,
)
from rablip.world.entities import attributes_of
from rablip.world.lexicon import BUILDERS, FIRST_NAMES, LOADS, PLACES, SECOND_NAMES, YEARS
from rablip.world.wording import PICTURE_QUESTIONS, phrase_attribute


def test_descriptions_tell_every_attribute_and_nothing_else():
    pictures = make_pretraining_split(0, 40)
    assert {picture.kind for picture in pictures} == {"building", "boat"}
    for picture in pictures:
        for description in picture.descriptions:
            words = set(re.findall(r"\w+", description))
            assert words <= set(world_vocabulary())
            assert set(picture.attributes.values()) <= {word.lower() for word in words}
            assert not words & {*FIRST_NAMES, *SECOND_NAMES, *PLACES, *BUILDERS, *YEARS, *LOADS}


def test_same_seed_same_split_other_seed_other_split():
    assert make_pretraining_split(1, 3) == make_pretraining_split(1, 3)
    assert make_pretraining_split(1, 3) != make_pretraining_split(2, 3)
    assert make_pretraining_split(1, 3) != make_pretraining_split(1, 3, split="test")
    assert make_reading_rows(1, 5) == make_reading_rows(1, 5) != make_reading_rows(2, 5)
    pictures = make_pretraining_split(1, 5)
    assert make_viewing_rows(1, pictures, 5) == make_viewing_rows(1, pictures, 5) != make_viewing_rows(2, pictures, 5)


def test_rows_and_descriptions_hold_no_name_of_another_split():
    forbidden = {*names_of_split("validation"), *names_of_split("test")}
    texts = [text for picture in make_pretraining_split(0, 20) for text in picture.descriptions]
    for row in [*make_reading_rows(0, 400), *make_viewing_rows(0, make_pretraining_split(0, 40), 400)]:
        texts += [row.question, *(f"{item.title} {item.caption} {item.text}" for item in row.items)]
    for text in texts:
        words = re.findall(r"\w+", text)
        assert not forbidden & {f"{one} {two}" for one, two in zip(words, words[1:], strict=False)}


def test_no_question_of_a_world_is_in_the_pretraining_split():
    viewing = make_viewing_rows(0, make_pretraining_split(0, 40), 400)
    asked = {row.question for row in [*make_reading_rows(0, 400), *viewing]}
    for split in ("validation", "test"):
        named = {q.question for q in make_world(0, 30, split=split).questions if not q.metadata["visual_only"]}
        assert not asked & named


def test_a_reading_row_is_answered_by_its_relevant_item_only():
    rows = make_reading_rows(7, 500)
    assert {len(row.items) for row in rows} == {1, 2, 3, 4}
    unanswerable = [row for row in rows if not row.relevant]
    assert 0.1 < len(unanswerable) / len(rows) < 0.2
    markers = {"In what": "founded in", "Who": "built by", "How": "barrels", "In which": " in "}
    for row in rows:
        name = re.search(r"[A-Z]\w+ [A-Z]\w+(?=$| |\?)", row.question.split(" ", 2)[-1])[0]
        marker = next(mark for start, mark in markers.items() if row.question.startswith(start))
        telling = [
            position
            for position, item in enumerate(row.items)
            if item.title == name and marker in f"{item.caption or ''} {item.text or ''}"
        ]
        if marker == " in ":
            telling = [position for position in telling if row.items[position].text is None]
        assert tuple(telling) == row.relevant
        assert bool(row.answer) == bool(row.relevant)
        for position in row.relevant:
            item = row.items[position]
            assert re.search(rf"\b{row.answer}\b", f"{item.caption} {item.text}")


def _shows(attributes, question):
    """Whether a picture with these attributes shows all that a question states with "with ...", "by day", ..."""
    stated = question.partition(" with ")[2]
    for attribute, values in attributes_of("boat" if "hull_color" in attributes else "building").items():
        if question.startswith("Does ") and attribute not in ("sky", "num_sails"):
            continue
        for value in values:
            phrase = phrase_attribute(attribute, value).removeprefix("a ").removeprefix("an ")
            if re.search(rf"\b{phrase}\b", stated) and attributes[attribute] != value:
                return False
    return True


def test_a_viewing_row_asks_about_its_relevant_picture_only():
    pictures = make_pretraining_split(0, 60)
    looks = {picture.id: picture.attributes for picture in pictures}
    rows = make_viewing_rows(3, pictures, 600)
    assert {len(row.items) for row in rows} == {1, 2, 3}
    unanswerable = [row for row in rows if not row.relevant]
    assert 0.05 < len(unanswerable) / len(rows) < 0.15
    attribute_of = {words.partition("{}")[0]: name for name, words in PICTURE_QUESTIONS.items()}
    kinds = set()
    for row in rows:
        assert bool(row.answer) == bool(row.relevant) and len(row.relevant) <= 1
        assert len({item.id for item in row.items}) == len(row.items)
        if not row.relevant:
            continue
        item = row.items[row.relevant[0]]
        named = item.title in row.question
        others = [other for other in row.items if other is not item]
        if named:
            assert not any(other.title == item.title and other.image is not None for other in others)
        elif not row.question.startswith("Does "):
            assert _shows(looks[item.id], row.question)
            assert not any(
                _shows(looks[other.id], row.question)
                for other in others
                if other.image is not None and ("hull_color" in looks[other.id]) == ("hull_color" in looks[item.id])
            )
        if row.answer in ("yes", "no"):
            kinds.add(row.answer)
        else:
            # Two attributes may begin alike ("What color is the ...", asked of the wall or the roof).
            starts = [name for start, name in attribute_of.items() if row.question.startswith(start)]
            assert row.answer in {looks[item.id].get(name) for name in starts}
            kinds.update(starts)
    assert kinds == {"yes", "no", *PICTURE_QUESTIONS}


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="num_pictures must not be negative, got -1"):
        make_pretraining_split(0, -1)
    with pytest.raises(ValueError, match="num_rows"):
        make_reading_rows(0, -1)
    with pytest.raises(ValueError, match="num_rows must not be negative, got -1"):
        make_viewing_rows(0, make_pretraining_split(0, 4), -1)
    with pytest.raises(ValueError, match="up to 3 pictures, got only 3"):
        make_viewing_rows(0, make_pretraining_split(0, 3), 1)
    with pytest.raises(ValueError, match="no split 'dev'"):
        make_pretraining_split(0, 1, split="dev")
