"""Ranking metrics in closed form, the conventions of pytrec_eval, and what a ranking must not hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.metrics.ranking import (
    hit_at_k,
    ndcg_at_k,
    precision_at_k,
    rank_by_score,
    recall_at_k,
    reciprocal_rank,
)
from rablip.metrics.ranking_scores import score_ranking

LOG3 = math.log2(3)
AT_K = (recall_at_k, hit_at_k, precision_at_k, reciprocal_rank, ndcg_at_k)
RANKINGS = st.permutations(list("abcdefgh"))
GOLD = st.sets(st.sampled_from("abcdefghxy"), min_size=1).map(sorted)


@pytest.mark.parametrize(
    ("ranked", "gold", "k", "recall", "hit", "precision", "reciprocal"),
    [
        ("abc", "a", 1, 1.0, 1.0, 1.0, 1.0),
        ("abc", "c", 2, 0.0, 0.0, 0.0, 0.0),
        ("abc", "c", 3, 1.0, 1.0, 1 / 3, 1 / 3),
        ("abc", "bx", 3, 0.5, 1.0, 1 / 3, 0.5),
        ("abc", "abc", 2, 2 / 3, 1.0, 1.0, 1.0),
        ("ab", "ab", 5, 1.0, 1.0, 0.4, 1.0),  # P@5 divides by 5
        ("", "a", 5, 0.0, 0.0, 0.0, 0.0),
    ],
)
def test_closed_forms(ranked, gold, k, recall, hit, precision, reciprocal):
    ranked, gold = list(ranked), list(gold)
    assert recall_at_k(ranked, gold, k) == pytest.approx(recall)
    assert hit_at_k(ranked, gold, k) == hit
    assert precision_at_k(ranked, gold, k) == pytest.approx(precision)
    assert reciprocal_rank(ranked, gold, k) == pytest.approx(reciprocal)


def test_reciprocal_rank_of_the_whole_ranking():
    assert reciprocal_rank(list("abcd"), ["d", "c"]) == pytest.approx(1 / 3)
    assert reciprocal_rank(list("abcd"), ["d"], k=3) == 0.0
    assert reciprocal_rank(list("abcd"), ["x"]) == 0.0


@pytest.mark.parametrize(
    ("ranked", "gains", "k", "expected"),
    [
        ("abc", ["a"], 3, 1.0),
        ("abc", ["b"], 3, 1 / LOG3),
        ("abc", ["c"], 3, 0.5),  # 1 / log2(4)
        ("abc", ["c"], 2, 0.0),
        ("axb", ["a", "b"], 3, 1.5 / (1 + 1 / LOG3)),
        ("ax", ["a", "b"], 1, 1.0),  # the best possible ranking is cut at k too
        ("ab", {"a": 1, "b": 3}, 2, (1 + 3 / LOG3) / (3 + 1 / LOG3)),
        ("ba", {"a": 1, "b": 3}, 2, 1.0),
        ("ab", {"a": 2, "b": 0, "c": -1}, 2, 1.0),  # gains of zero and below count nowhere
        ("cab", {"a": 2, "c": -1}, 3, 1 / LOG3),
        ("ba", {"a": 0.5, "b": 0.25}, 2, (0.25 + 0.5 / LOG3) / (0.5 + 0.25 / LOG3)),
    ],
)
def test_ndcg(ranked, gains, k, expected):
    assert ndcg_at_k(list(ranked), gains, k) == pytest.approx(expected)


@given(RANKINGS, GOLD, st.integers(1, 10))
def test_relations(ranked, gold, k):
    recall, hit = recall_at_k(ranked, gold, k), hit_at_k(ranked, gold, k)
    assert (recall > 0) == (hit == 1.0) == (reciprocal_rank(ranked, gold, k) > 0) == (ndcg_at_k(ranked, gold, k) > 0)
    assert precision_at_k(ranked, gold, k) * k == pytest.approx(recall * len(gold))
    assert recall_at_k(ranked, gold, k + 1) >= recall
    assert ndcg_at_k(ranked, gold, k) == pytest.approx(ndcg_at_k(ranked, dict.fromkeys(gold, 2.5), k))


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 4), min_size=1), st.integers(1, 10))
def test_no_ranking_beats_the_order_of_gains(gains, k):
    assert ndcg_at_k(sorted(gains, key=gains.__getitem__, reverse=True), gains, k) == pytest.approx(1.0)
    assert ndcg_at_k(sorted(gains, key=gains.__getitem__), gains, k) <= 1.0 + 1e-12


@pytest.mark.parametrize("metric", AT_K)
def test_what_a_ranking_must_not_hold(metric):
    with pytest.raises(ValueError, match="holds 'a' twice"):
        metric(["b", "a", "a"], ["a"], 1)  # also behind k: the ranking itself is wrong
    with pytest.raises(ValueError, match="k must be at least 1, but is 0"):
        metric(["a"], ["a"], 0)
    with pytest.raises(ValueError, match="at least one gold id"):
        metric(["a"], [], 1)
    with pytest.raises(TypeError, match="a string was given"):
        metric("abc", ["a"], 1)
    if metric is not ndcg_at_k:
        with pytest.raises(TypeError, match="a string was given"):
            metric(["a"], "a", 1)


def test_gains_must_be_finite_and_some_positive():
    with pytest.raises(ValueError, match="finite"):
        ndcg_at_k(["a"], {"a": math.nan}, 1)
    with pytest.raises(ValueError, match="at least one gold id"):
        ndcg_at_k(["a"], {"a": 0}, 1)
    with pytest.raises(TypeError, match="string"):
        ndcg_at_k(["a"], "a", 1)


def test_ties_are_broken_as_trec_eval_breaks_them():
    assert rank_by_score({"d1": 0.5, "d10": 0.5, "d2": 0.5, "d0": 0.7}) == ["d0", "d2", "d10", "d1"]
    assert rank_by_score({"a": -0.0, "b": 0.0}) == ["b", "a"]
    assert rank_by_score({}) == []
    with pytest.raises(ValueError, match="NaN, such as that of 'b'"):
        rank_by_score({"a": 1.0, "b": math.nan})


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.sampled_from([0.0, 0.5, 1.0])))
def test_the_order_of_scores_does_not_matter(scores):
    assert (
        rank_by_score(scores)
        == rank_by_score(dict(reversed(scores.items())))
        == rank_by_score(dict(sorted(scores.items())))
    )


RELEVANT = {"q1": ["b"], "q2": {"c": 2.0, "d": 1.0, "x": 0.0}, "q3": [], "q4": {"x": 0.0}, "q5": {"e"}}


@pytest.mark.parametrize(
    ("metric", "values"),
    [
        ("recall", {"q1": 1.0, "q2": 0.5, "q5": 0.0}),
        ("hit", {"q1": 1.0, "q2": 1.0, "q5": 0.0}),
        ("precision", {"q1": 0.5, "q2": 0.5, "q5": 0.0}),
        ("reciprocal_rank", {"q1": 0.5, "q2": 0.5, "q5": 0.0}),
        ("ndcg", {"q1": 1 / LOG3, "q2": (1 / LOG3) / (2 + 1 / LOG3), "q5": 0.0}),
    ],
)
def test_score_ranking(metric, values):
    rankings = {"q1": ["a", "b"], "q2": ["x", "d", "c"], "q3": ["a"], "zz": ["a"]}
    result = score_ranking(rankings, RELEVANT, metric=metric, k=2, corpus="full")
    assert dict(result.values) == pytest.approx(values)
    assert result.value == pytest.approx(sum(values.values()) / 3)
    assert result.details == {"missing_predictions": 1, "unknown_predictions": 1, "without_relevant": 2}
    assert (result.metric, result.k, result.corpus, result.scale) == (f"{metric}_at_k", 2, "full", 1.0)
    assert result.variant == ("graded" if metric == "ndcg" else "binary")
    assert result.interval(seed=0) is not None


def test_score_ranking_without_k_or_anything_relevant():
    whole = score_ranking({"q1": ["a", "b"]}, {"q1": ["b"]}, metric="reciprocal_rank", k=None)
    assert (whole.value, whole.metric, whole.k, whole.corpus) == (0.5, "reciprocal_rank", None, None)
    nothing = score_ranking({"q3": ["a"]}, {"q3": []}, metric="ndcg", k=1)
    assert (nothing.value, nothing.variant, nothing.details["without_relevant"]) == (None, "binary", 1)


@pytest.mark.parametrize(
    ("rankings", "relevant", "options", "error", "match"),
    [
        ({"q1": ["a", "a"]}, {"q1": ["b"]}, {}, ValueError, "Question 'q1': The ranking holds 'a' twice"),
        ({"q1": "ab"}, {"q1": ["b"]}, {}, TypeError, "Question 'q1': .* a string was given"),
        ({"q1": ["a"]}, {"q1": "b"}, {}, TypeError, "Question 'q1': .* a string was given"),
        ({1: ["a"]}, {"1": ["b"]}, {}, TypeError, "same type"),
        ({"q1": ["a"]}, {}, {}, ValueError, "references is empty"),
        ({"q1": ["a"]}, {"q1": ["b"]}, {"k": 0}, ValueError, "k must be at least 1"),
        ({"q1": ["a"]}, {"q1": ["b"]}, {"k": None}, ValueError, "'recall' needs a k"),
        ({"q1": ["a"]}, {"q1": ["b"]}, {"metric": "map"}, ValueError, "metric must be one of 'hit', 'ndcg'"),
    ],
)
def test_score_ranking_refuses(rankings, relevant, options, error, match):
    with pytest.raises(error, match=match):
        score_ranking(rankings, relevant, **({"metric": "recall", "k": 5} | options))
