"""Exact search over a matrix in memory or mapped from disk, over all of its rows or some."""

from __future__ import annotations

from typing import Any

import numpy as np

from .faiss_import import import_faiss

__all__ = ["merge_results", "refine_rows", "search_exact"]

_ROWS_AT_ONCE = 1 << 16
# So many rows more than asked for are looked at before rows that do not count are left out one by one.
_SPARE_ROWS = 64


def search_exact(
    questions: np.ndarray, vectors: np.ndarray, k: int, *, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` rows with the largest inner products, best first.

    Args:
        questions: (num_questions, embedding_dim) float32.
        vectors: (num_rows, embedding_dim) float32.
        k: how many.
        mask: (num_rows,) bool, the rows that count; None for all.

    Returns:
        Scores and rows, each (num_questions, at most k); -inf and -1 where there are no more rows.

    Example:
        >>> scores, rows = search_exact(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 1)
        >>> rows.tolist()
        [[0], [1]]
    """
    if mask is None:
        return _search(questions, vectors, k)
    counted = int(mask.sum())
    left_out = len(mask) - counted
    if not left_out:
        return _search(questions, vectors, k)
    if left_out <= len(mask) // 100:
        scores, rows = _search(questions, vectors, k + min(left_out, _SPARE_ROWS))
        keep = (rows >= 0) & mask[rows]
        if left_out <= _SPARE_ROWS or (keep.sum(axis=1) >= min(k, counted)).all():
            return _drop(scores, rows, keep, k)
    return _search_rows(questions, vectors, np.flatnonzero(mask), k)


def refine_rows(
    questions: np.ndarray, vectors: np.ndarray, candidates: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` of some rows for each question, by exact inner product.

    Args:
        questions: (num_questions, embedding_dim) float32.
        vectors: (num_rows, embedding_dim) float32, C-contiguous.
        candidates: (num_questions, num_candidates) int64 rows; from the first -1 on there are none.
        k: how many.

    Returns:
        Scores and rows as of `search_exact`.
    """
    faiss = import_faiss()
    num_questions, num_candidates = candidates.shape
    scores = np.empty((num_questions, k), dtype=np.float32)
    rows = np.empty((num_questions, k), dtype=np.int64)
    pointers = [faiss.swig_ptr(array) for array in (questions, vectors, candidates)]
    faiss.knn_inner_products_by_idx(
        *pointers,
        questions.shape[1],
        num_questions,
        len(vectors),
        num_candidates,
        k,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(rows),
        num_candidates,
    )
    scores[rows < 0] = -np.inf
    return scores, rows


def merge_results(results: list[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` of several results, each (scores, numbers); of equal scores the earlier result's come first."""
    if len(results) == 1:
        scores, numbers = results[0]
        return scores[:, :k], numbers[:, :k]
    scores = np.concatenate([part for part, _ in results], axis=1)
    numbers = np.concatenate([part for _, part in results], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(numbers, order, axis=1)


def _search(questions: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    k = min(k, len(vectors))
    if not k:
        return np.empty((len(questions), 0), np.float32), np.empty((len(questions), 0), np.int64)
    faiss = import_faiss()
    scores, rows = faiss.knn(questions, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    return scores, rows


def _search_rows(
    questions: np.ndarray, vectors: np.ndarray, wanted: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray]:
    best: Any = _search(questions, vectors[:0], k)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        part = wanted[start : start + _ROWS_AT_ONCE]
        scores, places = _search(questions, np.ascontiguousarray(vectors[part]), k)
        best = merge_results([best, (scores, part[places])], k)
    return best


def _drop(scores: np.ndarray, rows: np.ndarray, keep: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    # A stable sort by "dropped" moves what is kept to the front and leaves it in order.
    order = np.argsort(~keep, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(keep, order, axis=1)
    found = np.where(kept, np.take_along_axis(rows, order, axis=1), -1)
    return np.where(kept, np.take_along_axis(scores, order, axis=1), -np.inf).astype(np.float32), found
