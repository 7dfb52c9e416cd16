"""Mined labels: what turns wrong into right is relevant, whatever the questions' own positives say."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rablip import KnowledgeItem, QuestionExample
from rablip.training import (
    MinedLabels,
    TrainingPool,
    apply_labels,
    find_distractors,
    make_generator_row,
    mine_candidates,
    mine_labels,
    retrieve_followups,
)
from rablip.training import same_answer as is_same
from rablip.training.data import label_mining
from rablip.training.data.distractors import NoiseMix
from tests.processing.tiny_tokenizers import make_processor, make_retriever_processor
from tests.tiny import make_generator, make_retriever
from tests.training.tiny_pool import make_pool as make_trained_on

FACTS = {
    "a": "built by Marlow",
    "b": "built by Hollis",
    "c": "roof is red",
    "d": "mill is Kestrel",
    "e": "Kestrel: 1743",
}


def make_pool() -> TrainingPool:
    items = {key: KnowledgeItem(id=key, title=key, text=text) for key, text in FACTS.items()}
    examples = [
        QuestionExample(id="one", question="Who built it?", answers=("Marlow",)),
        QuestionExample(id="two", question="When was Kestrel founded?", answers=("1743",)),
        QuestionExample(id="known", question="What color is it?", answers=("red",)),
        QuestionExample(id="never", question="How many?", answers=("nine",)),
        QuestionExample(id="none", question="Is there any?"),
    ]
    mined = {(example.id, 0): list("abcde") for example in examples}
    return TrainingPool(items=items, examples=examples, mined=mined)


def oracle(_model: Any, _processor: Any, _pool: Any, examples: Any, evidence: Any, **_: Any) -> list[str]:
    """Answers as a perfect reader would: "two" needs both of its facts, "known" none."""
    said = []
    for example, items in zip(examples, evidence, strict=True):
        shown = {item.id for item in items}
        right = {
            "one": "a" in shown,
            "two": {"d", "e"} <= shown,
            "known": "b" not in shown,
            "never": False,
        }[example.id]
        said.append(example.answers[0].upper() + "." if right else "no idea")
    return said


@pytest.fixture
def labels(monkeypatch: pytest.MonkeyPatch) -> MinedLabels:
    monkeypatch.setattr(label_mining, "generate_texts", oracle)
    model = make_generator("t5")
    found = mine_labels(model, make_processor("t5"), make_pool(), num_candidates=5, batch_size=3, progress=False)
    assert not model.training
    return found


def test_what_turns_wrong_into_right_is_relevant(labels: MinedLabels) -> None:
    assert labels.relevant == labels.needed == {"one": ("a",), "two": ("d", "e")}
    assert set(labels.irrelevant["one"]) == set("bcde") and set(labels.irrelevant["never"]) == set("abcde")
    assert labels.known == {"known"}


def test_no_search_that_needs_a_label_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second search of a pool asks with the title of the right picture: its results would tell the label."""
    monkeypatch.setattr(label_mining, "generate_texts", oracle)
    pool = make_pool()
    for example in pool.examples:
        pool.mined[example.id, 0] = ["b", "c"]
        pool.mined[example.id, 1] = ["a", "d", "e"]
    found = mine_labels(make_generator("t5"), make_processor("t5"), pool, progress=False)
    assert found.relevant == {}
    followups = {"one": ["c", "a"], "two": ["d", "e"]}
    found = mine_labels(make_generator("t5"), make_processor("t5"), pool, followups=followups, progress=False)
    assert found.relevant == {"one": ("a",), "two": ("d", "e")}


def test_followups_ask_with_the_best_picture_that_was_found() -> None:
    pool, retriever = make_trained_on(), make_retriever()
    processor = make_retriever_processor(max_images=3)
    mine_candidates(retriever, processor, pool)
    found = retrieve_followups(retriever, processor, pool, k=4)
    assert found and all(len(ids) == 4 for ids in found.values())
    for example in pool.examples:
        best = next((pool.items[item] for item in pool.mined[example.id, 0] if pool.has_picture(item)), None)
        asks_again = best is not None and best.title.casefold() not in example.question.casefold()
        assert (example.id in found) == asks_again
    blind = dataclasses.replace(
        pool, examples=[dataclasses.replace(one, positive_ids=(), metadata={}) for one in pool.examples]
    )
    assert retrieve_followups(retriever, processor, blind, k=4) == found


def test_a_relevant_item_is_no_distractor(labels: MinedLabels) -> None:
    pool = make_pool()
    pool.distractors = {example.id: {"retrieved": list("abcde")} for example in pool.examples}
    assert apply_labels(pool, labels).distractors == {}


def test_items_that_are_as_good_are_no_more_to_show_and_never_wrong() -> None:
    """Eight items that each give the answer: a row has room for one of them, and none of the others is noise."""
    pool, retriever, processor = make_trained_on(), make_retriever(), make_retriever_processor(max_images=3)
    example = next(example for example in pool.examples if example.answerable)
    good = tuple(pool.item_ids[:8])
    labels = MinedLabels(relevant={example.id: good}, needed={example.id: good[2:3]}, irrelevant={}, known=frozenset())
    labelled = apply_labels(dataclasses.replace(pool, examples=[example]), labels)
    mine_candidates(retriever, processor, labelled, k=30)
    find_distractors(retriever, processor, labelled, k=30)
    for seed in range(30):
        row = make_generator_row(
            labelled,
            labelled.examples[0],
            np.random.default_rng(seed),
            max_candidates=4,
            max_pictures=3,
            noise=NoiseMix(3) if seed % 2 else None,
        )
        shown = {item.id: value for item, value in zip(row.candidates, row.relevance, strict=True)}
        assert set(shown) & set(good) <= {good[2]} and all(shown[item] == 1.0 for item in set(shown) & set(good))


def test_labels_take_the_place_of_positives(labels: MinedLabels) -> None:
    pool = apply_labels(make_pool(), labels)
    assert [example.id for example in pool.examples] == ["one", "two", "none"]
    assert pool.examples[1].positive_ids == ("d", "e") and pool.examples[1].hops == [["d", "e"]]
    assert set(pool.examples[0].negative_ids) == set("bcde")
    row = make_generator_row(pool, pool.examples[1], np.random.default_rng(1), max_candidates=4, max_pictures=2)
    assert {item.id for item, value in zip(row.candidates, row.relevance, strict=True) if value} <= {"d", "e"}
    assert NoiseMix().weights


def test_precision_and_recall_against_gold_labels(labels: MinedLabels) -> None:
    gold = make_pool()
    gold.examples = [
        QuestionExample(id="one", question="?", answers=("x",), positive_ids=("a", "b")),
        QuestionExample(id="two", question="?", answers=("x",), positive_ids=("e",)),
    ]
    assert labels.measure(gold) == {"precision": 2 / 3, "recall": 2 / 3, "num_labelled_questions": 2.0}


def test_a_real_generator_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every candidate alone, pairs where none helps, and nothing of the questions' positives."""
    processor = make_processor("t5")
    model = make_generator("t5", image_token_index=processor.image_token_id)
    found = mine_labels(model, processor, make_pool(), num_candidates=3, max_new_tokens=2, progress=False)
    assert found.relevant == {} and set(found.irrelevant) == {"one", "two", "known", "never"}
    pool = make_pool()
    pool.mined.clear()
    with pytest.raises(ValueError, match="mine_candidates"):
        mine_labels(model, processor, pool)


def test_answers_are_compared_as_words() -> None:
    example = QuestionExample(id="q", question="?", answers=("Old Mill", "1743"))
    assert is_same(" old  mill.", example) and is_same("1743", example)
    assert not is_same("174", example) and not is_same("", example)
