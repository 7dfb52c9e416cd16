"""Training batches as pure functions of (pool, generator): which questions, which candidates, then a collator.

Nothing is kept between calls, so step *i* of a run is a function of the seed and *i* alone, and a resumed run sees
the batches that it would have seen.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..processing.collators import CandidateExample, GeneratorCollator, RerankerCollator, RetrieverCollator
from ..processing.knowledge_rablip import KnowledgeItem, QuestionExample
from .candidates import choose_distinct, sample_candidates, sample_negatives
from .pools import TrainingPool


def draw_questions(
    pool: TrainingPool, generator: np.random.Generator, count: int, *, answerable_only: bool = False
) -> list[QuestionExample]:
    """Different questions of a pool in random order."""
    examples = [example for example in pool.examples if example.answerable] if answerable_only else pool.examples
    return [examples[index] for index in generator.permutation(len(examples))[:count]]


def make_retriever_batch(
    pool: TrainingPool,
    generator: np.random.Generator,
    processor: Any,
    *,
    num_questions: int = 64,
    negatives_per_question: int = 1,
    descriptions: Sequence[tuple[QuestionExample, KnowledgeItem]] = (),
) -> dict[str, torch.Tensor]:
    """Questions, one positive and hard negatives each, and described pictures, for `RablipRetriever`.

    A question that needs two searches is trained on either: on the question itself with the picture that it describes,
    or with that picture's title added and the item that the second search has to find.

    Args:
        pool: where questions and items come from.
        generator: source of randomness.
        processor: a `RablipRetrieverProcessor`.
        num_questions: questions in the batch.
        negatives_per_question: hard negatives added to the batch per question; every other question's items are
            negatives too.
        descriptions: questions that describe a picture fully, each with that bare picture; added to the batch.

    Returns:
        Inputs of `RablipRetriever.forward`; `positive_mask` marks every item of the batch that is right for a
        question, so that no right answer is a negative.
    """
    rows = [
        CandidateExample(question=question, candidates=(item,), relevance=(1.0,)) for question, item in descriptions
    ]
    for example in draw_questions(pool, generator, num_questions, answerable_only=True):
        hop = int(generator.integers(len(pool.hops(example))))
        positive = choose_distinct(generator, pool.hops(example)[hop], 1)
        negatives = sample_negatives(pool, example, generator, negatives_per_question, hop=hop)
        rows.append(_label(pool, example, hop, positive, negatives))
    collator = RetrieverCollator(
        processor, generator=generator, features=pool.stack_features, question_features=pool.stack_features
    )
    return collator(rows)


def make_reranker_batch(
    pool: TrainingPool,
    generator: np.random.Generator,
    processor: Any,
    *,
    num_questions: int = 24,
    candidates_per_question: int = 4,
) -> dict[str, torch.Tensor]:
    """(question, candidate) pairs with relevance labels, for `RablipReranker`.

    Args:
        pool: where questions and items come from; unanswerable questions give irrelevant candidates only.
        generator: source of randomness.
        processor: a `RablipRetrieverProcessor`.
        num_questions: questions in the batch.
        candidates_per_question: pairs per question; at most half of them relevant.

    Returns:
        Inputs of `RablipReranker.forward` with `relevance_labels (num_pairs,)`.
    """
    rows = []
    for example in draw_questions(pool, generator, num_questions):
        hops = pool.hops(example)
        hop = int(generator.integers(len(hops)))
        positives = choose_distinct(generator, hops[hop], candidates_per_question // 2)
        count = candidates_per_question - len(positives)
        negatives = sample_negatives(pool, example, generator, count, hop=hop)
        rows.append(_label(pool, example, hop, positives, negatives))
    collator = RerankerCollator(
        processor, generator=generator, features=pool.stack_features, question_features=pool.stack_features
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
) -> dict[str, torch.Tensor]:
    """Questions with 0..K shuffled candidates, answers and relevance, for `RablipForConditionalGeneration`.

    Args:
        pool: where questions and items come from.
        generator: source of randomness.
        processor: a `RablipProcessor`.
        num_questions: questions in the batch.
        max_candidates: most candidates per question.
        askg: add the second pass, which lists the relevant references.

    Returns:
        Inputs of `RablipForConditionalGeneration.forward`; a question whose candidates cannot answer it has no answer
        to learn, only the relevance of what is shown.
    """
    rows = []
    for example in draw_questions(pool, generator, num_questions):
        shown = sample_candidates(
            pool, example, generator, max_candidates=max_candidates, max_pictures=processor.max_images
        )
        rows.append(
            CandidateExample(
                question=example,
                candidates=tuple(pool.items[item] for item in shown.ids),
                relevance=shown.relevance,
                answer=choose_distinct(generator, example.answers, 1)[0] if shown.answerable else None,
            )
        )
    collator = GeneratorCollator(
        processor,
        generator=generator,
        askg=askg,
        features=pool.stack_features,
        question_features=pool.stack_features,
    )
    return collator(rows)


def _label(
    pool: TrainingPool, example: QuestionExample, hop: int, positives: Sequence[str], negatives: Sequence[str]
) -> CandidateExample:
    question = dataclasses.replace(
        example, question=pool.ask(example, hop), positive_ids=tuple(pool.hops(example)[hop])
    )
    return CandidateExample(
        question=question,
        candidates=tuple(pool.items[item] for item in (*positives, *negatives)),
        relevance=(1.0,) * len(positives) + (0.0,) * len(negatives),
    )


__all__ = ["draw_questions", "make_generator_batch", "make_reranker_batch", "make_retriever_batch"]
