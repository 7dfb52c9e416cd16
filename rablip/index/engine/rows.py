"""Rows of the engine's table: an id, a vector and columns each, with the manifest in the table's schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from ..columns import make_schema
from ..errors import IndexCorruptError, IndexMismatchError
from ..manifest import IndexManifest
from .sql import name_column

__all__ = ["batch_rows", "make_row_schema", "read_manifest", "take_vectors"]

_MANIFEST_KEY = b"rablip.manifest"
# The engine compares commits of several writers by this key, so that one id never gets two rows.
_IS_KEY = {"lance-schema:unenforced-primary-key:position": "1"}
_ROWS_AT_ONCE = 1 << 14


def make_row_schema(manifest: IndexManifest) -> pa.Schema:
    """The schema of the table that holds the items and the manifest.

    Example:
        >>> form = {"embedding_dim": 2, "columns": {"a.b": "bool"}}
        >>> make_row_schema(IndexManifest(model_id="tower", model_fingerprint="ab12", **form)).names
        ['id', 'vector', 'column_0']
    """
    fields = [
        pa.field("id", pa.string(), nullable=False, metadata=_IS_KEY),
        pa.field("vector", pa.list_(pa.float32(), manifest.embedding_dim), nullable=False),
    ]
    fields += [pa.field(name_column(n), field.type) for n, field in enumerate(make_schema(manifest.columns))]
    stored = dataclasses.replace(manifest, segments=(), files={}, num_items=0, generation=0)
    return pa.schema(fields, metadata={_MANIFEST_KEY: stored.to_json().encode()})


def read_manifest(schema: pa.Schema, place: str) -> IndexManifest:
    """The manifest that a table holds.

    Args:
        schema: of the table.
        place: what the table is called in an error.

    Raises:
        IndexCorruptError: when there is none, it was altered, or the table has not the form that it says.
        IndexMismatchError: when it was written in another format version.
    """
    text = (schema.metadata or {}).get(_MANIFEST_KEY)
    if text is None:
        raise IndexCorruptError(f"{place} is not an index: the table holds no manifest of rablip. Name another table.")
    try:
        manifest = IndexManifest.from_json(text.decode())
    except (IndexCorruptError, IndexMismatchError) as error:
        raise type(error)(f"{place}: {error}") from error
    except UnicodeDecodeError as error:
        raise IndexCorruptError(f"{place}: {error}") from error
    expected = make_row_schema(manifest)
    if [(field.name, field.type) for field in schema] != [(field.name, field.type) for field in expected]:
        raise IndexCorruptError(
            f"{place} has the columns {schema.names}, its manifest says {expected.names}: the table was altered. "
            "Build it again."
        )
    return manifest


def batch_rows(
    names: Sequence[str], matrix: np.ndarray, columns: pa.Table, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Checked items as batches of rows.

    Args:
        names: ids.
        matrix: (num_items, embedding_dim) float32.
        columns: of the items, as of `make_table`.
        schema: as of `make_row_schema`.
    """
    for start in range(0, len(names), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(matrix[rows].reshape(-1)), matrix.shape[1])
        values = [column.combine_chunks() for column in columns.slice(start, _ROWS_AT_ONCE).columns]
        yield pa.RecordBatch.from_arrays([pa.array(names[rows], pa.string()), vectors, *values], schema=schema)


def take_vectors(rows: pa.Table | pa.RecordBatch, embedding_dim: int) -> np.ndarray:
    """The vectors of rows, (num_rows, embedding_dim) float32."""
    column = rows.column("vector")
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    flat = [chunk.flatten().to_numpy() for chunk in chunks]
    return np.concatenate([np.empty(0, dtype=np.float32), *flat]).reshape(-1, embedding_dim)
