"""Search structures of the engine: which one for so many items, and how it is built and asked."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from ..search_kinds import SearchSettings, choose_kind
from .engine_import import import_lancedb

__all__ = ["ask_structure", "choose_structure", "make_lookup", "make_structure"]

# What the engine calls each kind.
_TYPES = {"hnsw": "IvfHnswSq", "ivf": "IvfSq", "ivf_rabitq": "IvfRq", "ivf_pq": "IvfPq"}
_LEAST_PROBES = 16
# So many times as many candidates as hits are refined: codes of one bit miss some of the best, and more of them in
# some builds than in others, since the engine draws what it learns from anew each time.
_K_FACTORS = {"ivf_rabitq": 20}
_K_FACTOR = 10


def choose_structure(settings: SearchSettings, num_items: int, embedding_dim: int) -> SearchSettings:
    """The settings for so many items, without "auto" and zeros.

    "auto" is exact where KnowledgeIndex is, and lists of 1-bit codes above: a graph takes this engine many times as
    long to build and answers no faster. Lists are fewer and longer than FAISS's, since their number costs most when
    they are built.

    Raises:
        ValueError: when the kind cannot hold vectors of this dimension.

    Example:
        >>> choose_structure(SearchSettings(), 100_000, 256)
        SearchSettings(kind='ivf_rabitq', num_lists=316, num_probes=16, ef_search=128, k_factor=20)
    """
    kind = settings.kind
    if kind == "auto":
        kind = "exact" if choose_kind(num_items) == "exact" else "ivf" if embedding_dim % 8 else "ivf_rabitq"
    if kind in ("ivf_rabitq", "ivf_pq") and embedding_dim % 8:
        raise ValueError(
            f"The engine makes {kind} codes of 8 dimensions at a time, embeddings here have {embedding_dim}. Use "
            '"ivf" or "auto".'
        )
    if dataclasses.replace(settings, kind=kind).resolve(num_items).kind == "exact":
        return dataclasses.replace(settings, kind="exact", k_factor=settings.k_factor or 1)
    num_lists = settings.num_lists or max(1, round(math.sqrt(num_items)))
    num_probes = settings.num_probes or max(_LEAST_PROBES, num_lists // 32)
    return dataclasses.replace(
        settings,
        kind=kind,
        num_lists=num_lists,
        num_probes=min(num_probes, num_lists),
        k_factor=settings.k_factor or _K_FACTORS.get(kind, _K_FACTOR),
    )


def make_structure(settings: SearchSettings, embedding_dim: int) -> tuple[str, Any]:
    """The engine's name for a structure and the description that it builds it from.

    Args:
        settings: as of `choose_structure`, not "exact".
        embedding_dim: of the vectors.
    """
    import_lancedb()
    from lancedb import index

    if settings.kind == "hnsw":
        # One graph: lists would only cut it in pieces.
        return _TYPES["hnsw"], index.HnswSq(distance_type="dot", num_partitions=1)
    lists: dict[str, Any] = {"distance_type": "dot", "num_partitions": settings.num_lists}
    made = {
        "ivf": lambda: index.IvfSq(**lists),
        "ivf_rabitq": lambda: index.IvfRq(**lists),
        "ivf_pq": lambda: index.IvfPq(**lists, num_sub_vectors=embedding_dim // 4, num_bits=4),
    }
    return _TYPES[settings.kind], made[settings.kind]()


def make_lookup() -> Any:
    """The description of a sorted table of a column's values, by which ids and filters are looked up."""
    import_lancedb()
    from lancedb import index

    return index.BTree()


def ask_structure(query: Any, settings: SearchSettings, k: int) -> Any:
    """A query that goes through the structure and refines what it finds with the stored vectors.

    Args:
        query: of the engine.
        settings: as of `choose_structure`, not "exact".
        k: how many items are wanted.
    """
    if settings.kind == "hnsw":
        query = query.ef(max(settings.ef_search, k * settings.k_factor))
    return query.nprobes(settings.num_probes).refine_factor(settings.k_factor)
