"""What scorers refuse: ids that cannot meet, predictions that are no text, references without an answer."""

from __future__ import annotations

import pytest

from rablip.metrics.scorer_inputs import (
    compare_ids,
    list_some,
    require_answers,
    require_choice,
    require_same_ids,
    require_texts,
)


def test_ids_are_counted():
    assert compare_ids({"a": 1, "x": 2, "y": 3}, {"a": 0, "b": 0}) == {
        "missing_predictions": 1,
        "unknown_predictions": 2,
    }
    assert compare_ids({}, {"a": 0}) == {"missing_predictions": 1, "unknown_predictions": 0}
    # Integers are ids too, as long as both sides use them.
    assert compare_ids({1: "red"}, {1: 0}) == {"missing_predictions": 0, "unknown_predictions": 0}


@pytest.mark.parametrize(("predictions", "references"), [({1: "red"}, {"1": 0}), ({"1": "red"}, {1: 0, 2: 0})])
def test_ids_that_differ_in_type_only_are_an_error(predictions, references):
    with pytest.raises(TypeError, match="the same type"):
        compare_ids(predictions, references)


def test_what_is_no_mapping_or_empty():
    with pytest.raises(TypeError, match="predictions must map question ids, but is a list"):
        compare_ids([{"question_id": 1, "answer": "red"}], {"1": 0})
    with pytest.raises(ValueError, match="references is empty"):
        compare_ids({"1": "red"}, {})


def test_same_ids():
    assert require_same_ids({"b": 1, "a": 1}, {"a": 0, "b": 0}) == {
        "missing_predictions": 0,
        "unknown_predictions": 0,
    }
    with pytest.raises(ValueError, match=r"4 of 5 questions have no prediction \('b', 'c', 'd' and 1 more\)"):
        require_same_ids({"a": 1}, dict.fromkeys("abcde"))
    with pytest.raises(ValueError, match=r"1 of 2 predictions belong to no question .*'z'"):
        require_same_ids({"a": 1, "z": 1}, {"a": 0, "b": 0}, allow_missing=True)
    assert require_same_ids({"a": 1}, {"a": 0, "b": 0}, allow_missing=True)["missing_predictions"] == 1


@pytest.mark.parametrize("prediction", [None, 3, 2.5, ["red"], b"red"])
def test_predictions_are_texts(prediction):
    require_texts({"q1": "", "q2": "red"})
    with pytest.raises(TypeError, match="'q2' must be a string"):
        require_texts({"q1": "red", "q2": prediction})


@pytest.mark.parametrize("answers", ["red", None, 3, ["red", None], [["red"]], {"red"}])
def test_answers_are_a_sequence_of_strings(answers):
    require_answers(["red"]), require_answers(("red", ""))
    with pytest.raises(TypeError, match="choices must be a sequence of strings"):
        require_answers(answers, name="choices")


def test_no_answer_is_an_error():
    with pytest.raises(ValueError, match="at least one answer"):
        require_answers([])


def test_choices_and_lists():
    require_choice("a", ("a", "b"), name="letter")
    with pytest.raises(ValueError, match="letter must be one of 'a', 'b', but is 'c'"):
        require_choice("c", ("a", "b"), name="letter")
    assert (list_some([]), list_some("abc"), list_some([1, 2, 3, 4, 5])) == ("", "'a', 'b', 'c'", "1, 2, 3 and 2 more")
