"""What the index benchmark compares: rablip's index, bare FAISS over the same structure, exact search, and a peer.

An arm takes questions (num_questions, dim) and gives what its library gives; `rows` turns that into row numbers and is
not timed. A further engine is one more function that returns an `Arm` or, where it is not installed, None; `make_peer`
is the example.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from index_data import TOP, Data

from rablip.index import IndexBuilder, IndexManifest, KnowledgeIndex, SearchSettings
from rablip.index.exact_search import search_exact
from rablip.index.faiss_import import import_faiss

__all__ = ["Arm", "build_index", "make_arms", "make_peer", "name_row"]

_ROWS_AT_ONCE = 1 << 14
# What FAISS 1.15 comes with; rablip lowers it, see rablip/index/faiss_import.py.
_INSTALLED_THRESHOLD = 128_000


@dataclass(frozen=True)
class Arm:
    """One way to search.

    Args:
        search: questions -> what the library gives.
        rows: that -> row numbers, one list a question.
    """

    search: Callable[[np.ndarray], Any]
    rows: Callable[[Any], list[list[int]]]


def name_row(row: int) -> str:
    """The id of a row, as long as ids of real items are."""
    return f"item-{row:08d}"


def build_index(data: Data, settings: SearchSettings, folder: Path) -> IndexManifest:
    """Build an index as `rablip index build` does: as a stream."""
    vectors = data.vectors
    manifest = IndexManifest(
        model_id="benchmark", model_fingerprint="none", embedding_dim=vectors.shape[1], search=settings
    )
    with IndexBuilder(folder, manifest) as builder:
        for start in range(0, len(vectors), _ROWS_AT_ONCE):
            part = np.asarray(vectors[start : start + _ROWS_AT_ONCE])
            builder.add([name_row(row) for row in range(start, start + len(part))], part)
        return builder.commit()


def make_arms(index: KnowledgeIndex) -> dict[str, Arm]:
    """The arms over one loaded index; all of them read the same vectors and the same structure.

    - `ours`: `KnowledgeIndex.search`, which checks the questions and gives ids and scores.
    - `bare`: FAISS alone, with the same parameters and the same refinement; gives scores and row numbers.
    - `installed`: the same with FAISS's own threshold for matrix products.
    - `exact`: rablip's exact search over the same vectors, without ids.
    """
    faiss = import_faiss()
    (part,) = index.parts
    segment: Any = part.segment
    vectors, settings = segment.vectors, segment.record.search
    structure = None if settings.kind == "exact" else segment.load_searcher().structure

    def search_bare(questions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if structure is None:
            found: tuple[np.ndarray, np.ndarray] = faiss.knn(
                questions, vectors, TOP, metric=faiss.METRIC_INNER_PRODUCT
            )
            return found
        places = settings.count_candidates(TOP)
        if settings.kind == "hnsw":
            parameters = faiss.SearchParametersHNSW(efSearch=max(settings.ef_search, places))
        else:
            parameters = faiss.SearchParametersIVF(nprobe=settings.num_probes)
        candidates = structure.search(questions, places, params=parameters)[1]
        scores = np.empty((len(questions), TOP), dtype=np.float32)
        rows = np.empty((len(questions), TOP), dtype=np.int64)
        pointers = [faiss.swig_ptr(array) for array in (questions, vectors, candidates)]
        sizes = (vectors.shape[1], len(questions), len(vectors), places, TOP)
        results = [faiss.swig_ptr(array) for array in (scores, rows)]
        faiss.knn_inner_products_by_idx(*pointers, *sizes, *results, places)
        return scores, rows

    def search_installed(questions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with blas_threshold(_INSTALLED_THRESHOLD):
            return search_bare(questions)

    arms = {
        "ours": Arm(lambda questions: index.search(questions, TOP), rows_of_hits),
        "bare": Arm(search_bare, rows_of_arrays),
        "installed": Arm(search_installed, rows_of_arrays),
    }
    if structure is not None:
        arms["exact"] = Arm(lambda questions: search_exact(questions, vectors, TOP), rows_of_arrays)
    return arms


@contextmanager
def blas_threshold(value: int) -> Any:
    """FAISS's threshold for matrix products while the context is open."""
    faiss = import_faiss()
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = value
    try:
        yield
    finally:
        faiss.cvar.distance_compute_blas_threshold = before


def rows_of_hits(found: Any) -> list[list[int]]:
    """Row numbers of rablip's hits."""
    return [[int(hit.id.removeprefix("item-")) for hit in hits] for hits in found]


def rows_of_arrays(found: Any) -> list[list[int]]:
    """Row numbers of FAISS's arrays."""
    return [[row for row in rows if row >= 0] for rows in found[1].tolist()]


def make_peer(data: Data) -> Arm | None:
    """txtai at its defaults: FAISS's lists of whole vectors, all in memory, over the same vectors; None without it."""
    try:
        from txtai import Embeddings
    except ImportError:
        return None
    # Vectors are given as they are.
    peer = Embeddings({"method": "external", "transform": lambda vectors: np.asarray(vectors, dtype=np.float32)})
    peer.index((name_row(row), np.asarray(vector), None) for row, vector in enumerate(data.vectors))
    return Arm(
        lambda questions: peer.batchsearch(list(questions), TOP),
        lambda found: [[int(hit[0].removeprefix("item-")) for hit in hits] for hits in found],
    )
