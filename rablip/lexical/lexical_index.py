"""Searching the items of an index by their words: BM25 tied to the very state of the index that it was made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..index.columns import Filter
from ..index.embedding_checks import check_k
from ..index.errors import IndexCorruptError, IndexMismatchError
from ..index.knowledge_index import KnowledgeIndex, SearchHit
from ..index.locking import lock_folder
from ..index.positions import ItemPositions
from .bm25 import Bm25
from .storage import LexicalRecord, store_files, verify_files
from .words import TOKENIZER, lexical_words

__all__ = ["LexicalIndex"]

# Spreads neighbouring numbers over all of 64 bits.
_GOLDEN_RATIO = np.uint64(0x9E3779B97F4A7C15)


class LexicalIndex:
    """BM25 over the items of an index, by the words of title, caption and text (`lexical_words`).

    Made by `create` or `load`, not by the constructor. It keeps no ids and no texts: row *i* is the *i*-th item of the
    index. So it belongs to one state of the index; after any change of the index a search raises, and it is built
    again. Items without words, such as pictures without captions, are never found.

    Args:
        index: whose items these are.
        bm25: a document for every item, in the order of `index.iterate_ids`.

    Example:
        >>> from rablip.index import IndexManifest
        >>> index = KnowledgeIndex.create(IndexManifest(model_id="m", model_fingerprint="0", embedding_dim=2))
        >>> index.add(["mill", "boat"], np.eye(2))
        2
        >>> lexical = LexicalIndex.create(index, ["The old mill.", "A boat of the mill."])
        >>> [[hit.id for hit in hits] for hits in lexical.search(["Which boat?", "Who?", "the mill"], k=5)]
        [['boat'], [], ['mill', 'boat']]
    """

    def __init__(self, index: KnowledgeIndex, bm25: Bm25) -> None:
        self.index = index
        self._bm25 = bm25
        self._state = index.state
        self._positions = ItemPositions(index)

    @classmethod
    def create(cls, index: KnowledgeIndex, texts: Iterable[str], *, k1: float = 1.5, b: float = 0.75) -> LexicalIndex:
        """Build it for an index as it is now.

        Args:
            index: the index.
            texts: of every item, in the order of `index.iterate_ids`; read one by one. See `searchable_text`.
            k1: saturation of the term frequency.
            b: strength of the length normalisation.

        Raises:
            ImportError: when `bm25s` is not installed.
            ValueError: when there are not as many texts as items.
        """
        bm25 = Bm25.fit((lexical_words(text) for text in texts), k1=k1, b=b)
        if bm25.num_documents != len(index):
            raise ValueError(f"There are {bm25.num_documents} texts for {len(index)} items. Give one text per item.")
        return cls(index, bm25)

    def __len__(self) -> int:
        return self._bm25.num_documents

    @property
    def num_words(self) -> int:
        """How many different words the items have."""
        return self._bm25.num_words

    def search(self, questions: Sequence[str], k: int, *, where: Filter | None = None) -> list[list[SearchHit]]:
        """Return the `k` best items of each question that share a word with it, best first.

        Equal scores come in an order of their own that does not follow the order of the items.

        Args:
            questions: in words; one that is empty, or has only unknown words, finds nothing.
            k: at most so many hits per question.
            where: which items count, as of `KnowledgeIndex.search`.

        Raises:
            IndexMismatchError: when the index was changed since.
            TypeError: when `questions` is one text.
            ValueError: when k is below 1, or the filter does not fit the columns.
        """
        if isinstance(questions, str):
            raise TypeError("questions must be a sequence of questions, got one str. Put it in a list.")
        check_k(k)
        self.check()
        matched = None if where is None else self._positions.match(where)
        return [self._search(question, int(k), matched) for question in questions]

    def check(self) -> None:
        """Check that the index is as it was when this was made.

        Raises:
            IndexMismatchError: when it was changed; says how to build this again.
        """
        if self.index.state != self._state:
            raise IndexMismatchError(
                f"The index was changed since its lexical part was made (then {self._state}, now {self.index.state}: "
                "id, generation, unsaved changes). Build the part again: LexicalIndex.create in memory, or "
                f"rablip index lexical {self.index.folder or 'INDEX'} when the index is saved."
            )

    def save(self) -> LexicalRecord:
        """Write it into the folder of the index, in the place of an older one; a crash leaves the old or the new one.

        Returns:
            The record of what was written.

        Raises:
            ValueError: when the index was never saved.
            IndexMismatchError: when the index was changed since, here or on disk.
            IndexLockedError: when another process is changing the index.
            OSError: when the disk is full or read-only.
        """
        folder = self._home(self.index)
        self.check()
        index_id, generation, num_changes = self._state
        if num_changes:
            raise IndexMismatchError(
                f"The index has {num_changes} changes that are not saved. Save it first, and build this again."
            )
        record = LexicalRecord(
            index_id=index_id,
            generation=generation,
            num_items=len(self),
            num_words=self.num_words,
            tokenizer=TOKENIZER,
        )
        with lock_folder(folder):
            return store_files(folder, record, self._bm25.save)

    @classmethod
    def load(cls, index: KnowledgeIndex) -> LexicalIndex:
        """Open the lexical part of an index on disk; every byte is verified, and the arrays are mapped into memory.

        Args:
            index: as it was loaded.

        Raises:
            ImportError: when `bm25s` is not installed.
            FileNotFoundError: when it has none; says which command builds it.
            IndexMismatchError: when it was built for another state of the index, or by another tokenizer.
            IndexCorruptError: when a file is missing or altered; names it.
            ValueError: when the index was never saved.
        """
        folder = cls._home(index)
        record = LexicalRecord.load(folder)
        record.check_state(index.state, TOKENIZER, folder)
        place = verify_files(folder, record)
        try:
            bm25 = Bm25.load(place, num_documents=record.num_items, num_words=record.num_words)
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise IndexCorruptError(f"The lexical part of {folder} cannot be read: {error}") from error
        if record.num_items != len(index):
            raise IndexCorruptError(f"The lexical part of {folder} has {record.num_items} items, not {len(index)}.")
        return cls(index, bm25)

    def _search(self, question: str, k: int, matched: np.ndarray | None) -> list[SearchHit]:
        scores = self._bm25.scores(lexical_words(question))
        found = np.flatnonzero(scores if matched is None else scores * matched)
        if len(found) > k:
            least = np.partition(scores[found], len(found) - k)[len(found) - k]
            found = found[scores[found] >= least]
        with np.errstate(over="ignore"):
            shuffled = found.astype(np.uint64) * _GOLDEN_RATIO
        best = found[np.lexsort((shuffled, -scores[found]))[:k]]
        return [SearchHit(*hit) for hit in zip(self._positions.take(best), scores[best].tolist(), strict=True)]

    @staticmethod
    def _home(index: KnowledgeIndex) -> Path:
        if index.folder is None:
            raise ValueError("The index is in memory only, and its lexical part lies in its folder. Save the index.")
        return index.folder
