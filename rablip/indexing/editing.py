"""Changing an index: items of a source added or replaced, items deleted, all of it compacted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ..encoding.encoder import KnowledgeEncoder
from ..index.building import IndexBuilder
from ..index.checksums import FileRecord
from ..index.knowledge_index import DuplicatePolicy, KnowledgeIndex
from ..index.locking import lock_folder
from ..index.maintenance import compact_index
from ..index.manifest import IndexManifest
from ..index.search_kinds import SearchSettings
from ..knowledge_base import KnowledgeBase, KnowledgeBaseError
from ..lexical.storage import remove_lexical_index
from ..processes import Processes
from ..processing.knowledge_rablip import KnowledgeItem
from ..processing.readers_records import Problem
from ..retriever_source import find_retriever, fingerprint_model, fingerprint_prompts, load_retriever
from .building import BuildReport, describe_encoding, make_report, name_items_folder, read_source
from .encoding import encode_and_commit, name_files

__all__ = ["add_knowledge", "compact_knowledge", "delete_knowledge"]


def add_knowledge(
    folder: str | Path,
    source: str | Path | KnowledgeBase | Iterable[KnowledgeItem],
    *,
    model: str | Path | None = None,
    on_duplicate: DuplicatePolicy = "fail",
    batch_size: int = 64,
    num_workers: int | None = None,
    shard_size: int | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    images: Literal["embed", "reference"] = "embed",
    root: str | Path | None = None,
    device: Any = None,
    progress: bool = True,
) -> BuildReport:
    """Add the items of a source to an index; answers follow at once, without any training.

    The index stays as it is until all of them are encoded, and when anything fails.

    Args:
        folder: the index.
        source: as of `build_index`.
        model: the model folder or Hub id that built the index; None for the one that its manifest names.
        on_duplicate: of items whose id is in the index: "fail" raises, "skip" keeps the old ones, "overwrite" takes
            the new ones.
        batch_size, num_workers, shard_size, on_error, images, root, device, progress: as of `build_index`.

    Returns:
        What was done; `num_items` counts the index afterwards.

    Raises:
        IndexMismatchError: when the model is not the one that built the index.
        IndexLockedError: when another process is changing the index.
        KnowledgeBaseError: when items cannot be used and `on_error` is "raise", or an id is there already and
            `on_duplicate` is "fail".
    """
    started = time.perf_counter()
    place = Path(folder)
    before = IndexManifest.load(place)
    problems: list[Problem] = []
    items, picture_root = read_source(source, root, problems)
    processes = Processes(device)
    named = find_retriever(before.model_id, revision=before.model_revision) if model is None else find_retriever(model)
    retriever, processor = load_retriever(named, device=processes.device)
    before.check({"model_fingerprint": fingerprint_model(named), "prompt_fingerprint": fingerprint_prompts(processor)})
    encoder = KnowledgeEncoder(
        retriever,
        processor,
        batch_size=batch_size,
        num_workers=num_workers,
        bf16=before.encoding_dtype == "bfloat16" and retriever.dtype != torch.bfloat16,
    )
    if before.encoding_dtype is not None:
        before.check({"encoding_dtype": encoder.dtype_name})

    def write_items(builder: IndexBuilder) -> tuple[str, list[Problem]]:
        name = name_items_folder()
        chosen = _choose_items(items, builder, on_duplicate)
        _, found = KnowledgeBase.write(
            chosen,
            place / name,
            root=picture_root,
            images=images,
            on_error=on_error,
            problems=problems,
            progress=progress,
        )
        return name, found

    written, left_out, num_truncated = encode_and_commit(
        place,
        before,
        write_items,
        encoder,
        processes,
        adds=True,
        key=describe_encoding(before),
        shard_size=shard_size,
        progress=progress,
    )
    return make_report(place, written, left_out, num_truncated, started)


def delete_knowledge(folder: str | Path, ids: Sequence[str], *, strict: bool = False) -> list[str]:
    """Delete items from an index on disk; returns the ids that were not there.

    They are found no more; their texts and pictures leave the disk with `compact_knowledge`.

    Args:
        folder: the index.
        ids: which items.
        strict: raise where an id is not there, and delete nothing.

    Raises:
        KeyError: when `strict` and an id is not there.
        IndexLockedError: when another process is changing the index.
    """
    index = KnowledgeIndex.load(folder)
    unknown = index.delete(ids, strict=strict)
    if len(unknown) < len(set(ids)):
        index.save(folder)
    return unknown


def compact_knowledge(
    folder: str | Path, *, search: SearchSettings | None = None, progress: bool = True
) -> IndexManifest:
    """Write an index anew without what is deleted, texts and pictures included, and build its search structure anew.

    Its lexical part, which holds words of what is deleted, is taken away; `build_lexical_index` makes a new one.

    Args:
        folder: the index.
        search: how it is searched from now on; None keeps the manifest's settings.
        progress: whether a bar is shown on a terminal.

    Raises:
        IndexLockedError: when another process is changing the index.
        OSError: when the disk is full; the index is as it was.
    """
    with lock_folder(folder):
        manifest = compact_index(folder, search=search, write_items=_write_live_items, progress=progress)
        remove_lexical_index(folder)
    return manifest


def _choose_items(
    items: Iterable[KnowledgeItem], builder: IndexBuilder, on_duplicate: DuplicatePolicy
) -> Iterator[KnowledgeItem]:
    """The items that are to be added; what is there already is known before any is encoded."""
    for item in items:
        if on_duplicate != "overwrite" and builder.find([item.id])[0]:
            if on_duplicate == "fail":
                raise KnowledgeBaseError(
                    f'The id {item.id!r} is in the index already. Give new ids, or pass on_duplicate="skip" or '
                    '"overwrite".'
                )
            continue
        yield item


def _write_live_items(
    folder: Path, manifest: IndexManifest, id_hashes: np.ndarray
) -> tuple[tuple[str, ...], dict[str, FileRecord]]:
    if not manifest.items_folders:
        return (), {}
    base = KnowledgeBase.load(*(folder / name for name in manifest.items_folders), id_hashes=id_hashes)
    name = name_items_folder()
    return (name,), name_files(name, base.copy(folder / name))
