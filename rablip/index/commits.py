"""Changing an index on disk by one rename: new files, then the manifest that names them; then the old ones go."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from .. import __version__
from .checksums import BLOCK_BYTES, FileRecord
from .columns import make_schema
from .errors import IndexCorruptError, IndexLockedError
from .locking import lock_folder
from .manifest import MANIFEST_NAME, IndexManifest
from .parts import IndexPart
from .segment_writing import DELETED_PREFIX, SEGMENT_PREFIX, SegmentWriter, write_deleted
from .segments import SegmentRecord, StoredSegment, read_deleted, segment_files
from .verified_file import VerifiedFile

if TYPE_CHECKING:
    from .knowledge_index import KnowledgeIndex

__all__ = [
    "ITEMS_PREFIX",
    "commit",
    "copy_items",
    "item_records",
    "open_parts",
    "remove_unnamed",
    "replace_segments",
    "write_masks",
]

ITEMS_PREFIX = "items-"
VERIFY_LIMIT_BYTES = 1 << 30
_OPEN_ATTEMPTS = 5


def open_parts(
    folder: Path, *, expected: Mapping[str, Any] | None = None, verify: bool | None = None
) -> tuple[IndexManifest, list[IndexPart]]:
    """Open what the manifest of a folder names; see `KnowledgeIndex.load`."""
    for attempt in range(_OPEN_ATTEMPTS):
        manifest = IndexManifest.load(folder)
        manifest.check(expected or {})
        manifest.check_names(folder)
        try:
            parts = _open(folder, manifest, verify)
        except IndexCorruptError:
            # A writer that ended in between has taken the files of the manifest before away.
            if attempt + 1 < _OPEN_ATTEMPTS and IndexManifest.load(folder).generation != manifest.generation:
                continue
            raise
        return manifest, parts
    raise AssertionError("the last attempt returns or raises")


def _open(folder: Path, manifest: IndexManifest, verify: bool | None) -> list[IndexPart]:
    schema = make_schema(manifest.columns)
    parts = []
    for record in manifest.segments:
        segment = StoredSegment(folder, record, manifest.files, embedding_dim=manifest.embedding_dim, schema=schema)
        parts.append(IndexPart(segment, read_deleted(folder, record, manifest.files)))
    if sum(part.num_items for part in parts) != manifest.num_items:
        raise IndexCorruptError(
            f"{folder}: the manifest says {manifest.num_items} items, its segments hold "
            f"{sum(part.num_items for part in parts)}. Build the index again."
        )
    if verify is None:
        verify = sum(record.num_bytes for record in manifest.files.values()) <= VERIFY_LIMIT_BYTES
    if verify:
        for part in parts:
            part.segment.verify()  # type: ignore[union-attr]
    own = tuple(f"{record.name}/" for record in manifest.segments)
    for name, entry in manifest.files.items():
        # What a knowledge base says of its files is small, and by it they are verified when they are read.
        if not name.startswith(own) and (verify or entry.num_bytes <= BLOCK_BYTES):
            VerifiedFile(folder / name, entry).verify_whole()
    return parts


def commit(
    index: KnowledgeIndex, folder: Path, items_folders: Sequence[str] | None
) -> tuple[IndexManifest, list[IndexPart]]:
    """Write an index into a folder and open it there; see `KnowledgeIndex.save`."""
    num_bytes = len(index) * (4 * index.embedding_dim + 64)
    try:
        with lock_folder(folder):
            current = _read_current(index, folder)
            is_home = current is not None and index.folder == folder.resolve()
            names, items = item_records(index.manifest, folder, items_folders)
            try:
                segments, files = _write_parts(index, folder, is_home)
                replace_segments(folder, index.manifest, segments, files | items, items_folders=names)
            finally:
                remove_unnamed(folder)
            return open_parts(folder, verify=False)
    except (OSError, RuntimeError, pa.ArrowException) as error:
        if isinstance(error, IndexLockedError):
            raise
        # FAISS reports a failed write as a RuntimeError.
        raise OSError(
            f"The index could not be saved in {folder}; it needs about {num_bytes} bytes there, and an index that "
            f"was there before is as it was: {error}"
        ) from error


def replace_segments(
    folder: Path,
    manifest: IndexManifest,
    segments: Sequence[SegmentRecord],
    files: Mapping[str, FileRecord],
    **changes: Any,
) -> IndexManifest:
    """Name other segments in the manifest of a folder; the caller holds the lock, and calls `remove_unnamed` after.

    Args:
        folder: the index.
        manifest: the one before.
        segments: those that there are from now on.
        files: the records of all files from now on.
        changes: further fields of the manifest.

    Returns:
        The manifest as written.
    """
    new = dataclasses.replace(
        manifest,
        segments=tuple(segments),
        files=dict(files),
        num_items=sum(record.num_items - record.num_deleted for record in segments),
        generation=manifest.generation + 1,
        rablip_version=__version__,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **changes,
    )
    new.save(folder)
    return new


def remove_unnamed(folder: Path) -> None:
    """Remove segments, masks and items that the manifest in place does not name; the caller holds the lock."""
    try:
        manifest = IndexManifest.load(folder)
        kept = {record.name for record in manifest.segments} | set(manifest.files) | set(manifest.items_folders)
    except FileNotFoundError:
        kept = set()
    except (OSError, ValueError):
        return
    for path in (
        *folder.glob(f"{SEGMENT_PREFIX}*"),
        *folder.glob(f"{DELETED_PREFIX}*"),
        *folder.glob(f"{ITEMS_PREFIX}*"),
        *folder.glob(f".{ITEMS_PREFIX}*"),
        # A manifest that a killed process had not renamed yet.
        *folder.glob(f".{MANIFEST_NAME}.*"),
    ):
        if path.name not in kept:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def write_masks(
    folder: Path, manifest: IndexManifest, parts: Sequence[IndexPart]
) -> tuple[list[SegmentRecord], dict[str, FileRecord]]:
    """Stored segments as they are now, with new masks where more is deleted, and the records of their files."""
    segments: list[SegmentRecord] = []
    files: dict[str, FileRecord] = {}
    for part in parts:
        record = part.segment.record
        if record is None or not part.num_items:
            continue
        own = segment_files(manifest.files, record)
        if part.is_changed:
            name, written = write_deleted(folder, part.deleted)
            record = dataclasses.replace(record, deleted_name=name, num_deleted=part.num_deleted)
            own |= written
        elif record.deleted_name is not None:
            own |= {name: entry for name, entry in manifest.files.items() if name.startswith(record.deleted_name)}
        segments.append(record)
        files |= own
    return segments, files


def copy_items(part: IndexPart, writer: SegmentWriter, *, on_items: Callable[[int], Any] | None = None) -> None:
    """Append the items of a part that are not deleted to a segment that is being written, batch by batch.

    Args:
        part: where they are.
        writer: the new segment.
        on_items: called with the number of items of every batch.
    """
    columns = part.segment.columns()
    for some in part.iterate_rows():
        vectors, counts = part.gather(some)
        writer.write(part.segment.ids.take(some), vectors, counts.tolist(), columns.take(some))
        if on_items is not None:
            on_items(len(some))


def _read_current(index: KnowledgeIndex, folder: Path) -> IndexManifest | None:
    try:
        current = IndexManifest.load(folder)
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return None  # damaged or of another version: it is replaced
    mine = index.manifest
    if current.index_id == mine.index_id and current.generation != mine.generation:
        raise IndexLockedError(
            f"The index {folder} was changed since it was loaded (generation {current.generation} there, "
            f"{mine.generation} here); nothing was written. Load it again and repeat the change."
        )
    return current if current.index_id == mine.index_id else None


def _write_parts(
    index: KnowledgeIndex, folder: Path, is_home: bool
) -> tuple[list[SegmentRecord], dict[str, FileRecord]]:
    segments: list[SegmentRecord] = []
    files: dict[str, FileRecord] = {}
    manifest = index.manifest
    schema = make_schema(manifest.columns)
    for group in _group_parts(index.parts, is_home):
        record = group[0].segment.record
        if len(group) == 1 and record is not None and is_home:
            kept, own = write_masks(folder, manifest, group)
            segments += kept
        else:
            writer = SegmentWriter(folder, embedding_dim=manifest.embedding_dim, schema=schema)
            for part in group:
                copy_items(part, writer)
            record, own = writer.finish(manifest.search)
            segments.append(record)
        files |= own
    return segments, files


def _group_parts(parts: Sequence[IndexPart], is_home: bool) -> Iterator[list[IndexPart]]:
    """Parts that stay as they are, each alone, and parts that become one new segment.

    New items are joined with the small segments before them whenever those are not much larger, so that many small
    additions leave few segments, and every item is written again a few times only.
    """
    live = [part for part in parts if part.num_items]
    first = len(live)
    num_items = 0
    while first and (live[first - 1].segment.record is None or not is_home):
        first -= 1
        num_items += live[first].num_items
    while is_home and num_items and first and _is_small(live[first - 1], 2 * num_items):
        first -= 1
        num_items += live[first].num_items
    for part in live[:first]:
        yield [part]
    if live[first:]:
        yield live[first:]


def _is_small(part: IndexPart, most: int) -> bool:
    record = part.segment.record
    return record is not None and record.search.kind == "exact" and part.num_items <= most


def item_records(
    manifest: IndexManifest,
    folder: Path,
    items_folders: Sequence[str] | None,
    items_files: Mapping[str, FileRecord] | None = None,
) -> tuple[tuple[str, ...], dict[str, FileRecord]]:
    """The parts of the knowledge base and the records of their files.

    Args:
        manifest: the one before.
        folder: the index.
        items_folders: the parts from now on; None keeps those of the manifest that lie in `folder`.
        items_files: the records of their files, where they are known; the others are measured.
    """
    given = {**manifest.files, **(items_files or {})}
    names = manifest.items_folders if items_folders is None else tuple(items_folders)
    names = tuple(name for name in names if items_folders is not None or (folder / name).is_dir())
    records: dict[str, FileRecord] = {}
    for name in names:
        known = {file: entry for file, entry in given.items() if file.startswith(f"{name}/")}
        if known:
            # The hashes made when the items were written stay: measuring again would declare a damaged file whole.
            records |= known
            continue
        paths = sorted(path for path in (folder / name).rglob("*") if path.is_file())
        records |= {path.relative_to(folder).as_posix(): FileRecord.of(path) for path in paths}
    return names, records
