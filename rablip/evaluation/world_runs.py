"""The runs behind an evaluation: one set of models over the true items, over withheld and over shuffled pictures."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from tqdm.auto import tqdm

from ..indexing import index_knowledge
from ..processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .answerers import answer_over
from .baselines import Bm25Ranker, RandomRanker, Ranker, TfidfRanker
from .controls import shuffle_pictures, shuffle_question_pictures, withhold_pictures
from .memory_items import MemoryItems
from .two_hops import SearchFunction, rank_in_hops
from .world_scoring import Outcome, accuracy_figures, gold_pairs, kind_of, recall_figures

if TYPE_CHECKING:
    from ..answering import Answer, RablipAnswerer
    from ..knowledge_base import KnowledgeBase
    from ..world import World

__all__ = ["CUTOFF", "WorldRun"]

CUTOFF = 5
_MIN_DEPTH = 10

Images = Sequence["list[ImageRef] | None"]


class WorldRun:
    """The state of one evaluation: the world, an answerer over its items, and what took how long.

    Args:
        world: items and questions.
        answerer: its models and settings are used, its index and knowledge base are not.
        batch_size: rows that a model gets at once.
        seed: of everything that is drawn.
        progress: show progress bars on standard error.
    """

    def __init__(self, world: World, answerer: RablipAnswerer, *, batch_size: int, seed: int, progress: bool) -> None:
        self.items: list[KnowledgeItem] = list(world.items)
        self.by_id = {item.id: item for item in self.items}
        self.questions: list[QuestionExample] = list(world.questions)
        self.answerable = [place for place, question in enumerate(self.questions) if question.answerable]
        self.images: list[list[ImageRef] | None] = [list(question.images) or None for question in self.questions]
        self.models = answerer
        self.batch_size = batch_size
        self.settings = dataclasses.replace(answerer.settings, batch_size=batch_size)
        self.depth = max(self.settings.num_candidates, _MIN_DEPTH, CUTOFF)
        self.seed = seed
        self.progress = progress
        self.seconds: dict[str, float] = {}
        with self._timed("encode"):
            self.answerer = self._over(self.items, self.items)

    def retrieval_figures(self) -> dict[str, Any]:
        """`{"retriever": ..., "baselines": ...}`."""
        pairs = gold_pairs(self.questions, self.by_id)

        def figures(first: SearchFunction, second: SearchFunction | None = None) -> dict[str, Any]:
            return {f"recall@{CUTOFF}": recall_figures(pairs, rank_in_hops(self.questions, self.by_id, first, second))}

        with self._timed("retriever"):
            again = self._dense(self.answerer, self.images if self.settings.second_hop_images else None)
            retriever = figures(self._dense(self.answerer, self.images), again)
        baselines: dict[str, Any] = {}
        with self._timed("baselines"):
            rankers: dict[str, Ranker] = {
                "random": RandomRanker(list(self.by_id), seed=self.seed),
                "bm25": Bm25Ranker(self.items, seed=self.seed),
                "tfidf": TfidfRanker(self.items, seed=self.seed),
            }
            for name, ranker in rankers.items():
                baselines[name] = figures(self._lexical(ranker))
            words = withhold_pictures(self.items)
            baselines["text_only"] = figures(self._dense(self._over(words, words), None))
        return {"retriever": retriever, "baselines": baselines}

    def retrieved(self, num_reference_checks: int) -> list[Outcome]:
        """The whole path over all questions; a seeded sample is asked for written references as well."""
        places = np.random.default_rng(self.seed).permutation(len(self.questions)).tolist()
        outcomes: dict[int, Outcome] = {}
        with self._timed("retrieved"):
            for part, check in ((places[:num_reference_checks], True), (places[num_reference_checks:], False)):
                settings = dataclasses.replace(self.settings, check_references=check)
                asked = answer_over(
                    self.answerer, self.answerer.index, self.answerer.knowledge_base, settings=settings
                )
                answered = self._answer(asked, part, self.images, "retrieved")
                outcomes.update(zip(part, answered, strict=True))
        return [outcomes[place] for place in range(len(self.questions))]

    def oracle(self) -> list[Outcome]:
        """Answers of the answerable questions from their gold items."""
        rng = np.random.default_rng([self.seed, 1])
        evidence = {
            place: [self.by_id[self.questions[place].positive_ids[i]] for i in order]
            for place in self.answerable
            for order in [rng.permutation(len(self.questions[place].positive_ids))]
        }
        with self._timed("oracle"):
            return self._generate(evidence, "oracle", force=False)

    def closed_book(self) -> list[Outcome]:
        """Answers of the answerable questions without any evidence."""
        with self._timed("closed_book"):
            return self._generate({place: [] for place in self.answerable}, "closed book", force=True)

    def shuffled_pictures(self) -> list[Outcome]:
        """Answers of the answerable questions where no picture is the right one."""
        with self._timed("shuffled_pictures"):
            indexed, shown, images = self.deal_pictures()
            return self._answer(self._over(indexed, shown), self.answerable, images, "shuffled pictures")

    def deal_pictures(self) -> tuple[list[KnowledgeItem], list[KnowledgeItem], list[list[ImageRef] | None]]:
        """Items for the index, items to show, and pictures of the questions: three permutations, none like another.

        Raises:
            ValueError: when the world has too few pictures for that.
        """
        try:
            indexed = shuffle_pictures(self.items, seed=self.seed + 101)
            shown = shuffle_pictures(self.items, seed=self.seed + 202)
            return indexed, shown, shuffle_question_pictures(self.questions, seed=self.seed + 303)
        except ValueError as error:
            raise ValueError(
                f"This world of {len(self.items)} items is too small for the shuffled pictures: {error} Give "
                "it more entities, or leave the condition 'shuffled_pictures' out."
            ) from error

    def accuracy(self, answers: Sequence[str | None]) -> dict[str, Any]:
        """Accuracy figures of the answerable questions."""
        return accuracy_figures([self.questions[place] for place in self.answerable], answers)

    def described(self) -> dict[str, Any]:
        """What this run adds to the description: counts, seed and seconds."""
        kinds = Counter(kind_of(question) for question in self.questions)
        return {
            "num_items": len(self.items),
            "num_questions": len(self.questions),
            "questions_by_kind": dict(sorted(kinds.items())),
            "evaluation_seed": self.seed,
            "settings": {"num_candidates": self.settings.num_candidates, "max_evidence": self.settings.max_evidence},
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }

    def _over(self, indexed: Sequence[KnowledgeItem], shown: Sequence[KnowledgeItem]) -> RablipAnswerer:
        """The same models over an index of some items, showing others of the same ids."""
        parts = self.models
        if parts.retriever is None or parts.retriever_processor is None:
            raise ValueError("The answerer has no retriever to evaluate. Load a model folder that holds one.")
        index = index_knowledge(
            parts.retriever,
            parts.retriever_processor,
            cast("KnowledgeBase", MemoryItems(indexed)),
            model_id="evaluation",
            model_fingerprint="in memory",
            batch_size=self.batch_size,
            progress=self.progress,
        )
        return answer_over(parts, index, cast("KnowledgeBase", MemoryItems(shown)), settings=self.settings)

    def _dense(self, answerer: RablipAnswerer, images: Images | None) -> SearchFunction:
        def search(questions: Sequence[str], places: Sequence[int]) -> list[list[str]]:
            pictures = None if images is None else [images[place] for place in places]
            found = answerer.retrieve(questions, pictures, k=self.depth)
            return [[candidate.id for candidate in row] for row in found]

        return search

    def _lexical(self, ranker: Ranker) -> SearchFunction:
        return lambda questions, places: ranker.rank(questions, self.depth)

    def _answer(self, answerer: RablipAnswerer, places: Sequence[int], images: Images, label: str) -> list[Outcome]:
        def run(part: list[int]) -> list[Answer]:
            return answerer.answer_batch(
                [self.questions[place].question for place in part], [images[place] for place in part]
            )

        return self._in_batches(places, run, label)

    def _generate(self, evidence: dict[int, list[KnowledgeItem]], label: str, *, force: bool) -> list[Outcome]:
        def run(part: list[int]) -> list[Answer]:
            return self.answerer.generate(
                [self.questions[place].question for place in part],
                [evidence[place] for place in part],
                [self.images[place] for place in part],
                force=force,
            )

        return self._in_batches(list(evidence), run, label)

    def _in_batches(
        self, places: Sequence[int], run: Callable[[list[int]], list[Answer]], label: str
    ) -> list[Outcome]:
        # Questions of like length, with or without pictures, go together: less padding, the same answers.
        order = sorted(
            places, key=lambda place: (bool(self.images[place]), len(self.questions[place].question), place)
        )
        outcomes: dict[int, Outcome] = {}
        with tqdm(total=len(order), desc=label, unit="question", disable=None if self.progress else True) as bar:
            for start in range(0, len(order), self.batch_size):
                part = order[start : start + self.batch_size]
                outcomes.update(zip(part, map(_outcome, run(part)), strict=True))
                bar.update(len(part))
        return [outcomes[place] for place in places]

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def _outcome(answer: Answer) -> Outcome:
    return Outcome(
        text=None if answer.abstained else answer.text,
        citations=answer.citations,
        num_evidence=len(answer.evidence),
        disagreements=answer.reference_disagreements,
    )
