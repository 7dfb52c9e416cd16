"""The knowledge base of an index: without what is deleted, and with an item for every id."""

from __future__ import annotations

import numpy as np

from ..index.errors import IndexCorruptError
from ..index.knowledge_index import KnowledgeIndex
from .base import KnowledgeBase

__all__ = ["load_items"]


def load_items(index: KnowledgeIndex) -> KnowledgeBase:
    """Open the knowledge base in the folder of an index.

    Args:
        index: as it was loaded.

    Raises:
        FileNotFoundError: when it has none in its folder.
        IndexCorruptError: when an id has no knowledge item.
    """
    folder = index.folder
    if folder is None or not index.manifest.items_folders:
        raise FileNotFoundError(
            f"The index {folder or 'in memory'} has no knowledge base in its folder. Open the two apart: "
            "KnowledgeIndex.load and KnowledgeBase.load."
        )
    hashes = index.hash_ids()
    base = KnowledgeBase.load(*(folder / name for name in index.manifest.items_folders), id_hashes=hashes)
    if not np.array_equal(base.hash_ids(), hashes):
        unknown = [name for names in index.iterate_ids() for name in names if name not in base]
        raise IndexCorruptError(
            f"{len(unknown)} ids of the index {folder} have no knowledge item, the first are {unknown[:5]}. Build the "
            "index again."
        )
    return base
