"""A question before it is written down, and the choice of items that must not be mistaken for its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..processing.knowledge_rablip import ImageRef
from .catalog import Catalog
from .chance import Chance
from .knobs import WorldKnobs

__all__ = ["Draft", "choose_negatives", "evidence_modality", "evidence_part"]

_MODALITY = {"building": "image", "boat": "image_text", "year": "text", "builder": "text"}
_BOAT_FACTS = ("load", "hull_color", "sail_color", "num_sails", "sail_mark")


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A question with all that its metadata and its negatives need.

    Args:
        kind: one of `QUESTION_KINDS`.
        attribute: what is asked.
        question: its words.
        answer: the one answer, or None when there is none.
        hops: item ids, one list per hop.
        visual_only: whether only what is visible tells which picture is meant.
        number: the entity asked about, or None when it is not in the world.
        name: the name in the question or of the entity, or "" when there is none.
        shown: the attributes that the question states or its picture shows.
        image: the picture that comes with the question.
        reason: why there is no answer.
    """

    kind: str
    attribute: str
    question: str
    answer: str | None = None
    hops: tuple[tuple[str, ...], ...] = ()
    visual_only: bool = False
    number: int | None = None
    name: str = ""
    shown: Mapping[str, str] = field(default_factory=dict)
    image: ImageRef | None = None
    reason: str = ""


def evidence_part(attribute: str) -> str:
    """The part of an entity whose item answers a question about an attribute.

    Example:
        >>> evidence_part("load"), evidence_part("year"), evidence_part("object")
        ('boat', 'year', 'building')
    """
    if attribute in ("year", "builder"):
        return attribute
    return "boat" if attribute in _BOAT_FACTS else "building"


def evidence_modality(attribute: str) -> str:
    """The modality of the item that answers a question about an attribute.

    Example:
        >>> evidence_modality("load"), evidence_modality("year"), evidence_modality("object")
        ('image_text', 'text', 'image')
    """
    return _MODALITY[evidence_part(attribute)]


def choose_negatives(draft: Draft, catalog: Catalog, knobs: WorldKnobs, chance: Chance) -> tuple[str, ...]:
    """Items that look like evidence for a question and are not.

    They are other items of the same entity, pictures that look like the one meant, items of entities that share a
    word of the name, and an item of another modality.
    """
    part = evidence_part(draft.attribute)
    picture = "boat" if part == "boat" else "building"
    taken: dict[str, None] = dict.fromkeys(item_id for hop in draft.hops for item_id in hop)
    num_positives = len(taken)

    def take(candidates: Iterable[tuple[int, str]], count: int) -> None:
        known = [catalog.ids[key] for key in candidates if key in catalog.ids]
        taken.update(dict.fromkeys([item_id for item_id in known if item_id not in taken][:count]))

    if draft.number is not None:
        parts = ("building", "boat", "year", "builder")
        # The answerless question about a known entity must not list the picture that it rightly means.
        skipped = picture if draft.reason == "missing_fact" and draft.visual_only else ""
        own = [(draft.number, other) for other in chance.shuffled(parts) if other != skipped]
        take(own, knobs.same_entity_distractors)
    shown = dict(draft.shown)
    if not shown and draft.number is not None:
        shown = dict(getattr(catalog.entities[draft.number], picture))
    if shown and (draft.visual_only or part == picture):
        stated = {name: shown[name] for name in chance.sample(sorted(shown), 5) if name != draft.attribute}
        numbers = catalog.galleries[picture].look_alikes(stated, knobs.look_alike_distractors + 1, chance)
        numbers = [number for number in numbers if number != draft.number]
        take([(number, picture) for number in numbers], knobs.look_alike_distractors)
    others = {number for word in draft.name.split() for number in catalog.by_word.get(word, ())} - {draft.number}
    alikes = chance.shuffled(sorted(others))
    strangers = chance.sample((number for number in range(len(catalog.entities)) if number != draft.number), 4)
    take([(number, part) for number in alikes], knobs.name_alike_distractors)
    foreign = [other for other in chance.shuffled(_MODALITY) if _MODALITY[other] != _MODALITY[part]]
    take([(number, other) for number in alikes + strangers for other in foreign], knobs.other_modality_distractors)
    return tuple(taken)[num_positives:]
