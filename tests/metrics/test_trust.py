"""Relevance, abstentions and citations over questions, against counts worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.trust import (
    abstain_scores,
    citation_scores,
    relevance_scores,
    score_abstentions,
    score_citations,
)


def test_relevance_is_counted_over_all_candidates():
    probabilities = [[0.9, 0.5, 0.1], [0.6], []]
    relevant = [[True, True, False], [False], []]
    # At 0.5: taken 0.9, 0.5, 0.6; relevant 2, both taken.
    assert relevance_scores(probabilities, relevant, threshold=0.5) == pytest.approx((2 / 3, 1.0, 0.8))
    # Just above, 0.5 is no longer taken.
    assert relevance_scores(probabilities, relevant, threshold=0.51) == pytest.approx((0.5, 0.5, 0.5))
    assert relevance_scores(probabilities, relevant, threshold=0.95) == (None, 0.0, 0.0)
    assert relevance_scores([[0.2]], [[False]], threshold=0.5) == (None, None, None)
    assert relevance_scores([], [], threshold=0.5) == (None, None, None)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_a_lower_threshold_never_loses_recall(candidates, one, other):
    probabilities, relevant = [[p for p, _ in candidates]], [[truth for _, truth in candidates]]
    low = relevance_scores(probabilities, relevant, threshold=min(one, other)).recall
    high = relevance_scores(probabilities, relevant, threshold=max(one, other)).recall
    assert (low is None) == (high is None) and (low is None or low >= high)
    assert relevance_scores(probabilities, relevant, threshold=0.0).recall in (None, 1.0)


@pytest.mark.parametrize(
    ("probabilities", "relevant", "match"),
    [
        ([[0.5]], [], "1 rows of probabilities were given for 0 questions"),
        ([[0.5], [0.5, 0.5]], [[True], [True]], "Row 1 has 2 probabilities for 1 candidates"),
        ([[3.2]], [[True]], "row 0 holds 3.2"),  # a logit, most likely
        ([[math.nan]], [[True]], "0..1"),
    ],
)
def test_relevance_refuses(probabilities, relevant, match):
    with pytest.raises(ValueError, match=match):
        relevance_scores(probabilities, relevant, threshold=0.5)


def test_score_abstentions():
    unanswerable = {"q1": True, "q2": True, "q3": False, "q4": False}
    result = score_abstentions({"q4": False, "q3": True, "q2": False, "q1": True}, unanswerable)
    assert (result.value, result.details) == (0.5, {"precision": 0.5, "recall": 0.5})
    assert dict(result.values) == {"q1": 1.0, "q2": 0.0, "q3": 0.0, "q4": 1.0}
    assert (result.metric, result.variant, result.is_mean) == ("abstention_f1", "unanswerable_positive", False)
    assert result.value == abstain_scores([True, False, True, False], list(unanswerable.values())).f1
    none = score_abstentions({"q1": False}, {"q1": False})
    assert (none.value, none.details) == (None, {"precision": None, "recall": None})
    with pytest.raises(ValueError, match="3 of 4 questions have no prediction"):
        score_abstentions({"q1": True}, unanswerable)
    with pytest.raises(ValueError, match="belong to no question"):
        score_abstentions({"q1": True, "zz": True}, {"q1": True})


def test_score_citations():
    gold = {"q1": ["a"], "q2": ["b", "c"], "q3": [], "q4": ["d"]}
    result = score_citations({"q1": ["a", "x", "a"], "q2": ["b"], "q3": []}, gold)
    # Cited 3 (an id cited twice counts once), wanted 3, both 2.
    assert result.value == pytest.approx(2 / 3)
    assert result.details == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "not_answered": 1,
    }
    # q3 had nothing to cite and cited nothing: no value of its own.
    assert dict(result.values) == pytest.approx({"q1": 2 / 3, "q2": 2 / 3})
    assert (result.metric, result.variant, result.is_mean) == ("citation_f1", "micro", False)
    assert result.value == citation_scores([["a", "x"], ["b"], []], [["a"], ["b", "c"], []]).f1
    assert score_citations({}, gold).value is None


def test_score_citations_refuses():
    with pytest.raises(ValueError, match=r"1 of 1 predictions belong to no question .*'zz'"):
        score_citations({"zz": ["a"]}, {"q1": ["a"]})
    with pytest.raises(TypeError, match="bare string: 'q1'"):
        score_citations({"q1": "a"}, {"q1": ["a"]})
    with pytest.raises(TypeError, match="bare string: 'q1'"):
        score_citations({"q1": ["a"]}, {"q1": "a"})
