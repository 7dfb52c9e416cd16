"""Questions: quotas, balance, uniqueness, and answers that the evidence really holds."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.world import PICTURE_KINDS, QUESTION_KINDS, WorldKnobs, make_world
from rablip.world.lexicon import BOAT_ATTRIBUTES, BUILDING_ATTRIBUTES, FIRST_NAMES, SECOND_NAMES
from rablip.world.questions import divide_quota
from rablip.world.wording import FACT_QUESTIONS

NAME_WORDS = {*FIRST_NAMES, *SECOND_NAMES}


def _of_kind(world, *kinds):
    return [question for question in world.questions if question.metadata["kind"] in kinds]


def _stated(question, kind):
    """Read a visual description back from the words of a question, without the generator's help."""
    text = question.question[question.question.index(f"the {kind} with") :].split(" have ")[0]
    if kind == "boat":
        found = {"hull_color": r"an? (\w+) hull", "sail_mark": _one_of("sail_mark", BOAT_ATTRIBUTES)}
        found |= {"num_sails": r"(one|two|three) (?:\w+ )?sails?", "sail_color": r"(?:an?|one|two|three) (\w+) sails?"}
    else:
        found = {
            "wall_color": r"an? (\w+) wall",
            "num_windows": r"(one|two|three|four) windows?",
            "object": r"an? (\w+) in front",
        }
        found |= {"tree_side": r"a tree on the (\w+)", "wall_mark": _one_of("wall_mark", BUILDING_ATTRIBUTES)}
        colors, shapes = "|".join(BUILDING_ATTRIBUTES["roof_color"]), "|".join(BUILDING_ATTRIBUTES["roof_shape"])
        found |= {"roof_color": rf"an? ({colors}) (?:\w+ )?roof", "roof_shape": rf"an? (?:\w+ )?({shapes}) roof"}
    stated = {name: match[1] for name, pattern in found.items() if (match := re.search(pattern, text))}
    if kind == "building" and (match := re.search(r"at night|by day", text)):
        stated["sky"] = match[0].split()[1]
    return stated


def _one_of(attribute, space):
    return rf"an? ({'|'.join(space[attribute])})\b"


def _description(question):
    match = re.search(r"the (building|boat) with", question.question)
    return match and match[1]


def test_quotas(benchmark_world):
    counts = Counter(question.metadata["kind"] for question in benchmark_world.questions)
    assert set(counts) == set(QUESTION_KINDS)
    assert min(counts.values()) >= 100
    assert 0.095 < counts["unanswerable"] / len(benchmark_world.questions) < 0.105
    assert len(benchmark_world.questions) >= 600
    assert len({question.id for question in benchmark_world.questions}) == len(benchmark_world.questions)


def test_no_question_is_asked_twice(benchmark_world):
    asked = [(question.question, question.images) for question in benchmark_world.questions]
    assert len(set(asked)) == len(asked)


def test_share_of_visual_only_questions(benchmark_world):
    for kind in PICTURE_KINDS:
        questions = _of_kind(benchmark_world, kind)
        share = sum(question.metadata["visual_only"] for question in questions) / len(questions)
        assert share >= 1 / 3, kind
    image = [question for question in benchmark_world.questions if question.metadata["evidence_modality"] == "image"]
    assert sum(question.metadata["visual_only"] for question in image) / len(image) >= 1 / 3


def test_visual_only_questions_hold_no_name(benchmark_world):
    """Nothing to match: not one word of any name, place or builder, so lexical search can only guess."""
    for question in benchmark_world.questions:
        words = set(re.findall(r"\w+", question.question))
        assert question.metadata["visual_only"] == (not words & NAME_WORDS), question.question


def test_yes_no_and_choose_are_exactly_balanced(benchmark_world):
    for kind in ("YesNo", "choose"):
        for visual_only in (True, False):
            questions = [
                question
                for question in _of_kind(benchmark_world, kind)
                if question.metadata["visual_only"] == visual_only
            ]
            first, second = Counter(question.answers[0] for question in questions).values()
            assert first == second


def test_descriptions_fit_one_picture_or_none(benchmark_world):
    numbers = {}
    for number in range(len(benchmark_world.entities)):
        numbers[str(30_000_000 + number)] = numbers[f"b{number:06d}"] = number
    seen = Counter()
    for question in benchmark_world.questions:
        kind = _description(question)
        if not kind:
            continue
        stated = _stated(question, kind)
        assert len(stated) >= 3 and question.metadata["attribute"] not in stated, question.question
        shown = [getattr(entity, kind) for entity in benchmark_world.entities]
        fits = [n for n, look in enumerate(shown) if all(look[name] == value for name, value in stated.items())]
        if question.metadata.get("reason") == "no_such_picture":
            assert fits == []
        elif question.answerable:
            assert fits == [numbers[question.positive_ids[0]]]
        else:
            assert len(fits) == 1
        seen[question.metadata["kind"]] += 1
    assert set(seen) == {*PICTURE_KINDS, "text", "two_hop", "unanswerable"}


def test_answers_are_what_the_positive_items_show_or_say(benchmark_world):
    items = {item.id: item for item in benchmark_world.items}
    entities = {entity.name: entity for entity in benchmark_world.entities}
    for question in benchmark_world.questions:
        if not question.answerable:
            continue
        (answer,) = question.answers
        metadata = question.metadata
        assert question.positive_ids == tuple(item_id for hop in metadata["hops"] for item_id in hop)
        item = items[question.positive_ids[-1]]
        entity = entities[item.title]
        assert item.modality.value == metadata["evidence_modality"]
        assert question.category == metadata["kind"]
        if metadata["attribute"] in (*FACT_QUESTIONS, "place"):
            assert re.search(rf"\b{answer}\b", f"{item.caption} {item.text}")
            assert getattr(entity, metadata["attribute"]) == answer
        else:
            value = {**entity.building, **entity.boat}[metadata["attribute"]]
            says_so = re.search(rf"\b{value}\b", question.question.rpartition(" have ")[2]) is not None
            assert answer == (("no", "yes")[says_so] if metadata["kind"] == "YesNo" else value)
        if not metadata["visual_only"]:
            assert entity.name in question.question


def test_two_hops_go_from_a_picture_to_a_text_of_the_same_entity(benchmark_world):
    items = {item.id: item for item in benchmark_world.items}
    hopping = [question for question in benchmark_world.questions if len(question.metadata["hops"]) == 2]
    assert {question.metadata["kind"] for question in hopping} == {"two_hop", "question_picture"}
    for question in hopping:
        (first,), (second,) = question.metadata["hops"]
        assert items[first].image is not None and items[second].image is None
        assert items[first].title == items[second].title


def test_question_pictures_show_the_entity_in_another_picture(benchmark_world):
    items = {item.id: item for item in benchmark_world.items}
    for question in _of_kind(benchmark_world, "question_picture"):
        (image,) = question.images
        assert image != items[question.positive_ids[0]].image
    assert not [q for q in benchmark_world.questions if q.images and q.metadata["kind"] in PICTURE_KINDS]


def test_unanswerable_questions_have_no_answer(benchmark_world):
    questions = _of_kind(benchmark_world, "unanswerable")
    assert all(question.answers == question.positive_ids == () for question in questions)
    names = {entity.name: entity for entity in benchmark_world.entities}
    reasons = Counter(question.metadata["reason"] for question in questions)
    assert set(reasons) == {"unknown_name", "no_such_picture", "missing_fact", "unknown_picture"}
    assert min(reasons.values()) >= 30
    for question in questions:
        asked = re.search(r"[A-Z]\w+ [A-Z]\w+(?=$| |\?)", question.question.split(" ", 1)[1])
        if question.metadata["reason"] == "unknown_name":
            assert asked and asked[0] not in names
        if question.metadata["reason"] == "missing_fact" and asked:
            assert getattr(names[asked[0]], question.metadata["attribute"]) is None
        if question.metadata["reason"] == "unknown_picture":
            assert question.images and question.metadata["visual_only"]


def test_unanswerable_questions_use_the_forms_of_answerable_ones(benchmark_world):
    def forms(questions):
        return {
            (question.metadata["attribute"], question.question.split()[0], bool(question.images))
            for question in questions
        }

    answerable = [question for question in benchmark_world.questions if question.answerable]
    assert forms(_of_kind(benchmark_world, "unanswerable")) <= forms(answerable)


def test_negatives_are_known_items_and_never_evidence(benchmark_world):
    ids = {item.id for item in benchmark_world.items}
    items = {item.id: item for item in benchmark_world.items}
    for question in benchmark_world.questions:
        assert set(question.negative_ids) <= ids - set(question.positive_ids)
        assert len(set(question.negative_ids)) == len(question.negative_ids) >= 3
    for question in _of_kind(benchmark_world, *PICTURE_KINDS):
        titles = {items[item_id].title for item_id in question.negative_ids}
        modalities = {items[item_id].modality.value for item_id in question.negative_ids}
        assert items[question.positive_ids[0]].title in titles
        assert len(titles) >= 4 and len(modalities) >= 2


def test_value_priors_are_flat(benchmark_world):
    """The majority answer of a kind is close to one over the number of values: no language prior answers."""
    for kind, values in (("color", 8), ("shape", 8), ("Others", 6)):
        counts = Counter(question.answers[0] for question in _of_kind(benchmark_world, kind))
        assert len(counts) == values
        assert max(counts.values()) / counts.total() < 1 / values + 0.08


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**9), count=st.integers(2, 14))
def test_any_seed_gives_a_sound_world(seed, count):
    world = make_world(seed, count)
    again = make_world(seed, count)
    assert world == again
    assert 0 < len(world.questions) <= round(3.0 * count)
    ids = {item.id for item in world.items}
    for question in world.questions:
        assert {*question.positive_ids, *question.negative_ids} <= ids
        assert question.answerable == bool(question.positive_ids)


def test_knobs_change_the_questions():
    knobs = WorldKnobs(kind_shares={"text": 1.0}, unanswerable_share=0.5, questions_per_entity=2.0)
    world = make_world(0, 30, knobs=knobs)
    counts = Counter(question.metadata["kind"] for question in world.questions)
    assert counts == {"text": 30, "unanswerable": 30}
    none_listed = WorldKnobs(
        same_entity_distractors=0, look_alike_distractors=0, name_alike_distractors=0, other_modality_distractors=0
    )
    assert not any(question.negative_ids for question in make_world(0, 10, knobs=none_listed).questions)


@given(
    total=st.integers(0, 500),
    shares=st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 10), min_size=1),
)
def test_quota_is_divided_without_rest(total, shares):
    quota = divide_quota(total, shares)
    assert sum(quota.values()) == total
    whole = sum(shares.values())
    assert all(abs(quota[kind] - total * share / whole) < 1 + 1e-6 for kind, share in shares.items())


def test_no_shares_ask_nothing():
    assert divide_quota(7, {"a": 0.0}) == {"a": 0}


@pytest.mark.slow
def test_a_training_world_of_the_whole_split():
    world = make_world(1, 1500, split="train")
    assert len(world.questions) >= 4400
