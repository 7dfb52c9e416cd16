"""Writing a segment as a stream: whatever its size, a batch of vectors and eight bytes an item are in memory."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .approximate_search import build_structure, write_structure
from .checksums import FileRecord, HashingWriter
from .files import sync_folder
from .identifiers import IdWriter, StoredIds
from .search_kinds import SearchSettings
from .segments import COLUMNS_NAME, STARTS_NAME, STRUCTURE_NAME, VECTORS_NAME, SegmentRecord, StoredSegment

__all__ = ["SEGMENT_PREFIX", "SegmentWriter", "write_deleted"]

SEGMENT_PREFIX, DELETED_PREFIX = "segment-", "deleted-"


class SegmentWriter:
    """A new segment in the folder of an index; no manifest names it until it is committed.

    Args:
        folder: the index.
        embedding_dim: dimension of the vectors.
        schema: columns beside the ids.

    Attributes:
        num_items, num_vectors: how many were written so far.
    """

    def __init__(self, folder: Path, *, embedding_dim: int, schema: pa.Schema) -> None:
        self.folder = folder
        self.name = f"{SEGMENT_PREFIX}{secrets.token_hex(8)}"
        self.place = folder / self.name
        self.num_items = self.num_vectors = 0
        self._dim = embedding_dim
        self._schema = schema
        self.place.mkdir(parents=True)
        self._ids = IdWriter(self.place)
        self._vectors = HashingWriter(self.place / VECTORS_NAME)
        self._starts = HashingWriter(self.place / STARTS_NAME)
        self._starts.write(np.zeros(1, dtype="<i8"))
        self._column_file = HashingWriter(self.place / COLUMNS_NAME) if len(schema) else None
        self._columns: Any = None

    def write(self, ids: Sequence[str], vectors: np.ndarray, counts: Sequence[int], columns: pa.Table) -> None:
        """Append items that were checked.

        Args:
            ids: texts.
            vectors: (sum of counts, embedding_dim) float32.
            counts: how many vectors each item has.
            columns: a row an item.
        """
        self._ids.write(ids)
        self._vectors.write(np.ascontiguousarray(vectors, dtype="<f4"))
        self._starts.write(self.num_vectors + np.cumsum(counts, dtype="<i8"))
        self.num_items += len(ids)
        self.num_vectors += len(vectors)
        if self._column_file is not None:
            if self._columns is None:
                sink = pa.PythonFile(self._column_file, mode="w")
                self._columns = pa.ipc.new_file(sink, self._schema)
            self._columns.write_table(columns)

    def finish(
        self, search: SearchSettings, *, on_rows: Callable[[int], None] | None = None
    ) -> tuple[SegmentRecord, dict[str, FileRecord]]:
        """Build the search structure where the size asks for one, and flush everything to disk.

        Args:
            search: how the segment is to be searched; resolved by its size.
            on_rows: called with the number of vectors that entered the structure.

        Returns:
            The segment, and the records of its files by their names inside the index.

        Raises:
            ValueError: when an id was written twice; names it.
        """
        records = self._ids.close() | self._vectors.close() | self._starts.close()
        if self._column_file is not None:
            if self._columns is None:
                self._columns = pa.ipc.new_file(pa.PythonFile(self._column_file, mode="w"), self._schema)
            self._columns.close()
            records |= self._column_file.close()
        if self.num_vectors == self.num_items:
            for name in [name for name in records if name.startswith(STARTS_NAME)]:
                (self.place / name).unlink()
                del records[name]
        settings = search.resolve(self.num_vectors)
        files = {f"{self.name}/{name}": entry for name, entry in records.items()}
        self._check_ids(files)
        exact = SegmentRecord(name=self.name, num_items=self.num_items, num_vectors=self.num_vectors)
        if settings.kind != "exact":
            segment = StoredSegment(self.folder, exact, files, embedding_dim=self._dim, schema=self._schema)
            searcher = build_structure(segment.vectors, settings, progress=on_rows)
            written = write_structure(searcher, self.place / STRUCTURE_NAME)
            files |= {f"{self.name}/{name}": entry for name, entry in written.items()}
        sync_folder(self.place)
        return dataclasses.replace(exact, search=settings), files

    def _check_ids(self, files: dict[str, FileRecord]) -> None:
        repeated = StoredIds(self.folder, f"{self.name}/", files, self.num_items).find_repeated()
        if repeated:
            raise ValueError(
                f"{len(repeated)} ids are there more than once, the first are {repeated[:5]}. Give every item an id "
                "of its own."
            )


def write_deleted(folder: Path, deleted: np.ndarray) -> tuple[str, dict[str, FileRecord]]:
    """Write which items of a segment are deleted; returns the new file's name, and its records.

    Args:
        folder: the index.
        deleted: (num_items,) bool.
    """
    writer = HashingWriter(folder / f"{DELETED_PREFIX}{secrets.token_hex(8)}")
    writer.write(np.packbits(deleted, bitorder="little"))
    return writer.path.name, writer.close()
