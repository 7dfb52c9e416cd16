"""Structures find what exact search finds, scores are exact whatever the kind, and kinds are chosen by size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rablip.index import IndexCorruptError, IndexManifest, KnowledgeIndex, SearchSettings
from rablip.index.exact_search import refine_rows, search_exact
from rablip.index.segment_writing import HashingWriter
from tests.index.test_knowledge_index import make_manifest

DIM, COUNT = 32, 3000


def make_clusters(count: int, seed: int) -> np.ndarray:
    """Unit vectors in clusters, as encodings are; isotropic ones have no near neighbours worth the name."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(60, DIM))
    vectors = centres[rng.integers(60, size=count)] + 0.5 * rng.normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def build(folder: Path, kind: Any, **settings: Any) -> KnowledgeIndex:
    manifest = make_manifest(embedding_dim=DIM, search=SearchSettings(kind=kind, **settings))
    index = KnowledgeIndex.create(manifest)
    index.add([str(number) for number in range(COUNT)], make_clusters(COUNT, 0))
    index.save(folder)
    return KnowledgeIndex.load(folder)


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "ivf_rabitq", "ivf_pq"])
def test_a_structure_finds_what_exact_search_finds(tmp_path: Path, kind: Any) -> None:
    index, items, questions = build(tmp_path, kind, num_probes=16), make_clusters(COUNT, 0), make_clusters(50, 1)
    assert index.manifest.segments[0].search.kind == kind
    scores = questions @ items.T
    best = np.argsort(-scores, axis=1)[:, :10]
    found = index.search(questions, 10)
    recall = np.mean([len({int(hit.id) for hit in hits} & set(row)) for hits, row in zip(found, best, strict=True)])
    assert recall / 10 >= 0.97
    for row, hits in enumerate(found):
        assert len(hits) == 10
        np.testing.assert_allclose([hit.score for hit in hits], [scores[row, int(hit.id)] for hit in hits], atol=1e-5)


def test_without_refinement_codes_alone_are_not_enough(tmp_path: Path) -> None:
    """The default of FAISS refines nothing (a factor of 1); ours does."""
    items, questions = make_clusters(COUNT, 0), make_clusters(50, 1)
    best = np.argsort(-(questions @ items.T), axis=1)[:, :10]

    def recall(k_factor: int) -> float:
        index = build(tmp_path / str(k_factor), "ivf_rabitq", num_probes=16, k_factor=k_factor)
        found = index.search(questions, 10)
        return float(
            np.mean([len({int(hit.id) for hit in hits} & set(row)) for hits, row in zip(found, best, strict=True)])
        )

    assert recall(1) < 0.8 * recall(10)


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "ivf_rabitq"])
def test_edits_of_a_structure_are_masks_until_it_is_compacted(tmp_path: Path, kind: Any) -> None:
    index, items = build(tmp_path, kind), make_clusters(COUNT, 0)
    gone = [str(number) for number in range(0, COUNT, 2)]
    index.delete(gone)
    index.upsert(["1"], make_clusters(1, 8))
    index.save(tmp_path)
    for one in (index, KnowledgeIndex.load(tmp_path)):
        for hits in one.search(items[:20], 10):
            assert len(hits) == 10 and not {hit.id for hit in hits} & set(gone)
        (hits,) = one.search(make_clusters(1, 8), 1)
        assert hits[0].id == "1" and hits[0].score == pytest.approx(1, abs=1e-5)
        assert len(one.search(items[:1], COUNT)[0]) == COUNT // 2


def test_more_than_the_probed_lists_hold_is_found_too(tmp_path: Path) -> None:
    index = build(tmp_path, "ivf", num_probes=1, num_lists=50)
    assert len(index.search(make_clusters(1, 1), 2500)[0]) == 2500
    with pytest.raises(ValueError, match="num_probes"):
        SearchSettings(num_probes=-1)
    with pytest.raises(ValueError, match="kind must be one of auto, exact"):
        SearchSettings(kind="flat")  # type: ignore[arg-type]


def test_kinds_are_chosen_by_size(tmp_path: Path) -> None:
    kinds = [SearchSettings().resolve(count).kind for count in (0, 49_999, 50_000, 2_000_000, 2_000_001, 10**9)]
    assert kinds == ["exact", "exact", "hnsw", "hnsw", "ivf_rabitq", "ivf_rabitq"]
    assert SearchSettings(kind="ivf").resolve(999).kind == "exact"
    assert SearchSettings(kind="ivf").resolve(1000).num_lists == 25
    index = build(tmp_path, "auto")
    assert index.manifest.segments[0].search.kind == "exact" and index.manifest.search.kind == "auto"


def test_a_structure_of_another_kind_or_size_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "hnsw", "hnsw")
    build(tmp_path / "ivf", "ivf")
    (mine,) = (tmp_path / "hnsw").glob("segment-*/structure.faiss")
    (other,) = (tmp_path / "ivf").glob("segment-*/structure.faiss")
    content = other.read_bytes()
    manifest = IndexManifest.load(tmp_path / "hnsw")
    for path in mine.parent.glob("structure.faiss*"):
        path.unlink()
    writer = HashingWriter(mine)
    writer.write(content)
    files = {name: entry for name, entry in manifest.files.items() if "structure" not in name}
    files |= {f"{mine.parent.name}/{name}": entry for name, entry in writer.close().items()}
    IndexManifest(**{**vars(manifest), "files": files}).save(tmp_path / "hnsw")
    with pytest.raises(IndexCorruptError, match="not HNSW32"):
        KnowledgeIndex.load(tmp_path / "hnsw")


def test_exact_search_over_some_rows_is_brute_force() -> None:
    vectors, questions = make_clusters(500, 0), make_clusters(4, 1)
    scores = questions @ vectors.T
    for left_out in (1, 4, 100, 495, 500):
        mask = np.ones(500, dtype=bool)
        mask[np.argsort(-scores[0])[:left_out]] = False
        found, rows = search_exact(questions, vectors, 10, mask=mask)
        for row in range(4):
            allowed = np.flatnonzero(mask)
            best = allowed[np.argsort(-scores[row, allowed])][:10]
            assert rows[row][rows[row] >= 0].tolist() == best.tolist()
            np.testing.assert_allclose(found[row][: len(best)], scores[row, best], atol=1e-5)
    candidates = np.array([[3, 7, -1], [-1, -1, -1], [5, 4, 2], [0, 1, 2]], dtype=np.int64)
    found, rows = refine_rows(questions, vectors, candidates, 2)
    assert rows[1].tolist() == [-1, -1] and np.isneginf(found[1]).all() and set(rows[0]) == {3, 7}
