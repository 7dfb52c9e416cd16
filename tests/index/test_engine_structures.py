"""Search structures of the engine: high recall, exact scores, never fewer hits than there are items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rablip.index import EngineIndex, IndexManifest, SearchSettings
from rablip.index.engine import engine_index
from rablip.index.engine.structures import choose_structure

pytest.importorskip("lancedb", reason="lancedb is not installed: pip install 'rablip[engine]'")

COUNT, DIM = 1500, 16
TYPES = {"hnsw": "IvfHnswSq", "ivf": "IvfSq", "ivf_rabitq": "IvfRq", "ivf_pq": "IvfPq"}


def make_vectors(count: int, seed: int = 0) -> np.ndarray:
    """(count, DIM): unit vectors around 60 centres, as embeddings are; of directions at random few codes tell much."""
    centres = np.random.default_rng(1000).normal(size=(60, DIM))
    generator = np.random.default_rng(seed)
    vectors = centres[generator.integers(0, 60, count)] + 0.6 * generator.normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def make_engine(folder: Path, kind: Any) -> EngineIndex:
    settings = SearchSettings(kind=kind, num_lists=5, num_probes=5)
    manifest = IndexManifest(
        model_id="tower", model_fingerprint="ab", embedding_dim=DIM, search=settings, columns={"group": "int64"}
    )
    names, groups = [str(number) for number in range(COUNT)], [number % 50 for number in range(COUNT)]
    items = [(names, make_vectors(COUNT), {"group": groups})]
    return EngineIndex.create(str(folder), manifest, items=items)


def structure_of(index: EngineIndex) -> str | None:
    return {found.columns[0]: found.index_type for found in index._table.list_indices()}.get("vector")


@pytest.mark.parametrize("kind", list(TYPES))
def test_each_kind_finds_nearly_all_and_scores_exactly(tmp_path: Path, kind: Any) -> None:
    index = make_engine(tmp_path, kind)
    index.compact()
    assert structure_of(index) == TYPES[kind]
    gone = {str(number) for number in range(0, COUNT, 3)}
    index.delete(sorted(gone))
    index.add(["late 1", "late 2"], make_vectors(2, seed=5), columns={"group": [1, 2]})
    stored = {str(number): vector for number, vector in enumerate(make_vectors(COUNT))}
    stored.update(zip(["late 1", "late 2"], make_vectors(2, seed=5), strict=True))
    live = {name: vector for name, vector in stored.items() if name not in gone}
    questions = np.concatenate([make_vectors(20, seed=3), make_vectors(2, seed=5)])
    num_found = 0
    for question, hits in zip(questions, index.search(questions, 10), strict=True):
        assert len(hits) == len({hit.id for hit in hits}) == 10 and {hit.id for hit in hits} <= set(live)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert [hit.score for hit in hits] == pytest.approx([question @ live[hit.id] for hit in hits], abs=1e-6)
        best = sorted(live, key=lambda name: -float(question @ live[name]))[:10]
        num_found += len(set(best) & {hit.id for hit in hits})
    assert num_found >= 0.9 * 10 * len(questions)
    assert [hits[0].id for hits in index.search(questions[-2:], 1)] == ["late 1", "late 2"]
    assert [len(hits) for hits in index.search(questions[:2], 5000)] == [len(live)] * 2
    group = [name for name in live if (name.isdigit() and int(name) % 50 == 7)]
    for question, hits in zip(questions, index.search(questions, 10, where={"group": 7}), strict=True):
        assert [hit.id for hit in hits] == sorted(group, key=lambda name: -float(question @ live[name]))[:10]


def test_questions_that_a_structure_answers_short_are_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the one list looked into holds is deleted: the hits come from the others."""
    index = make_engine(tmp_path, "ivf")
    index.compact()
    kinds, find = [], engine_index.find_nearest

    def find_short(table: Any, questions: Any, k: int, condition: Any, settings: SearchSettings) -> Any:
        kinds.append((settings.kind, len(questions)))
        found = find(table, questions, k, condition, settings)
        return [found[0], found[1][:3], *found[2:]] if settings.kind != "exact" else found

    monkeypatch.setattr(engine_index, "find_nearest", find_short)
    hits = index.search(make_vectors(3, seed=3), 10)
    assert [len(row) for row in hits] == [10, 10, 10] and kinds == [("ivf", 3), ("exact", 1)]


def test_a_structure_grows_is_made_anew_and_goes(tmp_path: Path) -> None:
    index = make_engine(tmp_path, "ivf")
    assert structure_of(index) is None
    index.compact()
    index.add(["late"], make_vectors(1, seed=5))
    index.compact()
    inside = {
        found.columns[0]: (found.num_indexed_rows, found.num_unindexed_rows) for found in index._table.list_indices()
    }
    assert inside == dict.fromkeys(["id", "vector", "column_0"], (COUNT + 1, 0))
    with pytest.warns(UserWarning, match="Any concurrent reader"):
        index.compact(rebuild=True, keep_days=0)
    assert index.verify() == COUNT + 1 and index.search(make_vectors(1, seed=5), 1)[0][0].id == "late"
    index.delete([str(number) for number in range(COUNT - 5)])
    index.compact()
    assert structure_of(index) is None and len(index.search(make_vectors(1), 10)[0]) == 6


def test_kinds_are_chosen_by_size_and_dimension() -> None:
    auto = SearchSettings()
    assert choose_structure(auto, 49_999, 256).kind == "exact"
    assert choose_structure(auto, 50_000, 256).kind == choose_structure(auto, 10**9, 256).kind == "ivf_rabitq"
    assert choose_structure(auto, 50_000, 12).kind == "ivf"
    assert choose_structure(SearchSettings(kind="hnsw"), 999, 12).kind == "exact"
    chosen = choose_structure(SearchSettings(kind="ivf", num_lists=5), 10_000, 12)
    assert (chosen.num_lists, chosen.num_probes) == (5, 5)
