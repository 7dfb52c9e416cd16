"""Thresholds of the whole path: closed forms on an answerer whose relevance is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rablip.answering import Answer, AnswerSettings, EvidenceRelevance
from rablip.evaluation import FittedThresholds, fit_thresholds
from rablip.processing.knowledge_rablip import QuestionExample

# Per question: item -> (re-ranker's probability, generator's probability).
FOUND: dict[str, dict[str, tuple[float, float]]] = {
    "one": {"a": (0.9, 0.8), "b": (0.3, 0.1)},
    "two": {"c": (0.25, 0.7), "d": (0.15, 0.75)},
    "none": {"e": (0.6, 0.3), "f": (0.12, 0.72)},
}
QUESTIONS = [
    QuestionExample(id="1", question="one", positive_ids=("a",)),
    QuestionExample(id="2", question="two", positive_ids=("c",)),
    QuestionExample(id="3", question="none"),
]


class KnownAnswerer:
    """Keeps the evidence that its settings keep, and says what `FOUND` says."""

    def __init__(self, *, reranker: bool = True, generator: bool = True) -> None:
        self.reranker = SimpleNamespace() if reranker else None
        self.generator = SimpleNamespace() if generator else None
        self.settings = AnswerSettings(num_candidates=7)
        self.asked_with: list[AnswerSettings] = []

    def answer_batch(self, questions: Sequence[str], images: Any) -> list[Answer]:
        self.asked_with.append(self.settings)
        least = self.settings.relevance_threshold or 0.0
        return [
            Answer(
                question=question,
                text="?",
                evidence=tuple(
                    EvidenceRelevance(item, relevance=relevance)
                    for item, (kept, relevance) in FOUND[question].items()
                    if kept >= least
                ),
            )
            for question in questions
        ]


def test_the_selection_threshold_is_taken_with_which_the_generator_cites_and_abstains_best() -> None:
    answerer = KnownAnswerer()
    fitted = fit_thresholds(answerer, QUESTIONS, selection_thresholds=(0.1, 0.2, 0.5))  # type: ignore[arg-type]
    # At 0.1 the generator is shown "d" and "f", which it likes; at 0.5 "c" is lost; at 0.2 all can be told apart.
    assert fitted == FittedThresholds(
        relevance_threshold=0.2,
        citation_threshold=0.5,
        abstain_threshold=0.5,
        citation_f=1.0,
        abstain_f1=1.0,
        num_questions=3,
    )


def test_evidence_that_the_selection_lost_counts_as_missed() -> None:
    fitted = fit_thresholds(KnownAnswerer(), QUESTIONS, selection_thresholds=(0.5,))  # type: ignore[arg-type]
    # "a" is cited, "c" is lost: precision 1, recall 1/2, F0.5 5/6; "none" is told from "one", "two" has no evidence.
    assert fitted.citation_f == pytest.approx(5 / 6)
    assert fitted.abstain_f1 == pytest.approx(2 / 3)


def test_settings_are_used_and_given_back() -> None:
    answerer = KnownAnswerer()
    kept = answerer.settings
    fit_thresholds(answerer, QUESTIONS, selection_thresholds=(0.1, 0.3))  # type: ignore[arg-type]
    assert answerer.settings is kept
    assert [used.relevance_threshold for used in answerer.asked_with] == [0.1, 0.3]
    for used in answerer.asked_with:
        assert used.num_candidates == 7 and used.citation_threshold == used.abstain_threshold == 0.0

    def fail(questions: Any, images: Any) -> list[Answer]:
        raise RuntimeError("no")

    answerer.answer_batch = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        fit_thresholds(answerer, QUESTIONS)  # type: ignore[arg-type]
    assert answerer.settings is kept


def test_without_a_reranker_only_the_generator_is_fitted() -> None:
    answerer = KnownAnswerer(reranker=False)
    assert fit_thresholds(answerer, QUESTIONS).relevance_threshold is None  # type: ignore[arg-type]
    assert len(answerer.asked_with) == 1


def test_a_selection_threshold_that_lets_nothing_needed_through_is_passed_over() -> None:
    assert fit_thresholds(KnownAnswerer(), QUESTIONS, selection_thresholds=(0.2, 0.95)).citation_f == 1.0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="Not one positive of a question became evidence"):
        fit_thresholds(KnownAnswerer(), QUESTIONS, selection_thresholds=(0.95,))  # type: ignore[arg-type]


def test_what_cannot_be_fitted_is_said() -> None:
    with pytest.raises(ValueError, match="no generator"):
        fit_thresholds(KnownAnswerer(generator=False), QUESTIONS)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 of 2 questions have positives"):
        fit_thresholds(KnownAnswerer(), QUESTIONS[:2])  # type: ignore[arg-type]
    unanswerable = [dataclasses.replace(question, positive_ids=()) for question in QUESTIONS]
    with pytest.raises(ValueError, match="0 of 3"):
        fit_thresholds(KnownAnswerer(), unanswerable)  # type: ignore[arg-type]
