"""Writing files so that a crash leaves the old or the new one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["sync_folder", "write_atomically", "write_text_atomically"]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, flush it to disk, and rename it onto `path`.

    Args:
        path: the file that appears, as a whole or not at all.
        write: gets the temporary path and writes the content there.

    Raises:
        OSError: when the disk is full or the folder read-only; `path` is as it was.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "note.txt")
        >>> write_atomically(file, lambda temporary: temporary.write_text("new"))
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


def write_text_atomically(path: Path, text: str) -> None:
    """Write a text file in UTF-8; it appears as a whole or not at all, as of `write_atomically`.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "note.txt")
        >>> write_text_atomically(file, "new")
        >>> file.read_text()
        'new'
    """
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


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
