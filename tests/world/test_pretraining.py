"""The pre-training split: true descriptions, readable rows, and nothing of a test entity."""

from __future__ import annotations

import re

import pytest

from rablip.world import (
    make_look_rows,
    make_pretraining_split,
    make_reading_rows,
    make_replaced_rows,
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
    pictures = make_pretraining_split(1, 40)
    assert make_look_rows(1, pictures, 5) == make_look_rows(1, pictures, 5) != make_look_rows(2, pictures, 5)
    assert make_replaced_rows(1, pictures, 5) == make_replaced_rows(1, pictures, 5)
    assert make_replaced_rows(1, pictures, 5) != make_replaced_rows(2, pictures, 5)


def test_rows_and_descriptions_hold_no_name_of_another_split():
    forbidden = {*names_of_split("validation"), *names_of_split("test")}
    pictures = make_pretraining_split(0, 40)
    texts = [text for picture in pictures for text in picture.descriptions]
    viewing, looks = make_viewing_rows(0, pictures, 400), make_look_rows(0, pictures, 400)
    for row in [*make_reading_rows(0, 400), *viewing, *looks]:
        texts += [row.question, *(f"{item.title} {item.caption} {item.text}" for item in row.items)]
    texts += [" ".join(row.words) for row in make_replaced_rows(0, pictures, 400)]
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
    numbers_of_questions = set()
    for row in rows:
        questions = re.findall(r"[^?]+\?", row.question)
        numbers_of_questions.add(len(questions))
        answers, relevant = row.answer.split() or [""], set()
        assert len(answers) == len(questions)
        for question, answer in zip(questions, answers, strict=True):
            name = re.search(r"(?<=[a-z] )[A-Z]\w+ [A-Z]\w+", question)[0]
            marker = next(mark for start, mark in markers.items() if question.strip().startswith(start))
            telling = {
                position
                for position, item in enumerate(row.items)
                if item.title == name and marker in f"{item.caption or ''} {item.text or ''}"
            }
            if marker == " in ":
                telling = {position for position in telling if row.items[position].text is None}
            assert len(telling) == bool(answer)
            for position in telling:
                item = row.items[position]
                assert re.search(rf"\b{answer}\b", f"{item.caption} {item.text}")
            relevant |= telling
        assert row.relevant == tuple(sorted(relevant))
    assert numbers_of_questions == {1, 2, 3, 4}


def _phrases(attributes):
    """What a picture shows, or might show, in words without an article: whether it does, by phrase and attribute."""
    values_of = attributes_of(_kind(attributes))
    return {
        (name, phrase_attribute(name, value).removeprefix("a ").removeprefix("an ")): attributes[name] == value
        for name, values in values_of.items()
        for value in values
    }


def _kind(attributes):
    return "boat" if "hull_color" in attributes else "building"


def _checks(attributes, question):
    """What a question for yes or no asks, one by one, and whether the picture shows it."""
    asked = question.removesuffix("?").rpartition(" have ")[2]
    shown = {phrase: shows for (_, phrase), shows in _phrases(attributes).items()}
    return [shown[part.removeprefix("a ").removeprefix("an ")] for part in re.split(", | and ", asked)]


def _stated(attributes, question):
    """Attribute -> whether the picture shows what the question's description states of it."""
    described = re.split(" with |(?<=building) (?=at night|by day)", question)[1]
    described = described.rpartition(" have ")[0] if question.startswith("Does ") else described
    stated = {}
    for (name, phrase), shows in _phrases(attributes).items():
        # A color and a shape, or a color and a number, stand in one phrase: "a red flat roof", "two red sails".
        part = phrase.rpartition(" ")
        loose = (
            rf"{part[0]}( \w+)? {part[2].rstrip('s')}" if name in ("roof_color", "num_sails", "sail_color") else phrase
        )
        if re.search(rf"\b{loose}", described):
            stated[name] = stated.get(name, False) or shows
    return stated


def test_a_viewing_row_asks_about_its_relevant_picture_only():
    pictures = make_pretraining_split(0, 60)
    looks = {picture.id: picture.attributes for picture in pictures}
    rows = make_viewing_rows(3, pictures, 600)
    assert {len(row.items) for row in rows} == {1, 2, 3}
    unanswerable = [row for row in rows if not row.relevant]
    assert 0.05 < len(unanswerable) / len(rows) < 0.15
    attribute_of = {words.partition("{}")[0]: name for name, words in PICTURE_QUESTIONS.items()}
    kinds, numbers_of_questions = set(), set()
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
        else:
            assert all(_stated(looks[item.id], row.question).values())
            assert not any(
                all(_stated(looks[other.id], row.question).values())
                for other in others
                if other.image is not None and ("hull_color" in looks[other.id]) == ("hull_color" in looks[item.id])
            )
        if row.question.startswith("Does "):
            [check] = _checks(looks[item.id], row.question)
            assert row.answer == ("yes" if check else "no")
            kinds.add(row.answer)
        else:
            questions = re.findall(r"[^?]+\?", row.question)
            numbers_of_questions.add(len(questions))
            for question, answer in zip(questions, row.answer.split(), strict=True):
                # Two attributes may begin alike ("What color is the ...", asked of the wall or the roof).
                starts = [name for start, name in attribute_of.items() if question.strip().startswith(start)]
                assert answer in {looks[item.id].get(name) for name in starts}
                kinds.update(starts)
    assert kinds == {"yes", "no", *PICTURE_QUESTIONS}
    assert numbers_of_questions == {1, 2, 3, 4}


# The attributes that two parts of a thing have in common, which look-alikes have exchanged.
OTHER_PART = {
    "wall_color": "roof_color",
    "roof_color": "wall_color",
    "hull_color": "sail_color",
    "sail_color": "hull_color",
}


def test_a_look_row_describes_one_of_several_that_look_almost_the_same():
    pictures = make_pretraining_split(0, 3000)
    looks = {picture.id: picture.attributes for picture in pictures}
    rows = make_look_rows(5, pictures, 400)
    assert {len(row.items) for row in rows} == {2, 3, 4}
    assert 0.1 < sum(not row.relevant for row in rows) / len(rows) < 0.2
    num_missed = []
    num_others = num_almost_the_same = 0
    for row in rows:
        assert len({item.id for item in row.items}) == len(row.items) and (row.relevant or not row.answer)
        asked = looks[row.items[row.relevant[0]].id] if row.relevant else None
        by_text = row.question.startswith(("In what year", "Who built"))
        assert bool(row.answer) == (bool(row.relevant) and not by_text)
        for place, item in enumerate(row.items):
            # Names would tell what the description has to tell.
            assert item.image is not None and item.title not in row.question
            stated = _stated(looks[item.id], row.question)
            assert all(stated.values()) == (place in row.relevant)
            missed = [name for name, shows in stated.items() if not shows]
            num_missed.append(len(missed))
            if asked and missed:
                # One thing told of the asked picture is missing, or its two colors are on each other's part.
                on_other_part = [
                    asked[name] == looks[item.id][OTHER_PART[name]] for name in missed if name in OTHER_PART
                ]
                num_others += 1
                num_almost_the_same += len(missed) == 1 or (len(missed) == 2 and on_other_part == [True, True])
        for place in row.relevant:
            item = row.items[place]
            if row.question.startswith("Does "):
                assert [row.answer] == ["yes" if check else "no" for check in _checks(looks[item.id], row.question)]
            else:
                assert row.answer in {*looks[item.id].values(), *re.findall("[0-9]+", item.text or ""), ""}
    assert num_almost_the_same > 0.9 * num_others
    assert num_missed.count(1) > 0.8 * sum(count > 0 for count in num_missed)
    assert num_missed.count(1) + num_missed.count(2) > 0.95 * sum(count > 0 for count in num_missed)


def test_look_rows_show_colors_on_the_wrong_parts():
    pictures = make_pretraining_split(0, 3000)
    looks = {picture.id: picture.attributes for picture in pictures}
    num_colored = num_misplaced = 0
    for row in make_look_rows(5, pictures, 400):
        asked = looks[row.items[row.relevant[0]].id] if row.relevant else None
        colors = [name for name in OTHER_PART if asked and name in _stated(asked, row.question)]
        num_colored += bool(colors)
        others = [looks[item.id] for place, item in enumerate(row.items) if place not in row.relevant]
        num_misplaced += bool(colors) and any(
            all(other[OTHER_PART[name]] == asked[name] != other[name] for name in colors) for other in others
        )
    # Not in every row: not all pictures have such another, and a row shall not always be told apart by its colors.
    assert num_colored > 200 and num_misplaced > 0.5 * num_colored


@pytest.mark.parametrize("seed", range(4))
def test_look_rows_of_few_pictures_have_fewer_items_and_stay_true(seed):
    pictures = make_pretraining_split(seed, 24)
    looks = {picture.id: picture.attributes for picture in pictures}
    for row in make_look_rows(seed, pictures, 100):
        fits = [place for place, item in enumerate(row.items) if all(_stated(looks[item.id], row.question).values())]
        assert tuple(fits) == row.relevant


def test_a_replaced_row_knows_which_of_its_words_are_wrong():
    pictures = make_pretraining_split(0, 60)
    looks = {picture.id: picture.attributes for picture in pictures}
    rows = make_replaced_rows(4, pictures, 800)
    shares, forms, numbers_of_values = [], set(), set()
    for row in rows:
        text, attributes = " ".join(row.words), looks[row.picture_id]
        told = {place: wrong for place, wrong in enumerate(row.replaced) if wrong is not None}
        values = [row.words[place].strip(",?") for place in told]
        assert set(values) <= {value for every in attributes_of(_kind(attributes)).values() for value in every}
        # As many right ones as the text states: found here by its phrases, there by the words that were put in.
        if text.startswith("Does "):
            assert [not wrong for wrong in told.values()] == _checks(attributes, text)
            forms.add("yes or no")
        else:
            stated = _stated(attributes, text)
            assert len(stated) == len(told)
            assert sum(stated.values()) == sum(not wrong for wrong in told.values())
            forms.add(text.split(" the b")[0])
        shares += told.values()
        numbers_of_values.add(len(told))
    assert 0.35 < sum(shares) / len(shares) < 0.45
    assert forms == {"yes or no", "Who built", "In what year was", "How many barrels does"}
    assert numbers_of_values == set(range(2, 9))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="num_pictures must not be negative, got -1"):
        make_pretraining_split(0, -1)
    with pytest.raises(ValueError, match="num_rows"):
        make_reading_rows(0, -1)
    with pytest.raises(ValueError, match="num_rows must not be negative, got -1"):
        make_viewing_rows(0, make_pretraining_split(0, 4), -1)
    with pytest.raises(ValueError, match="up to 3 pictures, got only 3"):
        make_viewing_rows(0, make_pretraining_split(0, 3), 1)
    with pytest.raises(ValueError, match="num_rows must not be negative, got -1"):
        make_look_rows(0, make_pretraining_split(0, 24), -1)
    with pytest.raises(ValueError, match="num_rows must not be negative, got -1"):
        make_replaced_rows(0, make_pretraining_split(0, 4), -1)
    with pytest.raises(ValueError, match="no pictures to ask about"):
        make_replaced_rows(0, [], 1)
    with pytest.raises(ValueError, match="up to 4 pictures of a building, got only 3"):
        make_look_rows(0, make_pretraining_split(0, 4), 1)
    with pytest.raises(ValueError, match="no split 'dev'"):
        make_pretraining_split(0, 1, split="dev")
