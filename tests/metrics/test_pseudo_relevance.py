"""Pseudo relevance in its two forms, which differ where a substring is no word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.pseudo_relevance import holds_answer, pseudo_recall_at_k, score_pseudo_recall


@pytest.mark.parametrize(
    ("passage", "answer", "substring", "strict"),
    [
        ("Built in 1987.", "1987", True, True),
        ("Built in 1987.", "1", True, False),
        ("A theatre", "the", True, False),  # nothing is left of "the"
        ("It is a CAT.", " Cat ", True, True),
        ("It is a cat.", "the cat", False, True),  # articles count in a substring only
        ("It is a cat.", "cat!", False, True),
        ("The house, cat", "house cat", False, True),
        ("A housecat", "house cat", False, False),
        ("anything", "", True, False),
        ("anything", "  ", True, False),
        ("", "cat", False, False),
        ("cats", "cat", True, False),
    ],
)
def test_two_forms(passage, answer, substring, strict):
    assert holds_answer(passage, [answer], form="substring") is substring
    assert holds_answer(passage, [answer], form="strict") is strict
    assert holds_answer(passage, ["no such", answer], form="strict") is strict


def test_first_k_passages():
    passages = ["nothing", "a red door", "a blue door"]
    for form in ("substring", "strict"):
        assert [pseudo_recall_at_k(passages, ["blue", "green"], k, form=form) for k in (1, 2, 3, 9)] == [0, 0, 1, 1]
        assert pseudo_recall_at_k([], ["blue"], 5, form=form) == 0.0


@given(st.lists(st.text(alphabet="ab the.", max_size=8), max_size=5), st.text(alphabet="ab", min_size=1, max_size=2))
def test_a_strict_match_of_plain_letters_is_a_substring(passages, answer):
    for k in (1, 3):
        strict = pseudo_recall_at_k(passages, [answer], k, form="strict")
        substring = pseudo_recall_at_k(passages, [answer], k, form="substring")
        assert strict <= substring <= pseudo_recall_at_k(passages, [answer], k + 1, form="substring")


PASSAGES = {"p1": "Built in 1987.", "p2": "It is red."}


def test_score():
    rankings = {"q1": ["p1", "p2"], "q2": ["picture", "p2"], "q3": ["p1"], "zz": ["p1"]}
    answers = {"q1": ["7"], "q2": ["Red"], "q3": [], "q4": ["red"]}
    loose = score_pseudo_recall(rankings, PASSAGES, answers, form="substring", k=1, corpus="full")
    assert dict(loose.values) == {"q1": 1.0, "q2": 0.0, "q4": 0.0}
    assert loose.value == pytest.approx(1 / 3)
    assert loose.details == {
        "missing_predictions": 1,
        "unknown_predictions": 1,
        "without_answer": 1,
        "items_without_text": 1,
    }
    assert (loose.metric, loose.variant, loose.k, loose.corpus) == ("pseudo_recall_at_k", "substring", 1, "full")
    strict = score_pseudo_recall(rankings, PASSAGES, answers, form="strict", k=2)
    assert (dict(strict.values), strict.variant) == ({"q1": 0.0, "q2": 1.0, "q4": 0.0}, "strict")


def test_an_item_without_text_holds_no_answer_not_even_an_empty_one():
    result = score_pseudo_recall({"q": ["picture", "p1"]}, PASSAGES, {"q": [""]}, form="substring", k=1 + 1)
    assert result.value == 1.0  # the empty answer is in p1
    with pytest.raises(ValueError, match="None of the 1 items ranked has a text"):
        score_pseudo_recall({"q": ["picture"]}, PASSAGES, {"q": [""]}, form="substring", k=1)


def test_nothing_to_score():
    assert score_pseudo_recall({}, PASSAGES, {"q": []}, form="strict", k=1).value is None


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"form": "loose"}, ValueError, "form must be one of 'substring', 'strict'"),
        ({"k": 0}, ValueError, "k must be at least 1"),
        ({"answers": {"q": "red"}}, TypeError, "sequence of strings"),
        ({"answers": {}}, ValueError, "references is empty"),
        ({"rankings": {"q": ["p1", "p1"]}}, ValueError, "question 'q' holds an id twice"),
    ],
)
def test_refuses(options, error, match):
    given_here = {"rankings": {"q": ["p1"]}, "passages": PASSAGES, "answers": {"q": ["red"]}, "form": "strict", "k": 1}
    with pytest.raises(error, match=match):
        score_pseudo_recall(**(given_here | options))
