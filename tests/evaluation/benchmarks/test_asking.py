"""Questions of a benchmark put to tiny random models: own candidates, stress tests, questions that cannot be asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from rablip.evaluation.benchmarks.asking import QuestionAsker
from rablip.evaluation.benchmarks.conditions import CONDITIONS, DILUTION, choose_conditions, dilute_candidates
from rablip.knowledge_base import KnowledgeBase
from rablip.processing.images_rablip import load_image
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from tests.answering.tiny_stack import items, make_answerer, picture, png

QUESTIONS = [
    QuestionExample(
        id="q1",
        question="Who built the tower?",
        answers=("Marlow",),
        positive_ids=("t1",),
        negative_ids=("p1", "b2"),
    ),
    QuestionExample(
        id="q2",
        question="What is this?",
        answers=("a mill",),
        positive_ids=("p2", "nowhere"),
        negative_ids=("t3",),
        images=(ImageRef(data=png(picture("green"))),),
    ),
]


def make_asker(
    condition: str = "plain", *, among_own: bool = False, root: Path = Path("."), **options
) -> QuestionAsker:
    answerer = make_answerer(num_hops=1, num_candidates=4)
    return QuestionAsker(answerer, root=root, among_own=among_own, condition=CONDITIONS[condition], **options)


def test_the_plain_condition_is_the_answerer_and_the_retriever_alone() -> None:
    ask = make_asker(depth=6)
    made = ask(QUESTIONS)
    pictures = [None, picture("green")]
    answers = ask.answerer.answer_batch([one.question for one in QUESTIONS], pictures)
    for place, (prediction, answer) in enumerate(zip(made, answers, strict=True)):
        assert prediction.question_id == QUESTIONS[place].id and prediction.text == answer.text
        assert prediction.citations == answer.citations
        assert [one.id for one in prediction.candidates] == [one.id for one in answer.candidates]
        assert [one.id for one in prediction.evidence] == [one.id for one in answer.evidence]
        ranked = ask.answerer.retrieve([QUESTIONS[place].question], [pictures[place]], k=6)[0]
        assert prediction.ranked_ids == [one.id for one in ranked] and len(ranked) == 6
        assert prediction.num_unknown == 0


def test_the_distractor_setting_looks_among_own_candidates() -> None:
    made = make_asker(among_own=True)(QUESTIONS)
    assert {one.id for one in made[0].ranking} == {"t1", "p1", "b2"} == {one.id for one in made[0].candidates}
    assert {one.id for one in made[1].ranking} == {"p2", "t3"}
    assert [one.num_unknown for one in made] == [0, 1], "a candidate that the index does not hold is counted"


def test_diluted_candidates_hold_the_own_ones() -> None:
    made = make_asker("dilute", among_own=True)(QUESTIONS)
    assert {one.id for one in made[0].ranking} == {one.id for one in items()}
    all_ids = [f"i{number}" for number in range(1000)]
    diluted = dilute_candidates("q", ["i3", "i7"], all_ids, seed=0)
    assert diluted[:2] == ["i3", "i7"] and len(set(diluted)) == len(diluted) == 2 + 2 * DILUTION
    assert diluted == dilute_candidates("q", ["i3", "i7"], all_ids, seed=0)
    assert diluted != dilute_candidates("q", ["i3", "i7"], all_ids, seed=1)
    assert diluted != dilute_candidates("other", ["i3", "i7"], all_ids, seed=0)


def test_right_items_are_shown_alone_and_among_the_best_wrong_ones() -> None:
    oracle, distract = make_asker("oracle")(QUESTIONS), make_asker("distract")(QUESTIONS)
    assert [[one.id for one in made.evidence] for made in oracle] == [["t1"], ["p2"]]
    for question, made in zip(QUESTIONS, distract, strict=True):
        shown = {one.id for one in made.evidence}
        wrong = [name for name in made.ranked_ids if name not in question.positive_ids]
        assert shown == set(wrong[:5]) | {question.positive_ids[0]}
    assert {made.evidence[0].id for made in distract} != {"t1", "p2"}, "the right one is not always the first"


def test_a_question_that_cannot_be_asked_says_why(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(png(picture("red"))[:40])
    bad = [
        dataclasses.replace(QUESTIONS[0], id="broken", images=(ImageRef(path="broken.png"),)),
        dataclasses.replace(QUESTIONS[0], id="missing", images=(ImageRef(path="missing.png"),)),
        dataclasses.replace(QUESTIONS[0], id="outside", images=(ImageRef(path="../secret.png"),)),
        dataclasses.replace(QUESTIONS[1], id="many", images=QUESTIONS[1].images * 3),
    ]
    made = make_asker(root=tmp_path)([bad[0], QUESTIONS[0], *bad[1:]])
    assert [one.question_id for one in made] == ["broken", "q1", "missing", "outside", "many"]
    assert made[1].text and not made[1].problem
    for one, word in zip([made[0], *made[2:]], ["broken.png", "missing.png", "secret.png", "3 pictures"], strict=True):
        assert one.text is None and word in one.problem and not one.ranking
    lost = dataclasses.replace(QUESTIONS[0], id="lost", positive_ids=("nowhere",), negative_ids=())
    assert "index" in make_asker("oracle")([lost])[0].problem


def test_an_answerer_without_an_index_is_refused() -> None:
    answerer = make_answerer(without=("index",))
    with pytest.raises(ValueError, match="no index"):
        QuestionAsker(answerer, root=Path("."), among_own=False, condition=CONDITIONS["plain"])


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    """The items, with the pictures of two of them in files."""
    folder = tmp_path_factory.mktemp("base")
    stored = []
    for item in items():
        if item.id in ("p1", "p2"):
            (folder / f"{item.id}.png").write_bytes(item.image.data)
            item = dataclasses.replace(item, image=ImageRef(path=f"{item.id}.png"))
        stored.append(item)
    return KnowledgeBase.write(stored, folder / "table", root=folder, images="reference")[0]


def test_items_without_pictures_and_without_texts(base: KnowledgeBase) -> None:
    stored = {item.id: item for item in items()}
    bare = list(CONDITIONS["drop-image"].change_items(base, 0))
    assert {item.id for item in bare} == set(stored) - {"p3"} and all(item.image is None for item in bare)
    assert all((item.text, item.title) == (stored[item.id].text, stored[item.id].title) for item in bare)
    shown = list(CONDITIONS["drop-text"].change_items(base, 0))
    assert {item.id for item in shown} == {"p1", "p2", "p3", "b1", "b2"}
    assert all((item.text, item.title, item.caption) == (None, None, None) for item in shown)
    for item in shown:
        assert load_image(item.image).getpixel((0, 0)) == load_image(stored[item.id].image).getpixel((0, 0))


def test_every_picture_is_another_ones(base: KnowledgeBase) -> None:
    stored = {item.id: item for item in items()}
    shuffled: dict[str, KnowledgeItem] = {item.id: item for item in CONDITIONS["shuffle-image"].change_items(base, 3)}
    assert list(shuffled) == base.ids
    colors = {name: load_image(item.image).getpixel((0, 0)) for name, item in stored.items() if item.image}
    dealt = {name: load_image(item.image).getpixel((0, 0)) for name, item in shuffled.items() if item.image}
    assert sorted(dealt.values()) == sorted(colors.values()) and all(dealt[name] != colors[name] for name in colors)
    assert all(item.caption == stored[name].caption for name, item in shuffled.items())
    questions = [
        dataclasses.replace(QUESTIONS[1], id=f"q{color}", images=(ImageRef(data=png(picture(color))),))
        for color in ("red", "blue", "white")
    ]
    changed = CONDITIONS["shuffle-image"].change_questions([*questions, QUESTIONS[0]], 3)
    assert changed[-1] == QUESTIONS[0]
    assert all(one.images != other.images for one, other in zip(changed[:3], questions, strict=True))
    assert all(not one.images for one in CONDITIONS["drop-image"].change_questions(questions, 0))


def test_which_conditions_are_asked() -> None:
    assert [one.name for one in choose_conditions([], setting="full")] == ["plain"]
    assert [one.name for one in choose_conditions(["distract", "dilute"], setting="distractor")] == [
        "plain",
        "dilute",
        "oracle",
        "distract",
    ]
    with pytest.raises(ValueError, match="shufle-image.*shuffle-image"):
        choose_conditions(["shufle-image"], setting="full")
    with pytest.raises(ValueError, match="setting distractor"):
        choose_conditions(["dilute"], setting="full")
