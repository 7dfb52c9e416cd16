"""A file of an index, mapped into memory, whose blocks are checked before anything is computed from them."""

from __future__ import annotations

import hashlib
import mmap
import os
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .checksums import BLOCK_BYTES, SUMS_SUFFIX, FileRecord, hash_file
from .errors import IndexCorruptError

__all__ = ["VerifiedFile", "check_name", "check_size"]

_DIGEST_BYTES = 32
_REPAIR = "Restore the file, or build the index again."


class VerifiedFile:
    """A file whose content is compared with its record, at once or block by block.

    Args:
        path: the file.
        record: what it must be.
        digests: (num_blocks, 32) sha256 of its blocks; None for a file of at most one block.

    Raises:
        IndexCorruptError: when it is missing or has another size.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "data")
        >>> _ = path.write_bytes(b"abcd")
        >>> file = VerifiedFile(path, FileRecord.of(path))
        >>> file.verify()
        >>> file.array(np.uint8).tolist()
        [97, 98, 99, 100]
    """

    def __init__(self, path: Path, record: FileRecord, digests: np.ndarray | None = None) -> None:
        self.path = path
        self.record = record
        check_size(path, record)
        self._digests = digests
        self._lock = threading.Lock()
        self._verified = np.zeros(max(1, -(-record.num_bytes // BLOCK_BYTES)), dtype=bool)
        self.is_verified = False
        self._bytes = np.empty(0, dtype=np.uint8)
        if record.num_bytes:
            with open(path, "rb") as handle:
                self._bytes = np.frombuffer(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ), dtype=np.uint8)

    @classmethod
    def open(cls, folder: Path, name: str, files: Mapping[str, FileRecord]) -> VerifiedFile:
        """Open a file of a folder by its record; the hashes of its blocks are verified at once.

        Args:
            folder: the index.
            name: the file, relative to it.
            files: the records of its manifest.

        Raises:
            IndexCorruptError: when the manifest does not name it, or file or hashes are not what they must be.
        """
        check_name(folder, name)
        if name not in files:
            raise IndexCorruptError(f"The manifest of {folder} does not name {name}. {_REPAIR}")
        record = files[name]
        if record.num_bytes <= BLOCK_BYTES:
            return cls(folder / name, record)
        sums = name + SUMS_SUFFIX
        if sums not in files:
            raise IndexCorruptError(f"{folder / name} is larger than a block, but the manifest names no {sums}.")
        num_blocks = -(-record.num_bytes // BLOCK_BYTES)
        path = folder / sums
        if files[sums].num_bytes != num_blocks * _DIGEST_BYTES:
            raise IndexCorruptError(f"{path} has {files[sums].num_bytes} bytes, not a hash for {num_blocks} blocks.")
        check_size(path, files[sums])
        content = path.read_bytes()
        _compare(path, hashlib.sha256(content).hexdigest(), files[sums].sha256)
        return cls(folder / name, record, np.frombuffer(content, dtype=np.uint8).reshape(-1, _DIGEST_BYTES))

    def array(self, dtype: Any, columns: int | None = None) -> np.ndarray:
        """The content as a read-only array (rows,) or (rows, columns), not verified by this call.

        Raises:
            IndexCorruptError: when its size is no whole number of rows.
        """
        row_bytes = np.dtype(dtype).itemsize * (columns or 1)
        if self.record.num_bytes % row_bytes:
            raise IndexCorruptError(f"{self.path} has {self.record.num_bytes} bytes, not rows of {row_bytes} bytes.")
        values = self._bytes.view(dtype)
        return values if columns is None else values.reshape(-1, columns)

    def verify(self, *, num_threads: int | None = None) -> None:
        """Check every block that was not checked yet.

        Args:
            num_threads: threads that hash; None for one a core, at most 8.

        Raises:
            IndexCorruptError: names the file and the bytes that differ.
        """
        if self.is_verified:
            return
        missing = np.flatnonzero(~self._verified)
        workers = min(num_threads or min(os.cpu_count() or 1, 8), len(missing))
        if workers <= 1:
            for block in missing:
                self._check(int(block))
        else:
            # hashlib lets other threads work while it hashes.
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(self._check, missing.tolist()))
        self._mark(missing)

    def verify_whole(self) -> None:
        """Check the sha256 of the whole file, for one whose blocks have no hashes.

        Raises:
            IndexCorruptError: names the file, with both hashes.
        """
        if not self.is_verified:
            _compare(self.path, hash_file(self.path), self.record.sha256)
            self.is_verified = True

    def verify_rows(self, rows: np.ndarray, row_bytes: int) -> None:
        """Check the blocks in which these rows lie.

        Args:
            rows: row numbers, within the file.
            row_bytes: bytes of a row.
        """
        if not self.is_verified:
            starts = np.asarray(rows, dtype=np.int64).ravel() * row_bytes
            self.verify_ranges(starts, starts + row_bytes)

    def verify_ranges(self, starts: np.ndarray, stops: np.ndarray) -> None:
        """Check the blocks in which these ranges of bytes lie."""
        if self.is_verified:
            return
        filled = stops > starts
        first, last = starts[filled] // BLOCK_BYTES, (stops[filled] - 1) // BLOCK_BYTES
        blocks = np.concatenate([first, last])
        if len(first) and (last - first).max() > 1:
            spans = [np.arange(low, high + 1) for low, high in zip(first, last, strict=True) if high - low > 1]
            blocks = np.concatenate([blocks, *spans])
        # Mostly all were checked by a search before: then there is nothing to sort.
        missing = np.unique(blocks[~self._verified[blocks]])
        if not len(missing):
            return
        for block in missing:
            self._check(int(block))
        self._mark(missing)

    def _mark(self, blocks: np.ndarray) -> None:
        with self._lock:
            self._verified[blocks] = True
            self.is_verified = bool(self._verified.all())

    def _check(self, block: int) -> None:
        start = block * BLOCK_BYTES
        part: Any = self._bytes[start : start + BLOCK_BYTES]
        digest = hashlib.sha256(part)
        if self._digests is None:
            _compare(self.path, digest.hexdigest(), self.record.sha256)
        elif digest.digest() != self._digests[block].tobytes():
            raise IndexCorruptError(
                f"{self.path} is altered between byte {start} and byte {start + len(part)}: its sha256 there is "
                f"{digest.hexdigest()}, not {self._digests[block].tobytes().hex()}. {_REPAIR}"
            )


def check_size(path: Path, record: FileRecord) -> None:
    """Check that a file is there and has the recorded size.

    Raises:
        IndexCorruptError: names it, with both sizes.
    """
    try:
        num_bytes = path.stat().st_size
    except FileNotFoundError:
        raise IndexCorruptError(f"{path} is missing. {_REPAIR}") from None
    if not path.is_file():
        raise IndexCorruptError(f"{path} is no file. {_REPAIR}")
    if num_bytes != record.num_bytes:
        raise IndexCorruptError(
            f"{path} has {num_bytes} bytes, the manifest says {record.num_bytes}: it is truncated or altered. "
            f"{_REPAIR}"
        )


def check_name(folder: Path, name: str) -> None:
    """Check that a name in a manifest lies inside the folder.

    A file may be a link, as in the cache of the Hub: its content is held to its hash wherever it lies.

    Raises:
        IndexCorruptError: when it leads out of the folder.
    """
    parts = Path(name)
    if parts.is_absolute() or ".." in parts.parts or "\\" in name or not name:
        raise IndexCorruptError(f"{folder}: the manifest names a file outside the index: {name!r}")


def _compare(path: Path, found: str, expected: str) -> None:
    if found != expected:
        raise IndexCorruptError(f"{path} has sha256 {found}, the manifest says {expected}: it is altered. {_REPAIR}")
