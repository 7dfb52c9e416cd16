"""What the page that compares two runs says: their figures in pairs, and the questions on which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .chart_content import BarChart
from .evaluation_content import DEFAULT_MAX_BYTES, PairedFigure
from .page_entry import PageEntry

__all__ = ["ChangedQuestion", "ComparisonPage"]


@dataclass(frozen=True, kw_only=True)
class ChangedQuestion:
    """A question that one run answered better than the other.

    Args:
        first: what run A made of it.
        second: what run B made of it.

    Raises:
        ValueError: when the two are not the same question, one was not judged, or none is better.

    Example:
        >>> from ..answering.types import Answer
        >>> right = PageEntry(answer=Answer(question="Who?", text="Marlow"), correct=True)
        >>> wrong = PageEntry(answer=Answer(question="Who?", text="Thilous"), correct=False)
        >>> ChangedQuestion(first=wrong, second=right).is_first_better
        False
    """

    first: PageEntry
    second: PageEntry

    def __post_init__(self) -> None:
        questions = self.first.answer.question, self.second.answer.question
        if questions[0] != questions[1] or self.first.question_id != self.second.question_id:
            raise ValueError(
                f"A change is about one question, but run A has {questions[0]!r} (id {self.first.question_id!r}) and "
                f"run B {questions[1]!r} (id {self.second.question_id!r})."
            )
        points = self.first.points, self.second.points
        if points[0] is None or points[1] is None or points[0] == points[1]:
            raise ValueError(
                f"Question {questions[0]!r} has not changed: run A has the points {points[0]} and run B {points[1]}. "
                "List only questions with a verdict or score of both runs, and not the same one."
            )

    @property
    def points(self) -> tuple[float, float]:
        """What run A and run B scored, from 0 to 1."""
        return self.first.points or 0.0, self.second.points or 0.0

    @property
    def is_first_better(self) -> bool:
        """Whether run A did better."""
        return self.points[0] > self.points[1]


@dataclass(frozen=True, kw_only=True)
class ComparisonPage:
    """The page that sets two runs side by side. A part that is empty is left out.

    Args:
        title: heading of the page.
        first_name: what run A is.
        second_name: what run B is.
        introduction: what is compared, in a few sentences; blank lines separate paragraphs.
        facts: name of a fact and its value in run A and in run B; where they differ they are stressed.
        metrics: every metric of both runs, with the paired difference (B less A), its interval and p-value.
        interval_note: what the intervals and p-values are.
        categories: bars of both runs for parts of the questions.
        changed: questions that one run answered better.
        num_first_better: on how many questions of the whole comparison run A is better; None: those in `changed`.
        num_second_better: the same for run B.
        num_questions: how many questions both runs have.
        sample_note: how the questions in `changed` were chosen, when they are not all.
        footer: last line of the page.
        max_bytes: how large the page may be, as in `EvaluationPage`.

    Raises:
        ValueError: when more questions are listed than are said to have changed, or a page could hold nothing.

    Example:
        >>> ComparisonPage(title="Two retrievers", first_name="BM25", second_name="RA-BLIP").changed
        ()
    """

    title: str
    first_name: str
    second_name: str
    introduction: str = ""
    facts: Sequence[tuple[str, str, str]] = ()
    metrics: Sequence[PairedFigure] = ()
    interval_note: str = "Intervals are 95% intervals of the difference, from resampling the questions in pairs."
    categories: Sequence[BarChart] = ()
    changed: Sequence[ChangedQuestion] = ()
    num_first_better: int | None = None
    num_second_better: int | None = None
    num_questions: int | None = None
    sample_note: str = ""
    footer: str = ""
    max_bytes: int = DEFAULT_MAX_BYTES

    def __post_init__(self) -> None:
        if self.max_bytes < 1:
            raise ValueError(f"max_bytes is {self.max_bytes}; a page has a size. {DEFAULT_MAX_BYTES} is a good one.")
        first = sum(question.is_first_better for question in self.changed)
        for run, said, listed in (
            ("A", self.num_first_better, first),
            ("B", self.num_second_better, len(self.changed) - first),
        ):
            if said is not None and said < listed:
                raise ValueError(f"Run {run} is said to be better on {said} questions, but {listed} are listed.")
