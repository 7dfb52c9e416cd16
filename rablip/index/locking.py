"""One writer at a time: a lock on the folder of an index that ends with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import IndexLockedError

__all__ = ["LOCK_NAME", "lock_folder"]

LOCK_NAME = ".lock"


@contextmanager
def lock_folder(folder: str | Path) -> Iterator[None]:
    """Hold the only right to change an index; readers are not held up.

    Within one process it can be held several times over.

    Args:
        folder: the index; made where it does not exist.

    Raises:
        IndexLockedError: at once, when another process holds it.
        OSError: when the folder is read-only.

    Example:
        >>> import tempfile
        >>> with lock_folder(tempfile.mkdtemp()):
        ...     pass
    """
    place = Path(folder).resolve()
    place.mkdir(parents=True, exist_ok=True)
    # A singleton of the path, so that holding it twice in one process works.
    lock = FileLock(place / LOCK_NAME, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        raise IndexLockedError(
            f"Another process is changing the index {place}. Wait until it has ended; reading goes on meanwhile."
        ) from None
    try:
        yield
    finally:
        lock.release()
