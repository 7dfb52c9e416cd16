"""Searching an index in one of four ways: by vectors alone, modality by modality, or by vectors and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from ..index.columns import Filter, check_filter, make_schema
from ..index.embedding_checks import check_k
from ..index.fusion import fuse_ranks, fuse_scores
from ..index.knowledge_index import KnowledgeIndex, SearchHit
from ..index.positions import ItemPositions
from ..index.protocol import SearchableIndex
from ..index.score_fitting import MODALITY_COLUMN, list_modalities
from ..index.score_scales import ScoreScales
from ..lexical.lexical_index import LexicalIndex
from .types import RETRIEVALS, Retrieval

__all__ = ["CandidateSearch", "load_search_parts"]

# So many hits of each ranking are joined, whatever k: an item in the middle of two rankings can be the best of both,
# and the hits of a smaller k stay the first of those of a larger one.
_DEPTH = 100


class CandidateSearch:
    """Searches an index with questions that come as words and as vectors.

    - "dense": the index's own search; the score is the inner product.
    - "by_modality_scores": every modality is searched by itself, and the scores are compared on the scale of each
      (`ScoreScales`), so that a modality whose scores are higher throughout does not crowd out the others.
    - "by_modality_ranks": the same, joined by reciprocal ranks: the modalities are interleaved, and with `k` of at
      least their number each that has an item is among the hits. Within a rank the inner product decides.
    - "hybrid": reciprocal ranks of the dense and of a lexical search (BM25). Words find names, numbers and rare terms
      that a retriever has not learned; pictures without captions only vectors find, and of a question that carries a
      picture only its words are looked up.

    Args:
        index: the index; ways other than "dense" need a `KnowledgeIndex`.
        lexical: its lexical part, for "hybrid".
        scales: of its scores, for "by_modality_scores".

    Raises:
        ValueError: when the lexical part is of another index.
        IndexMismatchError: when the scales are of another index or model.

    Example:
        >>> import numpy as np
        >>> from rablip.index import IndexManifest
        >>> manifest = IndexManifest(
        ...     model_id="m", model_fingerprint="0", embedding_dim=2, columns={"modality": "string"}
        ... )
        >>> index = KnowledgeIndex.create(manifest)
        >>> vectors = np.array([[1.0, 0.0], [0.96, 0.28], [0.6, 0.8]])
        >>> index.add(["t1", "t2", "p1"], vectors, columns={"modality": ["text", "text", "image"]})
        3
        >>> search, question = CandidateSearch(index), np.array([[1.0, 0.0]])
        >>> [hit.id for hit in search.search(["Who?"], question, 2)[0]]
        ['t1', 't2']
        >>> sorted(hit.id for hit in search.search(["Who?"], question, 2, retrieval="by_modality_ranks")[0])
        ['p1', 't1']
    """

    def __init__(
        self, index: SearchableIndex, *, lexical: LexicalIndex | None = None, scales: ScoreScales | None = None
    ) -> None:
        if lexical is not None and lexical.index is not index:
            raise ValueError("The lexical part was made of another index. Give the one of this index.")
        self.index = index
        self.lexical = lexical
        self.scales = scales
        self._modalities: tuple[tuple[str, int, int], list[str]] | None = None
        if scales is not None:
            scales.check(self._own_index, self._list_modalities())

    def __len__(self) -> int:
        return len(self.index)

    def check(self, retrieval: Retrieval) -> None:
        """Check that there is what a way of searching needs.

        Raises:
            ValueError: when the way is unknown or not for this index, or its part is missing; says where that is from.
        """
        if retrieval not in RETRIEVALS:
            raise ValueError(f"retrieval must be one of {', '.join(RETRIEVALS)}, got {retrieval!r}.")
        if retrieval == "dense":
            return
        folder = self._own_index.folder or "INDEX"
        if retrieval == "hybrid" and self.lexical is None:
            raise ValueError(
                'A "hybrid" search needs the lexical part of the index: pass lexical=LexicalIndex.load(index). It is '
                f"built by: rablip index lexical {folder}."
            )
        if retrieval == "by_modality_scores" and self.scales is None:
            raise ValueError(
                'A search "by_modality_scores" needs the scales of the scores: pass scales=ScoreScales.load(folder). '
                f"They are fitted by: rablip index scales {folder} --questions FILE --model M."
            )

    def search(
        self,
        questions: Sequence[str],
        embeddings: Any,
        k: int,
        *,
        retrieval: Retrieval = "dense",
        lexical_weight: float = 1.0,
        where: Filter | None = None,
    ) -> list[list[SearchHit]]:
        """Return the `k` best items of each question, best first; fewer where there are fewer.

        Args:
            questions: their words.
            embeddings: (num_questions, embedding_dim), their vectors.
            k: at most so many hits per question.
            retrieval: the way, see above.
            lexical_weight: what the ranking by words counts in a hybrid search, beside 1 of the vectors.
            where: which items count, as of `KnowledgeIndex.search`.

        Raises:
            ValueError: as `check` and `KnowledgeIndex.search`; when questions and vectors differ in number; when an
                item has no modality to be searched by.
            IndexMismatchError: when the index was changed since its lexical part was made, or a modality has no scale.
        """
        self.check(retrieval)
        if len(questions) != len(embeddings):
            raise ValueError(f"There are {len(questions)} questions but {len(embeddings)} vectors. Give one for each.")
        if retrieval == "dense":
            return self.index.search(embeddings, k, where=where)
        depth = max(k, _DEPTH)
        if retrieval == "hybrid":
            assert self.lexical is not None
            dense = self.index.search(embeddings, depth, where=where)
            lexical = self.lexical.search(questions, depth, where=where)
            weights = (1.0, lexical_weight)
            return [fuse_ranks(both, k=k, weights=weights) for both in zip(dense, lexical, strict=True)]
        found = self._search_modalities(embeddings, depth, where)
        if retrieval == "by_modality_ranks":
            return [_interleave([of[row] for of in found.values()], k) for row in range(len(questions))]
        assert self.scales is not None
        self.scales.check(self._own_index, found)
        scales = self.scales.scales
        return [
            fuse_scores([scales[name].normalize_hits(of[row]) for name, of in found.items()], k=k)
            for row in range(len(questions))
        ]

    def search_among(
        self, embeddings: Any, k: int, among: Sequence[Sequence[str]], *, retrieval: Retrieval = "dense"
    ) -> list[list[SearchHit]]:
        """Return the `k` best of each question's own items, best first: what a benchmark calls its distractor setting.

        Args:
            embeddings: (num_questions, embedding_dim), an array or a tensor.
            k: at most so many hits per question.
            among: ids of the items that count for each question; an id that stands twice counts once. Equal scores
                stay in this order.
            retrieval: must be "dense": ranks of a few items say nothing of their scales.

        Raises:
            KeyError: when an id is not in the index.
            ValueError: when k is below 1, there are not as many lists as questions, or another way is asked for.
        """
        if retrieval != "dense":
            raise ValueError(
                f'Among given items the search is by vectors alone: set retrieval to "dense", not {retrieval!r}.'
            )
        check_k(k)
        if len(among) != len(embeddings):
            raise ValueError(f"There are {len(embeddings)} questions but {len(among)} lists of items.")
        vectors = np.asarray(embeddings, dtype=np.float32)
        found = []
        for vector, ids in zip(vectors, among, strict=True):
            names = list(dict.fromkeys(ids))
            stored = self.index.get(names)
            # Of an item with several vectors the best counts; what fills the array up is zero and no vector.
            stored = stored[:, None] if stored.ndim == 2 else stored
            scores = np.where(stored.any(axis=2), stored @ vector, -np.inf).max(axis=1, initial=-np.inf)
            best = np.argsort(-scores, kind="stable")[:k]
            found.append([SearchHit(names[place], float(scores[place])) for place in best])
        return found

    def _search_modalities(
        self, embeddings: Any, depth: int, where: Filter | None
    ) -> dict[str, list[list[SearchHit]]]:
        given = None if where is None else check_filter(where, make_schema(self.index.manifest.columns))
        found = {}
        for name in self._list_modalities():
            own = pc.field(MODALITY_COLUMN) == name
            found[name] = self.index.search(embeddings, depth, where=own if given is None else given & own)
        return found

    @property
    def _own_index(self) -> KnowledgeIndex:
        """The index, where it is one that other ways than the dense one know."""
        if not isinstance(self.index, KnowledgeIndex):
            raise ValueError(f'A {type(self.index).__name__} is searched by vectors alone: set retrieval to "dense".')
        return self.index

    def _list_modalities(self) -> list[str]:
        index = self._own_index
        if self._modalities is None or self._modalities[0] != index.state:
            self._modalities = index.state, list_modalities(ItemPositions(index))
        return self._modalities[1]


def _interleave(rankings: list[list[SearchHit]], k: int) -> list[SearchHit]:
    """The best of each, then the second of each, and so on; within a rank by the inner product."""
    return fuse_ranks(rankings, k=k, ties=dict(hit for ranking in rankings for hit in ranking))


def load_search_parts(index: KnowledgeIndex, retrieval: Retrieval) -> dict[str, Any]:
    """What a way of searching needs beside an index on disk, as keywords of `CandidateSearch`.

    Args:
        index: as it was loaded.
        retrieval: the way.

    Raises:
        FileNotFoundError: when it was not built; says which command builds it.
        IndexMismatchError: when it is stale, or of another index or model.
        IndexCorruptError: when a file is altered.

    Example:
        >>> from rablip.index import IndexManifest
        >>> index = KnowledgeIndex.create(IndexManifest(model_id="m", model_fingerprint="0", embedding_dim=2))
        >>> load_search_parts(index, "dense")
        {}
    """
    if retrieval == "hybrid":
        return {"lexical": LexicalIndex.load(index)}
    if retrieval == "by_modality_scores":
        if index.folder is None:
            raise FileNotFoundError("The index is in memory only, and score scales lie in its folder. Save the index.")
        return {"scales": ScoreScales.load(index.folder)}
    return {}
