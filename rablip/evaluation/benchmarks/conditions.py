"""Stress tests: what is changed about the knowledge, the questions or the evidence before a system is asked again.

- `dilute`: to each question's own candidates come `DILUTION` times as many items of other questions.
- `shuffle-image`: every picture of the knowledge and of the questions is another one's.
- `drop-text`: pictures keep no title, caption or text; items that are nothing but text are left out.
- `drop-image`: items and questions keep no picture; items that are nothing but a picture are left out.
- `distract`: the generator is shown the right evidence among the `NUM_DISTRACTORS` wrong items that the retriever
  ranks highest; its measure is `oracle`, the right evidence alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from ..controls import derangement

if TYPE_CHECKING:
    from ...knowledge_base import KnowledgeBase

__all__ = ["CONDITIONS", "DILUTION", "NUM_DISTRACTORS", "Condition", "choose_conditions", "dilute_candidates"]

DILUTION = 10
NUM_DISTRACTORS = 5

ItemChange = Callable[["KnowledgeBase", int], Iterator[KnowledgeItem]]
QuestionChange = Callable[[Sequence[QuestionExample], int], list[QuestionExample]]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One way in which a system is asked.

    Args:
        name: of the condition.
        change_items: makes other items of a knowledge base and a seed; they are encoded into an index of their own.
            None where the items stay as they are.
        change_questions: makes other questions of the questions and a seed, in order. None where they stay.
        is_diluted: whether items of other questions join each question's own.
        num_distractors: so many wrong items are shown beside the right ones, in place of what the system would keep;
            None where it keeps what it finds.
        compared_with: name of the condition that its figures are compared with.
    """

    name: str
    change_items: ItemChange | None = None
    change_questions: QuestionChange | None = None
    is_diluted: bool = False
    num_distractors: int | None = None
    compared_with: str = "plain"

    @property
    def needs_positives(self) -> bool:
        """Whether it can be asked only where the right items are known."""
        return self.num_distractors is not None


def _shuffle_item_pictures(base: KnowledgeBase, seed: int) -> Iterator[KnowledgeItem]:
    with_picture = [item.id for item in base if item.image is not None]
    dealt = dict(zip(with_picture, derangement(with_picture, seed=seed), strict=True)) if with_picture else {}
    for item in base:
        other = dealt.get(item.id)
        yield item if other is None else dataclasses.replace(item, image=_locate_picture(base, base[other]))


def _drop_item_pictures(base: KnowledgeBase, seed: int) -> Iterator[KnowledgeItem]:
    del seed
    for item in base:
        if any(value and value.strip() for value in (item.title, item.caption, item.text)):
            yield dataclasses.replace(item, image=None)


def _drop_item_texts(base: KnowledgeBase, seed: int) -> Iterator[KnowledgeItem]:
    del seed
    for item in base:
        if item.image is not None:
            image = _locate_picture(base, item)
            yield dataclasses.replace(item, image=image, title=None, caption=None, text=None)


def _locate_picture(base: KnowledgeBase, item: KnowledgeItem) -> ImageRef | None:
    """An item's picture as another knowledge base can store it: a path below the item's root becomes a whole one."""
    if item.image is None or item.image.path is None:
        return item.image
    return ImageRef(path=str((base.root_of(item.id) or Path()).resolve() / item.image.path))


def _shuffle_question_pictures(questions: Sequence[QuestionExample], seed: int) -> list[QuestionExample]:
    places = [place for place, question in enumerate(questions) if question.images]
    changed = list(questions)
    if len(places) > 1:
        dealt = derangement([questions[place].images for place in places], seed=seed)
        for place, images in zip(places, dealt, strict=True):
            changed[place] = dataclasses.replace(questions[place], images=images)
    return changed


def _drop_question_pictures(questions: Sequence[QuestionExample], seed: int) -> list[QuestionExample]:
    del seed
    return [dataclasses.replace(question, images=()) for question in questions]


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition(name="plain"),
        Condition(name="dilute", is_diluted=True),
        Condition(
            name="shuffle-image",
            change_items=_shuffle_item_pictures,
            change_questions=_shuffle_question_pictures,
        ),
        Condition(name="drop-text", change_items=_drop_item_texts),
        Condition(name="drop-image", change_items=_drop_item_pictures, change_questions=_drop_question_pictures),
        Condition(name="oracle", num_distractors=0),
        Condition(name="distract", num_distractors=NUM_DISTRACTORS, compared_with="oracle"),
    )
}


def choose_conditions(stress: Sequence[str], *, setting: str) -> list[Condition]:
    """The conditions of a run: the plain one, those asked for, and those that they are compared with.

    Args:
        stress: names of stress tests.
        setting: of the benchmark.

    Raises:
        ValueError: when a name is unknown, or the setting leaves nothing to dilute.

    Example:
        >>> [one.name for one in choose_conditions(["distract"], setting="full")]
        ['plain', 'oracle', 'distract']
    """
    unknown = [name for name in stress if name not in CONDITIONS]
    if unknown:
        names = ", ".join(name for name in CONDITIONS if name != "plain")
        raise ValueError(f"There is no stress test {unknown[0]!r}; there are {names}.")
    if "dilute" in stress and setting == "full":
        raise ValueError(
            "The stress test 'dilute' adds items of other questions to each question's own, and in the setting 'full' "
            "all are searched anyway. Leave it out, or take the setting distractor."
        )
    wanted = {"plain", *stress, *(CONDITIONS[name].compared_with for name in stress)}
    return [condition for name, condition in CONDITIONS.items() if name in wanted]


def dilute_candidates(
    question_id: str, own: Sequence[str], all_ids: Sequence[str], *, seed: int, factor: int = DILUTION
) -> list[str]:
    """A question's own candidates with `factor` times as many others, drawn by seed and question.

    Args:
        question_id: of the question.
        own: its own candidates.
        all_ids: of all items; where they are too few, all of them.
        seed: of what is drawn.
        factor: how many others for each of its own.

    Example:
        >>> sorted(dilute_candidates("q1", ["a"], ["a", "b", "c"], seed=0, factor=2))
        ['a', 'b', 'c']
    """
    rng = np.random.default_rng([seed, *question_id.encode()])
    known = set(own)
    num_others = factor * len(known)
    if num_others >= len(all_ids) - len(known):
        return [*own, *(name for name in all_ids if name not in known)]
    others: dict[str, None] = {}
    while len(others) < num_others:
        for place in rng.integers(len(all_ids), size=num_others).tolist():
            if all_ids[place] not in known and len(others) < num_others:
                others[all_ids[place]] = None
    return [*own, *others]
