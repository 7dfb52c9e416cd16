"""What embeddings must be before they enter an index or are searched with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from .columns import make_schema, make_table
from .identifiers import check_ids
from .manifest import IndexManifest

__all__ = [
    "check_counts",
    "check_items",
    "check_k",
    "check_matrix",
    "check_questions",
    "check_vectors",
    "flatten_vectors",
]

_LENGTH_TOLERANCE = 1e-2  # what bf16 does to a vector of length 1


def flatten_vectors(embeddings: Any, manifest: IndexManifest) -> tuple[np.ndarray, list[int]]:
    """All vectors of all items, one a row, and how many each item has.

    Args:
        embeddings: (num_items, embedding_dim), or (num_items, num_vectors, embedding_dim) with zeros for none.
        manifest: of the index.
    """
    array = _as_array(embeddings)
    if array.ndim != 3:
        return check_matrix(array, manifest), [1] * len(array)
    present = (array != 0).any(axis=2)
    return check_matrix(array[present], manifest), present.sum(axis=1).tolist()


def check_items(
    ids: Sequence[str], embeddings: Any, columns: Mapping[str, Sequence[Any]] | None, manifest: IndexManifest
) -> tuple[list[str], np.ndarray, list[int], pa.Table]:
    """Check items before any of them enters an index.

    Args:
        ids: one text per item.
        embeddings: as of `flatten_vectors`.
        columns: values to filter by, one per item.
        manifest: of the index.

    Returns:
        Ids, vectors (num_vectors, embedding_dim), how many of them each item has, and a row of columns per item.

    Raises:
        TypeError, ValueError: as `KnowledgeIndex.add` says.
    """
    names = check_ids(ids)
    matrix, counts = flatten_vectors(embeddings, manifest)
    if len(names) != len(counts):
        raise ValueError(f"There are {len(names)} ids but {len(counts)} embeddings. Give one embedding per id.")
    of_names = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    check_vectors(matrix, lambda row: f"item {of_names[row]!r}", manifest)
    check_counts(names, counts, manifest)
    return names, matrix, counts, make_table(make_schema(manifest.columns), columns, len(names))


def check_counts(names: Sequence[str], counts: Sequence[int], manifest: IndexManifest) -> None:
    """Check that every item has a vector, and not more than the index takes.

    Raises:
        ValueError: names the first item that has not.
    """
    most = manifest.max_vectors
    for name, count in zip(names, counts, strict=True):
        if not 1 <= count <= most:
            raise ValueError(f"Item {name!r} has {count} vectors; this index takes 1 to {most} of each item.")


def check_questions(embeddings: Any, k: Any, manifest: IndexManifest) -> np.ndarray:
    """Check what is searched for, and return the questions as (num_questions, embedding_dim) float32.

    Raises:
        ValueError: as `KnowledgeIndex.search` says.
    """
    check_k(k)
    matrix = check_matrix(embeddings, manifest)
    check_vectors(matrix, lambda row: f"question {row}", manifest)
    return matrix


def check_k(k: Any) -> None:
    """Check how many hits are asked for.

    Raises:
        ValueError: when it is no whole number of at least 1.

    Example:
        >>> check_k(5)
    """
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, got {k!r}.")


def check_matrix(embeddings: Any, manifest: IndexManifest) -> np.ndarray:
    """Embeddings as (num_rows, embedding_dim) float32.

    Raises:
        ValueError: when they have another shape.
    """
    matrix = _as_array(embeddings)
    if matrix.ndim != 2 or matrix.shape[1] != manifest.embedding_dim:
        raise ValueError(
            f"embeddings must have the shape (rows, {manifest.embedding_dim}) of this index (built by "
            f"{manifest.model_id}), got {np.shape(embeddings)}."
        )
    return matrix


def check_vectors(matrix: np.ndarray, name: Callable[[int], str], manifest: IndexManifest) -> None:
    """Check that embeddings are numbers, and have length 1 in a normalized index.

    Args:
        matrix: (num_rows, embedding_dim).
        name: what a row is called.
        manifest: of the index.

    Raises:
        ValueError: names the first rows that are not.
    """
    lengths = _measure_lengths(matrix)
    broken = ~np.isfinite(lengths) | (lengths == 0)
    if broken.any():
        rows = np.flatnonzero(broken)
        raise ValueError(
            f"{len(rows)} embeddings are NaN, infinite or zero: {', '.join(name(row) for row in rows[:5])}. The "
            "model's weights or inputs are broken; nothing was added or searched."
        )
    if manifest.normalized and (np.abs(lengths - 1) > _LENGTH_TOLERANCE).any():
        row = int(np.argmax(np.abs(lengths - 1)))
        raise ValueError(
            f"This index holds embeddings of length 1, but {name(row)} has length {lengths[row]:.4g}. Divide each "
            "embedding by its length."
        )


def _measure_lengths(matrix: np.ndarray) -> np.ndarray:
    lengths = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        # Squares of float32 may overflow or vanish where the numbers do not.
        lengths = np.linalg.norm(matrix.astype(np.float64), axis=1)
    return lengths


def _as_array(embeddings: Any) -> np.ndarray:
    if hasattr(embeddings, "detach"):  # a tensor, possibly on a device or in bf16, which numpy does not know
        embeddings = embeddings.detach().float().cpu().numpy()
    return np.ascontiguousarray(embeddings, dtype=np.float32)
