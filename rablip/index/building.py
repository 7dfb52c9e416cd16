"""Building an index, or adding to one, as a stream: whatever its size, one batch of embeddings is in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .checksums import FileRecord
from .columns import make_schema
from .commits import item_records, open_parts, remove_unnamed, replace_segments, write_masks
from .embedding_checks import check_items
from .identifiers import check_ids
from .locking import lock_folder
from .manifest import IndexManifest
from .parts import IndexPart, delete_rows, find_rows
from .segment_writing import SegmentWriter
from .segments import SegmentRecord, StoredSegment

__all__ = ["IndexBuilder"]


class IndexBuilder:
    """Writes items into the folder of an index; what is there stays as it is until `commit`.

    Used as a context: it holds the lock of the folder, and removes what was not committed.

    Args:
        folder: the index; made where it does not exist.
        manifest: the description of a new index, which replaces one that is there; None to add to the one that is
            there.

    Raises:
        IndexLockedError: when another process is changing the index.
        FileNotFoundError: when there is none to add to.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> folder = tempfile.mkdtemp()
        >>> manifest = IndexManifest(model_id="tower", model_fingerprint="ab12", embedding_dim=2)
        >>> with IndexBuilder(folder, manifest) as builder:
        ...     builder.add(["red", "blue"], np.array([[1.0, 0.0], [0.6, 0.8]]))
        ...     builder.commit().num_items
        2
    """

    def __init__(self, folder: str | Path, manifest: IndexManifest | None = None) -> None:
        self.folder = Path(folder)
        self._new = manifest
        self._stack = ExitStack()

    def __enter__(self) -> IndexBuilder:
        self._stack.enter_context(lock_folder(self.folder))
        try:
            self._parts: list[IndexPart] = []
            if self._new is None:
                self.manifest, self._parts = open_parts(self.folder, verify=False)
            else:
                self.manifest = dataclasses.replace(self._new, segments=(), files={}, items_folders=(), num_items=0)
            self._schema = make_schema(self.manifest.columns)
            self._writer = SegmentWriter(self.folder, embedding_dim=self.manifest.embedding_dim, schema=self._schema)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            # Whether it was committed the manifest in place knows best: an interrupt may come right after the rename.
            remove_unnamed(self.folder)
        finally:
            self._stack.close()

    @property
    def num_added(self) -> int:
        """How many items were added so far."""
        return self._writer.num_items

    def find(self, ids: Sequence[str]) -> list[bool]:
        """Which ids are in the index that is added to."""
        return (find_rows(self._parts, check_ids(ids))[1] >= 0).tolist()

    def add(self, ids: Sequence[str], embeddings: Any, *, columns: Mapping[str, Sequence[Any]] | None = None) -> None:
        """Write items; see `KnowledgeIndex.add`. Ids that are there twice are named by `commit`."""
        self._writer.write(*check_items(ids, embeddings, columns, self.manifest))

    def commit(
        self,
        *,
        items_folders: Sequence[str] = (),
        items_files: Mapping[str, FileRecord] | None = None,
        on_rows: Callable[[int], None] | None = None,
    ) -> IndexManifest:
        """Make what was added a part of the index, in the place of items with the same ids.

        Args:
            items_folders: the parts of the knowledge base to which the items belong, inside `folder`; added to those
                of the manifest.
            items_files: the records of their files, by their names inside `folder`; None measures them.
            on_rows: called with the number of vectors that entered the search structure.

        Returns:
            The manifest as written.

        Raises:
            ValueError: when an id was added twice; names it, and the index is as it was.
        """
        record, files = self._writer.finish(self.manifest.search, on_rows=on_rows)
        old, kept = self._mask_replaced(record, files)
        parts = (*self.manifest.items_folders, *items_folders)
        names, items = item_records(self.manifest, self.folder, parts, items_files)
        segments = [*old, record] if record.num_items else old
        return replace_segments(self.folder, self.manifest, segments, kept | files | items, items_folders=names)

    def _mask_replaced(
        self, record: SegmentRecord, files: Mapping[str, FileRecord]
    ) -> tuple[list[SegmentRecord], dict[str, FileRecord]]:
        """Segments that were there, without what the new segment replaces, and the records of their files."""
        added = StoredSegment(
            self.folder, record, files, embedding_dim=self.manifest.embedding_dim, schema=self._schema
        )
        for some in IndexPart(added).iterate_rows() if self._parts else ():
            delete_rows(self._parts, *find_rows(self._parts, added.ids.take(some)))
        return write_masks(self.folder, self.manifest, self._parts)
