"""What keeps an index in order: verifying all of it, counting what it holds, compacting it, and joining several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from .checksums import FileRecord
from .columns import make_schema
from .commits import copy_items, item_records, open_parts, remove_unnamed, replace_segments
from .locking import lock_folder
from .manifest import IndexManifest
from .parts import hash_live_ids
from .search_kinds import SearchSettings
from .segment_writing import SegmentWriter
from .segments import STRUCTURE_NAME, segment_files

WriteItems = Callable[[Path, IndexManifest, np.ndarray], tuple[tuple[str, ...], dict[str, FileRecord]]]

__all__ = ["IndexStats", "SegmentStats", "compact_index", "measure_index", "verify_index"]


@dataclass(frozen=True, kw_only=True)
class SegmentStats:
    """A segment in numbers.

    Args:
        name: its folder.
        kind: how it is searched.
        num_items: items in it, deleted ones included.
        num_deleted: how many of them are deleted.
        num_vectors: vectors in it.
        disk_bytes: of all its files.
        resident_bytes: what stays in memory while it is searched: its search structure and a bit an item. Vectors,
            ids and columns are mapped from disk.
    """

    name: str
    kind: str
    num_items: int
    num_deleted: int
    num_vectors: int
    disk_bytes: int
    resident_bytes: int


@dataclass(frozen=True, kw_only=True)
class IndexStats:
    """An index in numbers.

    Args:
        num_items: items that a search can find.
        num_deleted: items that are deleted and still take room.
        disk_bytes: of all files that the manifest names.
        items_bytes: those of them that belong to the knowledge base.
        resident_bytes: what stays in memory while it is searched.
        generation: how often it was changed.
        segments: each segment.
    """

    num_items: int
    num_deleted: int
    disk_bytes: int
    items_bytes: int
    resident_bytes: int
    generation: int
    segments: tuple[SegmentStats, ...]


def verify_index(folder: str | Path) -> IndexManifest:
    """Check every byte of every file of an index.

    Args:
        folder: the index.

    Returns:
        Its manifest.

    Raises:
        FileNotFoundError: when the folder is no index.
        IndexCorruptError: names the first file that is missing or altered, and where.
        IndexMismatchError: when it has another format version.
    """
    return open_parts(Path(folder), verify=True)[0]


def measure_index(folder: str | Path) -> IndexStats:
    """Count what an index holds and takes; only its manifest is read."""
    manifest = IndexManifest.load(Path(folder))
    segments = []
    for record in manifest.segments:
        own = {name: entry.num_bytes for name, entry in segment_files(manifest.files, record).items()}
        structure = own.get(f"{record.name}/{STRUCTURE_NAME}", 0)
        segments.append(
            SegmentStats(
                name=record.name,
                kind=record.search.kind,
                num_items=record.num_items,
                num_deleted=record.num_deleted,
                num_vectors=record.num_vectors,
                disk_bytes=sum(own.values()),
                resident_bytes=structure + -(-record.num_items // 8),
            )
        )
    of_items = tuple(f"{name}/" for name in manifest.items_folders)
    return IndexStats(
        num_items=manifest.num_items,
        num_deleted=sum(segment.num_deleted for segment in segments),
        disk_bytes=sum(entry.num_bytes for entry in manifest.files.values()),
        items_bytes=sum(entry.num_bytes for name, entry in manifest.files.items() if name.startswith(of_items)),
        resident_bytes=sum(segment.resident_bytes for segment in segments),
        generation=manifest.generation,
        segments=tuple(segments),
    )


def compact_index(
    folder: str | Path,
    *,
    search: SearchSettings | None = None,
    write_items: WriteItems | None = None,
    progress: bool = True,
) -> IndexManifest:
    """Write all segments as one, without what is deleted, and build its search structure anew.

    Args:
        folder: the index.
        search: how it is searched from now on; None keeps the manifest's settings.
        write_items: writes the items that are left into new folders of the index; gets the index, its manifest and
            the sorted hashes of the ids, and returns the folders' names and the records of their files. None keeps the
            items as they are.
        progress: whether a bar is shown on a terminal.

    Returns:
        The manifest as written.

    Raises:
        IndexLockedError: when another process is changing the index.
        IndexCorruptError: when a file is missing or altered; the index is as it was.
        OSError: when the disk is full; the index is as it was.
    """
    place = Path(folder)
    with lock_folder(place):
        manifest, parts = open_parts(place, verify=False)
        settings = manifest.search if search is None else search
        writer = SegmentWriter(place, embedding_dim=manifest.embedding_dim, schema=make_schema(manifest.columns))
        try:
            with tqdm(total=manifest.num_items, unit="item", disable=None if progress else True) as bar:
                for part in parts:
                    copy_items(part, writer, on_items=bar.update)
            with tqdm(total=writer.num_vectors, unit="vector", disable=None if progress else True) as bar:
                record, files = writer.finish(settings, on_rows=bar.update)
            given = (None, None) if write_items is None else write_items(place, manifest, hash_live_ids(parts))
            names, items = item_records(manifest, place, *given)
            segments = [record] if record.num_items else []
            return replace_segments(
                place,
                manifest,
                segments,
                (files if segments else {}) | items,
                items_folders=names,
                search=settings,
            )
        finally:
            # What was written and is not named by the manifest in place; an interrupt may come after the rename.
            remove_unnamed(place)
