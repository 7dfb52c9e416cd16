"""Items written, encoded and committed into an index, by this process or by several together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..encoding.shards import SHARDS_NAME, EncodingShards
from ..index.building import IndexBuilder
from ..index.embedding_checks import check_items
from ..knowledge_base import KnowledgeBase
from ..lexical.storage import remove_lexical_index
from .columns import make_columns

if TYPE_CHECKING:
    import numpy as np

    from ..encoding import KnowledgeEncoder
    from ..index.checksums import FileRecord
    from ..index.manifest import IndexManifest
    from ..processes import Processes
    from ..processing.knowledge_rablip import KnowledgeItem
    from ..processing.readers_records import Problem

__all__ = ["WriteItems", "encode_and_commit", "name_files"]

# Writes the new items into a new folder inside the index and returns its name, and what was left out.
WriteItems = Callable[[IndexBuilder], "tuple[str, list[Problem]]"]


def encode_and_commit(
    folder: Path,
    manifest: IndexManifest,
    write_items: WriteItems,
    encoder: KnowledgeEncoder,
    processes: Processes,
    *,
    adds: bool = False,
    key: str,
    shard_size: int | None,
    progress: bool,
) -> tuple[IndexManifest, list[Problem], int]:
    """Write items, encode them in shards and make them a part of an index.

    The first process holds the lock, writes the items and commits; all encode. What was encoded when a run is killed
    stays in the folder, and the next run takes it as it is.

    Args:
        folder: the index.
        manifest: of the index.
        write_items: called in the first process.
        encoder: with the model.
        processes: of this run.
        adds: whether the index is there already and is added to.
        key: what makes the embeddings.
        shard_size: items of a shard; None for a number by how many there are.
        progress: whether a bar is shown on a terminal.

    Returns:
        The manifest as written, what was left out, and how many items were cut; in every process.

    Raises:
        ValueError: when an embedding cannot be used; names the item.
        RuntimeError: when another process failed; has its words.
    """

    def check(items: Sequence[KnowledgeItem], embeddings: np.ndarray) -> None:
        check_items([item.id for item in items], embeddings, make_columns(items), manifest)

    describe = partial(EncodingShards, folder / SHARDS_NAME, key, shard_size=shard_size)
    builder: IndexBuilder | None = None
    with ExitStack() as stack:

        def start() -> tuple[str, int, list[Problem]]:
            nonlocal builder
            builder = stack.enter_context(IndexBuilder(folder, None if adds else manifest))
            name, problems = write_items(builder)
            num_items = len(KnowledgeBase.load(folder / name))
            describe(num_items).prepare(item_bytes=4 * manifest.embedding_dim * manifest.max_vectors)
            return name, num_items, problems

        items_folder, num_items, problems = processes.lead(start)
        shards = describe(num_items)
        knowledge_base = KnowledgeBase.load(folder / items_folder)
        processes.join(
            lambda: shards.encode(
                encoder,
                knowledge_base,
                check,
                rank=processes.rank,
                num_processes=processes.count,
                progress=progress,
            )
        )

        def finish() -> tuple[IndexManifest, int]:
            if builder is None:
                raise RuntimeError("Only the first process commits.")
            num_truncated = 0
            for items, embeddings, cut in shards.read(knowledge_base):
                builder.add([item.id for item in items], embeddings, columns=make_columns(items))
                num_truncated += cut
            if builder.num_added != num_items:
                raise RuntimeError(
                    f"{num_items} items were to be encoded, but {builder.num_added} embeddings came out."
                )
            folders = (items_folder,) if num_items else ()
            written = builder.commit(items_folders=folders, items_files=name_files(items_folder, knowledge_base))
            shards.remove()
            if not adds:
                # The words of an index that was here before are of no use, and may tell of items that are gone.
                remove_lexical_index(folder)
            return written, num_truncated

        written, num_truncated = processes.lead(finish)
    return written, problems, num_truncated


def name_files(items_folder: str, knowledge_base: KnowledgeBase) -> dict[str, FileRecord]:
    """The records of the files of a part of a knowledge base, by their names inside the index."""
    return {f"{items_folder}/{name}": record for name, record in knowledge_base.files.items()}
