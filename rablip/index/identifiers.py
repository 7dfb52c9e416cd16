"""Ids of items as columns: texts end to end, where each begins, and a table from the hash of an id to its row.

Stored, they are three arrays mapped into memory, so that ids cost no memory however many there are.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from .checksums import FileRecord, HashingWriter
from .errors import IndexCorruptError
from .verified_file import VerifiedFile

__all__ = ["IdWriter", "MemoryIds", "StoredIds", "check_ids", "hash_ids"]

TEXT_NAME, STARTS_NAME, LOOKUP_NAME = "ids.utf8", "ids.starts", "ids.lookup"


def check_ids(ids: Sequence[str]) -> list[str]:
    """Return ids as a list.

    Raises:
        TypeError: when `ids` is one text, or an id is no text.
        ValueError: when an id is blank, or cannot be written as UTF-8.

    Example:
        >>> check_ids(("a", "b"))
        ['a', 'b']
    """
    if isinstance(ids, str):
        raise TypeError(f"ids must be a list of texts, got the one text {ids!r}. Pass [{ids!r}].")
    names = list(ids)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"ids must be texts, got {type(name).__name__} ({name!r}). Pass str(id).")
        if not name.strip():
            raise ValueError(f"ids must not be blank, got {name!r}.")
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError as error:
                raise ValueError(f"The id {name!r} cannot be written as UTF-8: {error}") from error
    return names


def hash_ids(ids: Iterable[str]) -> np.ndarray:
    """A 64-bit hash of every id."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    return np.frombuffer(digests, dtype="<u8")


class MemoryIds:
    """Ids in memory, appended to.

    Example:
        >>> ids = MemoryIds()
        >>> ids.extend(["a", "b"])
        >>> ids.find(["b", "c"]).tolist(), ids.take([1])
        ([1, -1], ['b'])
    """

    def __init__(self) -> None:
        self._names: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._names)

    def extend(self, ids: Sequence[str]) -> None:
        """Append ids; of an id that is there twice the last row counts."""
        self._rows.update(zip(ids, range(len(self._names), len(self._names) + len(ids)), strict=True))
        self._names += ids

    def take(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """The ids of rows."""
        return [self._names[row] for row in rows]

    def hash_rows(self, rows: np.ndarray | None = None) -> np.ndarray:
        """The sorted hashes of the ids of rows; None for all rows."""
        return np.sort(hash_ids(self._names if rows is None else self.take(rows)))

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """The row of every id, -1 where there is none."""
        return np.array([self._rows.get(name, -1) for name in ids], dtype=np.int64)


class StoredIds:
    """Ids on disk.

    Args:
        folder: the index.
        prefix: the segment's folder inside it, with a slash.
        files: records of the manifest.
        num_items: how many ids there must be.

    Raises:
        IndexCorruptError: when a file is missing, has another size, or does not fit the others.
    """

    def __init__(self, folder: Path, prefix: str, files: Mapping[str, FileRecord], num_items: int) -> None:
        self._text = VerifiedFile.open(folder, prefix + TEXT_NAME, files)
        self._starts = VerifiedFile.open(folder, prefix + STARTS_NAME, files)
        self._lookup = VerifiedFile.open(folder, prefix + LOOKUP_NAME, files)
        starts, lookup = self._starts.array("<i8"), self._lookup.array("<u8")
        if len(starts) != num_items + 1 or len(lookup) != 2 * num_items:
            raise IndexCorruptError(
                f"{folder / prefix} has {len(starts) - 1} ids and a table of {len(lookup) // 2}, the manifest says "
                f"{num_items} items. Build the index again."
            )
        self.files = (self._text, self._starts, self._lookup)
        self._offsets = starts
        self._hashes, self._rows = lookup[:num_items], lookup[num_items:]
        self._content = self._text.array(np.uint8)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def take(self, rows: Sequence[int] | np.ndarray) -> list[str]:
        """The ids of rows."""
        wanted = np.asarray(rows, dtype=np.int64)
        self._starts.verify_rows(wanted, 8)
        self._starts.verify_rows(wanted + 1, 8)
        begin, end = self._offsets[wanted], self._offsets[wanted + 1]
        inside = (begin >= 0) & (begin <= end) & (end <= self._text.record.num_bytes)
        if not inside.all():
            raise IndexCorruptError(f"{self._starts.path} has an id outside {self._text.path}. Build the index again.")
        self._text.verify_ranges(begin, end)
        return _cut_texts(self._content, begin, end)

    def find(self, ids: Sequence[str]) -> np.ndarray:
        """The row of every id, -1 where there is none."""
        self._lookup.verify()
        found = np.full(len(ids), -1, dtype=np.int64)
        hashes = hash_ids(ids)
        begin = np.searchsorted(self._hashes, hashes)
        end = np.searchsorted(self._hashes, hashes, side="right")
        # Different ids may have one hash, so the ids themselves are compared.
        for place in np.flatnonzero(end > begin).tolist():
            rows = self._rows[begin[place] : end[place]].astype(np.int64)
            if rows.max() >= len(self) or rows.min() < 0:
                raise IndexCorruptError(f"{self._lookup.path} names rows beyond {len(self)}. Build the index again.")
            for row, name in zip(rows, self.take(rows), strict=True):
                if name == ids[place]:
                    found[place] = row
        return found

    def read_lookup(self) -> tuple[np.ndarray, np.ndarray]:
        """The sorted hashes of all ids, and the row of each, uint64."""
        self._lookup.verify()
        return self._hashes, self._rows

    def hash_rows(self, rows: np.ndarray | None = None) -> np.ndarray:
        """The sorted hashes of the ids of rows; None for all rows."""
        hashes, of_rows = self.read_lookup()
        if rows is None:
            return hashes
        wanted = np.zeros(len(self), dtype=bool)
        wanted[rows] = True
        return hashes[wanted[of_rows.astype(np.int64)]]

    def find_repeated(self) -> list[str]:
        """Ids that are there more than once."""
        self._lookup.verify()
        same = np.flatnonzero(self._hashes[1:] == self._hashes[:-1])
        rows = np.unique(np.concatenate([self._rows[same], self._rows[same + 1]]))
        names = self.take(rows.astype(np.int64))
        return sorted(name for name, count in Counter(names).items() if count > 1)


def _cut_texts(content: np.ndarray, begin: np.ndarray, end: np.ndarray) -> list[str]:
    """Texts from ranges of bytes: joined, decoded once, and cut, which is faster than to decode each."""
    counts = end - begin
    stops = np.cumsum(counts)
    joined = content[np.arange(int(counts.sum())) + np.repeat(begin - (stops - counts), counts)].tobytes()
    ranges = zip((stops - counts).tolist(), stops.tolist(), strict=True)
    if joined.isascii():
        text = joined.decode("ascii")
        return [text[first:last] for first, last in ranges]
    return [joined[first:last].decode() for first, last in ranges]


class IdWriter:
    """Writes ids in a stream; keeps eight bytes of each in memory.

    Args:
        folder: the segment's new folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._text, self._starts = HashingWriter(folder / TEXT_NAME), HashingWriter(folder / STARTS_NAME)
        self._starts.write(np.zeros(1, dtype="<i8"))
        self._num_bytes = 0
        self._hashes: list[np.ndarray] = []

    def write(self, ids: Sequence[str]) -> None:
        """Append ids."""
        encoded = [name.encode() for name in ids]
        ends = self._num_bytes + np.cumsum([len(name) for name in encoded], dtype="<i8")
        self._text.write(b"".join(encoded))
        self._starts.write(ends)
        self._num_bytes = int(ends[-1]) if len(ends) else self._num_bytes
        self._hashes.append(hash_ids(ids))

    def close(self) -> dict[str, FileRecord]:
        """Write the table and return the records of all files, by their names inside the folder."""
        hashes = np.concatenate([np.empty(0, dtype="<u8"), *self._hashes])
        order = np.argsort(hashes, kind="stable")
        lookup = HashingWriter(self._folder / LOOKUP_NAME)
        lookup.write(hashes[order])
        lookup.write(order.astype("<u8"))
        return self._text.close() | self._starts.close() | lookup.close()
