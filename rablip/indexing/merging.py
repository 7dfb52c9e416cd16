"""Joining indexes that one model built: vectors and items are copied, nothing is encoded again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..index.building import IndexBuilder
from ..index.checksums import FileRecord
from ..index.errors import IndexMismatchError
from ..index.identifiers import hash_ids
from ..index.knowledge_index import DuplicatePolicy, KnowledgeIndex
from ..index.manifest import IndexManifest
from ..index.parts import find_rows
from ..knowledge_base import KnowledgeBase
from ..lexical.storage import remove_lexical_index
from .building import check_out, name_items_folder
from .encoding import name_files

__all__ = ["iterate_items", "merge_indexes"]

_SAME_FIELDS = ("model_fingerprint", "prompt_fingerprint", "embedding_dim", "max_vectors", "normalized", "columns")


def merge_indexes(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    on_duplicate: DuplicatePolicy = "fail",
    progress: bool = True,
) -> IndexManifest:
    """Join indexes that one model built into a new one.

    Args:
        folders: the indexes, in the order in which their items come.
        out: the new index; an index that is there is replaced.
        on_duplicate: of an id in several of them: "fail" raises, "skip" keeps the first, "overwrite" the last.
        progress: whether a bar is shown on a terminal.

    Returns:
        The manifest of the new index.

    Raises:
        IndexMismatchError: when they were built by different models; names both values.
        ValueError: when fewer than two are given, `out` is one of them, or an id is in several of them and
            `on_duplicate` is "fail".
        FileExistsError: when `out` holds something else than an index.
    """
    places = [Path(folder) for folder in folders]
    target = Path(out)
    if len(places) < 2 or target.resolve() in [place.resolve() for place in places]:
        raise ValueError(f"Give two or more indexes and another folder for the new one, got {len(places)} and {out}.")
    check_out(target)
    indexes = [KnowledgeIndex.load(place) for place in places]
    for place, index in zip(places[1:], indexes[1:], strict=True):
        for name in _SAME_FIELDS:
            first, other = getattr(indexes[0].manifest, name), getattr(index.manifest, name)
            if first != other:
                raise IndexMismatchError(
                    f"{places[0]} and {place} do not go together: {name} is {first!r} and {other!r}. Build both with "
                    "the same model."
                )
    manifest = dataclasses.replace(indexes[0].manifest, index_id=IndexManifest.new_id(), generation=0)
    total = sum(map(len, indexes))
    with IndexBuilder(target, manifest) as builder, tqdm(total=total, disable=None if progress else True) as bar:
        items_folders: list[str] = []
        items_files: dict[str, FileRecord] = {}
        for number, (place, index) in enumerate(zip(places, indexes, strict=True)):
            others = indexes[:number] if on_duplicate == "skip" else indexes[number + 1 :]
            kept = [np.empty(0, dtype="<u8")]
            for names, vectors, columns in iterate_items(index, bar):
                taken = np.zeros(len(names), dtype=bool)
                for other in others:
                    taken |= find_rows(other.parts, names)[1] >= 0
                if on_duplicate == "fail" and taken.any():
                    raise ValueError(
                        f"The id {names[int(taken.argmax())]!r} of {place} is in another index too. Pass "
                        'on_duplicate="skip" or "overwrite".'
                    )
                rows = np.flatnonzero(~taken)
                chosen = [names[row] for row in rows]
                of_chosen = {name: [values[row] for row in rows] for name, values in columns.items()}
                builder.add(chosen, vectors[rows], columns=of_chosen)
                kept.append(hash_ids(chosen))
            if index.manifest.items_folders:
                parts = [place / name for name in index.manifest.items_folders]
                base = KnowledgeBase.load(*parts, id_hashes=np.sort(np.concatenate(kept)))
                items_folders.append(name_items_folder())
                items_files |= name_files(items_folders[-1], base.copy(target / items_folders[-1]))
        merged = builder.commit(items_folders=items_folders, items_files=items_files)
        remove_lexical_index(target)
        return merged


def iterate_items(index: KnowledgeIndex, bar: tqdm) -> Iterator[tuple[list[str], np.ndarray, dict[str, list[object]]]]:
    """Ids, vectors and columns of all items, batch by batch."""
    for part in index.parts:
        table = part.segment.columns()
        for some in part.iterate_rows():
            names = part.segment.ids.take(some)
            yield names, index.get(names), table.take(some).to_pydict()
            bar.update(len(some))
