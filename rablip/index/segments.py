"""Segments: the parts of an index. A stored one never changes; what is added is a new one, what is deleted a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from .approximate_search import ApproximateSearcher, read_structure, search_refined
from .checksums import FileRecord
from .columns import make_table
from .errors import IndexCorruptError
from .exact_search import search_exact
from .identifiers import MemoryIds, StoredIds
from .search_kinds import SearchSettings
from .verified_file import VerifiedFile

__all__ = [
    "COLUMNS_NAME",
    "STARTS_NAME",
    "STRUCTURE_NAME",
    "VECTORS_NAME",
    "MemorySegment",
    "SegmentRecord",
    "StoredSegment",
    "read_deleted",
    "segment_files",
]

VECTORS_NAME, STARTS_NAME = "vectors.f32", "vectors.starts"
COLUMNS_NAME, STRUCTURE_NAME = "columns.arrow", "structure.faiss"


@dataclass(frozen=True, kw_only=True)
class SegmentRecord:
    """A stored segment, as the manifest names it.

    Args:
        name: its folder inside the index.
        num_items: items in it, deleted ones included.
        num_vectors: vectors in it.
        num_deleted: how many of its items are deleted.
        deleted_name: the file that marks them, inside the index; None where there are none.
        search: how it is searched, resolved.
    """

    name: str
    num_items: int
    num_vectors: int
    num_deleted: int = 0
    deleted_name: str | None = None
    search: SearchSettings = SearchSettings(kind="exact")


class MemorySegment:
    """Items in memory, appended to and searched exactly.

    Args:
        embedding_dim: dimension of the vectors.
        schema: columns beside the ids.
    """

    def __init__(self, embedding_dim: int, schema: pa.Schema) -> None:
        self.ids = MemoryIds()
        self.record: SegmentRecord | None = None
        self._schema = schema
        self._columns: list[pa.Table] = []
        # Room that doubles, so that many small additions copy each vector a few times only.
        self._room = np.empty((0, embedding_dim), dtype=np.float32)
        self._num_vectors = 0
        self._starts: list[int] = [0]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def vectors(self) -> np.ndarray:
        """(num_vectors, embedding_dim) float32."""
        return self._room[: self._num_vectors]

    @property
    def starts(self) -> np.ndarray:
        """(num_items + 1,) int64: item *i* has the vectors from `starts[i]` to `starts[i + 1]`."""
        return np.asarray(self._starts, dtype=np.int64)

    @property
    def has_one_vector_each(self) -> bool:
        """Whether every item has one vector, so that rows of vectors are rows of items."""
        return self._num_vectors == len(self)

    def append(self, ids: Sequence[str], vectors: np.ndarray, counts: Sequence[int], columns: pa.Table) -> None:
        """Append items that were checked."""
        needed = self._num_vectors + len(vectors)
        if needed > len(self._room):
            room = np.empty((max(needed, 2 * len(self._room), 64), vectors.shape[1]), dtype=np.float32)
            room[: self._num_vectors] = self.vectors
            self._room = room
        self._room[self._num_vectors : needed] = vectors
        self._num_vectors = needed
        self.ids.extend(ids)
        self._starts += (self._starts[-1] + np.cumsum(counts, dtype=np.int64)).tolist()
        self._columns.append(columns)

    def columns(self) -> pa.Table:
        """The columns of all items."""
        return pa.concat_tables(self._columns) if self._columns else make_table(self._schema, None, 0)

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Vectors by their rows."""
        return self.vectors[rows]

    def search(self, questions: np.ndarray, k: int, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows of vectors; see `search_exact`."""
        return search_exact(questions, self.vectors, k, mask=mask)


class StoredSegment:
    """Items on disk: vectors, ids and columns mapped into memory, and where it is large a search structure.

    Args:
        folder: the index.
        record: the segment.
        files: records of the manifest.
        embedding_dim: dimension of the vectors.
        schema: columns beside the ids.

    Raises:
        IndexCorruptError: when a file is missing, has another size, or does not fit the others.
    """

    def __init__(
        self,
        folder: Path,
        record: SegmentRecord,
        files: Mapping[str, FileRecord],
        *,
        embedding_dim: int,
        schema: pa.Schema,
    ) -> None:
        self.folder = folder
        self.record = record
        self._schema = schema
        prefix = f"{record.name}/"
        self.ids = StoredIds(folder, prefix, files, record.num_items)
        self._vector_file = VerifiedFile.open(folder, prefix + VECTORS_NAME, files)
        self.vectors = self._vector_file.array("<f4", embedding_dim)
        self.files = [*self.ids.files, self._vector_file]
        self._starts_file: VerifiedFile | None = None
        if record.num_vectors != record.num_items:
            self._starts_file = VerifiedFile.open(folder, prefix + STARTS_NAME, files)
            self.files.append(self._starts_file)
        self._columns_file: VerifiedFile | None = None
        if len(schema):
            self._columns_file = VerifiedFile.open(folder, prefix + COLUMNS_NAME, files)
            self.files.append(self._columns_file)
        self._structure_file: VerifiedFile | None = None
        if record.search.kind != "exact":
            self._structure_file = VerifiedFile.open(folder, prefix + STRUCTURE_NAME, files)
            self.files.append(self._structure_file)
        self._searcher: ApproximateSearcher | None = None
        num_starts = record.num_items + 1 if self._starts_file is None else len(self._starts_file.array("<i8"))
        if len(self.vectors) != record.num_vectors or num_starts != record.num_items + 1:
            raise IndexCorruptError(
                f"{folder / record.name} has {len(self.vectors)} vectors of {num_starts - 1} items, the "
                f"manifest says {record.num_vectors} of {record.num_items}. Build the index again."
            )

    def __len__(self) -> int:
        return self.record.num_items

    @property
    def has_one_vector_each(self) -> bool:
        """Whether every item has one vector."""
        return self._starts_file is None

    @property
    def starts(self) -> np.ndarray:
        """(num_items + 1,) int64: item *i* has the vectors from `starts[i]` to `starts[i + 1]`."""
        if self._starts_file is None:
            return np.arange(self.record.num_items + 1, dtype=np.int64)
        self._starts_file.verify()
        return self._starts_file.array("<i8")

    def columns(self) -> pa.Table:
        """The columns of all items."""
        if self._columns_file is None:
            return make_table(self._schema, None, len(self))
        self._columns_file.verify()
        try:
            table = pa.ipc.open_file(pa.py_buffer(self._columns_file.array(np.uint8))).read_all()
        except pa.ArrowInvalid as error:
            raise IndexCorruptError(f"{self._columns_file.path} is no Arrow file: {error}") from error
        if table.schema != self._schema or len(table) != len(self):
            raise IndexCorruptError(f"{self._columns_file.path} has other columns or rows than the manifest says.")
        return table

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Vectors by their rows; the blocks that they lie in are verified."""
        self._vector_file.verify_rows(rows, self.vectors.strides[0])
        return self.vectors[rows]

    def search(self, questions: np.ndarray, k: int, mask: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Scores and rows of vectors, by the structure where there is one; everything read is verified."""
        if self._structure_file is None:
            self._vector_file.verify()
            return search_exact(questions, self.vectors, k, mask=mask)
        if mask is not None and mask.sum() <= max(1000, len(mask) // 20):
            # A structure finds few of few rows; to look at each of them is exact and fast.
            rows = np.flatnonzero(mask)
            scores, places = search_exact(questions, self.gather(rows), k)
            return scores, rows[places]
        vectors, file = self.vectors, self._vector_file
        scores, rows = search_refined(self.load_searcher(), questions, vectors, file, k, mask)
        wanted = min(k, len(vectors) if mask is None else int(mask.sum()))
        short = np.flatnonzero((rows >= 0).sum(axis=1) < wanted)
        if len(short):
            # Fewer lists were looked into than hold so many rows: a shorter answer would look like a smaller index.
            file.verify()
            scores[short], rows[short] = -np.inf, -1
            scores[short, :wanted], rows[short, :wanted] = search_exact(questions[short], vectors, wanted, mask=mask)
        return scores, rows

    def load_searcher(self) -> ApproximateSearcher:
        """The search structure, read and verified in full on first use."""
        if self._searcher is None:
            assert self._structure_file is not None
            self._searcher = read_structure(
                self._structure_file,
                self.record.search,
                num_vectors=self.record.num_vectors,
                embedding_dim=self.vectors.shape[1],
            )
        return self._searcher

    def verify(self) -> None:
        """Check every byte of every file, and that the columns and the structure can be read."""
        for file in self.files:
            file.verify()
        self.columns()
        if self._structure_file is not None:
            self.load_searcher()


def read_deleted(folder: Path, record: SegmentRecord, files: Mapping[str, FileRecord]) -> np.ndarray:
    """Which items of a segment are deleted, (num_items,) bool."""
    if record.deleted_name is None:
        deleted = np.zeros(record.num_items, dtype=bool)
    else:
        file = VerifiedFile.open(folder, record.deleted_name, files)
        file.verify()
        bits = file.array(np.uint8)
        if len(bits) != -(-record.num_items // 8):
            raise IndexCorruptError(f"{file.path} marks another number of items than {record.num_items}.")
        deleted = np.unpackbits(bits, count=record.num_items, bitorder="little").astype(bool)
    if int(deleted.sum()) != record.num_deleted:
        raise IndexCorruptError(
            f"{folder / record.name}: {int(deleted.sum())} items are marked as deleted, the manifest says "
            f"{record.num_deleted}. Build the index again."
        )
    return deleted


def segment_files(files: Mapping[str, FileRecord], record: SegmentRecord) -> dict[str, FileRecord]:
    """The records of a segment's files, without those that mark deleted items."""
    return {name: entry for name, entry in files.items() if name.startswith(f"{record.name}/")}
