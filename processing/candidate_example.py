"""One training row: a question with candidates that are known to help, or known not to."""

from __future__ import annotations

from dataclasses import dataclass

from .knowledge_rablip import KnowledgeItem, QuestionExample

__all__ = ["CandidateExample"]


@dataclass(frozen=True, kw_only=True)
class CandidateExample:
    """A question with candidates that are known to help, or known not to.

    Args:
        question: the question.
        candidates: the candidates; their order carries nothing, collators shuffle it.
        relevance: how relevant each candidate is, 0 to 1.
        answer: the answer to learn from these candidates, None for none.

    Raises:
        ValueError: when there are not as many relevance values as candidates.

    Example:
        >>> question = QuestionExample(id="q", question="When was it built?")
        >>> tower = KnowledgeItem(id="a", text="Built in 1889.")
        >>> CandidateExample(question=question, candidates=(tower,), relevance=(1.0,), answer="1889").answer
        '1889'
    """

    question: QuestionExample
    candidates: tuple[KnowledgeItem, ...]
    relevance: tuple[float, ...]
    answer: str | None = None

    def __post_init__(self) -> None:
        if len(self.candidates) != len(self.relevance):
            raise ValueError(
                f"Question {self.question.id!r} has {len(self.candidates)} candidates but {len(self.relevance)} "
                "relevance values. Give one per candidate."
            )
