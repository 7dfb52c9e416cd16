"""Distractors by kind, drawn from the user's own index: what makes a generator answer from the wrong evidence.

Retrieval brings candidates that look right and are not. Noise injection trains on them, by why they mislead:

- `same_entity`: another item about what a right one is about (the same title; then titles that share a word with it);
- `look_alike`: another item of the same modality that the retriever puts near a right one, under another title;
- `other_modality`: what the retriever finds for the question in a modality that no right item has;
- `retrieved`: what the retriever finds for the question, whatever it is;
- `empty`: an item that says nothing: the title of a candidate and no picture or text (made by `empty_item`).

None of it knows of any data set: titles, vectors and modalities decide.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...index.knowledge_index import KnowledgeIndex
from ...processing.knowledge_rablip import KnowledgeItem, QuestionExample
from .mining import index_pool, search_questions
from .pools import TrainingPool

DISTRACTOR_KINDS = ("same_entity", "look_alike", "other_modality", "retrieved", "empty")
# Found in the index; empty ones are made of whatever else is shown.
FOUND_KINDS = DISTRACTOR_KINDS[:-1]
_WORD = re.compile(r"\w+")


def find_distractors(
    retriever: Any,
    processor: Any,
    pool: TrainingPool,
    *,
    k: int = 48,
    num_kept: int = 16,
    index: KnowledgeIndex | None = None,
) -> None:
    """Fill `pool.distractors`: for every question and kind, ids of items that are not right, most misleading first.

    Args:
        retriever: a `RablipRetriever`.
        processor: its processor.
        pool: questions and items.
        k: how deep the index is searched for a question or a right item.
        num_kept: most ids per question and kind.
        index: the knowledge index of the pool's items by the same retriever; built in memory when it is None.
    """
    index = index_pool(retriever, processor, pool) if index is None else index
    titles = _TitleWords(pool.items)
    found = search_questions(retriever, processor, pool, [(example, 0) for example in pool.examples], k=k, index=index)
    near = _find_neighbours(pool, index, k)
    for example, candidates in zip(pool.examples, found, strict=True):
        right = set(example.positive_ids) | {item for hop in example.hops for item in hop}
        modalities = {pool.items[item].modality for item in right}
        title = {pool.items[item].title for item in right}
        wrong = [item for item in candidates if item not in right]
        look_alikes = [
            item
            for positive in right
            for item in near.get(positive, ())
            if item not in right
            and pool.items[item].modality == pool.items[positive].modality
            and pool.items[item].title not in title
        ]
        by_kind = {
            "same_entity": [item for item in titles.rank(right) if item not in right],
            "look_alike": look_alikes,
            "other_modality": [item for item in wrong if pool.items[item].modality not in modalities],
            "retrieved": wrong,
        }
        pool.distractors[example.id] = {kind: list(dict.fromkeys(ids))[:num_kept] for kind, ids in by_kind.items()}


def sample_distractors(
    pool: TrainingPool,
    example: QuestionExample,
    generator: np.random.Generator,
    count: int,
    *,
    weights: Mapping[str, float],
) -> list[KnowledgeItem]:
    """Different distractors of one question; a kind that has run out gives its turn to the others.

    Args:
        pool: where `find_distractors` has been.
        example: the question.
        generator: source of randomness.
        count: how many.
        weights: how often each kind is drawn, in any unit; kinds of `DISTRACTOR_KINDS`.

    Returns:
        `count` items, fewer where all kinds run out; none of them right for the question.

    Raises:
        ValueError: a kind is unknown, a weight negative or all are zero, or the pool has no distractors yet.
    """
    _check_weights(weights)
    if example.id not in pool.distractors:
        raise ValueError(f"No distractors are known for question {example.id!r}. Call `find_distractors` first.")
    known = pool.distractors[example.id]
    left = {kind: list(known.get(kind, ())) for kind in FOUND_KINDS if weights.get(kind, 0) > 0}
    # Whatever could be shown can also be emptied; each item once, in either form.
    sources = list(dict.fromkeys([*(item for ids in known.values() for item in ids), *example.positive_ids]))
    if weights.get("empty", 0) > 0:
        left["empty"] = sources
    chosen: dict[str, KnowledgeItem] = {}
    while len(chosen) < count and left:
        kinds = list(left)
        share = np.asarray([weights[kind] for kind in kinds], dtype=float)
        kind = kinds[int(generator.choice(len(kinds), p=share / share.sum()))]
        # The most misleading ones stand first and are drawn more often.
        place = int(len(left[kind]) * generator.random() ** 2) if left[kind] else 0
        item_id = left[kind].pop(place) if left[kind] else None
        if not left[kind]:
            del left[kind]
        if item_id is not None and item_id not in chosen:
            item = pool.items[item_id]
            chosen[item_id] = empty_item(item) if kind == "empty" else item
    return list(chosen.values())


def empty_item(item: KnowledgeItem) -> KnowledgeItem:
    """An item that names what it is about and says nothing of it; where it has no title, it says that it is empty.

    Example:
        >>> empty_item(KnowledgeItem(id="7", title="Tower", text="Built in 1889."))
        KnowledgeItem(id='7#empty', text=None, image=None, title='Tower', caption=None, source=None, metadata={})
    """
    title = item.title if item.title and item.title.strip() else "No content"
    return KnowledgeItem(id=f"{item.id}#empty", title=title)


@dataclasses.dataclass(frozen=True)
class NoiseMix:
    """How noise is injected into a generator's training rows.

    Args:
        max_distractors: most distractors beside the right items; their number is drawn evenly.
        weights: how often each kind is drawn (`DISTRACTOR_KINDS`), in any unit.
        min_distractors: least distractors, where there are so many.
        clean_rate: how often the right items are shown alone, whatever the numbers above. An answer is learned from
            these: what the answerer shows its generator is mostly clean too.

    Raises:
        ValueError: a kind is unknown, a weight is negative or all are zero, the least number of distractors is
            negative or above the most, or the rate is no probability.

    Example:
        >>> NoiseMix(max_distractors=4).max_distractors
        4
    """

    max_distractors: int = 9
    weights: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {
            "same_entity": 0.25,
            "look_alike": 0.25,
            "other_modality": 0.15,
            "retrieved": 0.25,
            "empty": 0.1,
        }
    )

    min_distractors: int = 0
    clean_rate: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.clean_rate <= 1.0:
            raise ValueError(f"clean_rate is {self.clean_rate}; it must be a probability between 0 and 1.")
        if not 0 <= self.min_distractors <= self.max_distractors:
            raise ValueError(
                f"min_distractors is {self.min_distractors} and max_distractors {self.max_distractors}; they must be "
                "at least 0 and in this order."
            )
        _check_weights(self.weights)


class _TitleWords:
    """Items by title and by the words of their titles."""

    def __init__(self, items: Mapping[str, KnowledgeItem]) -> None:
        self._items = items
        self._by_title: dict[str, list[str]] = defaultdict(list)
        self._by_word: dict[str, list[str]] = defaultdict(list)
        for item in items.values():
            title = _normalise(item.title)
            if title:
                self._by_title[title].append(item.id)
                for word in sorted(set(_WORD.findall(title))):
                    self._by_word[word].append(item.id)

    def rank(self, right: set[str]) -> list[str]:
        """Items with a title of the right ones, then items that share a word of it, rarer words first."""
        titles = [_normalise(self._items[item].title) for item in sorted(right)]
        same = [item for title in titles for item in self._by_title.get(title, ())]
        words = {word for title in titles for word in _WORD.findall(title)}
        rarest_first = sorted(words, key=lambda word: (len(self._by_word[word]), word))
        return [*same, *(item for word in rarest_first for item in self._by_word[word])]


def _find_neighbours(pool: TrainingPool, index: KnowledgeIndex, k: int) -> dict[str, list[str]]:
    """The nearest items of every right item, by its own vector in the index."""
    right = sorted({item for example in pool.examples for item in example.positive_ids if item in index})
    near: dict[str, list[str]] = {}
    for start in range(0, len(right), 256):
        batch = right[start : start + 256]
        # Of several vectors of an item the first non-zero one asks.
        vectors = np.stack([np.atleast_2d(vector)[0] for vector in index.get(batch)])
        for item, hits in zip(batch, index.search(vectors, min(k, len(index))), strict=True):
            near[item] = [hit.id for hit in hits if hit.id != item]
    return near


def _check_weights(weights: Mapping[str, float]) -> None:
    unknown = sorted(set(weights) - set(DISTRACTOR_KINDS))
    if unknown or not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ValueError(
            f"Got the distractor weights {dict(weights)}; give weights of at least 0, one of them above 0, for some "
            f"of {', '.join(DISTRACTOR_KINDS)}."
        )


def _normalise(title: str | None) -> str:
    return " ".join((title or "").casefold().split())


__all__ = ["DISTRACTOR_KINDS", "FOUND_KINDS", "NoiseMix", "empty_item", "find_distractors", "sample_distractors"]
