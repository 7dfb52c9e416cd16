"""Rankers that look at no picture: random order, BM25 and TF-IDF over titles, captions and texts."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..lexical.bm25 import Bm25
from ..lexical.words import lexical_words, searchable_text
from ..processing.knowledge_rablip import KnowledgeItem

__all__ = ["Bm25Ranker", "RandomRanker", "Ranker", "TfidfRanker"]


class Ranker(Protocol):
    """Anything that ranks knowledge items for questions in words."""

    def rank(self, questions: Sequence[str], k: int) -> list[list[str]]:
        """Ids of the best `k` items per question, best first; shorter when there are fewer items."""
        ...


class RandomRanker:
    """A random order per question, seeded: the floor that every ranker must beat.

    Args:
        ids: ids of the knowledge items.
        seed: seed of the order.

    Example:
        >>> ranker = RandomRanker(["a", "b", "c"], seed=1)
        >>> [sorted(row) for row in ranker.rank(["one question", "another"], k=3)]
        [['a', 'b', 'c'], ['a', 'b', 'c']]
    """

    def __init__(self, ids: Sequence[str], *, seed: int = 0) -> None:
        self.ids = list(ids)
        self._rng = np.random.default_rng(seed)

    def rank(self, questions: Sequence[str], k: int) -> list[list[str]]:
        """`k` different ids per question, drawn without replacement."""
        _check_k(k)
        size = min(k, len(self.ids))
        return [[self.ids[i] for i in self._rng.choice(len(self.ids), size, replace=False)] for _ in questions]


class _LexicalRanker(ABC):
    """Shared by the two lexical rankers: ties are broken by a seeded order, never by the order of the items."""

    def __init__(self, items: Sequence[KnowledgeItem], *, seed: int) -> None:
        order = np.random.default_rng(seed).permutation(len(items))
        shuffled = [items[i] for i in order]
        self.ids = [item.id for item in shuffled]
        self._build([lexical_words(searchable_text(item)) for item in shuffled])

    @abstractmethod
    def _build(self, documents: list[list[str]]) -> None:
        """Index the tokens of every item."""

    @abstractmethod
    def _scores(self, tokens: list[str]) -> npt.NDArray[np.float32]:
        """Scores `(num_items,)` of a question's tokens."""

    def rank(self, questions: Sequence[str], k: int) -> list[list[str]]:
        """Ids of the best `k` items per question; items that share no word come last, in seeded order."""
        _check_k(k)
        if not self.ids:
            return [[] for _ in questions]
        rankings = []
        for question in questions:
            best = np.argsort(-self._scores(lexical_words(question)), kind="stable")[:k]
            rankings.append([self.ids[i] for i in best])
        return rankings


class Bm25Ranker(_LexicalRanker):
    """Okapi BM25 (Lucene's form) over titles, captions and texts, from the `bm25s` package.

    Args:
        items: the knowledge items.
        k1: saturation of the term frequency.
        b: strength of the length normalisation.
        seed: seed of the order in which ties are returned.

    Raises:
        ImportError: when `bm25s` is not installed.

    Example:
        >>> items = [KnowledgeItem(id="1", text="A red house."), KnowledgeItem(id="2", text="A blue boat.")]
        >>> Bm25Ranker(items).rank(["Which boat?"], k=1)
        [['2']]
    """

    def __init__(self, items: Sequence[KnowledgeItem], *, k1: float = 1.5, b: float = 0.75, seed: int = 0) -> None:
        self._k1, self._b = k1, b
        super().__init__(items, seed=seed)

    def _build(self, documents: list[list[str]]) -> None:
        self._bm25 = Bm25.fit(documents, k1=self._k1, b=self._b)

    def _scores(self, tokens: list[str]) -> npt.NDArray[np.float32]:
        return self._bm25.scores(tokens)


class TfidfRanker(_LexicalRanker):
    """Cosine of TF-IDF vectors, (1 + log tf) * (1 + log((1 + n) / (1 + df))), over titles, captions and texts.

    Args:
        items: the knowledge items.
        seed: seed of the order in which ties are returned.

    Example:
        >>> items = [KnowledgeItem(id="1", text="A red house."), KnowledgeItem(id="2", text="A blue boat.")]
        >>> TfidfRanker(items).rank(["Which boat?"], k=1)
        [['2']]
    """

    def __init__(self, items: Sequence[KnowledgeItem], *, seed: int = 0) -> None:
        super().__init__(items, seed=seed)

    def _build(self, documents: list[list[str]]) -> None:
        frequencies = [Counter(document) for document in documents]
        df = Counter(token for counts in frequencies for token in counts)
        self._idf = {token: 1 + math.log((1 + len(documents)) / (1 + count)) for token, count in df.items()}
        postings: dict[str, tuple[list[int], list[float]]] = {token: ([], []) for token in df}
        for place, counts in enumerate(frequencies):
            weights = {token: (1 + math.log(count)) * self._idf[token] for token, count in counts.items()}
            norm = math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0
            for token, weight in weights.items():
                postings[token][0].append(place)
                postings[token][1].append(weight / norm)
        self._postings = {
            token: (np.asarray(places), np.asarray(weights, dtype=np.float32))
            for token, (places, weights) in postings.items()
        }

    def _scores(self, tokens: list[str]) -> npt.NDArray[np.float32]:
        # The question's own norm is the same for every item and does not change the order.
        scores = np.zeros(len(self.ids), dtype=np.float32)
        for token, count in Counter(tokens).items():
            if token in self._postings:
                places, weights = self._postings[token]
                scores[places] += weights * ((1 + math.log(count)) * self._idf[token])
        return scores


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
