"""Structures find what exact search finds, scores are exact whatever the kind, and kinds are chosen by size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rablip.index import IndexCorruptError, IndexManifest, KnowledgeIndex, SearchHit, SearchSettings
from rablip.index.approximate_search import build_structure
from rablip.index.exact_search import refine_rows, search_exact
from rablip.index.faiss_import import import_faiss
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
    kinds = [SearchSettings().resolve(count).kind for count in (0, 49_999, 50_000, 20_000_000, 20_000_001, 10**9)]
    assert kinds == ["exact", "exact", "ivf_pq", "ivf_pq", "ivf_rabitq", "ivf_rabitq"]
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


@pytest.mark.parametrize("kind", ["ivf", "ivf_rabitq", "ivf_pq"])
def test_zeros_are_resolved_and_what_is_given_is_kept(kind: Any) -> None:
    for count in (1000, 50_000, 1_000_000, 10**8):
        resolved = SearchSettings(kind=kind).resolve(count)
        assert resolved.k_factor >= 1 and 1 <= resolved.num_probes <= resolved.num_lists <= count // 39
        assert resolved.resolve(count) == resolved
        assert resolved.count_candidates(1) == resolved.count_candidates(5) < resolved.count_candidates(6)
    given = SearchSettings(kind=kind, num_lists=7, num_probes=3, k_factor=2).resolve(5000)
    assert (given.num_lists, given.num_probes, given.count_candidates(10)) == (7, 3, 20)


@pytest.mark.parametrize("dim", [1, 2, 7, 9, 10, 30, 256])
def test_product_codes_fit_every_dimension(dim: int) -> None:
    vectors = np.random.default_rng(0).standard_normal((1500, dim)).astype(np.float32)
    settings = SearchSettings(kind="ivf_pq", num_lists=8).resolve(len(vectors))
    structure = build_structure(vectors, settings).structure
    assert dim % structure.pq.M == 0 and structure.code_size <= settings.bytes_per_vector(dim)


@pytest.mark.parametrize("ids", [["a", "bcd", "e" * 40], ["ä", "b", "日本", "c"], ["x"]])
def test_ids_of_any_length_come_back(tmp_path: Path, ids: list[str]) -> None:
    index = KnowledgeIndex.create(make_manifest(embedding_dim=DIM))
    index.add(ids, make_clusters(len(ids), 0))
    index.save(tmp_path)
    loaded = KnowledgeIndex.load(tmp_path)
    assert loaded.ids == ids
    for hits in loaded.search(make_clusters(3, 1), len(ids) + 3):
        assert sorted(hit.id for hit in hits) == sorted(ids) and all(type(hit) is SearchHit for hit in hits)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_vectors_whose_squares_leave_float32_are_numbers() -> None:
    index = KnowledgeIndex.create(make_manifest(embedding_dim=2, normalized=False))
    index.add(["far", "near"], np.array([[1e25, 0], [1e-25, 0]]))
    assert [hit.id for hit in index.search(np.array([[1e-25, 1e-30]]), 2)[0]] == ["far", "near"]


def test_the_threshold_of_faiss_is_fitted_unless_it_was_chosen() -> None:
    faiss = import_faiss()
    before = faiss.cvar.distance_compute_blas_threshold
    try:
        for given, wanted in ((128_000, 800 * faiss.omp_get_max_threads()), (77, 77)):
            faiss.cvar.distance_compute_blas_threshold = given
            assert import_faiss().cvar.distance_compute_blas_threshold == min(wanted, 127_999)
    finally:
        faiss.cvar.distance_compute_blas_threshold = before
