"""What a caller needs of an index, whatever holds its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .columns import Filter
from .knowledge_index import SearchHit
from .manifest import IndexManifest

__all__ = ["SearchableIndex"]


class SearchableIndex(Protocol):
    """An index that can be searched: `KnowledgeIndex`, `EngineIndex`, or one of your own.

    Scores are exact inner products, best first; a question gets as many hits as there are items (that match), up to
    `k`, and no others.
    """

    def __len__(self) -> int:
        """How many items there are."""
        ...

    @property
    def manifest(self) -> IndexManifest:
        """Which model made the embeddings, and their form."""
        ...

    def search(self, embeddings: Any, k: int, *, where: Filter | None = None) -> list[list[SearchHit]]:
        """Return the `k` nearest items of each question, as `KnowledgeIndex.search` does."""
        ...

    def get(self, ids: Sequence[str]) -> np.ndarray:
        """Return the stored embeddings of items, as `KnowledgeIndex.get` does."""
        ...
