"""A folder of a knowledge base: the files of its table, and a state file that says what they must be."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..index.checked_json import dump_checked, parse_versioned, read_parsed
from ..index.checksums import FileRecord
from ..index.files import write_text_atomically
from .errors import KnowledgeBaseError
from .table import StoredTable, TableWriter

__all__ = ["StoredPart", "open_part", "place_part"]

FORMAT_VERSION = 2
STATE_NAME = "knowledge_base.json"


@dataclass(frozen=True)
class StoredPart:
    """One folder of a knowledge base.

    Args:
        folder: where it is.
        table: its items.
        root: what the paths of referenced pictures are relative to; None where pictures are in the table.
        files: the records of its files, by their names in the folder.
    """

    folder: Path
    table: StoredTable
    root: Path | None
    files: Mapping[str, FileRecord]


def open_part(source: Path, root: str | Path | None) -> StoredPart:
    """Open a folder; no row is read.

    Raises:
        FileNotFoundError: when it is no knowledge base.
        KnowledgeBaseError: when its files are damaged; names the folder.
    """
    path = source / STATE_NAME
    if not path.is_file():
        raise FileNotFoundError(
            f"{source} is not a knowledge base: it has no {STATE_NAME}. Build one: rablip index build SOURCE "
            "--model M --out DIR."
        )
    try:
        state = read_parsed(path, partial(parse_versioned, version=FORMAT_VERSION, what="a knowledge base"))
        files = {name: FileRecord(**record) for name, record in state["files"].items()}
        table = StoredTable(source, files, state["num_items"])
        place = root if root is not None else state["root"]
        own = {STATE_NAME: FileRecord.of(path)}
        return StoredPart(source, table, None if place is None else Path(place), files | own)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise KnowledgeBaseError(f"The knowledge base {source} cannot be read: {error}") from error


def place_part(
    rows: Iterator[dict[str, Any]],
    target: Path,
    *,
    images: str,
    root: Path | None,
    check: Callable[[int], None] = lambda num_items: None,
) -> None:
    """Write rows as a knowledge base that appears in its place as a whole, after a check of their number and ids."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        folder = Path(scratch, "table")
        folder.mkdir()
        writer = TableWriter(folder)
        for row in rows:
            writer.write(row)
        files = writer.close()
        check(writer.num_rows)
        repeated = StoredTable(folder, files, writer.num_rows).ids.find_repeated()
        if repeated:
            raise KnowledgeBaseError(
                f"The id {repeated[0]!r} is there twice{f', and {len(repeated) - 1} more' if repeated[1:] else ''}. "
                "Give every knowledge item an id of its own: answers cite items by id."
            )
        state = {
            "format_version": FORMAT_VERSION,
            "num_items": writer.num_rows,
            "images": images,
            "root": str(root) if images == "reference" and root is not None else None,
            "files": {name: dataclasses.asdict(record) for name, record in files.items()},
        }
        write_text_atomically(folder / STATE_NAME, dump_checked(state))
        if target.exists():
            target.rmdir()
        os.replace(folder, target)
