"""The knowledge items of a world, and fast look-ups over what their pictures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..processing.knowledge_rablip import KnowledgeItem
from .chance import Chance
from .drawing import draw_picture, encode_picture
from .entities import Entity
from .knobs import WorldKnobs
from .wording import word_fact

__all__ = ["FIRST_IMAGE_ID", "SOURCE", "Catalog", "Gallery", "build_catalog"]

FIRST_IMAGE_ID = 30_000_000  # WebQA's image ids start here; the last seven digits are the picture's row
SOURCE = "https://world.invalid/items/"


class Gallery:
    """Which pictures of one kind show which values, as sets of entity numbers packed into whole numbers.

    Args:
        pictures: attributes of each entity's picture, by entity number.
    """

    def __init__(self, pictures: Mapping[int, Mapping[str, str]]) -> None:
        self._everything = sum(1 << number for number in pictures)
        self._sets: dict[tuple[str, str], int] = {}
        for number, attributes in pictures.items():
            for pair in attributes.items():
                self._sets[pair] = self._sets.get(pair, 0) | 1 << number

    def _matching(self, stated: Mapping[str, str]) -> int:
        found = self._everything
        for pair in stated.items():
            found &= self._sets.get(pair, 0)
        return found

    def count(self, stated: Mapping[str, str]) -> int:
        """How many pictures show all the stated values."""
        return bin(self._matching(stated)).count("1")

    def look_alikes(self, stated: Mapping[str, str], count: int, chance: Chance) -> list[int]:
        """Entities whose pictures show most, but not all, of the stated values; the closest first."""
        found: list[int] = []
        seen = self._matching(stated)
        level: list[dict[str, str]] = [dict(stated)]
        while len(found) < count and level and level[0]:
            level = [
                {name: value for name, value in shown.items() if name != left_out}
                for shown in level
                for left_out in shown
            ]
            level = [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(shown.items())) for shown in level)]
            near = 0
            for shown in level:
                near |= self._matching(shown)
            near &= ~seen
            seen |= near
            numbers = [number for number, bit in enumerate(reversed(bin(near)[2:])) if bit == "1"]
            found += chance.sample(numbers, count - len(found))
        return found


@dataclass(frozen=True)
class Catalog:
    """The items of a world and where to find them.

    Args:
        entities: the entities, by number.
        items: all knowledge items, entity by entity.
        ids: (entity number, part) -> item id, for the parts "building", "boat", "year" and "builder" that exist.
        galleries: "building" and "boat" -> `Gallery` of the pictures that are in the world.
        by_word: name word -> numbers of the entities that bear it.
    """

    entities: tuple[Entity, ...]
    items: list[KnowledgeItem]
    ids: Mapping[tuple[int, str], str]
    galleries: Mapping[str, Gallery]
    by_word: Mapping[str, Sequence[int]] = field(default_factory=dict)


def build_catalog(entities: tuple[Entity, ...], *, split: str, seed: int, knobs: WorldKnobs) -> Catalog:
    """Write the items of every entity: its building's picture, its boat's picture with text, and its text facts."""
    items: list[KnowledgeItem] = []
    ids: dict[tuple[int, str], str] = {}
    shown: dict[str, dict[int, Mapping[str, str]]] = {"building": {}, "boat": {}}
    by_word: dict[str, list[int]] = {}
    chance = Chance("boats", split, seed)
    for number, entity in enumerate(entities):
        for word in entity.name.split():
            by_word.setdefault(word, []).append(number)
        has_boat = chance.happens(knobs.boat_share)
        for part in ("building", "boat", "year", "builder"):
            if part == "boat" and not has_boat:
                continue
            item = _write_item(entity, part, number, split=split, seed=seed)
            if item is None or item.modality.value == knobs.dropped_modality:
                continue
            items.append(item)
            ids[number, part] = item.id
            if part in shown:
                shown[part][number] = getattr(entity, part)
    galleries = {kind: Gallery(pictures) for kind, pictures in shown.items()}
    return Catalog(entities=entities, items=items, ids=ids, galleries=galleries, by_word=by_word)


def _write_item(entity: Entity, part: str, number: int, *, split: str, seed: int) -> KnowledgeItem | None:
    if part in ("year", "builder"):
        text = word_fact(entity, part)
        item_id = f"t{2 * number + (part == 'builder'):06d}"
        if text is None:
            return None
        return KnowledgeItem(id=item_id, text=text, title=entity.name, source=SOURCE + item_id)
    image = encode_picture(
        draw_picture(part, getattr(entity, part), Chance("item picture", split, seed, entity.name, part))
    )
    if part == "building":
        item_id, text, caption = str(FIRST_IMAGE_ID + number), None, f"{entity.name} in {entity.place}"
    else:
        item_id, text, caption = f"b{number:06d}", word_fact(entity, "load"), f"Boat of {entity.name}"
    return KnowledgeItem(
        id=item_id, text=text, image=image, title=entity.name, caption=caption, source=SOURCE + item_id
    )
