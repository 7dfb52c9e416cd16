"""The parts of an open index: a segment each, with what of it is deleted, and where an id or a hit lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from .columns import match_rows
from .segments import MemorySegment, StoredSegment

__all__ = ["IndexPart", "count_up", "delete_rows", "find_rows"]

_ITEMS_AT_ONCE = 1 << 14


@dataclass
class IndexPart:
    """A segment and which of its items are deleted.

    Args:
        segment: the items.
        deleted: (num_items,) bool.
        is_changed: whether more is deleted than the manifest on disk says.
    """

    segment: StoredSegment | MemorySegment
    deleted: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    is_changed: bool = False

    def __post_init__(self) -> None:
        self.grow()
        self.num_deleted = int(self.deleted.sum())

    @property
    def num_items(self) -> int:
        """Items that are not deleted."""
        return len(self.segment) - self.num_deleted

    def grow(self) -> None:
        """Make room for items that were appended to the segment."""
        more = len(self.segment) - len(self.deleted)
        if more:
            self.deleted = np.concatenate([self.deleted, np.zeros(more, dtype=bool)])

    def delete(self, rows: np.ndarray) -> None:
        """Mark items that are not deleted yet."""
        self.deleted[rows] = True
        self.num_deleted += len(rows)
        self.is_changed = True

    def iterate_rows(self) -> Iterator[np.ndarray]:
        """Rows of the items that are not deleted, in batches."""
        rows = np.flatnonzero(~self.deleted)
        for start in range(0, len(rows), _ITEMS_AT_ONCE):
            yield rows[start : start + _ITEMS_AT_ONCE]

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """The row of every id that is there and not deleted, else -1."""
        rows = self.segment.ids.find(ids)
        found = rows >= 0
        rows[found] = np.where(self.deleted[rows[found]], -1, rows[found])
        return rows

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All vectors of items, and how many each has."""
        if self.segment.has_one_vector_each:
            return self.segment.gather(rows), np.ones(len(rows), dtype=np.int64)
        starts = self.segment.starts
        counts = starts[rows + 1] - starts[rows]
        places = np.repeat(starts[rows], counts) + count_up(counts)
        return self.segment.gather(places), counts

    def search(
        self, questions: np.ndarray, k: int, where: pc.Expression | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Scores and rows of items; an item with several vectors may be there several times. None without any items.

        Args:
            questions: (num_questions, embedding_dim) float32.
            k: how many vectors of each question.
            where: which items count.
        """
        mask = None
        if where is not None:
            mask = match_rows(where, self.segment.columns()) & ~self.deleted
        elif self.num_deleted:
            mask = ~self.deleted
        if not len(self.segment) or (mask is not None and not mask.any()):
            return None
        if self.segment.has_one_vector_each:
            return self.segment.search(questions, k, mask)
        starts = self.segment.starts
        scores, rows = self.segment.search(questions, k, None if mask is None else np.repeat(mask, np.diff(starts)))
        return scores, np.where(rows < 0, -1, np.searchsorted(starts, rows, side="right") - 1)


def hash_live_ids(parts: Sequence[IndexPart]) -> np.ndarray:
    """The sorted hashes of the ids of all items that are not deleted, uint64."""
    hashes = [
        part.segment.ids.hash_rows(np.flatnonzero(~part.deleted) if part.num_deleted else None) for part in parts
    ]
    if len(hashes) == 1:
        return hashes[0]
    return np.sort(np.concatenate([np.empty(0, dtype="<u8"), *hashes]))


def find_rows(parts: Sequence[IndexPart], ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The part and the row of every id, both -1 where there is none."""
    of_parts, rows = np.full(len(ids), -1, dtype=np.int64), np.full(len(ids), -1, dtype=np.int64)
    for number in range(len(parts) - 1, -1, -1):
        missing = np.flatnonzero(rows < 0)
        if not len(missing):
            break
        found = parts[number].find([ids[place] for place in missing.tolist()])
        hit = found >= 0
        of_parts[missing[hit]], rows[missing[hit]] = number, found[hit]
    return of_parts, rows


def delete_rows(parts: Sequence[IndexPart], of_parts: np.ndarray, rows: np.ndarray) -> None:
    """Mark items as deleted by what `find_rows` gives; those that were not found are passed over."""
    for number, part in enumerate(parts):
        gone = rows[(of_parts == number) & (rows >= 0)]
        if len(gone):
            part.delete(gone)


def count_up(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... for every count, end to end."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts, counts)
