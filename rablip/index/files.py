"""Writing files so that a crash leaves the old or the new one, and hashing them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["hash_file", "sync_folder", "write_atomically"]

_BLOCK = 1 << 20


def hash_file(path: Path) -> str:
    """Return the sha256 of a file, read in blocks, as 64 hex digits.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "empty")
        >>> _ = file.write_bytes(b"")
        >>> hash_file(file)[:8]
        'e3b0c442'
    """
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, and rename it onto `path`.

    Args:
        path: the file that appears, as a whole or not at all.
        write: gets the temporary path and writes the content there.

    Raises:
        OSError: when the disk is full or the folder read-only; `path` is as it was.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "note.txt")
        >>> write_atomically(file, lambda temporary: temporary.write_text("new") and None)
        >>> file.read_text()
        'new'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as handle:
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, so that a rename survives a power cut; nothing where that is unsupported.

    Example:
        >>> sync_folder(Path("."))
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # folders cannot be opened on some systems
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
