"""Draft streams of questions that the knowledge base cannot answer, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator

from .asking import MAX_STATED, MIN_STATED, Asker
from .catalog import Catalog
from .chance import Chance
from .drafts import Draft, evidence_part
from .entities import draw_attributes
from .lexicon import BOAT_ATTRIBUTES, BUILDING_ATTRIBUTES, names_of_split
from .wording import (
    FACT_QUESTIONS,
    PICTURE_QUESTIONS,
    describe,
    subject,
    word_picture_question,
    word_question,
    word_yes_no_question,
)

__all__ = ["UNANSWERABLE_REASONS", "unanswerable_streams"]

UNANSWERABLE_REASONS: tuple[str, ...] = ("unknown_name", "no_such_picture", "missing_fact", "unknown_picture")
_YES_NO_SHARE = 0.2
_TRIES = 50


def unanswerable_streams(catalog: Catalog, asker: Asker, split: str) -> list[Iterator[Draft]]:
    """Streams in the mix 3 : 3 : 2 : 2 of `UNANSWERABLE_REASONS`.

    A name of the split that is not in the world; a description that no picture fits; a fact that nobody wrote down
    about a known entity; a question's picture of an entity that is not in the world.
    """
    name = _unknown_names(catalog, asker.chance("unknown_name"), split)
    picture = _no_such_pictures(catalog, asker.chance("no_such_picture"))
    fact = _missing_facts(catalog, asker.chance("missing_fact"))
    question_picture = _unknown_pictures(catalog, asker)
    return [name, picture, fact, question_picture, name, picture, fact, name, picture, question_picture]


def _word(attribute: str, about: str, chance: Chance) -> str:
    values = BUILDING_ATTRIBUTES.get(attribute) or BOAT_ATTRIBUTES.get(attribute, ())
    if values and attribute not in ("tree_side", "object") and chance.happens(_YES_NO_SHARE):
        return word_yes_no_question(attribute, chance.pick(values), about)
    return word_question(attribute, about)


def _unknown_names(catalog: Catalog, chance: Chance, split: str) -> Iterator[Draft]:
    known = {entity.name for entity in catalog.entities}
    asked = [*PICTURE_QUESTIONS, *FACT_QUESTIONS]
    for name in chance.shuffled(name for name in names_of_split(split) if name not in known):
        attribute = chance.pick(asked)
        part = "boat" if evidence_part(attribute) == "boat" else "building"
        question = _word(attribute, subject(part, name), chance)
        yield Draft(kind="unanswerable", attribute=attribute, question=question, name=name, reason="unknown_name")


def _missing_facts(catalog: Catalog, chance: Chance) -> Iterator[Draft]:
    for number in chance.shuffled(range(len(catalog.entities))):
        entity = catalog.entities[number]
        for fact in ("year", "builder"):
            if getattr(entity, fact) is not None:
                continue
            drafts = dict(kind="unanswerable", attribute=fact, number=number, name=entity.name, reason="missing_fact")
            yield Draft(question=word_question(fact, entity.name), **drafts)
            names = chance.sample(entity.building, MAX_STATED)
            stated = {name: entity.building[name] for name in names}
            if catalog.galleries["building"].count(stated) == 1:
                question = word_question(fact, describe("building", stated, chance))
                yield Draft(question=question, visual_only=True, shown=stated, **drafts)


def _no_such_pictures(catalog: Catalog, chance: Chance) -> Iterator[Draft]:
    asked = [name for name in PICTURE_QUESTIONS if name in BUILDING_ATTRIBUTES] + [*FACT_QUESTIONS]
    for number in chance.shuffled(range(len(catalog.entities))):
        attribute = chance.pick(asked)
        part = "boat" if attribute == "load" else "building"
        space = BOAT_ATTRIBUTES if part == "boat" else BUILDING_ATTRIBUTES
        shown = getattr(catalog.entities[number], part)
        for _ in range(_TRIES):
            names = [name for name in chance.shuffled(shown) if name != attribute]
            names = names[: chance.whole(min(MIN_STATED, len(names)), min(MAX_STATED, len(names)))]
            stated = {name: shown[name] for name in names}
            changed = chance.pick(names)
            stated[changed] = chance.pick([value for value in space[changed] if value != shown[changed]])
            if catalog.galleries[part].count(stated) == 0:
                question = _word(attribute, describe(part, stated, chance), chance)
                yield Draft(
                    kind="unanswerable",
                    attribute=attribute,
                    question=question,
                    visual_only=True,
                    shown=stated,
                    reason="no_such_picture",
                )
                break


def _unknown_pictures(catalog: Catalog, asker: Asker) -> Iterator[Draft]:
    chance = asker.chance("unknown_picture")
    facts = chance.shuffled(("place", "load", "builder", "year"))
    for count in range(len(catalog.entities)):
        fact = facts[count % len(facts)]
        part = "boat" if fact == "load" else "building"
        for _ in range(_TRIES):
            shown = draw_attributes(part, chance)
            if catalog.galleries[part].count(shown) == 0:
                yield Draft(
                    kind="unanswerable",
                    attribute=fact,
                    question=word_picture_question(fact),
                    visual_only=True,
                    shown=shown,
                    image=asker.draw(part, shown, "unknown", count),
                    reason="unknown_picture",
                )
                break
