"""An index in a vector engine: copied there from an index folder, and opened with its knowledge base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tqdm.auto import tqdm

from ..index.engine.engine_index import EngineIndex
from ..index.errors import IndexCorruptError
from ..index.knowledge_index import KnowledgeIndex
from ..index.manifest import MANIFEST_NAME, IndexManifest
from ..knowledge_base import KnowledgeBase
from .merging import iterate_items
from .opening import expect_model

__all__ = ["export_index", "open_engine"]


def export_index(
    folder: str | Path,
    uri: str,
    *,
    table: str = "knowledge",
    storage_options: Mapping[str, str] | None = None,
    progress: bool = True,
) -> EngineIndex:
    """Copy ids, vectors and columns of an index folder into a new table of the engine; nothing is encoded again.

    The table appears as a whole or not at all. The knowledge items stay where they are: `open_engine` joins the two.

    Args:
        folder: the index.
        uri, table, storage_options: as of `EngineIndex.create`.
        progress: whether a bar is shown on a terminal.

    Returns:
        The new index, with its search structure where there are items enough.

    Raises:
        FileNotFoundError: when the folder is no index.
        FileExistsError: when there is a table of that name.
        IndexCorruptError: when a file of the index is missing or altered, or not every item arrived.
        ValueError: when its items have several vectors each.
    """
    index = KnowledgeIndex.load(folder)
    with tqdm(total=len(index), unit="item", disable=None if progress else True) as bar:
        made = EngineIndex.create(
            uri, index.manifest, table=table, items=iterate_items(index, bar), storage_options=storage_options
        )
    if len(made) != len(index):
        raise IndexCorruptError(f"{len(index)} items of {folder} were copied, but {uri} has {len(made)}.")
    made.compact()
    return made


def open_engine(
    uri: str,
    items: str | Path,
    *,
    model: str | Path | None = None,
    table: str = "knowledge",
    storage_options: Mapping[str, str] | None = None,
    allow_other_model: bool = False,
) -> tuple[EngineIndex, KnowledgeBase]:
    """Open an index in the engine with its knowledge base, for the retriever that built it only.

    The two go into `RablipAnswerer(retriever=..., index=..., knowledge_base=...)`.

    Args:
        uri, table, storage_options: as of `EngineIndex.open`.
        items: the index folder that it was exported from, or a knowledge base of your own.
        model, allow_other_model: as of `open_index`.

    Raises:
        FileNotFoundError: when there is no such table, or `items` holds no knowledge base.
        IndexMismatchError: when another model built the index; has both values.
        IndexCorruptError: when an id has no knowledge item.
    """
    expected = {} if model is None else expect_model(model, allow_other_model=allow_other_model)
    index = EngineIndex.open(uri, table=table, expected=expected, storage_options=storage_options)
    folder = Path(items)
    parts = [folder]
    if (folder / MANIFEST_NAME).is_file():
        parts = [folder / name for name in IndexManifest.load(folder).items_folders]
    if not parts:
        raise FileNotFoundError(f"{folder} has no knowledge base in its folder. Give the one that the ids name.")
    base = KnowledgeBase.load(*parts)
    for names in index.iterate_ids():
        unknown = [name for name in names if name not in base]
        if unknown:
            raise IndexCorruptError(
                f"{len(unknown)} ids of {uri} have no knowledge item in {folder}, the first are {unknown[:5]}. Give "
                "the knowledge base that they name."
            )
    return index, base
