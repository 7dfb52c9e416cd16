"""What is withheld or swapped in a control run: pictures removed, pictures shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..processing.knowledge_rablip import KnowledgeItem

__all__ = ["derangement", "shuffle_pictures", "withhold_pictures"]

_T = TypeVar("_T")


def derangement(values: Sequence[_T], *, seed: int) -> list[_T]:
    """The values in a random order in which none keeps its place (one random cycle, Sattolo's algorithm).

    Raises:
        ValueError: when there are fewer than two values.

    >>> derangement(["a", "b"], seed=0)
    ['b', 'a']
    """
    if len(values) < 2:
        raise ValueError(f"A derangement needs at least two values, but {len(values)} was given.")
    rng = np.random.default_rng(seed)
    order = list(range(len(values)))
    for last in range(len(order) - 1, 0, -1):
        other = int(rng.integers(last))
        order[last], order[other] = order[other], order[last]
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
