"""MRAG-Bench: which letter a reply names, and what is done with replies that name none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.mrag_bench import MRAGBenchReference, parse_mrag_bench_reply, score_mrag_bench


@pytest.mark.parametrize(
    ("reply", "option"),
    [
        ("A", "A"),
        (" B.\n", "B"),
        ("(C)", "C"),
        ("'D'", "D"),
        ("D:", "D"),
        ("A.,", "A"),  # commas go first, then dots
        ("A,.", None),  # the comma is not at the end when commas go, and no round follows
        ("A .", "A"),
        ("Answer: B", "B"),
        ("B: basenji", None),  # no blank before the colon
        ("B) basenji", None),
        ("(B) basenji", "B"),
        ("b", None),
        ("(b)", None),
        ("A or B", "B"),  # the last of several
        ("B, no: A it is", "A"),
        ("D not C", "C"),
        ("(A) rather than (B) or (A)", "A"),
        ("(B) and then C", "B"),  # a letter in parentheses rules out the bare ones
        ("A B", "B"),
        ("ABCD", None),
        ("E", None),
        ("", None),
        ("A basenji", "A"),  # the article, if it begins the reply
        ("It is a cat", None),
        ("*A*", None),
    ],
)
def test_parser(reply, option):
    assert parse_mrag_bench_reply(reply) == option


@given(st.text(alphabet="ABab() .,!?;:'x", max_size=12))
def test_the_option_stands_in_the_reply(reply):
    option = parse_mrag_bench_reply(reply)
    assert option in ("A", "B", None)
    if option is not None:
        assert option in reply
    assert parse_mrag_bench_reply(f"{reply} (D)") == "D"


REFERENCES = {
    "1": MRAGBenchReference(answer_choice="A", scenario="Angle"),
    "2": MRAGBenchReference(answer_choice="B", scenario="Angle"),
    "3": MRAGBenchReference(answer_choice="C", scenario="Incomplete"),
}


# Trap 9: the official parser raises on the long reply; both unparsed replies count wrong here and are counted.
def test_unparsed_replies_are_wrong_and_counted():
    replies = {"1": "(A)", "2": "I think it is the second one", "3": "the third one, clearly", "9": "A"}
    result = score_mrag_bench(replies, REFERENCES)
    assert result.value == 33.33
    assert dict(result.groups) == {"scenario/Angle": 50.0, "scenario/Incomplete": 0.0}
    assert dict(result.values) == {"1": 100.0, "2": 0.0, "3": 0.0}
    assert result.details == {
        "missing_predictions": 0,
        "unknown_predictions": 1,
        "unparsed_short": 1,
        "unparsed_long": 1,
    }
    assert (result.metric, result.variant, result.scale) == ("mrag_bench_accuracy", "unparsed_wrong", 100)


@pytest.mark.parametrize(
    ("reply", "kind"), [("a b c d e", "short"), ("a b c d e .", "short"), ("a b c d e f", "long")]
)
def test_short_and_long(reply, kind):
    details = score_mrag_bench({"1": reply}, REFERENCES).details
    assert (details["unparsed_short"], details["unparsed_long"]) == ((1, 0) if kind == "short" else (0, 1))


def test_missing_replies_are_wrong():
    result = score_mrag_bench({"1": "A"}, REFERENCES)
    assert (result.value, result.details["missing_predictions"], result.details["unparsed_short"]) == (33.33, 2, 0)
    plain = score_mrag_bench({"1": "A"}, {"1": MRAGBenchReference(answer_choice="A")})
    assert (plain.value, dict(plain.groups)) == (100.0, {})


def test_bad_input_is_refused():
    with pytest.raises(TypeError, match="'1' must be a string"):
        score_mrag_bench({"1": None}, REFERENCES)
    for letter in ("a", "E", "(A)", 0):
        with pytest.raises(ValueError, match="answer_choice must be one of"):
            MRAGBenchReference(answer_choice=letter)
    with pytest.raises(ValueError, match="references is empty"):
        score_mrag_bench({"1": "A"}, {})
