"""A question on a report page: what was answered from which candidates, what was expected, and how right it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from PIL import Image

from ..answering.types import AbstainReason, Answer
from ..processing.images_rablip import ImageError
from ..processing.knowledge_rablip import KnowledgeItem
from .html_pictures import LARGE_PICTURE, THUMBNAIL, fit_picture

__all__ = ["VERDICTS", "PageEntry", "Verdict"]

logger = logging.getLogger(__name__)

Verdict = Literal["right", "partly", "wrong", "unjudged"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True, kw_only=True)
class PageEntry:
    """A question on the page.

    Args:
        answer: what was answered, and from what.
        kind: what kind of question it is, such as its category.
        expected: accepted answers; empty when the right thing is to withhold the answer; None when unknown.
        correct: whether the answer is right; None: not judged, or judged by a `score` alone.
        question_images: pictures of the question.
        pictures: opened pictures of the candidates by item id.
        question_id: id of the question in its data set; shown when it is given.
        score: how right the answer is, from 0 (wrong) to 1 (right), by a metric that gives parts of a point; None
            without one. Where both are given they agree: what is right scores above 0, what is wrong below 1.
        gold_ids: ids of the items that the question needs; None when unknown.

    Raises:
        ValueError: when the score is outside 0..1 or says another thing than `correct`.

    Example:
        >>> PageEntry(answer=Answer(question="Who?", text="Marlow"), expected=("Marlow",), correct=True).kind
        ''
    """

    answer: Answer
    kind: str = ""
    expected: tuple[str, ...] | None = None
    correct: bool | None = None
    question_images: tuple[Image.Image, ...] = ()
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)
    question_id: str = ""
    score: float | None = None
    gold_ids: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.score is None:
            return
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(
                f"The score of question {self.answer.question!r} must lie between 0 and 1, but is {self.score}. "
                "Divide it by what a perfect answer scores."
            )
        if (self.correct is True and self.score == 0.0) or (self.correct is False and self.score == 1.0):
            said = "right" if self.correct else "wrong"
            raise ValueError(f"Question {self.answer.question!r} is called {said}, but has the score {self.score}.")

    @property
    def verdict(self) -> Verdict:
        """Whether the answer is right; `"partly"` when the score lies between 0 and 1.

        Example:
            >>> PageEntry(answer=Answer(question="Who?", text="Marlow"), score=0.6).verdict
            'partly'
        """
        if self.score is not None and 0.0 < self.score < 1.0:
            return "partly"
        if self.correct is None and self.score is None:
            return "unjudged"
        return "right" if self.correct or self.score == 1.0 else "wrong"

    @property
    def is_withheld(self) -> bool:
        """Whether an answer was withheld; where there is no generator, none was asked for.

        Example:
            >>> PageEntry(answer=Answer(question="Who?", text="Marlow")).is_withheld
            False
        """
        return self.answer.abstained and self.answer.reason is not AbstainReason.NO_GENERATOR

    @property
    def points(self) -> float | None:
        """The score, or 1 and 0 for what is right and wrong; None when nobody judged.

        Example:
            >>> PageEntry(answer=Answer(question="Who?", text="Marlow"), correct=True).points
            1.0
        """
        if self.score is not None or self.correct is None:
            return self.score
        return 1.0 if self.correct else 0.0

    @property
    def found_gold(self) -> int | None:
        """How many of the needed items are among the candidates; None when it is not known which are needed."""
        if self.gold_ids is None:
            return None
        return len(set(self.gold_ids) & {candidate.id for candidate in self.answer.candidates})

    @classmethod
    def from_answer(
        cls,
        answer: Answer,
        open_picture: Callable[[KnowledgeItem], Image.Image | None],
        *,
        kind: str = "",
        expected: Sequence[str] | None = None,
        correct: bool | None = None,
        question_images: Sequence[Image.Image] = (),
        question_id: str = "",
        score: float | None = None,
        gold_ids: Sequence[str] | None = None,
    ) -> PageEntry:
        """An entry with the pictures of its candidates, no larger than a page shows them.

        A picture that cannot be opened is left out.

        Args:
            answer: what was answered.
            open_picture: gives the picture of an item, such as `RablipAnswerer.open_picture`.
            kind, expected, correct, question_images, question_id, score, gold_ids: as in the class.

        Example:
            >>> PageEntry.from_answer(Answer(question="Who?", text="Marlow"), lambda item: None).pictures
            {}
        """
        shown = {evidence.id for evidence in answer.evidence}
        pictures: dict[str, Image.Image] = {}
        for candidate in answer.candidates:
            try:
                picture = open_picture(candidate.item)
            except ImageError as error:
                logger.warning("The page shows item %r without its picture: %s", candidate.id, error)
                continue
            if picture is not None:
                pictures[candidate.id] = fit_picture(picture, LARGE_PICTURE if candidate.id in shown else THUMBNAIL)
        return cls(
            answer=answer,
            kind=kind,
            expected=None if expected is None else tuple(expected),
            correct=correct,
            question_images=tuple(fit_picture(picture, LARGE_PICTURE) for picture in question_images),
            pictures=pictures,
            question_id=question_id,
            score=score,
            gold_ids=None if gold_ids is None else tuple(gold_ids),
        )
