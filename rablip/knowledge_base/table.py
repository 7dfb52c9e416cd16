"""The table behind a knowledge base: Arrow record batches on disk, written as a stream and verified when read."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..index.checksums import FileRecord, HashingWriter
from ..index.errors import IndexCorruptError
from ..index.identifiers import IdWriter, StoredIds
from ..index.verified_file import VerifiedFile
from ..processing.knowledge_rablip import ImageRef, KnowledgeItem

__all__ = ["StoredTable", "TableWriter", "item_to_row", "row_to_item"]

ITEMS_NAME, STARTS_NAME = "items.arrow", "items.starts"
# A batch is read as a whole: few rows, and fewer where their pictures are large.
_BATCH_ROWS = 64
_BATCH_BYTES = 4_000_000
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"
_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("id", "text", "title", "caption", "source")),
        ("image_bytes", pa.large_binary()),
        ("image_path", pa.string()),
        ("metadata", pa.string()),
    ]
)


def item_to_row(item: KnowledgeItem, *, image_bytes: bytes | None, image_path: str | None) -> dict[str, Any]:
    """Return the table row of an item.

    Args:
        item: the knowledge item.
        image_bytes: its picture file, where it is stored in the table.
        image_path: where its picture was, or is.

    Raises:
        TypeError, ValueError: when the metadata is no JSON.

    Example:
        >>> row = item_to_row(KnowledgeItem(id="t1", text="It opened."), image_bytes=None, image_path=None)
        >>> row_to_item(row) == KnowledgeItem(id="t1", text="It opened.")
        True
    """
    return {
        "id": item.id,
        "text": item.text,
        "title": item.title,
        "caption": item.caption,
        "source": item.source,
        "image_bytes": image_bytes,
        "image_path": image_path,
        "metadata": json.dumps(dict(item.metadata)),
    }


def row_to_item(row: Mapping[str, Any]) -> KnowledgeItem:
    """Return the item of a table row; see `item_to_row`."""
    image = None
    if row["image_bytes"] is not None:
        image = ImageRef(data=row["image_bytes"])
    elif row["image_path"] is not None:
        image = ImageRef(path=row["image_path"])
    return KnowledgeItem(
        id=row["id"],
        text=row["text"],
        image=image,
        title=row["title"],
        caption=row["caption"],
        source=row["source"],
        metadata=json.loads(row["metadata"]),
    )


class TableWriter:
    """A new table, written row by row; a batch of rows and eight bytes of each are in memory.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder: Path) -> None:
        self.num_rows = 0
        self._ids = IdWriter(folder)
        self._items, self._starts = HashingWriter(folder / ITEMS_NAME), HashingWriter(folder / STARTS_NAME)
        # Message by message, so that it is known where each batch begins; together they are an Arrow stream.
        self._items.write(_SCHEMA.serialize())
        self._waiting: list[Mapping[str, Any]] = []
        self._waiting_bytes = 0
        self._mark()

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row that `item_to_row` made."""
        self._waiting.append(row)
        self._waiting_bytes += sum(len(value) for value in row.values() if value is not None)
        if len(self._waiting) >= _BATCH_ROWS or self._waiting_bytes >= _BATCH_BYTES:
            self._flush()

    def close(self) -> dict[str, FileRecord]:
        """Flush everything to disk and return the records of the files, by their names in the folder."""
        self._flush()
        self._items.write(_END_OF_STREAM)
        return self._ids.close() | self._items.close() | self._starts.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._ids.write([row["id"] for row in self._waiting])
        self._items.write(pa.RecordBatch.from_pylist(self._waiting, schema=_SCHEMA).serialize())
        self.num_rows += len(self._waiting)
        self._waiting, self._waiting_bytes = [], 0
        self._mark()

    def _mark(self) -> None:
        self._starts.write(np.array([self.num_rows, self._items.tell()], dtype="<i8"))


class StoredTable:
    """A table on disk, mapped into memory; a batch of rows is compared with its hashes before it is first read.

    Args:
        folder: where it is.
        files: the records of its files.
        num_rows: how many rows there must be.

    Raises:
        IndexCorruptError: when a file is missing, has another size, or does not fit the others.
    """

    def __init__(self, folder: Path, files: Mapping[str, FileRecord], num_rows: int) -> None:
        self.ids = StoredIds(folder, "", files, num_rows)
        self._items = VerifiedFile.open(folder, ITEMS_NAME, files)
        starts = VerifiedFile.open(folder, STARTS_NAME, files)
        starts.verify()
        marks = starts.array("<i8", 2)
        self._rows, self._places = marks[:, 0], marks[:, 1]
        fits = len(marks) and self._rows[0] == 0 and self._rows[-1] == num_rows
        if not fits or (np.diff(marks, axis=0) <= 0).any() or self._places[-1] > self._items.record.num_bytes:
            raise IndexCorruptError(f"{folder / STARTS_NAME} does not fit {ITEMS_NAME}. Build the index again.")
        self.files = (*self.ids.files, self._items, starts)
        self._memory = memoryview(self._items.array(np.uint8))  # type: ignore[arg-type]
        self._last: tuple[int, Any] = (-1, None)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, row: int, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """One row, or some columns of it.

        Raises:
            IndexCorruptError: when its bytes were altered.
        """
        number = int(np.searchsorted(self._rows, row, side="right")) - 1
        batch = self._read_batch(number)
        if columns is not None:
            batch = batch.select(list(columns))
        found: dict[str, Any] = batch.slice(row - int(self._rows[number]), 1).to_pylist()[0]
        return found

    def _read_batch(self, number: int) -> Any:
        with self._lock:
            last, batch = self._last
        if last == number:
            return batch
        begin, end = self._places[number : number + 2]
        self._items.verify_ranges(np.array([begin]), np.array([end]))
        try:
            batch = pa.ipc.read_record_batch(pa.py_buffer(self._memory[begin:end]), _SCHEMA)
        except (pa.ArrowException, OSError) as error:
            raise IndexCorruptError(f"{self._items.path} cannot be read at byte {begin}: {error}") from error
        if batch.num_rows != self._rows[number + 1] - self._rows[number]:
            raise IndexCorruptError(
                f"{self._items.path} has {batch.num_rows} rows at byte {begin}, not as many as it must."
            )
        with self._lock:
            self._last = (number, batch)
        return batch
