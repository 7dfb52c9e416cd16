"""A folder of the user's own pictures and texts, in the Hugging Face `imagefolder` convention (`metadata.jsonl`)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .knowledge_rablip import ImageRef, KnowledgeItem
from .readers_records import Problem, iterate_json_lines, optional_text, report_problem

__all__ = ["PICTURE_SUFFIXES", "find_metadata_files", "read_imagefolder"]

logger = logging.getLogger(__name__)

METADATA_NAME = "metadata.jsonl"
PICTURE_SUFFIXES = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".jp2", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
_COLUMNS = ("file_name", "id", "text", "title", "caption", "source", "metadata")


def read_imagefolder(root: str | Path, *, problems: list[Problem] | None = None) -> Iterator[KnowledgeItem]:
    """Read a folder in the `imagefolder` convention: pictures, and a `metadata.jsonl` with one row per item.

    Columns of `metadata.jsonl`: `file_name` (the picture, relative to the file; a row without it is a text item),
    `id` (default: the picture's path, or "row-<line>" for a text row), `text`, `title`, `caption`, `source`; every
    other column goes to the item's metadata. Sub-folders may have a `metadata.jsonl` of their own, which is read for
    their pictures. A folder without any `metadata.jsonl` gives one item per picture file. Pictures are not opened.

    Args:
        root: the folder; picture paths of the items are relative to it.
        problems: where unusable rows are reported; None raises at the first.

    Raises:
        FileNotFoundError: when there is no such folder, or nothing to read in it (at the call).
        ReaderError: when a row is malformed and `problems` is None; names file and line.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "metadata.jsonl").write_text('{"file_name": "tower.png", "caption": "The tower"}')
        >>> [(item.id, item.image.path, item.caption) for item in read_imagefolder(folder)]
        [('tower.png', 'tower.png', 'The tower')]
    """
    folder = Path(root)
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}. Give a folder of pictures with a {METADATA_NAME}.")
    files = find_metadata_files(folder)
    pictures = _picture_files(folder)
    if not files and not pictures:
        tables = [name for name in ("metadata.csv", "metadata.parquet") if (folder / name).is_file()]
        hint = f" It has {tables[0]}: save it as {METADATA_NAME}, one JSON object a line." if tables else ""
        raise FileNotFoundError(f"The folder {folder} has no {METADATA_NAME} and no picture files.{hint}")

    def items() -> Iterator[KnowledgeItem]:
        if not files:
            yield from (KnowledgeItem(id=name, image=ImageRef(path=name)) for name in pictures)
            return
        listed: set[str] = set()
        for file in files:
            for number, row in iterate_json_lines(file, problems=problems):
                try:
                    item = _row_item(row, number, file.parent.relative_to(folder))
                except (ValueError, TypeError) as error:
                    name = row.get("id", row.get("file_name"))
                    shown = f"line {number}" + (f" ({str(name)[:80]!r})" if name is not None else "")
                    report_problem(Problem(shown, str(file), str(error)), problems)
                    continue
                if item.image is not None and item.image.path is not None:
                    listed.add(item.image.path)
                yield item
        left = [name for name in pictures if name not in listed]
        if left:
            logger.warning(
                "%d of %d picture files in %s have no row in %s and are left out, the first is %s",
                len(left),
                len(pictures),
                folder,
                METADATA_NAME,
                left[0],
            )

    return items()


def find_metadata_files(folder: Path) -> list[Path]:
    """Return every `metadata.jsonl` of a folder and its sub-folders, sorted; hidden folders are left out.

    Example:
        >>> import tempfile
        >>> find_metadata_files(Path(tempfile.mkdtemp()))
        []
    """
    return sorted(path for path in folder.rglob(METADATA_NAME) if path.is_file() and not _hidden(path, folder))


def _picture_files(folder: Path) -> list[str]:
    names = (
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file() and not _hidden(path, folder)
    )
    return sorted(names)


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _row_item(row: Mapping[str, Any], number: int, base: Path) -> KnowledgeItem:
    if "file_names" in row:
        raise ValueError("the column 'file_names' lists several pictures; an item has one: write one row per picture")
    name = optional_text(row, "file_name")
    path = None if name is None else (base / name).as_posix()
    extra = row.get("metadata")
    if extra is not None and not isinstance(extra, dict):
        raise ValueError(f"the column 'metadata' must be an object, found {str(extra)[:80]!r}")
    metadata = {**(extra or {}), **{column: value for column, value in row.items() if column not in _COLUMNS}}
    return KnowledgeItem(
        id=_row_id(row, path or (base / f"row-{number}").as_posix()),
        text=optional_text(row, "text"),
        image=None if path is None else ImageRef(path=path),
        title=optional_text(row, "title"),
        caption=optional_text(row, "caption"),
        source=optional_text(row, "source"),
        metadata=metadata,
    )


def _row_id(row: Mapping[str, Any], default: str) -> str:
    value = row.get("id")
    if value is None:
        return default
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"the column 'id' must be a non-empty text, found {value!r}")
    return value
