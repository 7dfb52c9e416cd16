"""Checks of what a caller gives the answerer: questions, pictures, evidence, and parts that fit together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image

from ..processing.knowledge_rablip import KnowledgeItem
from .pictures import QuestionImages, open_question_images
from .types import Candidate, Selection

if TYPE_CHECKING:
    from ..index.knowledge_index import KnowledgeIndex
    from ..modeling_rablip import RablipRetriever

__all__ = ["check_dimension", "check_evidence", "check_questions"]


def check_questions(questions: Sequence[str], images: QuestionImages | None) -> list[list[Image.Image]]:
    """Refuses blank questions and opens the pictures of the questions.

    Returns:
        The opened pictures of each question; an empty list for a question without any.

    Raises:
        TypeError: when the questions are one str, or a question or picture has another type than documented.
        ValueError: when a question is blank, or there are not as many picture entries as questions.
        ImageError: when a picture cannot be opened.

    Example:
        >>> check_questions(["Who built it?"], None)
        [[]]
    """
    if isinstance(questions, str):
        raise TypeError("questions must be a sequence of questions, got one str. Put it in a list.")
    for position, question in enumerate(questions):
        if not isinstance(question, str):
            raise TypeError(f"Question {position} must be a str, got {type(question).__name__}.")
        if not question.strip():
            raise ValueError(f"Question {position} is empty: {question!r}. Give the words of the question.")
    return open_question_images(images, len(questions))


def check_evidence(
    evidence: Sequence[Sequence[Candidate | KnowledgeItem]], num_questions: int
) -> list[Sequence[Candidate]]:
    """Knowledge items and candidates of each question as candidates.

    Raises:
        ValueError: when the lists differ in length, or an id stands twice among the items of one question.

    Example:
        >>> check_evidence([[KnowledgeItem(id="7", text="It opened in 1889.")]], 1)[0][0].id
        '7'
    """
    if len(evidence) != num_questions:
        raise ValueError(
            f"There are {num_questions} questions but {len(evidence)} lists of items. Give one per question."
        )
    rows: list[Sequence[Candidate]] = []
    for given in evidence:
        row = tuple(one if isinstance(one, Candidate) else Candidate(one) for one in given)
        ids = [candidate.id for candidate in row]
        twice = sorted({item_id for item_id in ids if ids.count(item_id) > 1})
        if twice:
            raise ValueError(f"The ids {twice[:5]} stand more than once in the items of one question. Give each once.")
        rows.append(Selection(row, tuple(getattr(given, "dropped_pictures", ()))))
    return rows


def check_dimension(retriever: RablipRetriever, index: KnowledgeIndex) -> None:
    """Refuses an index that holds vectors of another dimension than the retriever makes.

    Raises:
        ValueError: with both dimensions.
    """
    expected, found = retriever.config.embedding_dim, index.manifest.embedding_dim
    if expected != found:
        raise ValueError(
            f"The retriever encodes into {expected} dimensions, but the index holds vectors of {found}. Build the "
            "index again with this retriever, or load the retriever that built it."
        )
