"""InfoSeek: how numbers are read, which ranges are right, and what the two splits come to, worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.infoseek import InfoSeekReference, score_infoseek
from rablip.metrics.infoseek_answers import (
    matches_infoseek_answers,
    matches_value_range,
    normalize_infoseek_answer,
    parse_quantity,
    read_value_range,
)


@pytest.mark.parametrize(
    ("answer", "normalized"),
    [
        ("The Mid-Atlantic, U.S.", "midatlantic us"),  # the hyphen glues
        ("  a  Cat an' the dog ", "cat dog"),
        ("“Q” – Café", "“q” – café"),  # ASCII punctuation only
        ("the", ""),
        ("🇫🇷", "🇫🇷"),
        ("theatre", "theatre"),
    ],
)
def test_normalization(answer, normalized):
    assert normalize_infoseek_answer(answer) == normalized


def test_strings_and_times_match_exactly():
    assert matches_infoseek_answers("the louvre!", ["Museum", "Louvre"])
    assert not matches_infoseek_answers("Louvre Museum", ["Louvre"])
    # Trap 7: no tolerance of a year, although the official docstring promises it.
    assert not matches_infoseek_answers("1888", ["1889"])
    assert not matches_infoseek_answers("1889", ["May 1889"])
    assert matches_infoseek_answers("?", ["the"])  # nothing is left of either


# Trap 7: ".5" is 5, no number is (0, 0).
@pytest.mark.parametrize(
    ("text", "quantity"),
    [
        ("5", 5.0),
        (".5", 5.0),
        ("0.5", 0.5),
        ("5.", 5.0),
        ("-.5", -0.5),  # the dot is not at the end of "-.5"
        ("-5", -5.0),
        ("+5 m", 5.0),
        ("1,200.5 km", 1200.5),
        ("1,20", (1.0, 20.0)),  # no thousands: two numbers
        ("12,345,678", 12_345_678.0),
        ("1.5e3", 1500.0),
        ("2 million", 2.0),
        ("two", (0.0, 0.0)),
        ("", (0.0, 0.0)),
        ("9-10", (9.0, 10.0)),
        ("9–10", (9.0, 10.0)),
        ("9 -10", 9.0),  # the hyphen follows a blank: -10 is below 9
        ("10-9", 10.0),
        ("5 to 5", (5.0, 5.0)),
        ("35 km in 1999", (35.0, 1999.0)),
        ("1 2 3", (1.0, 2.0)),
        ("3 2 9", 3.0),  # the first two descend
        ("1.2.3", (1.2, 3.0)),
        ("a-5", -5.0),
        ("1e400", math.inf),
        ("-.5.3", (0.0, 0.0)),  # ends the official scorer; no number here
        ("-.5.3 or 4", 4.0),
        ("٣", 3.0),
    ],
)
def test_quantities(text, quantity):
    assert parse_quantity(text) == quantity


@pytest.mark.parametrize(
    ("text", "value_range", "right"),
    [
        ("0.9", (0.9, 1.1), True),  # both bounds belong to the range
        ("1.1", (0.9, 1.1), True),
        ("1.11", (0.9, 1.1), False),
        ("no idea", (-3.0, 3.0), True),  # any text, where 0 is inside
        ("no idea", (0.9, 1.1), False),
        ("10-20", (10.0, 20.0), True),
        ("12-15", (10.0, 20.0), True),  # inside, however narrow
        ("5-15", (10.0, 20.0), False),  # 5 of 15
        ("10-30", (10.0, 20.0), True),  # 10 of 20: half is enough
        ("10-30.002", (10.0, 20.0), False),  # 10 of 20.002
        ("0-10", (5.0, 5.0), False),
        ("5-5", (5.0, 5.0), True),
        ("5", (5.0, 5.0), True),
        ("4", (5.0, 3.0), False),  # a range upside down holds no number
        ("1e400 1e401", (0.9, 1.1), False),
    ],
)
def test_ranges(text, value_range, right):
    assert matches_value_range(text, value_range) is right


@given(st.text(alphabet="0123456789.,-+eE km²٣", max_size=12))
def test_every_text_has_a_quantity(text):
    quantity = parse_quantity(text)
    if isinstance(quantity, tuple):
        assert quantity[0] <= quantity[1]
    assert matches_value_range(text, (-math.inf, math.inf))


@given(st.floats(-1e6, 1e6).map(lambda number: round(number, 3)), st.floats(0, 1e6).map(lambda width: round(width, 3)))
def test_a_range_is_right_for_itself(low, width):
    high = low + width
    assert matches_value_range(f"{low!r} to {high!r}", (low, high))


@pytest.mark.parametrize(
    "answer_eval",
    [[{"wikidata": 1.0, "range": [0.9, 1.1]}], {"wikidata": 1.0, "range": [0.9, 1.1, 7.0]}, {"range": ["0.9", "1.1"]}],
)
def test_the_range_of_a_file(answer_eval):
    assert read_value_range(answer_eval) == (0.9, 1.1)


@pytest.mark.parametrize(
    "answer_eval",
    [
        None,
        [],
        {},
        ["1.0"],
        [{"range": [0.9]}],
        [{"range": [0.9, None]}],
        [{"range": "12"}],
        [{"range": [0, math.nan]}],
    ],
)
def test_a_file_without_a_range(answer_eval):
    with pytest.raises(ValueError, match="range of two numbers"):
        read_value_range(answer_eval)


def question(split, kind="String", **known):
    return InfoSeekReference(question_type=kind, data_split=f"val_unseen_{split}", **known)


REFERENCES = {
    "s1": question("question", answers=["Paris"]),
    "s2": question("question", answers=["Rome", "Roma"]),
    "t1": question("question", "Time", answers=["1889"]),
    "n1": question("entity", "Numerical", value_range=(9.0, 11.0)),
    "n2": question("entity", "numerical", value_range=(-1.0, 1.0)),
    "s3": question("entity", answers=["Oslo"]),
}


def test_score_is_the_harmonic_mean_of_the_rounded_scores():
    predictions = {"s1": "paris", "s2": "Milan", "t1": "1889.", "n1": "10 m", "n2": "who knows", "s3": "Bergen"}
    result = score_infoseek(predictions, REFERENCES)
    assert (result.groups["unseen_question"], result.groups["unseen_entity"]) == (66.67, 66.67)
    assert result.value == 66.67
    assert dict(result.groups) == {
        "unseen_question": 66.67,
        "unseen_entity": 66.67,
        "unseen_question/time": 100.0,
        "unseen_question/numerical": 0.0,
        "unseen_question/string": 50.0,
        "unseen_entity/time": 0.0,
        "unseen_entity/numerical": 100.0,
        "unseen_entity/string": 0.0,
    }
    assert (result.variant, result.scale, result.is_mean) == ("official", 100, False)
    assert result.interval(seed=0) is None  # no mean of questions: no interval

    # 2 / 3 and 1 / 3: from the rounded 66.67 and 33.33 it is 2 / (1 / 66.67 + 1 / 33.33) = 44.4411..., from the exact
    # ones 44.4444...; both round to 44.44. With 1 / 7 and 1: 2 / (1 / 14.29 + 1 / 100) = 25.0065 -> 25.01, not 25.
    assert score_infoseek(predictions | {"n2": "7"}, REFERENCES).value == 44.44
    seven = {f"q{number}": question("question", answers=["x"]) for number in range(7)}
    given_seven = dict.fromkeys(seven, "y") | {"q0": "x", "s3": "Oslo"}
    assert score_infoseek(given_seven, seven | {"s3": REFERENCES["s3"]}).value == 25.01


def test_missing_predictions_are_not_penalised_officially():
    result = score_infoseek({"s1": "Paris", "n1": "10", "zz": "Paris"}, REFERENCES)
    assert result.value == 100.0
    assert dict(result.values) == {"s1": 100.0, "n1": 100.0}
    assert result.details == {
        "missing_predictions": 4,
        "unknown_predictions": 1,
        "missing_by_split": {"unseen_question": 2, "unseen_entity": 2},
        "scored_by_split": {"unseen_question": 1, "unseen_entity": 1},
    }
    own = score_infoseek({"s1": "Paris", "n1": "10", "zz": "Paris"}, REFERENCES, missing="zero")
    assert (own.value, own.variant, own.groups["unseen_entity/string"]) == (33.33, "missing_zero", 0.0)
    assert dict(own.values) == {"s1": 100.0, "s2": 0.0, "t1": 0.0, "n1": 100.0, "n2": 0.0, "s3": 0.0}
    assert own.details == result.details | {"scored_by_split": {"unseen_question": 3, "unseen_entity": 3}}


def test_a_split_at_zero_takes_everything():
    assert score_infoseek({"s1": "Paris"}, REFERENCES).value == 0.0
    assert score_infoseek({}, REFERENCES).value == 0.0
    # An empty prediction is given and wrong, or right where 0 lies in the range.
    assert score_infoseek({"s1": "Paris", "n2": ""}, REFERENCES).value == 100.0
    assert score_infoseek({"s1": "Paris", "s3": ""}, REFERENCES).value == 0.0


def test_types_and_splits_are_sorted_as_officially():
    assert InfoSeekReference(question_type="TIME", data_split="x", answers=["1"]).kind == "time"
    assert InfoSeekReference(question_type="Entity", data_split="x", answers=["1"]).kind == "string"
    assert InfoSeekReference(question_type="Time", data_split="train", answers=["1"]).split == "unseen_entity"
    assert question("question", answers=["1"]).split == "unseen_question"


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        ({"question_type": "String"}, ValueError, "at least one answer"),
        ({"question_type": "String", "answers": "Paris"}, TypeError, "sequence of strings"),
        ({"question_type": "Time", "answers": [1889]}, TypeError, "sequence of strings"),
        ({"question_type": None, "answers": ["Paris"]}, TypeError, "question_type must be a string"),
        ({"question_type": "Numerical", "answers": ["1"]}, ValueError, "needs a value_range"),
        ({"question_type": "Numerical", "value_range": (1.0,)}, ValueError, "two finite numbers"),
        ({"question_type": "Numerical", "value_range": ("1", "2")}, ValueError, "two finite numbers"),
        ({"question_type": "Numerical", "value_range": (0.0, math.nan)}, ValueError, "two finite numbers"),
    ],
)
def test_references_of_another_form_are_refused(fields, error, match):
    with pytest.raises(error, match=match):
        InfoSeekReference(data_split="val_unseen_entity", **fields)


def test_predictions_of_another_form_are_refused():
    with pytest.raises(TypeError, match="'n1' must be a string"):
        score_infoseek({"n1": 10.0}, REFERENCES)
    with pytest.raises(ValueError, match="missing must be one of"):
        score_infoseek({"n1": "10"}, REFERENCES, missing="error")
