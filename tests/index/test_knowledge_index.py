"""The dense index equals brute force after any edits, never leaks sentinels, and refuses what it cannot answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rablip.index import IndexManifest, KnowledgeIndex, SearchHit
from rablip.index import identifiers as identifiers

DIM = 4


def make_manifest(**changes: object) -> IndexManifest:
    return IndexManifest(**{"model_id": "tower", "model_fingerprint": "ab12", "embedding_dim": DIM, **changes})


def make_vectors(count: int, *, seed: int = 0, dim: int = DIM) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_index(count: int = 5) -> KnowledgeIndex:
    index = KnowledgeIndex.create(make_manifest())
    index.add([f"item {number}" for number in range(count)], make_vectors(count))
    return index


def test_search_equals_brute_force() -> None:
    index, items, questions = make_index(50), make_vectors(50), make_vectors(7, seed=1)
    scores = questions @ items.T
    for row, hits in zip(scores, index.search(questions, 10), strict=True):
        best = np.argsort(-row)[:10]
        assert [hit.id for hit in hits] == [f"item {number}" for number in best]
        np.testing.assert_allclose([hit.score for hit in hits], row[best], atol=1e-6)


class EditedIndex(RuleBasedStateMachine):
    """Random edits, saves and loads; a dict of what should be there says what a search must find."""

    names = st.lists(st.sampled_from([f"id {number}" for number in range(8)]), max_size=6)

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.index = KnowledgeIndex.create(make_manifest())
        self.expected: dict[str, np.ndarray] = {}
        self.used: set[int] = set()
        self.seed = 0

    @rule(names=names, policy=st.sampled_from(["fail", "skip", "overwrite"]))
    def add(self, names: list[str], policy: str) -> None:
        self.seed += 1
        vectors = make_vectors(len(names), seed=self.seed)
        clash = len(set(names)) < len(names) or set(names) & set(self.expected)
        if policy == "fail" and clash:
            with pytest.raises(ValueError, match="already or given twice"):
                self.index.add(names, vectors, on_duplicate=policy)
            return
        self.index.add(names, vectors, on_duplicate=policy)
        for name, vector in zip(names, vectors, strict=True):
            if policy == "overwrite" or name not in self.expected:
                self.expected[name] = vector

    @rule(names=names)
    def delete(self, names: list[str]) -> None:
        unknown = self.index.delete(names)
        assert unknown == [name for name in dict.fromkeys(names) if name not in self.expected]
        for name in names:
            self.expected.pop(name, None)

    @rule(verify=st.sampled_from([True, False, None]))
    def save_and_load(self, verify: bool | None) -> None:
        self.index.save(self.folder)
        self.index = KnowledgeIndex.load(self.folder, expected={"embedding_dim": DIM}, verify=verify)

    @rule()
    def save_and_go_on(self) -> None:
        self.index.save(self.folder)

    @invariant()
    def equals_brute_force(self) -> None:
        assert len(self.index) == len(self.expected) == self.index.manifest.num_items
        assert set(self.index.ids) == set(self.expected)
        (hits,) = self.index.search(make_vectors(1, seed=999), 20)
        assert {hit.id for hit in hits} == set(self.expected)
        assert len(hits) == len(self.expected)
        for hit in hits:
            assert hit.score == pytest.approx(float(make_vectors(1, seed=999)[0] @ self.expected[hit.id]), abs=1e-6)
        if self.expected:
            names = list(self.expected)
            np.testing.assert_array_equal(self.index.get(names), np.stack([self.expected[name] for name in names]))


TestEditedIndex = EditedIndex.TestCase
TestEditedIndex.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_a_deleted_item_never_comes_back_as_another(tmp_path: Path) -> None:
    index = make_index(3)
    index.delete(["item 2"])
    index.save(tmp_path)
    index = KnowledgeIndex.load(tmp_path)
    index.add(["new"], make_vectors(1, seed=5))
    index.save(tmp_path)
    loaded = KnowledgeIndex.load(tmp_path)
    assert loaded.ids == ["item 0", "item 1", "new"] and "item 2" not in loaded
    np.testing.assert_array_equal(loaded.get(["new"]), make_vectors(1, seed=5))


def test_ids_may_be_any_text_and_the_lookup_compares_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two ids with one hash are two ids."""
    monkeypatch.setattr(identifiers, "hash_ids", lambda ids: np.full(len(list(ids)), 7, dtype="<u8"))
    names = ["a", "é", "日本", "a b", "x" * 5000]
    index = KnowledgeIndex.create(make_manifest())
    index.add(names, make_vectors(5))
    index.save(tmp_path)
    loaded = KnowledgeIndex.load(tmp_path)
    assert loaded.ids == names and "b" not in loaded and all(name in loaded for name in names)
    np.testing.assert_array_equal(loaded.get(names[::-1]), make_vectors(5)[::-1])
    with pytest.raises(ValueError, match="UTF-8"):
        index.add(["\ud800"], make_vectors(1))


def test_an_empty_or_small_index_gives_short_lists() -> None:
    empty = KnowledgeIndex.create(make_manifest())
    assert empty.search(make_vectors(2), 5) == [[], []]
    (hits,) = make_index(3).search(make_vectors(1), 100)
    assert len(hits) == 3
    assert all(-1.001 <= hit.score <= 1.001 and isinstance(hit, SearchHit) for hit in hits)
    assert make_index(3).search(np.empty((0, DIM)), 5) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0])
def test_nan_infinite_and_zero_embeddings_are_refused_by_name(bad: float) -> None:
    index, vectors = make_index(2), make_vectors(3, seed=1)
    vectors[1] = bad
    with pytest.raises(ValueError, match="NaN, infinite or zero: item 'b'"):
        index.add(["a", "b", "c"], vectors)
    assert len(index) == 2
    with pytest.raises(ValueError, match="NaN, infinite or zero: question 1"):
        index.search(vectors, 1)


def test_one_nan_among_numbers_is_refused() -> None:
    vectors = make_vectors(1)
    vectors[0, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        make_index().search(vectors, 1)


def test_embeddings_of_another_length_are_refused_in_a_normalized_index() -> None:
    with pytest.raises(ValueError, match="item 'x' has length 2"):
        make_index().add(["x"], 2 * make_vectors(1))
    free = KnowledgeIndex.create(make_manifest(normalized=False))
    free.add(["x"], 2 * make_vectors(1))
    assert free.search(make_vectors(1), 1)[0][0].score == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("k", [0, -1, 2.5, True, "3"])
def test_k_below_one_is_refused(k: object) -> None:
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        make_index().search(make_vectors(1), k)


def test_shapes_and_counts_are_checked_before_anything_is_added() -> None:
    index = make_index(2)
    with pytest.raises(ValueError, match=r"shape \(rows, 4\) of this index \(built by tower\), got \(1, 5\)"):
        index.search(make_vectors(1, dim=5), 1)
    with pytest.raises(ValueError, match="shape"):
        index.search(make_vectors(1)[0], 1)
    with pytest.raises(ValueError, match="2 ids but 3 embeddings"):
        index.add(["a", "b"], make_vectors(3))
    with pytest.raises(TypeError, match="ids must be texts, got int"):
        index.add([7], make_vectors(1))
    with pytest.raises(TypeError, match="one text"):
        index.add("ab", make_vectors(2))
    with pytest.raises(ValueError, match="blank"):
        index.add([" "], make_vectors(1))
    with pytest.raises(ValueError, match="on_duplicate"):
        index.add(["a"], make_vectors(1), on_duplicate="replace")
    assert len(index) == 2


def test_unknown_ids() -> None:
    index = make_index(2)
    with pytest.raises(KeyError, match="nobody"):
        index.delete(["item 0", "nobody"], strict=True)
    assert "item 0" in index
    with pytest.raises(KeyError, match="nobody"):
        index.get(["nobody"])


def test_tensors_are_taken_in_any_precision() -> None:
    vectors = torch.tensor(make_vectors(3))
    index = KnowledgeIndex.create(make_manifest())
    assert index.add(["a", "b", "c"], vectors.requires_grad_()) == 3
    assert index.search(vectors.bfloat16(), 1)[2][0].id == "c"
