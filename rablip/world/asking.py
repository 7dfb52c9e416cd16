"""Draft streams: for every kind of question, the questions that can be asked about the entities of a world."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ..processing.knowledge_rablip import ImageRef
from .catalog import Catalog
from .chance import Chance
from .drafts import Draft, evidence_part
from .drawing import draw_picture, encode_picture
from .entities import draw_other_value
from .lexicon import BUILDING_ATTRIBUTES
from .wording import describe, subject, word_picture_question, word_question, word_yes_no_question

__all__ = ["ASKED", "Asker", "state_uniquely"]

MIN_STATED, MAX_STATED = 3, 5
ASKED: Mapping[str, tuple[str, ...]] = {
    "color": ("wall_color", "roof_color", "hull_color", "sail_color"),
    # Roof shapes are asked as YesNo only: with two value lists of different lengths in one kind, a guess that knows
    # the list would beat the kind's majority answer, and the shuffled-picture control could not be read.
    "shape": ("wall_mark", "sail_mark"),
    "number": ("num_windows", "num_sails"),
    "YesNo": ("wall_color", "roof_color", "roof_shape", "num_windows", "wall_mark", "hull_color", "sail_color"),
    "choose": ("tree_side",),
    "Others": ("object",),
}


def state_uniquely(
    shown: Mapping[str, str], asked: str, is_unique: Callable[[Mapping[str, str]], bool], chance: Chance
) -> dict[str, str] | None:
    """Three to five of the attributes shown, as few as only one picture has together, never the asked one.

    Returns:
        None when five do not suffice.

    Example:
        >>> state_uniquely({"a": "1", "b": "2"}, "a", lambda stated: True, Chance(0))
        {'b': '2'}
    """
    names = [name for name in chance.shuffled(shown) if name != asked][:MAX_STATED]
    for size in range(min(MIN_STATED, len(names)), len(names) + 1):
        stated = {name: shown[name] for name in names[:size]}
        if is_unique(stated):
            return stated
    return None


class Asker:
    """Makes streams of answerable drafts; every stream asks each entity at most once.

    Args:
        catalog: what the world holds.
        name: the parts of the seed of all draws.
    """

    def __init__(self, catalog: Catalog, *name: object) -> None:
        self._catalog = catalog
        self._name = name
        self._next_answer_is_yes = True

    def chance(self, *purpose: object) -> Chance:
        """Draws for one purpose."""
        return Chance(*self._name, *purpose)

    def picture_streams(self, kind: str, *, visual_only: bool) -> list[Iterator[Draft]]:
        """One stream per attribute of a picture kind (per side for "choose", so that the sides balance)."""
        self._next_answer_is_yes = True
        # A boat shows too few attributes to leave one out and still be the only one of its look.
        asked = [name for name in ASKED[kind] if not visual_only or name in BUILDING_ATTRIBUTES]
        if kind == "choose":
            sides = BUILDING_ATTRIBUTES["tree_side"]
            return [self._about_picture(kind, "tree_side", visual_only, only=side) for side in sides]
        return [self._about_picture(kind, attribute, visual_only) for attribute in asked]

    def _about_picture(self, kind: str, attribute: str, visual_only: bool, only: str = "") -> Iterator[Draft]:
        part = evidence_part(attribute)
        chance = self.chance(kind, attribute, visual_only, only)
        for number in self._in_order(chance, part):
            entity = self._catalog.entities[number]
            value = getattr(entity, part)[attribute]
            if only and value != only:
                continue
            stated = self.only_look(number, part, attribute, chance) if visual_only else {}
            if stated is None:
                continue
            about = describe(part, stated, chance) if visual_only else subject(part, entity.name)
            if kind == "YesNo":
                answer = "yes" if self._next_answer_is_yes else "no"
                self._next_answer_is_yes = not self._next_answer_is_yes
                asked_value = self._asked_value(attribute, value, answer, chance)
                question = word_yes_no_question({attribute: asked_value}, about)
            else:
                answer, question = value, word_question(attribute, about)
            yield self._draft(kind, attribute, question, answer, number, [(part,)], visual_only, stated)

    def _asked_value(self, attribute: str, value: str, answer: str, chance: Chance) -> str:
        if answer == "yes":
            return value
        return draw_other_value(attribute, value, chance)

    def text_streams(self) -> list[Iterator[Draft]]:
        """Streams of the kind "text": a year, a builder or a load; the last may be asked by the look of the boat."""
        year, builder = self._about_fact("year"), self._about_fact("builder")
        return [year, builder, self._about_fact("load"), year, builder, self._about_look("text", "load", [("boat",)])]

    def _about_fact(self, fact: str) -> Iterator[Draft]:
        part = evidence_part(fact)
        for number in self._in_order(self.chance("text", fact), part):
            entity = self._catalog.entities[number]
            question = word_question(fact, subject("boat" if fact == "load" else "building", entity.name))
            yield self._draft("text", fact, question, getattr(entity, fact), number, [(part,)], False, {})

    def two_hop_streams(self) -> list[Iterator[Draft]]:
        """Streams whose picture tells which entity is meant and whose text tells the fact."""
        return [self._about_look("two_hop", fact, [("building",), (fact,)]) for fact in ("builder", "year")]

    def _about_look(self, kind: str, fact: str, hops: Sequence[tuple[str, ...]]) -> Iterator[Draft]:
        part = hops[0][0]
        chance = self.chance(kind, fact, "look")
        for number in self._in_order(chance, *(part for hop in hops for part in hop)):
            stated = self.only_look(number, part, fact, chance)
            if stated is not None:
                question = word_question(fact, describe(part, stated, chance))
                answer = getattr(self._catalog.entities[number], fact)
                yield self._draft(kind, fact, question, answer, number, hops, True, stated)

    def question_picture_streams(self) -> list[Iterator[Draft]]:
        """Streams of questions that carry another picture of the entity they mean."""
        hops: Mapping[str, list[tuple[str, ...]]] = {
            "place": [("building",)],
            "load": [("boat",)],
            "builder": [("building",), ("builder",)],
            "year": [("building",), ("year",)],
        }
        return [self._about_question_picture(fact, parts) for fact, parts in hops.items()]

    def _about_question_picture(self, fact: str, hops: Sequence[tuple[str, ...]]) -> Iterator[Draft]:
        part = hops[0][0]
        for number in self._in_order(self.chance("question_picture", fact), *(name for hop in hops for name in hop)):
            entity = self._catalog.entities[number]
            shown = getattr(entity, part)
            if self._catalog.galleries[part].count(shown) != 1:
                continue
            image = self.draw(part, shown, fact, entity.name)
            yield self._draft(
                "question_picture",
                fact,
                word_picture_question(fact),
                getattr(entity, fact),
                number,
                hops,
                True,
                shown,
                image,
            )

    def draw(self, part: str, shown: Mapping[str, str], *purpose: object) -> ImageRef:
        """A question's own picture: the same attributes, other positions, shades and clutter."""
        return encode_picture(draw_picture(part, shown, self.chance("question picture", *purpose)))

    def _in_order(self, chance: Chance, *parts: str) -> list[int]:
        """Entities that have all parts in the knowledge base, in a random order."""
        ids = self._catalog.ids
        numbers = range(len(self._catalog.entities))
        return chance.shuffled(number for number in numbers if all((number, part) in ids for part in parts))

    def only_look(self, number: int, part: str, asked: str, chance: Chance) -> dict[str, str] | None:
        """Attributes that only this picture shows together, never the asked one; None when five do not suffice."""
        shown, gallery = getattr(self._catalog.entities[number], part), self._catalog.galleries[part]
        return state_uniquely(shown, asked, lambda stated: gallery.count(stated) == 1, chance)

    def _draft(
        self,
        kind: str,
        attribute: str,
        question: str,
        answer: str,
        number: int,
        hops: Sequence[tuple[str, ...]],
        visual_only: bool,
        shown: Mapping[str, str],
        image: ImageRef | None = None,
    ) -> Draft:
        return Draft(
            kind=kind,
            attribute=attribute,
            question=question,
            answer=answer,
            hops=tuple(tuple(self._catalog.ids[number, part] for part in hop) for hop in hops),
            visual_only=visual_only,
            number=number,
            name=self._catalog.entities[number].name,
            shown=shown,
            image=image,
        )
