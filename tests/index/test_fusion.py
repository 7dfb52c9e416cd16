"""Joining rankings: closed forms, and what must not matter (the order of rankings, the scale of scores)."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.index import SearchHit
from rablip.index.fusion import fuse_ranks, fuse_scores

IDS = [f"i{number}" for number in range(12)]
rankings_of_ids = st.lists(st.lists(st.sampled_from(IDS), unique=True, max_size=8), min_size=1, max_size=5)


def make_ranking(ids: list[str]) -> list[SearchHit]:
    return [SearchHit(name, 1.0 - rank / 100) for rank, name in enumerate(ids)]


def make_rankings(rankings: list[list[str]]) -> list[list[SearchHit]]:
    return [make_ranking(ids) for ids in rankings]


@given(rankings_of_ids, st.sampled_from([0.0, 1.0, 60.0]), st.data())
def test_every_score_is_the_closed_form(rankings: list[list[str]], constant: float, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.floats(0.1, 5), min_size=len(rankings), max_size=len(rankings)))
    fused = fuse_ranks(make_rankings(rankings), k=100, weights=weights, constant=constant)
    assert {hit.id for hit in fused} == {name for ids in rankings for name in ids}
    for hit in fused:
        expected = [
            weight / (constant + 1 + ids.index(hit.id))
            for weight, ids in zip(weights, rankings, strict=True)
            if hit.id in ids
        ]
        assert hit.score == pytest.approx(sum(expected))
    assert [hit.score for hit in fused] == sorted((hit.score for hit in fused), reverse=True)


@given(rankings_of_ids, st.randoms(use_true_random=False))
def test_the_order_of_the_rankings_does_not_matter(rankings: list[list[str]], random: object) -> None:
    shuffled = list(enumerate(rankings))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    weights = [1.0 + number / 3 for number in range(len(rankings))]
    fused = fuse_ranks(make_rankings(rankings), k=9, weights=weights)
    again = fuse_ranks(
        make_rankings([ids for _, ids in shuffled]), k=9, weights=[weights[number] for number, _ in shuffled]
    )
    assert fused == again


@given(rankings_of_ids, st.integers(1, 12))
def test_a_smaller_k_is_a_prefix(rankings: list[list[str]], k: int) -> None:
    assert fuse_ranks(make_rankings(rankings), k=k) == fuse_ranks(make_rankings(rankings), k=50)[:k]


@given(rankings_of_ids, st.lists(st.sampled_from(IDS), unique=True))
def test_a_ranking_of_weight_zero_is_not_there(rankings: list[list[str]], other: list[str]) -> None:
    weights = [1.0] * len(rankings)
    with_other = fuse_ranks(make_rankings([*rankings, other]), k=50, weights=[*weights, 0.0])
    assert with_other == fuse_ranks(make_rankings(rankings), k=50)


@given(st.lists(st.sampled_from(IDS), unique=True), st.floats(0.01, 100))
def test_one_ranking_keeps_its_order(ids: list[str], weight: float) -> None:
    assert [hit.id for hit in fuse_ranks([make_ranking(ids)], k=50, weights=[weight])] == ids


@given(rankings_of_ids)
def test_scores_of_the_hits_are_not_looked_at(rankings: list[list[str]]) -> None:
    others = [[SearchHit(name, -math.inf) for name in ids] for ids in rankings]
    assert fuse_ranks(others, k=9) == fuse_ranks(make_rankings(rankings), k=9)


def test_what_two_rankings_agree_on_beats_the_best_of_one() -> None:
    fused = fuse_ranks(make_rankings([["a", "b"], ["c", "b"]]), k=1)
    assert fused == [SearchHit("b", pytest.approx(2 / 62))]


def test_rankings_without_common_ids_are_interleaved() -> None:
    rankings = [[f"{name}{rank}" for rank in range(5)] for name in "tpb"]
    fused = [hit.id for hit in fuse_ranks(make_rankings(rankings), k=15)]
    for rank in range(5):
        assert {name for name in fused[3 * rank : 3 * rank + 3]} == {f"t{rank}", f"p{rank}", f"b{rank}"}


def test_ties_prefer_no_spelling() -> None:
    """Ids of one modality often sort before those of another; among many ties each must come first sometimes."""
    firsts = [fuse_ranks(make_rankings([[f"a{n}"], [f"z{n}"]]), k=1)[0].id[0] for n in range(64)]
    assert 16 < firsts.count("a") < 48


@given(rankings_of_ids, st.dictionaries(st.sampled_from(IDS), st.floats(-3, 3)))
def test_ties_only_decide_between_equal_sums(rankings: list[list[str]], ties: dict[str, float]) -> None:
    fused = fuse_ranks(make_rankings(rankings), k=50, ties=ties)
    assert dict(fused) == dict(fuse_ranks(make_rankings(rankings), k=50))
    keys = [(-hit.score, -ties.get(hit.id, -math.inf)) for hit in fused]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("rankings", "options", "words"),
    [
        ([["a"]], {"k": 0}, "k must be"),
        ([["a"]], {"k": True}, "k must be"),
        ([["a"]], {"k": 1, "weights": [1.0, 1.0]}, "one per ranking"),
        ([["a"]], {"k": 1, "weights": [-1.0]}, "weights"),
        ([["a"]], {"k": 1, "weights": [math.nan]}, "weights"),
        ([["a"], ["b"]], {"k": 1, "weights": [0.0, 0.0]}, "not all 0"),
        ([["a"]], {"k": 1, "constant": -1.0}, "constant"),
        ([["a", "b", "a"]], {"k": 1}, "'a' stands twice"),
    ],
)
def test_bad_input_is_named(rankings: list[list[str]], options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fuse_ranks(make_rankings(rankings), **options)


def test_nothing_gives_nothing() -> None:
    assert fuse_ranks([], k=3) == [] and fuse_ranks([[], []], k=3) == [] and fuse_scores([], k=3) == []


@given(st.lists(st.lists(st.tuples(st.sampled_from(IDS), st.floats(-5, 5)), max_size=8), max_size=4))
def test_scores_are_compared(rows: list[list[tuple[str, float]]]) -> None:
    rankings = [[SearchHit(*hit) for hit in row] for row in rows]
    best = {
        name: max(score for row in rows for other, score in row if other == name) for row in rows for name, _ in row
    }
    fused = fuse_scores(rankings, k=50)
    assert dict(fused) == best and len(fused) == len(best)
    assert [hit.score for hit in fused] == sorted(best.values(), reverse=True)
    assert fuse_scores(rankings[::-1], k=3) == fused[:3]


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(ValueError, match="'a'"):
        fuse_scores([[SearchHit("a", math.nan)]], k=1)
