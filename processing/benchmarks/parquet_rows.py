"""Rows of Parquet files in small batches, with the shards of one table found together and checked to be all there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..knowledge_rablip import ImageRef
from ..readers_records import ReaderError
from .picture_files import find_picture

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

__all__ = ["find_shards", "iterate_parquet_rows", "picture_of_struct"]

_SHARD = re.compile(r"-(\d+)-of-(\d+)(?:-[0-9a-f]+)?$")


def find_shards(folder: Path, name: str) -> list[Path]:
    """The Parquet files of one table, in order: `name.parquet`, or `name-00000-of-00002.parquet` and the others.

    Args:
        folder: where they are.
        name: of the table, usually a split.

    Returns:
        The files; none when there is no such file.

    Raises:
        ReaderError: some of the numbered files are missing or there twice.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "test-00000-of-00002.parquet").write_bytes(b"")
        >>> find_shards(folder, "test")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        rablip.processing.readers_records.ReaderError: ...1 of 2 files ... missing, the first is number 1 ...
    """
    if (folder / f"{name}.parquet").is_file():
        return [folder / f"{name}.parquet"]
    numbered: dict[int, list[Path]] = {}
    totals: set[int] = set()
    for path in sorted(folder.glob(f"{name}-*.parquet")):
        match = _SHARD.search(path.stem)
        if match and path.stem[: match.start()] == name:
            numbered.setdefault(int(match[1]), []).append(path)
            totals.add(int(match[2]))
    if not numbered:
        return []
    twice = [paths for paths in numbered.values() if len(paths) > 1]
    if len(totals) > 1 or twice:
        shown = ", ".join(path.name for path in (twice[0] if twice else [paths[0] for paths in numbered.values()])[:4])
        raise ReaderError(
            f"{folder}: files of {name!r} of different downloads lie side by side: {shown}. Keep one set."
        )
    total = totals.pop()
    missing = [number for number in range(total) if number not in numbered]
    if missing:
        raise ReaderError(
            f"{folder}: {len(missing)} of {total} files of {name!r} are missing, the first is number {missing[0]} "
            "(they are counted from 0): download them all, or the figures are those of a part."
        )
    return [numbered[number][0] for number in sorted(numbered)]


def iterate_parquet_rows(
    files: Sequence[Path],
    *,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    leaves: Sequence[str] = (),
    batch_size: int = 64,
) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Yield (file, row number from 1 in its file, row) with the named columns only; nothing is decoded.

    Args:
        files: Parquet files of one table.
        columns: columns that every file must have.
        optional: columns that are read where they are there.
        leaves: of columns that hold lists of structs, the fields to read, as `"gt_images.path"`; the other fields
            are not read from the disk. A column that is not named here is read as a whole.
        batch_size: rows that are held at a time.

    Raises:
        ReaderError: a file is no Parquet file, is damaged, or lacks a column; names the file and the columns.
        FileNotFoundError: there is no such file.

    Example:
        >>> import tempfile
        >>> import pyarrow as pa, pyarrow.parquet as pq
        >>> file = Path(tempfile.mkdtemp(), "test.parquet")
        >>> pq.write_table(pa.table({"question_id": ["q1"], "pixels": [b"..."]}), file)
        >>> [row for _, _, row in iterate_parquet_rows([file], columns=["question_id"])]
        [{'question_id': 'q1'}]
    """
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"There is no file {file}. Give the path of a Parquet file.")
        number = 0
        try:
            with ParquetFile(file) as table:
                names = table.schema_arrow.names
                missing = [name for name in columns if name not in names]
                if missing:
                    raise ReaderError(f"{file}: it has no column {missing}; its columns are {names[:40]}")
                read = _leaf_names(table, [*columns, *(name for name in optional if name in names)], leaves)
                for batch in table.iter_batches(batch_size=batch_size, columns=read):
                    for row in batch.to_pylist():
                        number += 1
                        yield file, number, row
        except (pa.ArrowException, OSError) as error:
            place = f"after row {number}" if number else "at its start"
            raise ReaderError(f"{file}: {place}: not a readable Parquet file: {error}") from error


def picture_of_struct(value: object, field: str, folder: Path) -> ImageRef:
    """The picture in an image column of `datasets`: bytes, or the path of a file; nothing is decoded.

    Args:
        value: a struct of `bytes` and `path`.
        field: the column, for the error.
        folder: what a path is relative to, and confined to.

    Raises:
        ValueError: there is no picture in it, or its path leads out of the folder.
        MissingPictureError: there are no bytes, and the file is not there.

    Example:
        >>> picture_of_struct({"bytes": b"123", "path": "1.jpg"}, "image", Path(".")).data
        b'123'
    """
    if not isinstance(value, dict):
        raise ValueError(f"field {field!r} must be a picture (a struct of bytes and path), found {str(value)[:80]!r}")
    data, path = value.get("bytes"), value.get("path")
    if isinstance(data, bytes) and data:
        return ImageRef(data=data)
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"field {field!r} holds no picture: neither bytes nor a path")
    return ImageRef(path=find_picture(folder, [path]))


def _leaf_names(table: ParquetFile, columns: Sequence[str], leaves: Sequence[str]) -> list[str]:
    wanted = {leaf.split(".")[0]: leaf.split(".")[-1] for leaf in leaves}
    read = []
    for number in range(len(table.schema)):
        path = table.schema.column(number).path
        column, *inner = path.split(".")
        if column in columns and (column not in wanted or wanted[column] in inner):
            read.append(path)
    without = [column for column in columns if not any(path.split(".")[0] == column for path in read)]
    return [*read, *without]  # a column that has no such field is read as a whole
