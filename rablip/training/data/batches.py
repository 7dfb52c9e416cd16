"""Training batches as pure functions of (pool, generator): which questions, which candidates, then a collator.

Nothing is kept between calls, so step *i* of a run is a function of the seed and *i* alone, and a resumed run sees
the batches that it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from ...processing.candidate_example import CandidateExample
from ...processing.collators import GeneratorCollator, RerankerCollator, RetrieverCollator
from ...processing.knowledge_rablip import QuestionExample
from .distractors import NoiseMix
from .pools import TrainingPool
from .rows import make_generator_row, make_search_row

T = TypeVar("T")


def draw_rows(rows: Sequence[T], generator: np.random.Generator, count: int) -> list[T]:
    """Different ones of the rows in random order, all of them when there are not so many."""
    return [rows[index] for index in generator.permutation(len(rows))[:count]]


def draw_questions(
    pool: TrainingPool, generator: np.random.Generator, count: int, *, answerable_only: bool = False
) -> list[QuestionExample]:
    """Different questions of a pool in random order."""
    examples = [example for example in pool.examples if example.answerable] if answerable_only else pool.examples
    return draw_rows(examples, generator, count)


def make_retriever_batch(
    pool: TrainingPool,
    generator: np.random.Generator,
    processor: Any,
    *,
    num_questions: int = 64,
    negatives_per_question: int = 1,
    more_rows: Sequence[CandidateExample] = (),
) -> dict[str, torch.Tensor]:
    """Questions, one positive and hard negatives each, for `RablipRetriever`.

    A question that needs two searches is trained on either: on the question itself with the picture that it describes,
    or with that picture's title added and the item that the second search has to find.

    Args:
        pool: where questions and items come from.
        generator: source of randomness.
        processor: a `RablipRetrieverProcessor`.
        num_questions: questions in the batch.
        negatives_per_question: hard negatives added to the batch per question; every other question's items are
            negatives too.
        more_rows: rows added as they are; `pool.features` holds their pictures too.

    Returns:
        Inputs of `RablipRetriever.forward`; `positive_mask` marks every item of the batch that is right for a
        question, so that no right answer is a negative.
    """
    rows = list(more_rows)
    for example in draw_questions(pool, generator, num_questions, answerable_only=True):
        rows.append(
            make_search_row(pool, example, generator, num_candidates=1 + negatives_per_question, max_positives=1)
        )
    collator = RetrieverCollator(
        processor,
        generator=generator,
        **pool.picture_sources,
    )
    return collator(rows)


def make_reranker_batch(
    pool: TrainingPool,
    generator: np.random.Generator,
    processor: Any,
    *,
    num_questions: int = 24,
    candidates_per_question: int = 4,
    more_rows: Sequence[CandidateExample] = (),
) -> dict[str, torch.Tensor]:
    """(question, candidate) pairs with relevance labels, for `RablipReranker`.

    Args:
        pool: where questions and items come from; unanswerable questions give irrelevant candidates only.
        generator: source of randomness.
        processor: a `RablipRetrieverProcessor`.
        num_questions: questions in the batch.
        candidates_per_question: pairs per question; at most half of them relevant.
        more_rows: rows added as they are; `pool.features` holds their pictures too.

    Returns:
        Inputs of `RablipReranker.forward` with `relevance_labels (num_pairs,)`.
    """
    rows = list(more_rows)
    for example in draw_questions(pool, generator, num_questions):
        rows.append(
            make_search_row(
                pool,
                example,
                generator,
                num_candidates=candidates_per_question,
                max_positives=candidates_per_question // 2,
            )
        )
    collator = RerankerCollator(
        processor,
        generator=generator,
        **pool.picture_sources,
    )
    return collator(rows)


def make_generator_batch(
    pool: TrainingPool,
    generator: np.random.Generator,
    processor: Any,
    *,
    num_questions: int = 24,
    max_candidates: int = 4,
    askg: bool = True,
    noise: NoiseMix | None = None,
    more_rows: Sequence[CandidateExample] = (),
) -> dict[str, torch.Tensor]:
    """Questions with 0..K shuffled candidates, answers and relevance, for `RablipForConditionalGeneration`.

    Args:
        pool: where questions and items come from.
        generator: source of randomness.
        processor: a `RablipProcessor`.
        num_questions: questions in the batch.
        max_candidates: most candidates per question.
        askg: add the second pass, which lists the relevant references.
        noise: distractors by kind in place of the usual negatives; the pool must have them (`find_distractors`).
        more_rows: rows added as they are; `pool.features` holds their pictures too.

    Returns:
        Inputs of `RablipForConditionalGeneration.forward`; a question whose candidates cannot answer it has no answer
        to learn, only the relevance of what is shown.
    """
    rows = list(more_rows)
    for example in draw_questions(pool, generator, num_questions):
        rows.append(
            make_generator_row(
                pool,
                example,
                generator,
                max_candidates=max_candidates,
                max_pictures=processor.max_images,
                noise=noise,
            )
        )
    collator = GeneratorCollator(
        processor,
        generator=generator,
        askg=askg,
        **pool.picture_sources,
    )
    return collator(rows)


__all__ = ["draw_questions", "draw_rows", "make_generator_batch", "make_reranker_batch", "make_retriever_batch"]
