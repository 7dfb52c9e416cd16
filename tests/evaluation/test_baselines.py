"""Lexical rankers against formulas worked out by hand, and the controls that withhold or shuffle pictures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.evaluation.baselines import Bm25Ranker, RandomRanker, TfidfRanker
from rablip.evaluation.controls import derangement, shuffle_pictures, withhold_pictures
from rablip.lexical import lexical_words, searchable_text
from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem

TEXTS = {
    "mill": "the old mill by the river",
    "boat": "the boat is on the river",
    "tower": "a tower",
    "long": "the boat and the many words that a long text about a river needs to be long",
}
ITEMS = [KnowledgeItem(id=name, text=text) for name, text in TEXTS.items()]


def _bm25_by_hand(question, k1=1.5, b=0.75):
    documents = {name: lexical_words(text) for name, text in TEXTS.items()}
    average = sum(map(len, documents.values())) / len(documents)
    scores = {}
    for name, tokens in documents.items():
        score = 0.0
        for word in lexical_words(question):
            df = sum(word in other for other in documents.values())
            tf = tokens.count(word)
            idf = math.log(1 + (len(documents) - df + 0.5) / (df + 0.5))
            score += idf * tf / (tf + k1 * (1 - b + b * len(tokens) / average))
        scores[name] = score
    return scores


@pytest.mark.parametrize("question", ["boat on the river", "the old tower", "long text"])
def test_bm25_equals_the_formula(question):
    ranker = Bm25Ranker(ITEMS)
    by_hand = _bm25_by_hand(question)
    scores = dict(zip(ranker.ids, ranker._scores(lexical_words(question)).tolist(), strict=True))
    assert scores == pytest.approx(by_hand, rel=1e-5)
    found = [name for name in ranker.rank([question], 4)[0] if by_hand[name]]
    assert found == sorted((name for name in by_hand if by_hand[name]), key=lambda name: -by_hand[name])


def test_tfidf_is_a_cosine():
    items = [KnowledgeItem(id="1", text="red red boat"), KnowledgeItem(id="2", text="red mill")]
    ranker = TfidfRanker(items)
    scores = dict(zip(ranker.ids, ranker._scores(["red"]).tolist(), strict=True))
    rare = 1 + math.log(3 / 2)  # idf of a word in one of the two; a word in both has idf 1
    twice = 1 + math.log(2)
    assert scores["1"] == pytest.approx(twice / math.hypot(twice, rare), rel=1e-5)
    assert scores["2"] == pytest.approx(1 / math.hypot(1, rare), rel=1e-5)


@pytest.mark.parametrize("ranker_class", [Bm25Ranker, TfidfRanker])
def test_lexical_rankers_at_the_edges(ranker_class):
    ranker = ranker_class(ITEMS)
    assert [len(row) for row in ranker.rank(["boat", "nothing shared", "?"], 10)] == [4, 4, 4]
    assert ranker_class([]).rank(["boat"], 3) == [[]]
    assert ranker_class([KnowledgeItem(id="1", text="...")]).rank(["boat"], 3) == [["1"]]
    with pytest.raises(ValueError, match="at least 1"):
        ranker.rank(["boat"], 0)


@pytest.mark.parametrize("ranker_class", [Bm25Ranker, TfidfRanker])
def test_ties_do_not_follow_the_order_of_the_items(ranker_class):
    items = [KnowledgeItem(id=str(i), text="same words") for i in range(50)]
    first = ranker_class(items, seed=1).rank(["same"], 50)[0]
    assert first == ranker_class(items, seed=1).rank(["same"], 50)[0]
    assert first != sorted(first, key=int)
    assert sorted(first, key=int) == [str(i) for i in range(50)]


def test_random_ranker_finds_k_of_n():
    ids = [str(i) for i in range(20)]
    rows = RandomRanker(ids, seed=0).rank(["q"] * 4000, 5)
    assert all(len(set(row)) == 5 for row in rows)
    assert sum("7" in row for row in rows) / 4000 == pytest.approx(5 / 20, abs=0.03)
    assert rows == RandomRanker(ids, seed=0).rank(["q"] * 4000, 5)
    assert len(RandomRanker(ids).rank(["q"], 100)[0]) == 20


def test_searchable_text_says_nothing_twice():
    picture = ImageRef(path="a.png")
    item = KnowledgeItem(id="1", title="Oak Mill", caption="Oak Mill in Bree", text="It is old.", image=picture)
    assert searchable_text(item) == "Oak Mill in Bree It is old."
    assert searchable_text(KnowledgeItem(id="1", image=picture)) == ""


@given(st.integers(2, 60), st.integers(0, 2**32))
def test_derangement_has_no_fixed_point(n, seed):
    values = list(range(n))
    deranged = derangement(values, seed=seed)
    assert sorted(deranged) == values
    assert all(a != b for a, b in zip(values, deranged, strict=True))


@given(st.lists(st.sampled_from("abcd"), min_size=2, max_size=40), st.integers(0, 2**32))
def test_derangement_changes_every_key_where_it_can(keys, seed):
    if max(map(keys.count, keys)) * 2 > len(keys):
        with pytest.raises(ValueError, match="change places"):
            derangement(range(len(keys)), seed=seed, keys=keys)
        return
    deranged = derangement(range(len(keys)), seed=seed, keys=keys)
    assert sorted(deranged) == list(range(len(keys)))
    assert all(keys[new] != key for new, key in zip(deranged, keys, strict=True))


def test_derangement_is_spread_evenly():
    counts = [0, 0, 0, 0, 0]
    for seed in range(3000):
        counts[derangement(range(5), seed=seed)[0]] += 1
    assert counts[0] == 0
    assert all(abs(count / 3000 - 0.25) < 0.05 for count in counts[1:])


@pytest.mark.parametrize("values", [[], [1]])
def test_derangement_needs_two(values):
    with pytest.raises(ValueError, match="change places"):
        derangement(values, seed=0)
    with pytest.raises(ValueError, match="3 keys"):
        derangement([1, 2], seed=0, keys="abc")


def test_shuffle_pictures_keeps_words_and_moves_every_picture():
    items = [
        KnowledgeItem(id=str(i), title=f"t{i}", text=None if i % 3 else "words", image=ImageRef(path=f"{i}.png"))
        if i % 2
        else KnowledgeItem(id=str(i), text="words")
        for i in range(12)
    ]
    shuffled = shuffle_pictures(items, seed=0)
    assert [(item.id, item.title, item.text) for item in shuffled] == [(i.id, i.title, i.text) for i in items]
    assert [item.modality for item in shuffled] == [item.modality for item in items]
    pictures = [(old.image.path, new.image.path) for old, new in zip(items, shuffled, strict=True) if old.image]
    assert all(old != new for old, new in pictures)
    assert sorted(old for old, _ in pictures) == sorted(new for _, new in pictures)
    assert shuffle_pictures(items, seed=1) != shuffled
    assert shuffle_pictures(items[:1], seed=0) == items[:1]
    with pytest.raises(ValueError, match="change places"):
        shuffle_pictures(items[:2], seed=0)


def test_withhold_pictures():
    items = [
        KnowledgeItem(id="1", text="words"),
        KnowledgeItem(id="2", image=ImageRef(path="a.png"), caption="A mill"),
        KnowledgeItem(id="3", image=ImageRef(path="a.png")),
        KnowledgeItem(id="4", image=ImageRef(path="a.png"), text="words"),
    ]
    kept = withhold_pictures(items)
    assert [item.id for item in kept] == ["1", "2", "4"]
    assert all(item.image is None for item in kept)
