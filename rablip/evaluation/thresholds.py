"""Thresholds of the whole path, fitted on questions whose evidence is known."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from ..processing.knowledge_rablip import QuestionExample
from ..training.runs.calibration import fit_threshold

if TYPE_CHECKING:
    from ..answering import RablipAnswerer

__all__ = ["FittedThresholds", "fit_thresholds"]

logger = logging.getLogger(__name__)

# Precision of citations counts twice as much as their recall.
_CITATION_BETA = 0.5
_SELECTION_THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FittedThresholds:
    """What `fit_thresholds` found; the names are those of `AnswerSettings`.

    Args:
        relevance_threshold: least re-ranker probability of evidence; None without a re-ranker.
        citation_threshold: least generator probability of a citation.
        abstain_threshold: below this highest generator probability an answer is withheld.
        citation_f: F0.5 of the cited items against those that the questions need.
        abstain_f1: F1 of the abstentions against the questions that cannot be answered.
        num_questions: questions that were used.
    """

    relevance_threshold: float | None
    citation_threshold: float
    abstain_threshold: float
    citation_f: float
    abstain_f1: float
    num_questions: int


def fit_thresholds(
    answerer: RablipAnswerer,
    questions: Sequence[QuestionExample],
    *,
    selection_thresholds: Sequence[float] = _SELECTION_THRESHOLDS,
) -> FittedThresholds:
    """Find the three thresholds with which the whole path cites and abstains best.

    A re-ranker's best threshold on single pairs is too strict for the path: what it drops is lost, while what it keeps
    too much the generator can still pass over. So every selection threshold is tried. For each, the citation threshold
    with the best F0.5 over (question, cited item) is fitted (a wrong citation misleads, a missing one does not), where
    an item that never became evidence counts as missed, and the abstention threshold with the best F1 over questions.
    The selection threshold with the best sum of the two is taken.

    Args:
        answerer: has a retriever, an index that holds the questions' items, and a generator; a re-ranker where it has
            one. Its settings and its models' configurations stay as they are.
        questions: with `positive_ids`, some of them without any: these cannot be answered from the index.
        selection_thresholds: candidates for `relevance_threshold`; of no account without a re-ranker.

    Returns:
        The thresholds and what they reach. To keep them with the models, write them into
        `reranker.config.relevance_threshold`, `generator.config.citation_threshold` and `.abstain_threshold`.

    Raises:
        ValueError: when there is no generator, not both questions with and questions without positives, or no positive
            ever becomes evidence.

    Example:
        >>> from rablip import RablipAnswerer
        >>> answerer = RablipAnswerer.from_pretrained("my_model", index="my_index")  # doctest: +SKIP
        >>> fit_thresholds(answerer, my_questions).abstain_threshold  # doctest: +SKIP
        0.31
    """
    if answerer.generator is None:
        raise ValueError("There is no generator, so nothing is cited or withheld. Load a model folder that holds one.")
    num_answerable = sum(bool(question.positive_ids) for question in questions)
    if not 0 < num_answerable < len(questions):
        raise ValueError(
            f"{num_answerable} of {len(questions)} questions have positives. Give some that can be answered and some "
            "that cannot: without both there is nothing to tell apart."
        )
    tried = []
    for threshold in selection_thresholds if answerer.reranker is not None else [None]:
        judged = _judge(answerer, questions, threshold)
        if any(set(shown) & set(question.positive_ids) for shown, question in zip(judged, questions, strict=True)):
            tried.append(_fit(judged, questions, threshold))
    if not tried:
        raise ValueError(
            "Not one positive of a question became evidence under any selection threshold, so there is nothing to fit "
            "on. Check that the index holds the questions' items and that the models are trained."
        )
    best = max(tried, key=lambda fitted: fitted.citation_f + fitted.abstain_f1)
    logger.info("Thresholds tried: %s; taken: %s.", tried, best)
    return best


def _judge(
    answerer: RablipAnswerer, questions: Sequence[QuestionExample], threshold: float | None
) -> list[dict[str, float]]:
    """The generator's relevance of every item that becomes evidence, by id, for each question."""
    # Nothing is withheld and one token is written: only the evidence and its relevance are of interest.
    settings = dataclasses.replace(
        answerer.settings,
        relevance_threshold=threshold,
        citation_threshold=0.0,
        abstain_threshold=0.0,
        check_references=False,
        max_new_tokens=1,
    )
    kept, answerer.settings = answerer.settings, settings
    try:
        answers = answerer.answer_batch(
            [question.question for question in questions], [list(question.images) or None for question in questions]
        )
    finally:
        answerer.settings = kept
    return [{one.id: one.relevance or 0.0 for one in answer.evidence} for answer in answers]


def _fit(
    judged: Sequence[dict[str, float]], questions: Sequence[QuestionExample], threshold: float | None
) -> FittedThresholds:
    relevance: list[float] = []
    needed: list[float] = []
    num_missed = 0
    for shown, question in zip(judged, questions, strict=True):
        relevance += shown.values()
        needed += [float(item in question.positive_ids) for item in shown]
        num_missed += len(set(question.positive_ids) - set(shown))
    citation, citation_f = fit_threshold(
        torch.tensor(relevance), torch.tensor(needed), num_missed=num_missed, beta=_CITATION_BETA
    )
    doubt = torch.tensor([1.0 - max(shown.values(), default=0.0) for shown in judged])
    unanswerable = torch.tensor([float(not question.positive_ids) for question in questions])
    certainty, abstain_f1 = fit_threshold(doubt, unanswerable)
    return FittedThresholds(
        relevance_threshold=threshold,
        citation_threshold=citation,
        abstain_threshold=round(1.0 - certainty, 6),
        citation_f=citation_f,
        abstain_f1=abstain_f1,
        num_questions=len(questions),
    )
