"""The baselines and controls on a real world: what words alone can find, and what guessing reaches."""

from __future__ import annotations

import pytest

from rablip.evaluation.baselines import Bm25Ranker, RandomRanker, TfidfRanker
from rablip.evaluation.controls import shuffle_pictures, shuffle_question_pictures
from rablip.evaluation.two_hops import rank_in_hops
from rablip.evaluation.world_evaluation import _changed_knobs
from rablip.evaluation.world_scoring import accuracy_figures, gold_pairs, recall_figures
from rablip.world import WorldKnobs, make_world


@pytest.fixture(scope="module", params=[(11, 80), pytest.param((987, 600), marks=pytest.mark.full)])
def world(request):
    return make_world(*request.param)


def _recall(world, ranker):
    items = {item.id: item for item in world.items}
    rankings = rank_in_hops(world.questions, items, lambda questions, places: ranker.rank(questions, 10))
    return recall_figures(gold_pairs(world.questions, items), rankings)


@pytest.mark.parametrize("ranker_class", [Bm25Ranker, TfidfRanker])
def test_words_find_what_is_named_and_not_what_is_only_seen(world, ranker_class):
    recall = _recall(world, ranker_class(world.items))
    assert recall["visual_only"]["n"] > 50
    assert recall["visual_only"]["value"] <= 0.3
    assert recall["text"]["value"] > 0.3
    named = [question for question in world.questions if question.metadata["kind"] == "text"]
    named = [question for question in named if not question.metadata["visual_only"]]
    items = {item.id: item for item in world.items}
    rankings = [[ranking] for ranking in ranker_class(world.items).rank([one.question for one in named], 5)]
    assert recall_figures(gold_pairs(named, items), rankings)["overall"]["value"] > 0.9


def test_random_finds_five_of_all(world):
    recall = _recall(world, RandomRanker([item.id for item in world.items]))
    assert recall["overall"]["interval"][0] <= 5 / len(world.items) <= recall["overall"]["interval"][1] + 0.01


def test_majority_answers_are_what_guessing_reaches(world):
    answerable = [question for question in world.questions if question.answerable]
    kinds = accuracy_figures(answerable, [None] * len(answerable))["by_kind"]
    assert all(figure["value"] == 0.0 for figure in kinds.values())
    assert kinds["YesNo"]["majority"] == pytest.approx(0.5, abs=0.03)
    assert kinds["choose"]["majority"] == pytest.approx(0.5, abs=0.03)
    assert kinds["two_hop"]["majority"] < 0.2 and kinds["text"]["majority"] < 0.2
    yes = ["yes" if question.metadata["kind"] == "YesNo" else None for question in answerable]
    assert accuracy_figures(answerable, yes)["by_kind"]["YesNo"]["value"] <= kinds["YesNo"]["majority"]


def test_every_picture_of_a_world_can_change_places(world):
    shuffled = shuffle_pictures(world.items, seed=101)
    moved = [new.image != old.image for new, old in zip(shuffled, world.items, strict=True) if old.image is not None]
    assert moved and all(moved)
    asking = [question for question in world.questions if question.images and question.answerable]
    dealt = shuffle_question_pictures(world.questions, seed=303)
    assert sum(images is not None for images in dealt) == len(asking)
    own: dict[str, set[bytes]] = {}
    for question in asking:
        own.setdefault(question.positive_ids[0], set()).add(question.images[0].data)
    for question, images in zip(world.questions, dealt, strict=True):
        assert images is None or images[0].data not in own[question.positive_ids[0]]


def test_a_world_with_other_knobs_is_not_the_benchmark():
    assert _changed_knobs(make_world(0, 4)) == {}
    assert _changed_knobs(make_world(0, 4, knobs=WorldKnobs(num_facts=1))) == {"num_facts": 1}
