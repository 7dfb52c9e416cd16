"""Draft streams of questions that the knowledge base cannot answer, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from .asking import ASKED, Asker
from .catalog import Catalog
from .chance import Chance
from .drafts import Draft, evidence_part
from .entities import attributes_of, draw_attributes
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
_TRIES = 20


def unanswerable_streams(catalog: Catalog, asker: Asker, split: str) -> list[Iterator[Draft]]:
    """Streams in the mix 3 : 3 : 2 : 2 of `UNANSWERABLE_REASONS`.

    A name of the split that is not in the world; a description that no picture fits; a fact that nobody wrote down
    about a known entity; a question's picture of an entity that is not in the world.
    """
    name = _unknown_names(catalog, asker.chance("unknown_name"), split)
    picture = _no_such_pictures(catalog, asker)
    fact = _missing_facts(catalog, asker)
    question_picture = _unknown_pictures(catalog, asker)
    return [name, picture, fact, question_picture, name, picture, fact, name, picture, question_picture]


def _word(attribute: str, about: str, chance: Chance) -> str:
    """Ask in the forms that answerable questions have, so that the form tells nothing."""
    may_ask_yes_no = attribute in ASKED["YesNo"]
    if may_ask_yes_no and (attribute not in PICTURE_QUESTIONS or chance.happens(_YES_NO_SHARE)):
        values = BUILDING_ATTRIBUTES.get(attribute) or BOAT_ATTRIBUTES[attribute]
        return word_yes_no_question({attribute: chance.pick(values)}, about)
    return word_question(attribute, about)


def _unknown_names(catalog: Catalog, chance: Chance, split: str) -> Iterator[Draft]:
    known = {entity.name for entity in catalog.entities}
    asked = [*PICTURE_QUESTIONS, "roof_shape", *FACT_QUESTIONS]
    for name in chance.shuffled(name for name in names_of_split(split) if name not in known):
        attribute = chance.pick(asked)
        part = "boat" if evidence_part(attribute) == "boat" else "building"
        question = _word(attribute, subject(part, name), chance)
        yield Draft(kind="unanswerable", attribute=attribute, question=question, name=name, reason="unknown_name")


def _missing_facts(catalog: Catalog, asker: Asker) -> Iterator[Draft]:
    chance = asker.chance("missing_fact")
    for number in chance.shuffled(range(len(catalog.entities))):
        entity = catalog.entities[number]
        for fact in ("year", "builder"):
            if getattr(entity, fact) is not None:
                continue
            draft = Draft(
                kind="unanswerable",
                attribute=fact,
                question=word_question(fact, entity.name),
                number=number,
                name=entity.name,
                reason="missing_fact",
            )
            yield draft
            stated = asker.only_look(number, "building", fact, chance)
            if stated is not None:
                question = word_question(fact, describe("building", stated, chance))
                yield replace(draft, question=question, visual_only=True, shown=stated)


def _no_such_pictures(catalog: Catalog, asker: Asker) -> Iterator[Draft]:
    """Change one value of a description that fits one picture, so that it fits none."""
    chance = asker.chance("no_such_picture")
    asked = [name for name in PICTURE_QUESTIONS if name in BUILDING_ATTRIBUTES] + ["roof_shape", *FACT_QUESTIONS]
    for number in chance.shuffled(range(len(catalog.entities))):
        attribute = chance.pick(asked)
        part = "boat" if attribute == "load" else "building"
        look = asker.only_look(number, part, attribute, chance)
        for _ in range(_TRIES if look else 0):
            changed = chance.pick(sorted(look or ()))
            stated = dict(look or {}) | {changed: chance.pick(attributes_of(part)[changed])}
            if catalog.galleries[part].count(stated) == 0:
                yield Draft(
                    kind="unanswerable",
                    attribute=attribute,
                    question=_word(attribute, describe(part, stated, chance), chance),
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
