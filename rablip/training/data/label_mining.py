"""Relevance without human labels: evidence that turns a wrong answer of the generator into a right one is relevant.

As in SURf (arXiv 2409.14083): a question is answered with nothing shown and with each candidate alone. A candidate
that turns wrong into right helps; one after which the answer is wrong does not; where the answer is right both ways,
nothing can be said. Questions that no single candidate answers are tried with pairs, since some need two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from tqdm.auto import tqdm

from ...processing.knowledge_rablip import KnowledgeItem, QuestionExample
from .pools import TrainingPool

IsRight = Callable[[str, QuestionExample], bool]


@dataclasses.dataclass(frozen=True)
class MinedLabels:
    """What could be said of the candidates of each question.

    Args:
        relevant: ids that turn a wrong answer into a right one, by question id.
        needed: those of them that one right answer was written from, by question id: the best single one, else the
            first pair. The others are as good, so a training row needs not show them.
        irrelevant: ids with which the answer is wrong, by question id.
        known: ids of the questions that are answered right with nothing shown, of which nothing is said.
    """

    relevant: Mapping[str, tuple[str, ...]]
    needed: Mapping[str, tuple[str, ...]]
    irrelevant: Mapping[str, tuple[str, ...]]
    known: frozenset[str]

    def measure(self, pool: TrainingPool) -> dict[str, float]:
        """Precision and recall of `relevant` against the positives of a pool that has them."""
        found = right = wanted = 0
        for example in pool.examples:
            gold = set(example.positive_ids)
            mined = set(self.relevant.get(example.id, ()))
            if not example.answerable:
                continue
            found, right, wanted = found + len(mined), right + len(mined & gold), wanted + len(gold)
        return {
            "precision": right / max(found, 1),
            "recall": right / max(wanted, 1),
            "num_labelled_questions": float(sum(bool(ids) for ids in self.relevant.values())),
        }


def same_answer(text: str, example: QuestionExample) -> bool:
    """Whether a generated text is one of the answers, whatever its case, white space and final stop.

    Example:
        >>> same_answer("Red.", QuestionExample(id="q", question="What color?", answers=("red",)))
        True
    """
    return _plain(text) in {_plain(answer) for answer in example.answers}


def mine_labels(
    generator_model: Any,
    processor: Any,
    pool: TrainingPool,
    *,
    followups: Mapping[str, Sequence[str]] | None = None,
    is_right: IsRight = same_answer,
    num_candidates: int = 10,
    num_paired: int = 5,
    batch_size: int = 64,
    max_new_tokens: int = 16,
    progress: bool = True,
) -> MinedLabels:
    """Label the retrieved candidates of every question with answers by what the generator makes of them.

    Args:
        generator_model: a `RablipForConditionalGeneration`; used in evaluation mode and put back as it was.
        processor: its processor.
        pool: questions with answers, and what their first search found in `pool.mined`; positives are not looked at,
            and neither are searches that need them.
        followups: what a second search found, by question id (`retrieve_followups`).
        is_right: whether a generated text answers a question.
        num_candidates: candidates tried per search.
        num_paired: of how many of them all pairs are tried where no single one helps; 0 for none.
        batch_size: prompts at a time.
        max_new_tokens: longest answer.
        progress: whether a bar is shown.

    Returns:
        [`MinedLabels`].

    Raises:
        ValueError: a question has no retrieved candidates.
    """
    examples = [example for example in pool.examples if example.answerable]
    without = next((example.id for example in examples if (example.id, 0) not in pool.mined), None)
    if without is not None:
        raise ValueError(f"Question {without!r} has no retrieved candidates. Call `mine_candidates` first.")
    answer = _Answering(generator_model, processor, pool, is_right, batch_size, max_new_tokens, progress)
    closed_book = answer.try_all([(example, ()) for example in examples], "nothing shown")
    known = {example.id for example, right in zip(examples, closed_book, strict=True) if right}
    asked = [example for example in examples if example.id not in known]
    candidates = {
        example.id: _take_turns([pool.mined[example.id, 0], (followups or {}).get(example.id, ())], num_candidates)
        for example in asked
    }

    singles = [(example, (item,)) for example in asked for item in candidates[example.id]]
    relevant: dict[str, list[str]] = {example.id: [] for example in asked}
    needed: dict[str, tuple[str, ...]] = {}
    for (example, (item,)), right in zip(singles, answer.try_all(singles, "one candidate"), strict=True):
        if right:
            relevant[example.id].append(item)
            needed.setdefault(example.id, (item,))
    pairs = [
        (example, pair)
        for example in asked
        if not relevant[example.id]
        for pair in combinations(candidates[example.id][:num_paired], 2)
    ]
    for (example, pair), right in zip(pairs, answer.try_all(pairs, "two candidates"), strict=True):
        if right:
            relevant[example.id] += [item for item in pair if item not in relevant[example.id]]
            needed.setdefault(example.id, pair)
    return MinedLabels(
        relevant={key: tuple(ids) for key, ids in relevant.items() if ids},
        needed=needed,
        irrelevant={key: tuple(item for item in ids if item not in relevant[key]) for key, ids in candidates.items()},
        known=frozenset(known),
    )


def apply_labels(pool: TrainingPool, labels: MinedLabels) -> TrainingPool:
    """The pool with mined labels in the place of its own: questions of which nothing is known are left out.

    Args:
        pool: the pool whose candidates were labelled.
        labels: of `mine_labels`.

    Returns:
        A pool whose answerable questions have the mined positives and negatives, in one search for those that are
        needed (the other relevant ones are neither shown with them nor taken for wrong); unanswerable questions stay,
        since an answer that is not there needs no label. It has no distractors: those found for other positives may be
        relevant now, so call `find_distractors` on it.
    """
    examples = []
    for example in pool.examples:
        relevant = labels.relevant.get(example.id, ())
        if example.answerable and not relevant:
            continue
        metadata = {name: value for name, value in example.metadata.items() if name != "hops"}
        if relevant:
            metadata["hops"] = [list(labels.needed[example.id])]
        examples.append(
            dataclasses.replace(
                example,
                positive_ids=relevant,
                negative_ids=labels.irrelevant.get(example.id, ()),
                metadata=metadata,
            )
        )
    kept = {example.id for example in examples}
    return dataclasses.replace(
        pool,
        examples=examples,
        mined={key: ids for key, ids in pool.mined.items() if key[0] in kept and key[1] == 0},
        distractors={},
    )


def _take_turns(searches: Sequence[Sequence[str]], num_candidates: int) -> list[str]:
    """The best of every search in turn, each once."""
    best = [ids[:num_candidates] for ids in searches]
    return list(dict.fromkeys(ids[place] for place in range(num_candidates) for ids in best if place < len(ids)))


class _Answering:
    """Answers questions from given items, batch by batch, and says which answers are right."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        pool: TrainingPool,
        is_right: IsRight,
        batch_size: int,
        max_new_tokens: int,
        progress: bool,
    ) -> None:
        self._model, self._processor, self._pool = model, processor, pool
        self._is_right, self._batch_size, self._max_new_tokens = is_right, batch_size, max_new_tokens
        self._progress = progress

    @torch.no_grad()
    def try_all(self, tries: Sequence[tuple[QuestionExample, Sequence[str]]], what: str) -> list[bool]:
        was_training = self._model.training
        self._model.eval()
        right: list[bool] = []
        starts = range(0, len(tries), self._batch_size)
        for start in tqdm(starts, desc=what, disable=None if self._progress else True):
            batch = tries[start : start + self._batch_size]
            items = [[self._pool.items[item] for item in shown] for _, shown in batch]
            texts = generate_texts(
                self._model,
                self._processor,
                self._pool,
                [example for example, _ in batch],
                items,
                max_new_tokens=self._max_new_tokens,
            )
            right += [self._is_right(text, example) for text, (example, _) in zip(texts, batch, strict=True)]
        self._model.train(was_training)
        return right


@torch.no_grad()
def generate_texts(
    generator_model: Any,
    processor: Any,
    pool: TrainingPool,
    examples: Sequence[QuestionExample],
    evidence: Sequence[Sequence[KnowledgeItem]],
    **generate_kwargs: Any,
) -> list[str]:
    """Answers of one batch of questions from given evidence, all of it shown.

    Args:
        generator_model: a `RablipForConditionalGeneration`.
        processor: its processor.
        pool: gives pictures or their features.
        examples: the questions.
        evidence: items per question, in the order shown.
        generate_kwargs: of `generate`.

    Returns:
        One text per question.
    """
    batch = processor.process_generation(
        [example.question for example in examples],
        evidence,
        [[pool.show_item(item) for item in items] for items in evidence],
        question_images=[pool.show_question(example) for example in examples],
    )
    ids = generator_model.generate(**batch.to(generator_model.device), **generate_kwargs)
    return processor.decode_answers(ids)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".").rstrip()


__all__ = ["IsRight", "MinedLabels", "apply_labels", "generate_texts", "mine_labels", "same_answer"]
