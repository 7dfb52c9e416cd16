"""MultimodalQA's figures worked out by hand, and the real gold answers against themselves."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.multimodalqa import SINGLE_HOP_TYPES, MultimodalQAReference, score_multimodalqa
from rablip.metrics.multimodalqa_answers import (
    multimodalqa_exact_match,
    multimodalqa_f1,
    normalize_multimodalqa_answer,
)

PIECES = st.sampled_from(
    ["the", "two", "1,000", "-5", "Harbor", "F.C.", "nan", "point", "a", "2.50", "?", "twenty-one", "½", "–"]
)
ANSWERS = st.lists(PIECES, min_size=1, max_size=4).map(" ".join)
LISTS = st.lists(ANSWERS, min_size=1, max_size=4)


# Trap 4 of the benchmark facts; the right column is what the official evaluation prints.
@pytest.mark.parametrize(
    ("answer", "normalized"),
    [
        ("two", "2.0"),
        ("1,000", "1000.0"),
        ("$1,000", "1000.0"),
        ("5%", "5.0"),
        ("-5", "5.0"),  # the hyphen splits, the sign is gone
        ("2.5", "2.5"),
        (".5", "0.5"),
        ("2.5.", "25.0"),  # no number as it stands, so both dots go
        ("2.5,", "25.0"),
        ("1e3", "1000.0"),
        ("1_000", "1000.0"),
        ("nan", "nan"),
        ("infinity", "inf"),
        ("point", "0.0"),
        ("twenty-one", "20.0 1.0"),
        ("one hundred", "1.0 100.0"),
        ("Hundreds", "hundreds"),
        ("first", "first"),
        ("1912–1913", "1912–1913"),  # an en dash is no punctuation here
        ("Café", "café"),
        ("the A.B. an-tenna", "ab tenna"),
        ("a.", ""),  # an article once its dot is gone
        ("The", ""),
        ("  Harbor   FC ", "harbor fc"),
        ("2 GB\n3 GB", "2.0 gb 3 gb"),  # one piece between blanks: "GB\n3" is neither a number nor a number word
        ("twenty\tone", "21.0"),  # a tab does not split, so word2number reads both words
        ("million\tfive", "million five"),  # no number: the official evaluation fails here
        ("300.0", "300.0"),
        ("²", "²"),
    ],
)
def test_normalization(answer, normalized):
    assert normalize_multimodalqa_answer(answer) == normalized


def test_exact_match_compares_sets_of_equal_length():
    assert multimodalqa_exact_match(["B", "a C"], ["c", "b"]) == 1.0
    assert multimodalqa_exact_match("2", ["two"]) == 1.0
    assert multimodalqa_exact_match(["c"], ["c", "c"]) == 0.0  # the lists differ in length
    assert multimodalqa_exact_match(["b", "b", "c"], ["b", "c", "c"]) == 1.0  # the sets and lengths are equal
    assert multimodalqa_exact_match([], ["c"]) == 0.0
    assert multimodalqa_exact_match("the", ["a"]) == 1.0  # nothing is left of either


@pytest.mark.parametrize(
    ("prediction", "answers", "f1"),
    [
        ("red lighthouse", ["lighthouse"], 0.67),  # P 1/2, R 1: 2/3
        ("red red lighthouse", ["red lighthouse"], 1.0),  # repeated words vanish
        ("1912 cup", ["1913 cup"], 0.0),  # the gold number is missed
        ("cup", ["1913 cup"], 0.0),
        ("1912 cup", ["cup"], 0.67),  # only numbers of the gold answer are asked for
        ("1913", ["1913 cup"], 0.67),
        ("nan cup", ["nan ship"], 0.5),  # "nan" counts as a number, and it is shared
        ("cup", ["nan cup"], 0.0),
        ("the", ["cup"], 0.0),  # nothing left: precision 1, recall 0
        ("cup", ["the"], 0.0),
        ("the", ["a"], 1.0),
        (["b", "a cat"], ["cat", "b"], 1.0),
        (["cat", "cat"], ["cat"], 0.5),  # a second answer takes a slot
        (["cat"], ["cat", "dog", "owl"], 0.33),
        (["cat"], ["cat", "cat"], 0.5),
        ([], ["cat"], 0.0),
        # Each answer shares a word with each: straight 1/2 + 1/2, crosswise 1 + 1.
        (["x y", "y z"], ["y z", "x y"], 1.0),
        # Taking the perfect pair "x y" first leaves 0 for "x" and "y"; crosswise it is 2/3 + 2/3 over two slots.
        (["x y", "x"], ["x y", "y"], 0.67),
    ],
)
def test_f1(prediction, answers, f1):
    assert multimodalqa_f1(prediction, answers) == f1


def test_f1_is_rounded_as_numpy_rounds():
    # One answer of ten is right to 3/4 (three words of four, both ways): 0.075, which numpy rounds to 0.08; the
    # nearest double lies below 0.075, so that Python itself would give 0.07.
    assert multimodalqa_f1(["x y z u"], ["x y z w", *"bcdefghij"]) == 0.08
    assert round(0.75 / 10, 2) == 0.07


@given(LISTS, LISTS)
def test_order_of_answers_does_not_matter(prediction, answers):
    shuffled = prediction[1::2] + prediction[::2]
    assert multimodalqa_exact_match(prediction, answers) == multimodalqa_exact_match(shuffled, answers)
    assert multimodalqa_f1(prediction, answers) == pytest.approx(multimodalqa_f1(shuffled, answers), abs=0.0101)


@given(LISTS, LISTS)
def test_what_holds_of_any_two_lists(prediction, answers):
    assert multimodalqa_exact_match(answers, answers) == multimodalqa_f1(answers, answers) == 1.0
    assert 0.0 <= multimodalqa_f1(prediction, answers) <= 1.0
    if sorted(map(normalize_multimodalqa_answer, prediction)) == sorted(map(normalize_multimodalqa_answer, answers)):
        assert multimodalqa_exact_match(prediction, answers) == 1.0


@given(ANSWERS)
def test_normalizing_again_changes_no_word_but_a_sign(answer):
    once = normalize_multimodalqa_answer(answer)
    assert normalize_multimodalqa_answer(once) == once


REFERENCES = {
    "q1": MultimodalQAReference(answers=["Harbor FC"], modality="image", question_type="ImageQ"),
    "q2": MultimodalQAReference(answers=[300.0], modality="table", question_type="Compose(TableQ,ImageListQ)"),
    "q3": MultimodalQAReference(answers=["x", "y", "z"], modality="image", question_type="ImageListQ"),
}


def test_score_averages_over_gold_questions():
    scores = score_multimodalqa({"q1": "harbor", "q3": ["z", "x"], "other": "harbor fc"}, REFERENCES)
    # F1: q1 2/3 -> 0.67; q2 missing -> 0; q3 2/3 -> 0.67. Mean 1.34 / 3.
    assert scores.exact_match.value == 0.0
    assert scores.f1.value == pytest.approx(134 / 3)
    assert dict(scores.f1.values) == {"q1": 67.0, "q2": 0.0, "q3": 67.0}
    assert dict(scores.f1.groups) == pytest.approx(
        {
            "hop/multi": 0.0,
            "hop/single": 67.0,
            "modality/image": 67.0,
            "modality/table": 0.0,
            "type/Compose(TableQ,ImageListQ)": 0.0,
            "type/ImageListQ": 67.0,
            "type/ImageQ": 67.0,
        }
    )
    assert scores.f1.details == {"missing_predictions": 1, "unknown_predictions": 1, "without_answer": 0}
    assert (scores.f1.metric, scores.f1.variant, scores.f1.scale) == ("multimodalqa_f1", "official", 100)
    assert scores.exact_match.interval(seed=0) == (0.0, 0.0)


def test_numbers_in_the_gold_answers_are_written_out():
    # 1.1440000000000001 is a gold answer of the real dev file: the prediction must be written the same way.
    reference = {"q": MultimodalQAReference(answers=[1.1440000000000001])}
    assert score_multimodalqa({"q": "1.1440000000000001"}, reference).exact_match.value == 100.0
    assert score_multimodalqa({"q": "1.144"}, reference).exact_match.value == 0.0
    assert score_multimodalqa({"q": "300"}, REFERENCES).exact_match.details["unknown_predictions"] == 1
    assert score_multimodalqa({"q2": "300"}, REFERENCES).exact_match.values["q2"] == 100.0


def test_questions_without_a_gold_answer_count_nowhere():
    references = REFERENCES | {"q4": MultimodalQAReference(answers=[])}
    scores = score_multimodalqa({"q1": "Harbor FC", "q4": "?"}, references)
    assert scores.exact_match.value == pytest.approx(100 / 3)
    assert scores.exact_match.details == {"missing_predictions": 2, "unknown_predictions": 0, "without_answer": 1}
    with pytest.raises(ValueError, match="None of 1 questions has a gold answer"):
        score_multimodalqa({}, {"q4": references["q4"]})


@pytest.mark.parametrize("prediction", [None, 300.0, ["x", 3], [["x"]], {"x": 1}, {"x"}])
def test_predictions_of_another_form_are_refused(prediction):
    with pytest.raises(TypeError, match="'q1' must be a list of strings"):
        score_multimodalqa({"q1": prediction}, REFERENCES)


@pytest.mark.parametrize("answers", ["Harbor FC", None, [None], [True], [["x"]]])
def test_references_of_another_form_are_refused(answers):
    with pytest.raises(TypeError, match="answers must be a list of strings and numbers"):
        MultimodalQAReference(answers=answers)


def test_no_answers_at_all_have_no_f1():
    with pytest.raises(ValueError, match="at least one answer"):
        multimodalqa_f1([], [])


def test_the_real_gold_answers_score_100(shared):
    path = shared / "data" / "mmqa" / "MMQA_dev.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    references = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            (modality,) = {answer["modality"] for answer in row["answers"]}
            references[row["qid"]] = MultimodalQAReference(
                answers=[answer["answer"] for answer in row["answers"]],
                modality=modality,
                question_type=row["metadata"]["type"],
            )
    gold = {question_id: reference.texts for question_id, reference in references.items()}
    scores = score_multimodalqa(gold, references)
    assert (scores.exact_match.num_questions, scores.exact_match.value, scores.f1.value) == (2441, 100.0, 100.0)
    assert set(scores.f1.groups.values()) == {100.0} and len(scores.f1.groups) == 3 + 2 + 16
    by_type = [reference.question_type for reference in references.values()]
    assert sum(kind in SINGLE_HOP_TYPES for kind in by_type) == 721 + 369 + 230 + 141

    # Half of the predictions missing halves nothing but the questions that lack one.
    half = {question_id: gold[question_id] for question_id in sorted(gold)[::2]}
    assert score_multimodalqa(half, references).f1.value == pytest.approx(100 * len(half) / 2441)
