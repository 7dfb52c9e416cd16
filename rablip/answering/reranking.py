"""The re-ranking stage: every candidate judged against its question, the most relevant first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from PIL import Image

from ..processing.knowledge_rablip import KnowledgeItem
from .features import Part
from .inference import score_pairs
from .pictures import ItemPictures, without_picture
from .selection import merge_hops
from .types import Candidate

__all__ = ["rerank_rows"]


def rerank_rows(
    reranker: Part,
    questions: Sequence[str],
    candidates: Sequence[Sequence[Candidate]],
    images: Sequence[Sequence[Image.Image]],
    pictures: ItemPictures,
    *,
    batch_size: int,
) -> list[list[Candidate]]:
    """Judges the candidates of each question, with the pictures of both.

    A candidate whose picture cannot be opened is judged by its words; one without any words is not relevant.

    Args:
        reranker: the re-ranker.
        questions: the questions.
        candidates: the candidates of each question.
        images: the opened pictures of each question.
        pictures: opens the pictures of the candidates.
        batch_size: pairs that the re-ranker gets at once.
    """
    judged: list[list[Candidate]] = [[] for _ in questions]
    pairs: list[tuple[int, Candidate, KnowledgeItem, Image.Image | None]] = []
    for row, found in enumerate(candidates):
        for candidate, picture in pictures.open_shown(found):
            item = candidate.item if picture is not None else without_picture(candidate.item)
            if item is None:
                judged[row].append(dataclasses.replace(candidate, rerank_relevance=0.0))
            else:
                pairs.append((row, candidate, item, picture))
    # Pairs of like kind and length go together: less padding, the same scores.
    pairs.sort(key=lambda pair: (pair[3] is not None or bool(images[pair[0]]), len(pair[2].text or "")))
    scores = score_pairs(
        reranker,
        [questions[row] for row, *_ in pairs],
        [item for _, _, item, _ in pairs],
        [images[row] for row, *_ in pairs],
        [picture for *_, picture in pairs],
        batch_size=batch_size,
    )
    for (row, candidate, _, _), score in zip(pairs, scores, strict=True):
        judged[row].append(dataclasses.replace(candidate, rerank_relevance=score))
    return [merge_hops(found, ()) for found in judged]
