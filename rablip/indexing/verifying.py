"""Verifying and measuring an index on disk with its lexical part, where it has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..index.maintenance import IndexStats, measure_index, verify_index
from ..index.manifest import IndexManifest
from ..lexical.storage import LEXICAL_NAME, LexicalRecord, verify_files

__all__ = ["LexicalStats", "measure_knowledge", "verify_knowledge"]


@dataclass(frozen=True, kw_only=True)
class LexicalStats:
    """The lexical part of an index in numbers.

    Args:
        num_items: items of the index when it was built.
        num_words: different words.
        disk_bytes: of its files; they are mapped into memory.
        is_stale: whether the index was changed since, so that a search by words raises until it is built again.
    """

    num_items: int
    num_words: int
    disk_bytes: int
    is_stale: bool


def verify_knowledge(folder: str | Path) -> IndexManifest:
    """Check every byte of every file of an index: vectors, ids, columns, knowledge items and the lexical part.

    A lexical part that is stale is no damage: `measure_knowledge` tells.

    Args:
        folder: the index.

    Returns:
        Its manifest.

    Raises:
        FileNotFoundError: when the folder is no index.
        IndexCorruptError: names the first file that is missing or altered, and where.
        IndexMismatchError: when it has another format version.
    """
    manifest = verify_index(folder)
    place = Path(folder)
    if (place / LEXICAL_NAME).is_file():
        verify_files(place, LexicalRecord.load(place))
    return manifest


def measure_knowledge(folder: str | Path) -> tuple[IndexStats, LexicalStats | None]:
    """Count what an index and its lexical part hold and take; only manifest and record are read.

    Returns:
        The index in numbers, and its lexical part; None where it has none.

    Raises:
        FileNotFoundError, IndexCorruptError, IndexMismatchError: as `verify_knowledge`.
    """
    place = Path(folder)
    stats = measure_index(place)
    if not (place / LEXICAL_NAME).is_file():
        return stats, None
    record = LexicalRecord.load(place)
    manifest = IndexManifest.load(place)
    return stats, LexicalStats(
        num_items=record.num_items,
        num_words=record.num_words,
        disk_bytes=sum(entry.num_bytes for entry in record.files.values()),
        is_stale=(record.index_id, record.generation) != (manifest.index_id, manifest.generation),
    )
