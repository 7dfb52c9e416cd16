"""What the files of an index must be: a sha256 of each, and of every block of those larger than a block.

With a hash of every block an index larger than memory can be opened at once: a block is verified when it is first
read (verified_file.py).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["BLOCK_BYTES", "SUMS_SUFFIX", "FileRecord", "HashingWriter", "hash_file"]

BLOCK_BYTES = 1 << 18
SUMS_SUFFIX = ".sha256"


@dataclass(frozen=True)
class FileRecord:
    """What a file must be.

    Args:
        num_bytes: its size.
        sha256: of the whole file, as 64 hex digits.

    Example:
        >>> FileRecord(num_bytes=0, sha256="e3b0").num_bytes
        0
    """

    num_bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """Measure a file."""
        return cls(num_bytes=path.stat().st_size, sha256=hash_file(path))


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, read in blocks, as 64 hex digits.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "empty")
        >>> _ = file.write_bytes(b"")
        >>> hash_file(file)[:8]
        'e3b0c442'
    """
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class HashingWriter:
    """A new file that is hashed while it is written, so that the record tells what was meant, not what a disk kept.

    Args:
        path: the file; it must not exist.

    Example:
        >>> import tempfile
        >>> writer = HashingWriter(Path(tempfile.mkdtemp(), "data"))
        >>> _ = writer.write(b"abc")
        >>> {name: record.num_bytes for name, record in writer.close().items()}
        {'data': 3}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = open(path, "xb")  # noqa: SIM115
        self._whole = hashlib.sha256()
        self._block = hashlib.sha256()
        self._digests: list[bytes] = []
        self._num_bytes = 0

    def write(self, data: Any) -> int:
        """Append bytes (or an array, in memory order)."""
        whole: Any = np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data
        view = memoryview(whole)
        if not view.nbytes:
            return 0
        view = view.cast("B")
        self._handle.write(view)
        self._whole.update(view)
        start = 0
        while start < len(view):
            room = BLOCK_BYTES - self._num_bytes % BLOCK_BYTES
            part = view[start : start + room]
            self._block.update(part)
            self._num_bytes += len(part)
            start += len(part)
            if self._num_bytes % BLOCK_BYTES == 0:
                self._digests.append(self._block.digest())
                self._block = hashlib.sha256()
        return len(view)

    def close(self) -> dict[str, FileRecord]:
        """Flush to disk; return the records of the file and, where it is larger than a block, of its block hashes."""
        self._handle.flush()
        os.fsync(self._handle.fileno())
        self._handle.close()
        records = {self.path.name: FileRecord(self._num_bytes, self._whole.hexdigest())}
        if self._num_bytes > BLOCK_BYTES:
            if self._num_bytes % BLOCK_BYTES:
                self._digests.append(self._block.digest())
            sums = self.path.with_name(self.path.name + SUMS_SUFFIX)
            content = b"".join(self._digests)
            with open(sums, "xb") as handle:
                handle.write(content)
                handle.flush()
                os.fsync(handle.fileno())
            records[sums.name] = FileRecord(len(content), hashlib.sha256(content).hexdigest())
        return records

    def tell(self) -> int:
        """How many bytes were written."""
        return self._num_bytes

    @property
    def closed(self) -> bool:
        """Whether nothing more can be written; Arrow asks for it."""
        return self._handle.closed

    def flush(self) -> None:
        """Nothing: `close` flushes; Arrow calls it."""

    def abort(self) -> None:
        """Close and remove what was written."""
        self._handle.close()
        self.path.unlink(missing_ok=True)
