"""Nearest items of questions: the engine finds them, their scores are computed here from the stored vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..knowledge_index import SearchHit
from ..search_kinds import SearchSettings
from .rows import take_vectors
from .structures import ask_structure

__all__ = ["find_nearest"]

# Vectors that are read at once take at most so many numbers (64 MiB).
_NUMBERS_AT_ONCE = 1 << 24


def find_nearest(
    table: Any, questions: np.ndarray, k: int, condition: str | None, settings: SearchSettings
) -> list[list[SearchHit]]:
    """The `k` nearest items of each question, best first.

    Args:
        table: of the engine.
        questions: (num_questions, embedding_dim) float32, at least one.
        k: how many.
        condition: which rows count, in SQL; None for all.
        settings: as of `choose_structure`; "exact" uses no structure.
    """
    step = max(1, _NUMBERS_AT_ONCE // (k * questions.shape[1]))
    found: list[list[SearchHit]] = []
    for start in range(0, len(questions), step):
        found += _find(table, questions[start : start + step], k, condition, settings)
    return found


def _find(
    table: Any, questions: np.ndarray, k: int, condition: str | None, settings: SearchSettings
) -> list[list[SearchHit]]:
    query = table.search(list(questions), vector_column_name="vector").distance_type("dot").limit(k)
    query = query.select(["id", "vector", "_distance"])
    if condition is not None:
        query = query.where(condition, prefilter=True)
    query = query.bypass_vector_index() if settings.kind == "exact" else ask_structure(query, settings, k)
    rows = query.to_arrow()
    # The engine numbers questions only where there are several.
    several = "query_index" in rows.column_names
    numbers = rows["query_index"].to_numpy() if several else np.zeros(len(rows), dtype=np.int64)
    vectors = take_vectors(rows, questions.shape[1])
    scores = np.einsum("rd,rd->r", vectors, questions[numbers])
    names = rows["id"].to_pylist()
    hits: list[list[SearchHit]] = [[] for _ in questions]
    for place in np.lexsort((-scores, numbers)).tolist():
        hits[int(numbers[place])].append(SearchHit(names[place], float(scores[place])))
    return hits
