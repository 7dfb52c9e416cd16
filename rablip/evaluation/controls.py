"""What is withheld or swapped in a control run: pictures removed, pictures shuffled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..processing.knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample

__all__ = ["derangement", "shuffle_pictures", "shuffle_question_pictures", "withhold_pictures"]

_T = TypeVar("_T")


def derangement(values: Sequence[_T], *, seed: int, keys: Sequence[Hashable] | None = None) -> list[_T]:
    """The values in a random order in which none keeps its place, nor a place with the same key.

    Args:
        values: what is dealt out anew.
        seed: seed of the order.
        keys: what must change at every place, such as the thing that a picture shows; None: every value is its own.

    Raises:
        ValueError: when there are not as many keys as values, or when no such order exists: fewer than two values, or
            more than half of them with one key.

    >>> derangement(["a", "b"], seed=0)
    ['b', 'a']
    >>> derangement([1, 2, 3, 4], seed=0, keys="xxyy")[:2] in ([3, 4], [4, 3])
    True
    """
    keys = range(len(values)) if keys is None else keys
    if len(keys) != len(values):
        raise ValueError(f"{len(keys)} keys were given for {len(values)} values.")
    key, count = max(Counter(keys).items(), key=lambda pair: pair[1], default=(None, 0))
    if 2 * count > len(values) or len(values) < 2:
        raise ValueError(
            f"{len(values)} values cannot all change places: {count} of them have the key {key!r}. Use more values."
        )
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(values)).tolist()
    for place in range(len(order)):
        if keys[order[place]] != keys[place]:
            continue
        # No key has more than half of the values, so a place that can swap with this one always exists.
        for other in rng.permutation(len(order)).tolist():
            if keys[order[other]] != keys[place] and keys[order[place]] != keys[other]:
                order[place], order[other] = order[other], order[place]
                break
    return [values[i] for i in order]


def shuffle_pictures(items: Sequence[KnowledgeItem], *, seed: int) -> list[KnowledgeItem]:
    """The same items (ids, titles, captions, texts) with their pictures dealt out anew; none keeps its own.

    Items without a picture stay as they are, in place.

    Raises:
        ValueError: when exactly one item has a picture (it could only keep it).

    >>> from rablip.processing.knowledge_rablip import ImageRef
    >>> items = [KnowledgeItem(id=name, image=ImageRef(path=f"{name}.png")) for name in "ab"]
    >>> [(item.id, item.image.path) for item in shuffle_pictures(items, seed=0)]
    [('a', 'b.png'), ('b', 'a.png')]
    """
    places = [place for place, item in enumerate(items) if item.image is not None]
    shuffled = list(items)
    if not places:
        return shuffled
    pictures = derangement([items[place].image for place in places], seed=seed)
    for place, picture in zip(places, pictures, strict=True):
        shuffled[place] = replace(items[place], image=picture)
    return shuffled


def shuffle_question_pictures(questions: Sequence[QuestionExample], *, seed: int) -> list[list[ImageRef] | None]:
    """The pictures of each question, dealt out anew so that none gets one of the thing that it asks about.

    Questions that cannot be answered take no part: theirs are None, as for questions without a picture.

    Raises:
        ValueError: when more than half of the questions with a picture ask about one thing.

    >>> shuffle_question_pictures([QuestionExample(id="1", question="Who?", answers=["Marlow"])], seed=0)
    [None]
    """
    dealt: list[list[ImageRef] | None] = [None] * len(questions)
    places = [place for place, question in enumerate(questions) if question.images and question.answerable]
    if places:
        about = [question.positive_ids[:1] or (question.id,) for question in (questions[place] for place in places)]
        pictures = derangement([list(questions[place].images) for place in places], seed=seed, keys=about)
        for place, images in zip(places, pictures, strict=True):
            dealt[place] = images
    return dealt


def withhold_pictures(items: Sequence[KnowledgeItem]) -> list[KnowledgeItem]:
    """The items without their pictures; an item that has nothing but a picture is left out.

    >>> from rablip.processing.knowledge_rablip import ImageRef
    >>> withhold_pictures([KnowledgeItem(id="1", image=ImageRef(path="a.png"), caption="A mill")])[0].caption
    'A mill'
    """
    kept = []
    for item in items:
        if item.image is None:
            kept.append(item)
        elif any(part and part.strip() for part in (item.title, item.caption, item.text)):
            kept.append(replace(item, image=None))
    return kept
