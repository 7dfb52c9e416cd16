"""Scoring of rankings and answers on a hand-made set of questions, every figure worked out by hand."""

from __future__ import annotations

import pytest

from rablip.evaluation.two_hops import rank_in_hops, second_question
from rablip.evaluation.world_scoring import (
    Outcome,
    abstain_figures,
    accuracy_figures,
    citation_figures,
    gold_pairs,
    recall_figures,
)
from rablip.metrics import wilson_interval
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample

PICTURE = ImageRef(path="p.png")
ITEMS = {
    item.id: item
    for item in [
        KnowledgeItem(id="pic", image=PICTURE, title="Velmor Tarn", caption="Velmor Tarn in Kestrel"),
        KnowledgeItem(id="pic2", image=PICTURE, title="Dorn Hale", caption="Dorn Hale in Bree"),
        KnowledgeItem(id="boat", image=PICTURE, title="Velmor Tarn", text="It carries 340 barrels."),
        KnowledgeItem(id="year", title="Velmor Tarn", text="Velmor Tarn was founded in 1743."),
        KnowledgeItem(id="who", title="Dorn Hale", text="Dorn Hale was built by Marlow."),
    ]
}


def _question(name, answers, hops, kind, modality, *, visual_only=False, images=(), attribute=None):
    return QuestionExample(
        id=name,
        question=f"Question {name}?",
        answers=answers,
        positive_ids=[gold for hop in hops for gold in hop],
        images=images,
        metadata={
            "kind": kind,
            "hops": hops,
            "evidence_modality": modality,
            "visual_only": visual_only,
            "attribute": attribute,
        },
    )


QUESTIONS = [
    _question("named", ["red"], [["pic"]], "color", "image", attribute="roof"),
    _question("seen", ["red"], [["pic2"]], "color", "image", visual_only=True, attribute="wall"),
    _question("year", ["1743"], [["year"]], "text", "text", attribute="year"),
    _question("barrels", ["340"], [["boat"]], "text", "image_text", visual_only=True, attribute="barrels"),
    _question("two", ["Marlow"], [["pic2"], ["who"]], "two_hop", "text", visual_only=True, attribute="builder"),
    _question("asked", ["Kestrel"], [["pic"]], "question_picture", "image", images=[PICTURE], attribute="place"),
    _question("none", [], [], "unanswerable", "image", attribute="roof"),
]


def test_gold_pairs():
    pairs = gold_pairs(QUESTIONS, ITEMS)
    assert [(pair.question, pair.gold_id, pair.hop, pair.modality, pair.visual_only) for pair in pairs] == [
        (0, "pic", 0, "image", False),
        (1, "pic2", 0, "image", True),
        (2, "year", 0, "text", False),
        (3, "boat", 0, "image_text", True),
        (4, "pic2", 0, "image", True),
        (4, "who", 1, "text", False),  # found by name in the second search
        (5, "pic", 0, "image", True),  # a question picture names nothing
    ]
    with pytest.raises(ValueError, match="'gone' of question 'q'"):
        gold_pairs([QuestionExample(id="q", question="?", answers=["x"], positive_ids=["gone"])], ITEMS)


def test_recall_figures():
    rankings = [
        [["year", "pic"]],
        [["pic", "year"]],
        [["year"]],
        [["boat"]],
        [["pic2", "year"], ["who"]],
        [["year", "boat", "who", "pic2", "x", "pic"]],  # sixth is too late
        [["pic"]],
    ]
    figures = recall_figures(gold_pairs(QUESTIONS, ITEMS), rankings)

    def counts(figure):
        return None if figure["value"] is None else round(figure["value"] * figure["n"]), figure["n"]

    assert counts(figures["overall"]) == (5, 7)
    assert counts(figures["image"]) == (2, 4)
    assert counts(figures["text"]) == (2, 2)
    assert counts(figures["image_text"]) == (1, 1)
    assert counts(figures["visual_only"]) == (2, 4)
    assert counts(figures["by_kind"]["two_hop"]) == (2, 2)
    assert figures["overall"]["interval"] == pytest.approx(wilson_interval(5, 7), abs=1e-6)
    assert recall_figures([], [])["overall"] == {"value": None, "n": 0, "interval": [0.0, 1.0]}


def test_a_two_hop_question_without_a_second_ranking_is_judged_by_its_first():
    pairs = gold_pairs([QUESTIONS[4]], ITEMS)
    assert recall_figures(pairs, [[["pic2", "who"]]])["overall"]["value"] == 1.0
    assert recall_figures(pairs, [[["pic2"], []]])["overall"]["value"] == 0.5


def test_accuracy_counts_an_abstention_as_wrong_and_puts_chance_beside():
    answerable = QUESTIONS[:6]
    figures = accuracy_figures(answerable, ["Red.", "blue", None, "340", "Marlow", "Bree"])
    assert (figures["overall"]["value"], figures["overall"]["n"]) == (0.5, 6)
    color = figures["by_kind"]["color"]
    assert (color["value"], color["n"], color["majority"], color["majority_by_attribute"]) == (0.5, 2, 1.0, 1.0)
    assert figures["by_kind"]["text"]["majority"] == 0.5
    assert figures["by_kind"]["text"]["majority_by_attribute"] == 1.0
    assert figures["by_modality"]["text"]["n"] == 2
    assert figures["visual_only"]["n"] == 4
    # 2 colors + 1 of 2 texts + 1 + 1, of 6
    assert figures["overall"]["majority"] == pytest.approx(5 / 6, abs=1e-6)
    with pytest.raises(ValueError, match="'none' has no answer"):
        accuracy_figures(QUESTIONS, ["x"] * 7)
    with pytest.raises(ValueError, match="1 answers"):
        accuracy_figures(answerable, ["x"])


def test_abstain_figures():
    outcomes = [Outcome(text="red"), Outcome(text=None), *[Outcome(text="x")] * 4, Outcome(text=None)]
    figures = abstain_figures(QUESTIONS, outcomes)
    assert figures["f1"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert (figures["precision"]["value"], figures["precision"]["n"]) == (0.5, 2)
    assert (figures["recall"]["value"], figures["recall"]["n"]) == (1.0, 1)
    assert figures["f1"]["n"] == 7
    never = abstain_figures(QUESTIONS, [Outcome(text="x")] * 7)
    assert never["f1"]["value"] == 0.0
    assert never["precision"] == {"value": None, "n": 0, "interval": [0.0, 1.0]}


def test_citation_figures_count_answered_questions_only():
    outcomes = [
        Outcome(text="red", citations=("pic",), num_evidence=2, disagreements=1),
        Outcome(text="red", citations=("pic2", "year"), num_evidence=3, disagreements=0),
        Outcome(text=None),  # withheld: cites nothing and does not count
        Outcome(text="340"),
        Outcome(text="Marlow", citations=("who",), num_evidence=1),
        Outcome(text="Kestrel", citations=("pic",)),
        Outcome(text="red", citations=("pic",)),  # nothing is right for a question that cannot be answered
    ]
    figures = citation_figures(QUESTIONS, outcomes)
    assert (figures["precision"]["value"], figures["precision"]["n"]) == (pytest.approx(4 / 6, abs=1e-6), 6)
    assert (figures["recall"]["value"], figures["recall"]["n"]) == (pytest.approx(4 / 6, abs=1e-6), 6)
    assert (figures["reference_disagreement"]["value"], figures["reference_disagreement"]["n"]) == (0.2, 5)


def test_second_question_uses_the_first_picture_found():
    assert second_question("Who?", ["year", "pic2", "pic"], ITEMS) == "Who? | Dorn Hale"
    assert second_question("Who built dorn  HALE?", ["pic2", "pic"], ITEMS) is None
    assert second_question("Who?", ["year", "who"], ITEMS) is None
    untitled = {"x": KnowledgeItem(id="x", image=PICTURE)}
    assert second_question("Who?", ["x"], untitled) is None


def test_rank_in_hops_asks_again_only_where_two_hops_are_needed():
    asked = []

    def search(questions, places):
        asked.append((list(questions), list(places)))
        return [["year", "pic2"] if place == 4 else ["year"] for place in places]

    def search_again(questions, places):
        asked.append((list(questions), list(places)))
        return [["who"] for _ in places]

    rankings = rank_in_hops(QUESTIONS, ITEMS, search, search_again)
    assert [len(row) for row in rankings] == [1, 1, 1, 1, 2, 1, 1]
    assert rankings[4] == [["year", "pic2"], ["who"]]
    assert asked[1] == (["Question two? | Dorn Hale"], [4])

    nothing = rank_in_hops(QUESTIONS, ITEMS, lambda questions, places: [["year"] for _ in places])
    assert nothing[4] == [["year"], ["year"]]
