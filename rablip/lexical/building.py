"""Building the lexical part of an index on disk from the knowledge base in its folder, as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tqdm.auto import tqdm

from ..index.knowledge_index import KnowledgeIndex
from ..index.locking import lock_folder
from ..index.manifest import IndexManifest
from ..knowledge_base import KnowledgeBase, load_items
from .bm25 import check_bm25s
from .lexical_index import LexicalIndex
from .words import join_texts

__all__ = ["build_lexical_index"]


def build_lexical_index(
    folder: str | Path, *, k1: float = 1.5, b: float = 0.75, progress: bool = True
) -> LexicalIndex:
    """Build the lexical part of an index, or build it again; vectors and pictures are not read.

    In memory are four bytes for every word of every item, and while they are weighed some forty bytes for every
    different word of every item.

    Args:
        folder: the index, with its knowledge base.
        k1: saturation of the term frequency.
        b: strength of the length normalisation.
        progress: whether a bar is shown on a terminal.

    Raises:
        ImportError: when `bm25s` is not installed.
        FileNotFoundError: when the folder is no index, or has no knowledge base.
        IndexLockedError: when another process is changing the index.
        IndexCorruptError: when a file that is read is missing or altered, or an id has no knowledge item.
    """
    check_bm25s()
    place = Path(folder)
    IndexManifest.load(place)  # a folder that is no index is not made one by its lock
    with lock_folder(place):
        index = KnowledgeIndex.load(place, verify=False)
        base = load_items(index)
        with tqdm(total=len(index), unit="item", desc="words", disable=None if progress else True) as bar:
            lexical = LexicalIndex.create(index, _read_texts(index, base, bar), k1=k1, b=b)
        lexical.save()
    return lexical


def _read_texts(index: KnowledgeIndex, base: KnowledgeBase, bar: tqdm) -> Iterator[str]:
    for ids in index.iterate_ids():
        for texts in base.read_texts(ids):
            yield join_texts(texts)
        bar.update(len(ids))
