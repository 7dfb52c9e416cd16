"""Opening and making the engine's tables, and the one that an index belongs to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import IndexLockedError, IndexMismatchError
from ..manifest import IndexManifest
from .engine_import import import_lancedb
from .rows import make_row_schema, read_manifest

__all__ = ["EnginePlace", "change_table", "check_same", "create_table", "open_table"]


@dataclass(frozen=True)
class EnginePlace:
    """Where the engine holds an index.

    Args:
        uri: a folder, an object store such as "s3://bucket/folder", or a cluster such as "db://name".
        table: the table's name there.
        storage_options: credentials, region and the like, as the engine takes them.
        refresh_seconds: for how long a handle may not see what others changed.

    Example:
        >>> print(EnginePlace("s3://bucket/knowledge", "items"))
        table 'items' of s3://bucket/knowledge
    """

    uri: str
    table: str
    storage_options: Mapping[str, str] = field(default_factory=dict, repr=False)
    refresh_seconds: float = 0.0

    def __str__(self) -> str:
        return f"table {self.table!r} of {self.uri}"

    def connect(self) -> Any:
        """Return a connection of the engine."""
        # Without "://" it is a folder; the engine itself knows no "~".
        uri = self.uri if "://" in self.uri else os.fspath(Path(self.uri).expanduser())
        options = {"storage_options": dict(self.storage_options)} if self.storage_options else {}
        return import_lancedb().connect(
            uri, read_consistency_interval=timedelta(seconds=self.refresh_seconds), **options
        )


def open_table(place: EnginePlace) -> tuple[Any, IndexManifest]:
    """Open a table with its manifest.

    Raises:
        FileNotFoundError: when there is none.
        IndexCorruptError, IndexMismatchError: as `read_manifest` says.
    """
    connection = place.connect()
    try:
        table = connection.open_table(place.table)
    except ValueError as error:
        raise FileNotFoundError(
            f"There is no {place} ({error}). Make one with EngineIndex.create, or with `rablip index export INDEX "
            "--to URI`."
        ) from error
    return table, read_manifest(table.schema, str(place))


def create_table(
    place: EnginePlace, manifest: IndexManifest, batches: Callable[[pa.Schema], Iterator[pa.RecordBatch]]
) -> Any:
    """Make a table with its first rows; it appears as a whole or not at all.

    Args:
        place: where.
        manifest: of the index.
        batches: gives the rows, none or more batches in the form of a schema.

    Raises:
        FileExistsError: when there is one of that name.
    """
    schema = make_row_schema(manifest)
    failures: list[Exception] = []

    def iterate() -> Iterator[pa.RecordBatch]:
        try:
            yield from batches(schema)
        except Exception as error:
            failures.append(error)
            raise

    try:
        return place.connect().create_table(
            place.table, data=pa.RecordBatchReader.from_batches(schema, iterate()), schema=schema
        )
    except Exception as error:
        if failures:  # the engine turns what the rows raise into an error of its own
            raise failures[0] from error
        if isinstance(error, ValueError) and "already exists" in str(error):
            raise FileExistsError(
                f"There is a {place} already. Give another table name, or remove that one yourself."
            ) from error
        raise


def check_same(table: Any, manifest: IndexManifest, place: EnginePlace) -> None:
    """Check that the table still is the one that was opened: another may have been put in its place.

    Raises:
        IndexMismatchError: when it is not.
    """
    found = read_manifest(table.schema, str(place))
    if found.index_id != manifest.index_id:
        raise IndexMismatchError(
            f"{place} was replaced since it was opened: the index here is {manifest.index_id} of {manifest.model_id}, "
            f"there is {found.index_id} of {found.model_id}. Open it again."
        )


@contextmanager
def change_table(place: EnginePlace) -> Iterator[None]:
    """Around a change: one that others kept the engine from making is named as what it is.

    Raises:
        IndexLockedError: when the engine gave up; the change was not made.
    """
    try:
        yield
    except RuntimeError as error:
        if "conflict" not in str(error).lower():
            raise
        raise IndexLockedError(
            f"Other processes changed {place} at the same moment, this change was not made: {error}. Make it again."
        ) from error
