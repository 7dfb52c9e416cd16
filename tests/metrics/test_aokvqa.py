"""A-OKVQA: letters count, difficult questions leave the direct-answer denominator, missing predictions are wrong."""

from __future__ import annotations

import pytest

from rablip.metrics.aokvqa import (
    AOKVQAReference,
    score_aokvqa,
    score_aokvqa_choices,
    score_aokvqa_direct_answers,
)

CHOICES = ("train", "cab", "bus", "boat")
REFERENCES = {
    "q1": AOKVQAReference(
        choices=CHOICES, correct_choice_idx=1, direct_answers=["cab", "cab", *["taxi"] * 3, *["car"] * 5]
    ),
    "q2": AOKVQAReference(choices=CHOICES, correct_choice_idx=0, direct_answers=["train"] * 10),
    "q3": AOKVQAReference(
        choices=CHOICES, correct_choice_idx=3, direct_answers=["boat"] * 10, difficult_direct_answer=True
    ),
}


# Trap 6: no normalisation at all.
@pytest.mark.parametrize(
    ("prediction", "points"),
    [("cab", 2 / 3), ("taxi", 1.0), ("car", 1.0), ("Cab", 0.0), ("cab ", 0.0), ("a cab", 0.0), ("cabs", 0.0), ("", 0)],
)
def test_direct_answers_are_compared_letter_by_letter(prediction, points):
    result = score_aokvqa_direct_answers({"q1": prediction}, {"q1": REFERENCES["q1"]})
    assert result.value == pytest.approx(100 * points)


def test_three_of_ten_are_enough_and_nobody_is_left_out():
    # The leave-one-out form of VQA would give 0.3 and 0.9 for one and three matches.
    one = AOKVQAReference(choices=CHOICES, direct_answers=["x", *["y"] * 3, *["z"] * 6])
    assert score_aokvqa_direct_answers({"q": "x"}, {"q": one}).value == pytest.approx(100 / 3)
    assert score_aokvqa_direct_answers({"q": "y"}, {"q": one}).value == 100.0


def test_choices_are_texts():
    result = score_aokvqa_choices({"q1": "cab", "q2": "A", "q3": "Boat"}, REFERENCES)
    assert result.value == pytest.approx(100 / 3)
    assert dict(result.values) == {"q1": 100.0, "q2": 0.0, "q3": 0.0}
    assert result.details == {"missing_predictions": 0, "unknown_predictions": 0, "not_a_choice": 2}


def test_score():
    predictions = {
        "q1": {"multiple_choice": "cab", "direct_answer": "cab"},
        "q2": {"direct_answer": "train"},  # no choice: counts 0 among all three
        "q3": {"multiple_choice": "boat", "direct_answer": "nothing right"},  # difficult: no direct answer counts
        "zz": {"multiple_choice": "cab"},
    }
    scores = score_aokvqa(predictions, REFERENCES)
    assert scores.multiple_choice.value == pytest.approx(200 / 3)
    assert scores.multiple_choice.details == {
        "missing_predictions": 1,
        "unknown_predictions": 1,
        "not_a_choice": 0,
    }
    assert scores.direct_answer.value == pytest.approx(100 * (2 / 3 + 1) / 2)
    assert set(scores.direct_answer.values) == {"q1", "q2"}
    assert scores.direct_answer.details == {
        "missing_predictions": 0,
        "unknown_predictions": 0,
        "difficult_questions": 1,
    }
    assert (scores.direct_answer.metric, scores.direct_answer.scale) == ("aokvqa_direct_answer", 100)
    assert scores.multiple_choice.interval(seed=0) is not None


def test_missing_predictions_are_wrong():
    scores = score_aokvqa({"q2": {"direct_answer": "train"}}, REFERENCES)
    assert scores.multiple_choice is None  # the official script says nothing of a task that was not attempted
    assert scores.direct_answer.value == 50.0
    assert scores.direct_answer.details["missing_predictions"] == 1


def test_all_difficult_leaves_nothing_to_score():
    result = score_aokvqa_direct_answers({"q3": "boat"}, {"q3": REFERENCES["q3"]})
    assert (result.value, dict(result.values), result.details["difficult_questions"]) == (None, {}, 1)


def test_strict():
    complete = {question_id: reference.correct_choice for question_id, reference in REFERENCES.items()}
    assert score_aokvqa_choices(complete, REFERENCES, strict=True).value == 100.0
    with pytest.raises(ValueError, match=r"1 of 3 questions have no prediction \('q3'\)"):
        score_aokvqa_choices({"q1": "cab", "q2": "train"}, REFERENCES, strict=True)
    with pytest.raises(ValueError, match=r"1 predictions are none of the choices .*'q2'"):
        score_aokvqa_choices(complete | {"q2": "plane"}, REFERENCES, strict=True)
    # Difficult questions need no direct answer, and a direct answer need not be a choice.
    assert score_aokvqa_direct_answers({"q1": "taxi", "q2": "x"}, REFERENCES, strict=True).value == 50.0
    with pytest.raises(ValueError, match="1 of 2 questions have no prediction"):
        score_aokvqa_direct_answers({"q1": "taxi"}, REFERENCES, strict=True)
    with pytest.raises(ValueError, match="have no prediction"):
        score_aokvqa({"q1": {"direct_answer": "taxi"}}, REFERENCES, strict=True)


def test_hidden_answers_cannot_be_scored():
    hidden = {"q1": AOKVQAReference(choices=CHOICES)}
    assert hidden["q1"].correct_choice is None
    with pytest.raises(ValueError, match="1 of 1 questions have no right choice"):
        score_aokvqa_choices({"q1": "cab"}, hidden)
    with pytest.raises(ValueError, match="1 of 1 questions have no direct answer"):
        score_aokvqa_direct_answers({"q1": "cab"}, hidden)


@pytest.mark.parametrize(
    ("predictions", "error", "match"),
    [
        ({"q1": "cab"}, TypeError, "must map a task to an answer"),
        ({"q1": {"multiple_choise": "cab"}}, ValueError, "None of 1 predictions holds"),
        ({}, ValueError, "None of 0 predictions holds"),
        ({"q1": {"multiple_choice": 1}}, TypeError, "'q1' must be a string"),
        ({"q1": {"direct_answer": ["cab"]}}, TypeError, "'q1' must be a string"),
    ],
)
def test_predictions_of_another_form_are_refused(predictions, error, match):
    with pytest.raises(error, match=match):
        score_aokvqa(predictions, REFERENCES)


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"choices": "cab"}, TypeError, "choices must be a sequence"),
        ({"choices": []}, ValueError, "choices must hold"),
        ({"choices": CHOICES, "correct_choice_idx": 4}, ValueError, "one of 0..3, but is 4"),
        ({"choices": CHOICES, "correct_choice_idx": -1}, ValueError, "but is -1"),
        ({"choices": CHOICES, "correct_choice_idx": "1"}, TypeError, "must be an integer"),
        ({"choices": CHOICES, "direct_answers": "['cab', 'bus']"}, TypeError, "direct_answers must be a sequence"),
        ({"choices": CHOICES, "difficult_direct_answer": "false"}, TypeError, "must be True or False"),
    ],
)
def test_references_of_another_form_are_refused(fields, error, match):
    with pytest.raises(error, match=match):
        AOKVQAReference(**fields)
