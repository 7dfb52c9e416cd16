"""A sample of a run's questions for the page: what was asked, found, shown, cited and answered, with pictures."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from PIL import Image

from ...answering import AbstainReason, Answer, Candidate
from ...answering.types import EvidenceRelevance
from ...knowledge_base import KnowledgeBase
from ...metrics import MetricResult
from ...processing.images_rablip import ImageError, load_image
from ...processing.knowledge_rablip import QuestionExample
from ...reports import PageEntry
from .prediction import JudgedItem, Prediction
from .run import BenchmarkRun

__all__ = ["NUM_ENTRIES", "choose_entries", "judge_answer", "make_entry"]

logger = logging.getLogger(__name__)

NUM_ENTRIES = 200
_NUM_PICTURES = 6
# A perfect F1 with the official epsilon is 0.999995.
_RIGHT = 0.9999


def choose_entries(run: BenchmarkRun, main: MetricResult | None, *, seed: int) -> list[PageEntry]:
    """Entries of a sample of the questions, drawn by seed, in the order of the benchmark.

    Args:
        run: a finished run.
        main: the metric whose values say what is right; None where nothing was scored.
        seed: of the sample.
    """
    predictions = run.predictions["plain"]
    drawn = np.random.default_rng(seed).permutation(len(run.questions))[:NUM_ENTRIES]
    return [make_entry(run, run.questions[place], predictions[place], main) for place in sorted(drawn.tolist())]


def make_entry(run: BenchmarkRun, question: QuestionExample, made: Prediction, main: MetricResult | None) -> PageEntry:
    """One question of a run on the page.

    Args:
        run: with the knowledge base.
        question: the question.
        made: what was predicted.
        main: as of `choose_entries`.
    """
    base = run.knowledge_base
    shown = {one.id for one in made.evidence}
    items = [*made.candidates, *(one for one in made.evidence if one.id not in {two.id for two in made.candidates})]
    candidates = tuple(_to_candidate(one, base) for one in items if base is not None and one.id in base)
    known = {one.id for one in candidates}
    evidence = tuple(
        EvidenceRelevance(
            id=one.id,
            relevance=one.relevance,
            rerank_relevance=one.rerank_relevance,
            score=one.score,
            hop=one.hop,
            picture_shown=_has_picture(base, one.id),
        )
        for one in made.evidence
        if one.id in known
    )
    answer = Answer(
        question=question.question,
        text=made.text,
        citations=tuple(name for name in made.citations if name in known),
        abstained=made.abstained,
        reason=AbstainReason(made.reason) if made.reason else None,
        evidence=evidence,
        candidates=candidates,
        truncated=made.truncated,
    )
    score, correct = judge_answer(question.id, main)
    hidden = bool(question.metadata.get("hidden_labels"))
    names = {one.name: one.id for one in items}
    return PageEntry(
        answer=answer,
        kind=question.category,
        expected=None if hidden else question.answers,
        question_images=_open_question_pictures(run, question),
        pictures=_open_pictures(base, [one.id for one in candidates], shown),
        question_id=question.id,
        gold_ids=tuple(names.get(name, name) for name in question.positive_ids) or None,
        score=score,
        correct=correct,
    )


def judge_answer(question_id: str, main: MetricResult | None) -> tuple[float | None, bool | None]:
    """How right an answer is, from 0 to 1, and whether it is right or wrong; None where the main metric does not say.

    Args:
        question_id: of the question.
        main: the metric.

    Example:
        >>> perfect = MetricResult(metric="f1", variant="official", value=0.999995, values={"q1": 0.999995})
        >>> judge_answer("q1", perfect), judge_answer("q2", perfect)
        ((1.0, True), (None, None))
    """
    if main is None or question_id not in main.values:
        return None, None
    score = min(max(main.values[question_id] / main.scale, 0.0), 1.0)
    score = 1.0 if score >= _RIGHT else score
    return score, score == 1.0 if score in (0.0, 1.0) else None


def _to_candidate(one: JudgedItem, base: KnowledgeBase) -> Candidate:
    return Candidate(base[one.id], one.score, rerank_relevance=one.rerank_relevance, hop=one.hop)


def _has_picture(base: KnowledgeBase | None, item_id: str) -> bool:
    return base is not None and item_id in base and base[item_id].image is not None


def _open_question_pictures(run: BenchmarkRun, question: QuestionExample) -> tuple[Image.Image, ...]:
    opened = []
    for image in question.images:
        try:
            opened.append(load_image(image, root=run.benchmark.root))
        except ImageError as error:  # it is told on the page and in the prediction
            logger.warning("A picture of question %s is left out of the page: %s", question.id, error)
    return tuple(opened)


def _open_pictures(base: KnowledgeBase | None, ids: Sequence[str], shown: set[str]) -> dict[str, Image.Image]:
    """Pictures of what was shown to the generator, and of the first others."""
    opened: dict[str, Image.Image] = {}
    for item_id in sorted(ids, key=lambda name: name not in shown):
        if base is None or len(opened) >= max(_NUM_PICTURES, len(shown)):
            break
        try:
            picture = base.open_image(item_id)
        except ImageError as error:
            logger.warning("The picture of item %s is left out of the page: %s", item_id, error)
            continue
        if picture is not None:
            opened[item_id] = picture
    return opened
