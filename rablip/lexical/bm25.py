"""BM25 of the package bm25s over documents that come as a stream of words; the one place that knows that package."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Bm25", "check_bm25s"]


def check_bm25s() -> Any:
    """The package bm25s.

    Raises:
        ImportError: when it is not installed; names the extra.
    """
    try:
        import bm25s
    except ImportError as error:
        raise ImportError("BM25 needs the package bm25s: pip install 'rablip[hybrid]'.") from error
    return bm25s


class Bm25:
    """Okapi BM25 in Lucene's form, with the weight of every word in every document computed once.

    Made by `fit` or `load`, not by the constructor.

    Args:
        scorer: of bm25s; None where no document has a word.
        num_documents: how many there are, those without words included.

    Raises:
        ImportError: when `bm25s` is not installed.

    Example:
        >>> bm25 = Bm25.fit([["a", "red", "house"], ["a", "blue", "boat"], []])
        >>> bm25.num_documents, bm25.num_words, [round(score, 2) for score in bm25.scores(["blue", "whale"]).tolist()]
        (3, 5, [0.0, 0.32, 0.0])
    """

    def __init__(self, scorer: Any, num_documents: int) -> None:
        self._scorer = scorer
        self.num_documents = num_documents

    @classmethod
    def fit(cls, documents: Iterable[Iterable[str]], *, k1: float = 1.5, b: float = 0.75) -> Bm25:
        """Index documents; of their words numbers are kept, four bytes a word, until all are read.

        Args:
            documents: the words of each.
            k1: saturation of the term frequency.
            b: strength of the length normalisation.

        Raises:
            ValueError: when `k1` is negative or `b` lies outside 0 to 1.
        """
        if not (k1 >= 0 and 0 <= b <= 1):
            raise ValueError(f"k1 must be at least 0 and b between 0 and 1, got k1 {k1} and b {b}.")
        package = check_bm25s()
        vocabulary: dict[str, int] = {}
        words, ends = array("i"), array("q")
        for document in documents:
            words.extend(vocabulary.setdefault(word, len(vocabulary)) for word in document)
            ends.append(len(words))
        if not vocabulary:
            return cls(None, len(ends))
        scorer = package.BM25(method="lucene", k1=k1, b=b, backend="numpy")
        scorer.index(_Corpus(_Documents(words, ends), vocabulary), create_empty_token=False, show_progress=False)
        return cls(scorer, len(ends))

    @property
    def num_words(self) -> int:
        """How many different words the documents have."""
        return 0 if self._scorer is None else len(self._scorer.vocab_dict)

    def scores(self, words: Iterable[str]) -> np.ndarray:
        """The score of every document, (num_documents,) float32; 0 exactly where it has none of the words."""
        known = [] if self._scorer is None else self._scorer.get_tokens_ids(list(words))
        if not known:
            return np.zeros(self.num_documents, dtype=np.float32)
        scores: np.ndarray = self._scorer.get_scores_from_ids(known)
        return scores

    def save(self, folder: Path) -> None:
        """Write the files of bm25s: arrays (`.npy` without pickle) and JSON; no text of a document.

        Without any word there is nothing to write.
        """
        if self._scorer is not None:
            self._scorer.save(folder, corpus=None, allow_pickle=False, show_progress=False)

    @classmethod
    def load(cls, folder: Path, *, num_documents: int, num_words: int) -> Bm25:
        """Open what `save` wrote; the arrays are mapped into memory, the words are read.

        Raises:
            ValueError: when they do not fit each other or the numbers given.
        """
        package = check_bm25s()
        if not num_words:
            return cls(None, num_documents)
        scorer = package.BM25.load(folder, mmap=True, allow_pickle=False, load_corpus=False, show_progress=False)
        parts = scorer.scores
        if not (
            sorted(scorer.vocab_dict.values()) == list(range(num_words))
            and parts["num_docs"] == num_documents
            and len(parts["indptr"]) == num_words + 1
            and len(parts["data"]) == len(parts["indices"]) == parts["indptr"][-1]
        ):
            raise ValueError(f"{folder} does not hold {num_words} words of {num_documents} documents.")
        return cls(scorer, num_documents)


class _Corpus:
    """Documents as bm25s takes them: numbers of words, and the words that they stand for."""

    def __init__(self, ids: _Documents, vocab: Mapping[str, int]) -> None:
        self.ids = ids
        self.vocab = vocab


class _Documents:
    """Lists of numbers of words, made one at a time from one array; may be walked over several times."""

    def __init__(self, words: array[int], ends: array[int]) -> None:
        self._words = words
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for end in self._ends:
            yield self._words[start:end].tolist()
            start = end
