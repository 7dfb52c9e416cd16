"""Approximate search: a structure of FAISS over compressed vectors, refined by the exact ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .checksums import FileRecord, HashingWriter
from .errors import IndexCorruptError
from .exact_search import refine_rows
from .faiss_import import import_faiss
from .search_kinds import SearchSettings
from .verified_file import VerifiedFile

__all__ = ["ApproximateSearcher", "build_structure", "read_structure"]

_ROWS_AT_ONCE = 1 << 15
_TRAINING_ROWS_PER_LIST = 64


class ApproximateSearcher:
    """Finds candidates by a FAISS structure and refines them.

    Args:
        structure: the FAISS index; its ids are row numbers of the vectors.
        settings: resolved settings.
    """

    def __init__(self, structure: Any, settings: SearchSettings) -> None:
        self.structure = structure
        self.settings = settings

    def find_candidates(self, questions: np.ndarray, k: int, mask: np.ndarray | None = None) -> np.ndarray:
        """Rows (num_questions, num_candidates) that may be the nearest, -1 where there are fewer.

        Args:
            questions: (num_questions, embedding_dim) float32.
            k: how many are wanted after refinement.
            mask: (num_rows,) bool, the rows that count.
        """
        faiss = import_faiss()
        places = min(self.settings.count_candidates(k), self.structure.ntotal)
        selector = None
        if mask is not None:
            bits = np.packbits(mask, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)
        if self.settings.kind == "hnsw":
            effort = max(self.settings.ef_search, places)
            parameters = faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        else:
            parameters = faiss.SearchParametersIVF(nprobe=self.settings.num_probes, sel=selector)
        _, rows = self.structure.search(questions, places, params=parameters)
        found: np.ndarray = rows
        return found


def build_structure(
    vectors: np.ndarray, settings: SearchSettings, *, seed: int = 0, progress: Any = None
) -> ApproximateSearcher:
    """Build the structure of resolved settings over vectors, reading them in batches.

    Args:
        vectors: (num_rows, embedding_dim) float32.
        settings: resolved; not "exact".
        seed: of the sample that is trained on.
        progress: called with the number of rows that were added.
    """
    faiss = import_faiss()
    num_rows, dim = vectors.shape
    structure = faiss.index_factory(dim, settings.factory(dim), faiss.METRIC_INNER_PRODUCT)
    if settings.kind == "hnsw":
        structure.hnsw.efConstruction = 100
    num_training = min(num_rows, max(_TRAINING_ROWS_PER_LIST * settings.num_lists, 1 << 16))
    sample = np.sort(np.random.default_rng(seed).permutation(num_rows)[:num_training])
    structure.train(np.ascontiguousarray(vectors[sample]))
    for start in range(0, num_rows, _ROWS_AT_ONCE):
        part = np.ascontiguousarray(vectors[start : start + _ROWS_AT_ONCE])
        structure.add(part)
        if progress is not None:
            progress(len(part))
    return ApproximateSearcher(structure, settings)


def write_structure(searcher: ApproximateSearcher, path: Path) -> dict[str, FileRecord]:
    """Write the structure and return the records of its files."""
    faiss = import_faiss()
    writer = HashingWriter(path)
    try:
        faiss.write_index(searcher.structure, faiss.PyCallbackIOWriter(writer.write))
    except BaseException:
        writer.abort()
        raise
    return writer.close()


def read_structure(
    file: VerifiedFile, settings: SearchSettings, *, num_vectors: int, embedding_dim: int
) -> ApproximateSearcher:
    """Read a structure; its bytes are verified, and its size held against what it can be, before FAISS sees them.

    Args:
        file: the structure's file.
        settings: resolved settings of the segment.
        num_vectors: how many vectors it must have.
        embedding_dim: their dimension.

    Raises:
        IndexCorruptError: when the file is altered, larger than it can be, or another structure.
    """
    faiss = import_faiss()
    limit = (num_vectors + 1024) * settings.bytes_per_vector(embedding_dim)
    limit += (settings.num_lists + 1024) * (4 * embedding_dim + 64) + 8 * embedding_dim * embedding_dim
    if file.record.num_bytes > limit:
        raise IndexCorruptError(
            f"{file.path} has {file.record.num_bytes} bytes, more than {settings.kind} can have for {num_vectors} "
            f"vectors ({limit})."
        )
    file.verify()
    try:
        # From the mapped file: `deserialize_index` would copy all of it first.
        structure = faiss.read_index(faiss.PyCallbackIOReader(_Reader(file.array(np.uint8)).read))
    except RuntimeError as error:
        raise IndexCorruptError(f"{file.path} cannot be read by FAISS: {error}") from error
    if structure.d != embedding_dim or structure.ntotal != num_vectors:
        raise IndexCorruptError(
            f"{file.path} has {structure.ntotal} vectors of dimension {structure.d}, the manifest says {num_vectors} "
            f"of {embedding_dim}."
        )
    expected = faiss.index_factory(embedding_dim, settings.factory(embedding_dim), faiss.METRIC_INNER_PRODUCT)
    if type(structure) is not type(expected) or structure.metric_type != expected.metric_type:
        raise IndexCorruptError(f"{file.path} is a {type(structure).__name__}, not {settings.factory(embedding_dim)}.")
    return ApproximateSearcher(structure, settings)


class _Reader:
    """Reads an array of bytes from its beginning to its end."""

    def __init__(self, content: np.ndarray) -> None:
        self._content = content
        self._place = 0

    def read(self, num_bytes: int) -> bytes:
        """The next bytes; fewer at the end."""
        part = self._content[self._place : self._place + num_bytes]
        self._place += len(part)
        return part.tobytes()


def search_refined(
    searcher: ApproximateSearcher,
    questions: np.ndarray,
    vectors: np.ndarray,
    file: VerifiedFile | None,
    k: int,
    mask: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of the structure, the best `k` by exact inner product; the vectors touched are verified first.

    Args:
        searcher: finds the candidates.
        questions: (num_questions, embedding_dim) float32.
        vectors: (num_rows, embedding_dim) float32.
        file: the file in which the vectors lie; None where they are in memory.
        k: how many.
        mask: (num_rows,) bool, the rows that count.

    Returns:
        Scores and rows (num_questions, k), -inf and -1 where fewer were found.
    """
    candidates = searcher.find_candidates(questions, k, mask)
    if file is not None and not file.is_verified:
        file.verify_rows(candidates[candidates >= 0], vectors.strides[0])
    return refine_rows(questions, vectors, candidates, min(k, len(vectors)))
