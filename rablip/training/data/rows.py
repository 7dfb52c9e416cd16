"""Training rows: one question with the candidates that a step shows for it, as pure functions and as a dataset.

A row is a function of the pool, the question and a random generator. `QuestionRows` makes a dataset of them: row *i*
of epoch *e* is a function of the seed, *e* and *i* alone, so that a resumed run sees the rows it would have seen, and
two processes see together what one would.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch

from ...processing.candidate_example import CandidateExample
from ...processing.knowledge_rablip import Modality, QuestionExample
from .candidates import (
    NegativeStrategy,
    choose_distinct,
    choose_negatives,
    sample_candidates,
    sample_noisy_candidates,
)
from .distractors import NoiseMix
from .pools import TrainingPool

MakeRow = Callable[[TrainingPool, QuestionExample, np.random.Generator], CandidateExample]


def make_search_row(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    *,
    num_candidates: int,
    max_positives: int,
    strategy: NegativeStrategy = "mixed",
) -> CandidateExample:
    """One of the searches that a question needs, with some of its positives and negatives.

    Args:
        pool: where the question comes from.
        example: the question.
        generator: source of randomness.
        num_candidates: how many candidates there are in all.
        max_positives: most right ones among them; the rest are negatives.
        strategy: how negatives are chosen (`choose_negatives`).

    Returns:
        The row; its question is the one of the chosen search.
    """
    hop = int(generator.integers(len(example.hops)))
    positives = choose_distinct(generator, example.hops[hop], max_positives)
    negatives = choose_negatives(pool, example, generator, num_candidates - len(positives), hop=hop, strategy=strategy)
    return CandidateExample(
        question=dataclasses.replace(example, question=pool.ask(example, hop), positive_ids=tuple(example.hops[hop])),
        candidates=tuple(pool.items[item] for item in (*positives, *negatives)),
        relevance=(1.0,) * len(positives) + (0.0,) * len(negatives),
    )


def make_generator_row(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    *,
    max_candidates: int,
    max_pictures: int,
    noise: NoiseMix | None = None,
) -> CandidateExample:
    """A question with 0 to K candidates in random order, its answer where they hold it, and their relevance.

    Args:
        pool: where the question comes from.
        example: the question.
        generator: source of randomness.
        max_candidates: most candidates.
        max_pictures: most pictures, the question's own included.
        noise: distractors by kind instead of the pool's usual negatives (`sample_noisy_candidates`).

    Returns:
        The row; without an answer where the candidates cannot give it.
    """
    if noise is None:
        shown = sample_candidates(pool, example, generator, max_candidates=max_candidates, max_pictures=max_pictures)
    else:
        shown = sample_noisy_candidates(
            pool, example, generator, noise, max_candidates=max_candidates, max_pictures=max_pictures
        )
    return CandidateExample(
        question=example,
        candidates=shown.items,
        relevance=shown.relevance,
        answer=choose_distinct(generator, example.answers, 1)[0] if shown.answerable and example.answers else None,
    )


class QuestionRows(torch.utils.data.Dataset):
    """A pool's questions as a map-style dataset for `Trainer`: `CandidateExample`s, drawn anew every epoch.

    The order of an epoch is the dataset's own (`train_sampling_strategy="sequential"` keeps it), shuffled by the seed
    and the epoch. `Trainer` and accelerate call `set_epoch`; worker processes see it too.

    Args:
        pool: where questions and items come from.
        make_row: makes one row (`functools.partial` of `make_search_row` or `make_generator_row`).
        seed: seed of order and rows.
        answerable_only: leave out questions without an answer, as the retriever needs.
        balance_modalities: show questions with evidence of each modality equally often; an epoch keeps its length.
        shuffle: False keeps the order of the pool, as evaluation wants it, and epochs alike.
        check: called once with the pool and every question, so that one that makes no row is named before training
            (`functools.partial` of `check_room`).

    Raises:
        ValueError: no question is left, or `check` raises it.

    Example (with a pool and a processor):
        `QuestionRows(pool, partial(make_search_row, num_candidates=3, max_positives=1), seed=0)[0].relevance`
    """

    def __init__(
        self,
        pool: TrainingPool,
        make_row: MakeRow,
        *,
        seed: int,
        answerable_only: bool = False,
        balance_modalities: bool = False,
        shuffle: bool = True,
        check: Callable[[TrainingPool, QuestionExample], object] | None = None,
    ) -> None:
        self.pool = pool
        self.make_row = make_row
        self.seed = seed
        self.balance_modalities = balance_modalities
        self.shuffle = shuffle
        self.examples = [
            example for example in pool.examples if not answerable_only or (example.answerable and any(example.hops))
        ]
        if not self.examples:
            raise ValueError(
                f"None of the {len(pool.examples)} questions can be trained on: give questions with `answers` and "
                "`positive_ids`."
            )
        if check is not None:
            for example in self.examples:
                check(pool, example)
        # Shared memory, so that workers that outlive an epoch see the next one.
        self._epoch = torch.zeros((), dtype=torch.long).share_memory_()
        self._ordered: tuple[int, list[int]] | None = None

    def __len__(self) -> int:
        return len(self.examples)

    def set_epoch(self, epoch: int) -> None:
        """Rows and order are those of this epoch from now on."""
        self._epoch.fill_(epoch)

    def __getitem__(self, index: int) -> CandidateExample:
        epoch = int(self._epoch) if self.shuffle else 0
        if self._ordered is None or self._ordered[0] != epoch:
            self._ordered = (epoch, self._order(epoch))
        place = self._ordered[1][index]
        return self.make_row(self.pool, self.examples[place], np.random.default_rng([self.seed, epoch, index]))

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(len(self.examples)))
        generator = np.random.default_rng([self.seed, epoch])
        if not self.balance_modalities:
            return generator.permutation(len(self.examples)).tolist()
        groups = self.group_by_modality()
        order: list[int] = []
        rounds = [np.array([], dtype=int) for _ in groups]
        while len(order) < len(self.examples):
            for number, places in enumerate(groups.values()):
                if not len(rounds[number]):
                    # Every question of a modality is shown once before any is shown again.
                    rounds[number] = generator.permutation(places)
                order.append(int(rounds[number][-1]))
                rounds[number] = rounds[number][:-1]
        return order[: len(self.examples)]

    def group_by_modality(self) -> dict[Modality, Sequence[int]]:
        """Places of the questions by the modality of the item that holds the answer (of the last search)."""
        groups: dict[Modality, list[int]] = {}
        for place, example in enumerate(self.examples):
            right = example.hops[-1]
            modality = self.pool.items[right[0]].modality if right else Modality.TEXT
            groups.setdefault(modality, []).append(place)
        return {modality: groups[modality] for modality in sorted(groups, key=lambda modality: modality.value)}


__all__ = ["MakeRow", "QuestionRows", "make_generator_row", "make_search_row"]
