"""The retrieval stage: questions encoded and searched for; and the fitting of the scales that a search may need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ..index.score_fitting import fit_score_scales
from ..index.score_scales import ScoreScales
from .candidate_search import CandidateSearch
from .checking import check_dimension, check_processor, check_questions
from .features import Part, make_parts
from .inference import encode_questions
from .pictures import ItemPictures, QuestionImages
from .types import AnswerSettings, Candidate

if TYPE_CHECKING:
    from ..index.knowledge_index import KnowledgeIndex
    from ..knowledge_base import KnowledgeBase
    from ..modeling_rablip import RablipRetriever
    from ..processing.processing_rablip import RablipRetrieverProcessor

__all__ = ["Among", "fit_scales", "retrieve_rows"]

# Ids of the items that count for each question; None for all of the index.
Among = Sequence[Sequence[str]] | None


def retrieve_rows(
    retriever: Part,
    search: CandidateSearch,
    knowledge_base: KnowledgeBase,
    questions: Sequence[str],
    images: Sequence[list[Image.Image]],
    pictures: ItemPictures,
    settings: AnswerSettings,
    *,
    k: int | None,
    hop: int,
    among: Among = None,
) -> tuple[list[list[Candidate]], list[bool]]:
    """Searches for each question by its words and pictures.

    Args:
        retriever: encodes the questions.
        search: over the index.
        knowledge_base: the items that the ids name.
        questions: the questions.
        images: the opened pictures of each question.
        pictures: knows which pictures of items cannot be opened.
        settings: the way of searching, and how many questions are encoded at once.
        k: most candidates of each question; None: `settings.num_candidates`.
        hop: recorded on the candidates.
        among: ids of the items that count for each question; None for all of the index.

    Returns:
        The candidates of each question, best first, and whether the question was cut.

    Raises:
        ValueError: when k is below 1.
        KeyError: when an id of `among` is not in the index.
    """
    k = settings.num_candidates if k is None else k
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}.")
    if not len(search) or not questions:
        return [[] for _ in questions], [False] * len(questions)
    vectors, truncated = encode_questions(retriever, questions, images, batch_size=settings.batch_size)
    if among is not None:
        found = search.search_among(vectors, k, among, retrieval=settings.retrieval)
    else:
        found = search.search(
            questions, vectors, k, retrieval=settings.retrieval, lexical_weight=settings.lexical_weight
        )
    rows = [[(knowledge_base[hit.id], float(hit.score)) for hit in hits] for hits in found]
    missing = pictures.is_missing
    candidates = [
        [Candidate(item, score, hop=hop, image_missing=missing(item)) for item, score in row] for row in rows
    ]
    return candidates, truncated


def fit_scales(
    retriever: RablipRetriever,
    retriever_processor: RablipRetrieverProcessor,
    index: KnowledgeIndex,
    questions: Sequence[str],
    images: QuestionImages | None = None,
    *,
    max_items: int = 2000,
    batch_size: int = 16,
) -> ScoreScales:
    """Measures the scales of an index's scores by modality, for a search "by_modality_scores".

    Args:
        retriever: built the index.
        retriever_processor: its processor.
        index: the index.
        questions: like those that will be asked; no answers are needed, and some dozens will do.
        images: one entry per question: a picture, several, or None.
        max_items: most items of a modality; of more, so many are drawn.
        batch_size: questions encoded at once.

    Returns:
        The scales; `save` them into the folder of the index.

    Raises:
        ValueError: when there is no question, the index is empty or of another dimension, or has items without a
            modality.
        ImageError: when a picture of a question cannot be opened.

    Example:
        >>> index, _ = open_index("my_index")  # doctest: +SKIP
        >>> fit_scales(retriever, processor, index, my_questions).save("my_index")  # doctest: +SKIP
    """
    check_processor("retriever", retriever, retriever_processor)
    check_dimension(retriever, index)
    part = make_parts({"retriever": (retriever.eval(), retriever_processor)})["retriever"]
    if not questions:
        raise ValueError("There are no questions to fit scales on. Give some like those that will be asked.")
    opened = check_questions(questions, images)
    vectors, _ = encode_questions(part, questions, opened, batch_size=batch_size)
    return fit_score_scales(index, vectors, max_items=max_items)
