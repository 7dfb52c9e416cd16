"""The Arrow table behind a knowledge base: its columns, and writing it as a stream."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .processing.knowledge_rablip import ImageRef, KnowledgeItem

if TYPE_CHECKING:
    from datasets import Dataset, Features

__all__ = ["empty_table", "item_to_row", "open_table", "row_to_item", "write_table"]

_ROWS_IN_MEMORY = 64  # rows written at a time: with pictures of megabytes each, more would show


def item_to_row(item: KnowledgeItem, *, image_bytes: bytes | None, image_path: str | None) -> dict[str, Any]:
    """Return the table row of an item.

    Args:
        item: the knowledge item.
        image_bytes: its picture file, where it is stored in the table.
        image_path: where its picture was, or is.

    Raises:
        TypeError, ValueError: when the metadata is no JSON.

    Example:
        >>> row = item_to_row(KnowledgeItem(id="t1", text="It opened."), image_bytes=None, image_path=None)
        >>> row_to_item(row) == KnowledgeItem(id="t1", text="It opened.")
        True
    """
    return {
        "id": item.id,
        "text": item.text,
        "title": item.title,
        "caption": item.caption,
        "source": item.source,
        "image_bytes": image_bytes,
        "image_path": image_path,
        "metadata": json.dumps(dict(item.metadata)),
    }


def row_to_item(row: Mapping[str, Any]) -> KnowledgeItem:
    """Return the item of a table row; see `item_to_row`."""
    image = None
    if row["image_bytes"] is not None:
        image = ImageRef(data=row["image_bytes"])
    elif row["image_path"] is not None:
        image = ImageRef(path=row["image_path"])
    return KnowledgeItem(
        id=row["id"],
        text=row["text"],
        image=image,
        title=row["title"],
        caption=row["caption"],
        source=row["source"],
        metadata=json.loads(row["metadata"]),
    )


def empty_table() -> Dataset:
    """Return a table without rows.

    Example:
        >>> len(empty_table())
        0
    """
    from datasets import Dataset

    features = _features()
    return Dataset.from_dict({name: [] for name in features}, features=features)


def open_table(folder: Path) -> Dataset:
    """Open a saved table, memory-mapped."""
    from datasets import load_from_disk

    return load_from_disk(str(folder))


def write_table(rows: Iterator[dict[str, Any]], *, cache: Path, folder: Path) -> int:
    """Write rows as they come, and return how many there were.

    Args:
        rows: made by `item_to_row`; an error that they raise is passed on as it is.
        cache: a folder for the table while it is written; removed.
        folder: where the table is saved.
    """
    from datasets import Dataset, disable_progress_bars, enable_progress_bars
    from datasets.exceptions import DatasetGenerationError
    from datasets.utils import are_progress_bars_disabled

    quiet = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        first = next(rows, None)
        if first is None:  # datasets makes no empty table from a generator
            dataset = empty_table()
        else:
            dataset = Dataset.from_generator(
                lambda: chain([first], rows),
                features=_features(),
                cache_dir=str(cache),
                # By default the hash of the generator, which one that is under way does not have.
                fingerprint=uuid.uuid4().hex,
                writer_batch_size=_ROWS_IN_MEMORY,
            )
        dataset.save_to_disk(str(folder))
        num_rows = len(dataset)
        del dataset
        shutil.rmtree(cache, ignore_errors=True)
        return num_rows
    except DatasetGenerationError as error:
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise
    finally:
        if not quiet:
            enable_progress_bars()


def _features() -> Features:
    from datasets import Features, Value

    return Features(
        {
            **{name: Value("string") for name in ("id", "text", "title", "caption", "source")},
            "image_bytes": Value("large_binary"),  # plain binary overflows beyond 2 GB a batch
            "image_path": Value("string"),
            "metadata": Value("string"),
        }
    )
