"""The documents of MultimodalQA as knowledge items: paragraphs, tables written as text, and pictures by their path.

Each item says in `metadata["kind"]` what it was: "text", "table" or "image"; a table says in
`metadata["rows_left_out"]` how many of its rows did not fit, where any did not. No id is read twice.

Every reader takes `only`, the ids to read (None for all; rows of other ids are passed over unread), and `met`, where
the ids are added that have a row, usable or not.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem
from ..readers_ids import SeenIds
from ..readers_records import Problem, iterate_json_lines, optional_text, report_problem
from .picture_files import find_picture, row_problem
from .tables import linearize_table

__all__ = ["read_multimodalqa_images", "read_multimodalqa_tables", "read_multimodalqa_texts"]


def read_multimodalqa_texts(
    path: Path,
    *,
    only: Container[str] | None = None,
    met: SeenIds | None = None,
    problems: list[Problem] | None = None,
) -> Iterator[KnowledgeItem]:
    """Read the paragraphs: TEXT items with the title of their page and its address as `source`.

    Args:
        path: `MMQA_texts.jsonl` or its compressed form.
        only: ids to read; None for all.
        met: where the ids that have a row are added.
        problems: where malformed rows are reported; None raises at the first.

    Raises:
        ReaderError: the file is damaged, or a row is malformed and `problems` is None; names file and line.

    Example:
        >>> import json, tempfile
        >>> file = Path(tempfile.mkdtemp(), "MMQA_texts.jsonl")
        >>> _ = file.write_text(json.dumps({"title": "Harbor", "url": "", "id": "t1", "text": "It opened in 1889."}))
        >>> [(item.id, item.title, item.text) for item in read_multimodalqa_texts(file)]
        [('t1', 'Harbor', 'It opened in 1889.')]
    """

    def read(row: Mapping[str, Any]) -> dict[str, Any]:
        text = optional_text(row, "text")
        if text is None:
            raise ValueError("it has no text")
        return {"text": text, "metadata": {"kind": "text"}}

    return _read(path, read, only, met, problems)


def read_multimodalqa_tables(
    path: Path,
    *,
    max_characters: int | None = None,
    only: Container[str] | None = None,
    met: SeenIds | None = None,
    problems: list[Problem] | None = None,
) -> Iterator[KnowledgeItem]:
    """Read the tables: TEXT items that hold what `linearize_table` writes.

    Args:
        path: `MMQA_tables.jsonl` or its compressed form.
        max_characters: longest text of a table; None for all rows.
        only: ids to read; None for all.
        met: where the ids that have a row are added.
        problems: where malformed rows are reported; None raises at the first.

    Raises:
        ReaderError: the file is damaged, or a row is malformed and `problems` is None; names file and line.
    """

    def read(row: Mapping[str, Any]) -> dict[str, Any]:
        table = row.get("table")
        if not isinstance(table, dict):
            raise ValueError(f"field 'table' must be an object, found {str(table)[:40]!r}")
        linear = linearize_table(table, max_characters=max_characters)
        left = {"rows_left_out": linear.rows_left_out} if linear.rows_left_out else {}
        return {"text": linear.text, "metadata": {"kind": "table", **left}}

    return _read(path, read, only, met, problems)


def read_multimodalqa_images(
    path: Path,
    folder: Path | None,
    *,
    only: Container[str] | None = None,
    met: SeenIds | None = None,
    problems: list[Problem] | None = None,
) -> Iterator[KnowledgeItem]:
    """Read the pictures: IMAGE items with the title of their page. Pictures have no captions.

    Args:
        path: `MMQA_images.jsonl` or its compressed form.
        folder: where the picture files are (`final_dataset_images`), which no path may leave; None reads titles
            alone, as TEXT items.
        only: ids to read; None for all.
        met: where the ids that have a row are added.
        problems: where malformed rows and missing pictures are reported; None raises at the first.

    Raises:
        ReaderError: the file is damaged, or a row is malformed or its picture missing and `problems` is None; names
            file and line.
    """

    def read(row: Mapping[str, Any]) -> dict[str, Any]:
        name = row.get("path")
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"field 'path' must name the picture file, found {name!r}")
        image = None if folder is None else ImageRef(path=find_picture(folder, [name]))
        return {"image": image, "metadata": {"kind": "image"}}

    return _read(path, read, only, met, problems)


def _read(
    path: Path,
    read: Callable[[Mapping[str, Any]], dict[str, Any]],
    only: Container[str] | None,
    met: SeenIds | None,
    problems: list[Problem] | None,
) -> Iterator[KnowledgeItem]:
    met = SeenIds() if met is None else met
    for number, row in iterate_json_lines(path, problems=problems):
        name = row.get("id")
        try:
            if not isinstance(name, str) or not name.strip():
                raise ValueError(f"field 'id' must be a non-empty text, found {name!r}")
            if only is not None and name not in only:
                continue
            if not met.add(name):
                raise ValueError("an earlier row has this id")
            title, source = optional_text(row, "title"), optional_text(row, "url")
            item = KnowledgeItem(id=name, title=title, source=source, **read(row))
        except (ValueError, TypeError) as error:
            where = f"line {number}" + (f" (id {name[:80]})" if isinstance(name, str) else "")
            report_problem(row_problem(where, path, error), problems)
            continue
        yield item
