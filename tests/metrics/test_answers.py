"""Metrics against values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics import (
    abstain_scores,
    citation_scores,
    exact_match,
    majority_answer,
    majority_matches,
    normalize_answer,
    recall_at_k,
)


def test_normalize_answer():
    assert normalize_answer("  The RED, a pointed-roof! ") == "red pointed roof"
    assert normalize_answer("theatre an") == "theatre"


@pytest.mark.parametrize(
    ("prediction", "answers", "right"),
    [
        ("Red.", ["red"], True),
        ("the red", ["blue", "Red"], True),
        ("dark red", ["red"], False),
        (None, ["red"], False),
        ("", ["red"], False),
        ("the", ["a"], False),
        ("A", ["a."], True),  # nothing but an article: kept
        ("?", ["!"], False),  # nothing is left of either: not a match
        ("red", [], False),
    ],
)
def test_exact_match(prediction, answers, right):
    assert exact_match(prediction, answers) is right


def test_recall_at_k():
    assert recall_at_k(["a", "b", "c"], ["c"], 2) == 0.0
    assert recall_at_k(["a", "b", "c"], ["c"], 3) == 1.0
    assert recall_at_k(["a", "b", "c"], ["a", "x", "b", "c"], 3) == 0.75
    assert recall_at_k([], ["a"], 5) == 0.0
    with pytest.raises(ValueError, match="at least 1"):
        recall_at_k(["a"], ["a"], 0)
    with pytest.raises(ValueError, match="gold"):
        recall_at_k(["a"], [], 1)


@given(st.permutations(list("abcdefgh")), st.sets(st.sampled_from("abcdefgh"), min_size=1), st.integers(1, 7))
def test_recall_never_falls_with_k(ranked, gold, k):
    gold = sorted(gold)
    assert recall_at_k(ranked, gold, k) <= recall_at_k(ranked, gold, k + 1)
    assert recall_at_k(ranked, gold, 8) == 1.0


def test_abstain_scores():
    scores = abstain_scores([True, True, True, False, False], [True, True, False, True, False])
    assert scores == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert abstain_scores([False, False], [True, False]) == (None, 0.0, 0.0)
    assert abstain_scores([False], [False]) == (None, None, None)
    assert abstain_scores([True], [False]) == (0.0, None, 0.0)
    with pytest.raises(ValueError, match="2 abstentions were given for 1"):
        abstain_scores([True, False], [True])


def test_citation_scores_are_micro_averages():
    scores = citation_scores([["a", "a", "x"], [], ["b"]], [["a"], ["c"], ["b", "d"]])
    assert scores.precision == pytest.approx(2 / 3)
    assert scores.recall == pytest.approx(2 / 4)
    assert citation_scores([], []) == (None, None, None)
    with pytest.raises(ValueError, match="1 rows"):
        citation_scores([["a"]], [])


def test_majority_answer():
    assert majority_answer([["red"], ["Red."], ["blue"], ["green"]]) == ("red", 0.5)
    assert majority_answer([["b"], ["a"]]) == ("a", 0.5)
    assert majority_answer([["red", "crimson"], ["crimson"]]) == ("crimson", 1.0)
    assert majority_answer([]) == (None, None)


def test_majority_matches_uses_each_groups_own_majority():
    groups = ["color"] * 3 + ["YesNo"] * 2
    answers = [["red"], ["red"], ["blue"], ["yes"], ["no"]]
    assert majority_matches(groups, answers) == [True, True, False, False, True]


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_majority_of_finer_groups_is_never_lower(rows):
    answers = [[answer] for _, answer in rows]
    coarse = sum(majority_matches(["all"] * len(rows), answers))
    fine = sum(majority_matches([group for group, _ in rows], answers))
    assert fine >= coarse
    assert coarse / len(rows) == pytest.approx(majority_answer(answers)[1])
