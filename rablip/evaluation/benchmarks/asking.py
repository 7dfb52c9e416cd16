"""Asking a system the questions of a benchmark in one condition: from question examples to predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...processing.benchmarks.benchmark import NameItem, WordQuestion
from ...processing.images_rablip import ImageError, load_image
from ...processing.knowledge_rablip import KnowledgeItem, QuestionExample
from .conditions import Condition, dilute_candidates
from .prediction import Prediction

if TYPE_CHECKING:
    from PIL import Image

    from ...answering import Candidate, RablipAnswerer

__all__ = ["QuestionAsker"]

DEFAULT_DEPTH = 100


class QuestionAsker:
    """Asks an answerer, question by question, as one condition of a run says.

    A question whose picture does not open, that has more pictures than the models take, or whose right items are to
    be shown and are not there, is not asked: its prediction has the cause in `problem` and no answer, so that it
    counts as wrong and is seen.

    Args:
        answerer: with an index.
        root: the folder that picture paths of the questions are relative to.
        among_own: whether a question is answered from its own candidates alone (the distractor setting); candidates
            that the index does not hold are left out and counted in `num_unknown`.
        condition: what is changed.
        depth: how many items of the retriever's ranking are kept.
        name_item, word_question: as of `Benchmark`.
        seed: of everything that is drawn.

    Raises:
        ValueError: when the answerer has no index.
    """

    def __init__(
        self,
        answerer: RablipAnswerer,
        *,
        root: Path,
        among_own: bool,
        condition: Condition,
        depth: int = DEFAULT_DEPTH,
        name_item: NameItem | None = None,
        word_question: WordQuestion | None = None,
        seed: int = 0,
    ) -> None:
        if answerer.index is None or answerer.knowledge_base is None:
            raise ValueError("The answerer has no index to search. Load one: from_pretrained(model, index=folder).")
        if depth < 1:
            raise ValueError(f"depth must be at least 1, got {depth}.")
        self.answerer = answerer
        self.knowledge_base = answerer.knowledge_base
        self.root = root
        self.among_own = among_own
        self.condition = condition
        self.depth = depth
        self.name_item = name_item
        self.word_question = word_question
        self.seed = seed
        self._all_ids: list[str] | None = None

    def __call__(self, questions: Sequence[QuestionExample]) -> list[Prediction]:
        """The predictions of some questions, in order."""
        predictions: dict[str, Prediction] = {}
        asked: list[QuestionExample] = []
        images: list[list[Image.Image]] = []
        for question in questions:
            try:
                self._check_right_items(question)
                images.append(self._open_pictures(question))
                asked.append(question)
            except (ImageError, ValueError) as error:
                predictions[question.id] = Prediction(question_id=question.id, problem=str(error))
        if asked:
            among = [self._choose_candidates(one) for one in asked] if self.among_own else None
            words = [one.question if self.word_question is None else self.word_question(one) for one in asked]
            depth = self.depth if among is None else max(self.depth, *map(len, among))
            ranked = self.answerer.retrieve(words, images, k=depth, among=among)
            if self.condition.num_distractors is None:
                answers = self.answerer.answer_batch(words, images, among=among)
            else:
                evidence = [self._choose_evidence(*pair) for pair in zip(asked, ranked, strict=True)]
                answers = self.answerer.generate(words, evidence, images)
            for question, answer, ranking in zip(asked, answers, ranked, strict=True):
                num_unknown = self._count_unknown(question) if self.among_own else 0
                known_as = self._name_items(question, [*ranking, *answer.candidates])
                predictions[question.id] = Prediction.from_answer(
                    question.id, answer, ranking, known_as=known_as, num_unknown=num_unknown
                )
        return [predictions[question.id] for question in questions]

    def _open_pictures(self, question: QuestionExample) -> list[Image.Image]:
        limit = self.answerer.max_question_images
        if len(question.images) > limit:
            raise ValueError(f"the question has {len(question.images)} pictures, and the models take {limit}")
        return [load_image(image, root=self.root) for image in question.images]

    def _check_right_items(self, question: QuestionExample) -> None:
        if self.condition.num_distractors is not None and not self._right_items(question):
            raise ValueError("none of the items that answer the question is in the index")

    def _right_items(self, question: QuestionExample) -> list[str]:
        return [name for name in dict.fromkeys(question.positive_ids) if name in self.knowledge_base]

    def _choose_candidates(self, question: QuestionExample) -> list[str]:
        own = [name for name in dict.fromkeys(question.candidate_ids) if name in self.knowledge_base]
        if not self.condition.is_diluted:
            return own
        if self._all_ids is None:
            self._all_ids = self.knowledge_base.ids
        return dilute_candidates(question.id, own, self._all_ids, seed=self.seed)

    def _name_items(self, question: QuestionExample, found: Sequence[Candidate]) -> dict[str, str]:
        """What the question calls the items that were found, of those that it calls otherwise."""
        if self.name_item is None:
            return {}
        names = {one.id: self.name_item(question, one.item) for one in found}
        return {item_id: name for item_id, name in names.items() if name != item_id}

    def _count_unknown(self, question: QuestionExample) -> int:
        return sum(name not in self.knowledge_base for name in set(question.candidate_ids))

    def _choose_evidence(self, question: QuestionExample, ranking: Sequence[Candidate]) -> list[KnowledgeItem]:
        """The right items and the highest ranked wrong ones, in an order by seed and question."""
        right = set(question.positive_ids)
        names = self._name_items(question, ranking)
        wrong = [one.id for one in ranking if names.get(one.id, one.id) not in right]
        shown = self._right_items(question) + wrong[: self.condition.num_distractors]
        rng = np.random.default_rng([self.seed, *question.id.encode()])
        return [self.knowledge_base[shown[place]] for place in rng.permutation(len(shown))]
