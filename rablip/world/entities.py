"""The entities of a world: a named building with a boat, their visible attributes and their text facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .chance import Chance
from .lexicon import BOAT_ATTRIBUTES, BUILDERS, BUILDING_ATTRIBUTES, LOADS, PLACES, YEARS, names_of_split

__all__ = ["Entity", "attributes_of", "draw_attributes", "draw_entities", "draw_entity", "draw_other_value"]


@dataclass(frozen=True, kw_only=True)
class Entity:
    """A building and its boat.

    Args:
        name: two made-up words.
        place: in the caption of the building's picture.
        building: attribute -> value, visible in the building's picture only.
        boat: attribute -> value, visible in the boat's picture only.
        load: how many barrels the boat carries, in the text of the boat's item only.
        year: when the building was founded (a text item), or None when nobody wrote it down.
        builder: who built it (a text item), or None.
    """

    name: str
    place: str
    building: Mapping[str, str]
    boat: Mapping[str, str]
    load: str
    year: str | None
    builder: str | None


def attributes_of(kind: str) -> Mapping[str, tuple[str, ...]]:
    """The visible attributes of a "building" or a "boat", and the values of each."""
    return BUILDING_ATTRIBUTES if kind == "building" else BOAT_ATTRIBUTES


def draw_attributes(kind: str, chance: Chance) -> dict[str, str]:
    """The visible attributes of a "building" or a "boat", each drawn uniformly and independently."""
    return {attribute: chance.pick(values) for attribute, values in attributes_of(kind).items()}


def draw_other_value(attribute: str, value: str, chance: Chance) -> str:
    """Another value that a visible attribute of either kind may have."""
    values = BUILDING_ATTRIBUTES.get(attribute) or BOAT_ATTRIBUTES[attribute]
    return chance.pick([other for other in values if other != value])


def draw_entity(name: str, chance: Chance, *, num_facts: int = 2, missing_fact_rate: float = 0.0) -> Entity:
    """An entity of a given name. With probability `missing_fact_rate` one of its facts is missing."""
    place, building, boat = chance.pick(PLACES), draw_attributes("building", chance), draw_attributes("boat", chance)
    facts: dict[str, str | None] = {"year": chance.pick(YEARS), "builder": chance.pick(BUILDERS)}
    load = chance.pick(LOADS)
    order = chance.shuffled(facts)
    missing = order[num_facts:]
    if chance.happens(missing_fact_rate):
        missing = order[max(num_facts - 1, 0) :]
    facts.update(dict.fromkeys(missing))
    return Entity(name=name, place=place, building=building, boat=boat, load=load, **facts)


def draw_entities(
    seed: int,
    num_entities: int,
    *,
    split: str,
    num_facts: int = 2,
    missing_fact_rate: float = 0.0,
    look_alike_share: float = 0.0,
) -> tuple[Entity, ...]:
    """Entities of one split, with names that no other split ever uses.

    With probability `look_alike_share` an entity takes the look of an earlier one, with one attribute of the building
    and one of the boat changed.

    Raises:
        ValueError: when the split does not exist or has fewer names than entities are asked for.

    Example:
        >>> len(draw_entities(0, 3, split="test"))
        3
    """
    pool = names_of_split(split)
    if not 1 <= num_entities <= len(pool):
        raise ValueError(
            f"num_entities is {num_entities}, but the {split} split has names for 1 to {len(pool)} entities. Ask for "
            "a number in that range, or build several worlds with different seeds."
        )
    entities: list[Entity] = []
    for name in Chance("names", split, seed).sample(pool, num_entities):
        chance = Chance("entity", split, seed, name)
        entity = draw_entity(name, chance, num_facts=num_facts, missing_fact_rate=missing_fact_rate)
        if entities and chance.happens(look_alike_share):
            model = chance.pick(entities)
            building, boat = (_change_one(part, getattr(model, part), chance) for part in ("building", "boat"))
            entity = replace(entity, building=building, boat=boat)
        entities.append(entity)
    return tuple(entities)


def _change_one(kind: str, shown: Mapping[str, str], chance: Chance) -> dict[str, str]:
    attribute = chance.pick(sorted(shown))
    values = attributes_of(kind)[attribute]
    return {**shown, attribute: chance.pick([value for value in values if value != shown[attribute]])}
