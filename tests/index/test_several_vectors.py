"""Items with several vectors: their score is the largest of theirs, and k counts items."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rablip.index import IndexManifest, KnowledgeIndex

DIM, MOST = 3, 4


def make_index() -> KnowledgeIndex:
    manifest = IndexManifest(model_id="tower", model_fingerprint="ab12", embedding_dim=DIM, max_vectors=MOST)
    return KnowledgeIndex.create(manifest)


def make_items(counts: list[int], seed: int = 0) -> np.ndarray:
    """(num_items, MOST, DIM): as many unit vectors as each item has, then zeros."""
    vectors = np.random.default_rng(seed).normal(size=(len(counts), MOST, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    vectors[np.arange(MOST)[None] >= np.array(counts, dtype=int).reshape(-1, 1)] = 0
    return vectors


def score_largest(question: np.ndarray, items: np.ndarray) -> np.ndarray:
    return np.where((items == 0).all(axis=2), -np.inf, items @ question).max(axis=1)


@given(st.lists(st.integers(1, MOST), min_size=1, max_size=12), st.integers(1, 15), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_search_equals_brute_force_over_items(counts: list[int], k: int, seed: int) -> None:
    items, names = make_items(counts, seed), [f"item {number}" for number in range(len(counts))]
    index = make_index()
    index.add(names, items)
    question = make_items([1], seed + 1)[0, 0]
    scores = score_largest(question, items)
    hits = index.search(question[None], k)[0]
    assert [hit.id for hit in hits] == [names[row] for row in np.argsort(-scores, kind="stable")[:k]]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores)[::-1][:k], atol=1e-6)


def test_edits_take_all_vectors_of_an_item_and_survive_saving(tmp_path: Path) -> None:
    index, items = make_index(), make_items([4, 1, 3])
    index.add(["a", "b", "c"], items)
    index.delete(["a"])
    index.add(["c"], make_items([2], seed=5), on_duplicate="overwrite")
    index.save(tmp_path)
    for one in (index, KnowledgeIndex.load(tmp_path)):
        assert one.ids == ["b", "c"] and one.manifest.num_items == len(one) == 2
        np.testing.assert_array_equal(one.get(["c", "b"]), np.stack([make_items([2], seed=5)[0], items[1]]))
        assert {hit.id for hit in one.search(items[0, :1], 9)[0]} == {"b", "c"}


def test_the_order_in_which_a_policy_keeps_items_has_their_own_vectors() -> None:
    index, items = make_index(), make_items([2, 3, 1])
    assert index.add(["a", "b", "a"], items, on_duplicate="overwrite") == 2
    np.testing.assert_array_equal(index.get(["a", "b"]), items[[2, 1]])


def test_items_without_a_vector_or_with_too_many_are_refused() -> None:
    index = make_index()
    with pytest.raises(ValueError, match="'b' has 0 vectors"):
        index.add(["a", "b"], make_items([1, 0]))
    with pytest.raises(ValueError, match="'a' has 5 vectors; this index takes 1 to 4"):
        index.add(["a"], np.tile(np.eye(1, DIM, dtype=np.float32), (1, 5, 1)))
    with pytest.raises(ValueError, match="NaN, infinite or zero: item 'b'"):
        index.add(["a", "b"], np.concatenate([make_items([1]), np.full((1, MOST, DIM), np.nan)]))
    assert len(index) == 0
