"""Look rows of the pre-training split: a description that fits one of several pictures which look almost the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .chance import Chance
from .entities import attributes_of
from .lexicon import names_of_split
from .pretraining import FACT_VALUES, DescribedPicture, ReadingRow, check_count, draw_places, write_fact
from .wording import PICTURE_QUESTIONS, describe, word_question, word_yes_no_question

__all__ = ["make_look_rows"]

_MIN_ITEMS, _MAX_ITEMS = 2, 4
_MIN_STATED, _MAX_STATED = 3, 5
_BUILDING_SHARE = 0.75
_UNANSWERABLE_SHARE = 0.15
_FACT_SHARE = 0.2
_YES_NO_SHARE = 0.15
_MISPLACED_SHARE = 0.75


def make_look_rows(seed: int, pictures: Sequence[DescribedPicture], num_rows: int) -> list[ReadingRow]:
    """Questions that name no building or boat but describe it, over two to four pictures of the same kind.

    The other pictures show all but one of what the question states, or its colors on the wrong parts (a red wall and a
    blue roof for a blue wall and a red roof), as far as there are such pictures, so that only who checks every part of
    the description can tell which one is meant. In about one row in seven that one is not there. One question in seven
    has an empty answer although its picture is there: a text would have to tell it, the picture only tells of whom.

    Args:
        seed: seed of all draws.
        pictures: of `make_pretraining_split`, with at least as many of each kind as a row can hold.
        num_rows: how many rows.

    Raises:
        ValueError: when the number is negative or there are too few pictures of a kind.

    Example:
        >>> from rablip.world import make_pretraining_split
        >>> row = make_look_rows(0, make_pretraining_split(0, 24), 1)[0]
        >>> row.question.count("with"), len(row.items) >= 2
        (1, True)
    """
    check_count("num_rows", num_rows)
    gallery: dict[str, list[DescribedPicture]] = {"building": [], "boat": []}
    for picture in pictures:
        gallery[picture.kind].append(picture)
    for kind, shown in gallery.items():
        if len(shown) <= _MAX_ITEMS:
            raise ValueError(
                f"A row shows up to {_MAX_ITEMS} pictures of a {kind}, got only {len(shown)}. Pass more pictures."
            )
    shelves = {kind: _Shelf(kind, shown) for kind, shown in gallery.items()}
    names = names_of_split("train")
    return [_make_row(shelves, names, Chance("looks", seed, number)) for number in range(num_rows)]


def _make_row(shelves: Mapping[str, _Shelf], names: tuple[str, ...], chance: Chance) -> ReadingRow:
    kind = "building" if chance.happens(_BUILDING_SHARE) else "boat"
    shelf = shelves[kind]
    [place] = draw_places(len(shelf.pictures), 1, chance)
    asked = shelf.pictures[place]
    attribute = _draw_asked(kind, chance)
    tellable = [name for name in chance.shuffled(asked.attributes) if name != attribute]
    stated = {name: asked.attributes[name] for name in tellable[: chance.whole(_MIN_STATED, _MAX_STATED)]}
    first = 1 if chance.happens(_UNANSWERABLE_SHARE) else 0
    shown = [place, *shelf.find_others(stated, place, chance)][first : first + chance.whole(_MIN_ITEMS, _MAX_ITEMS)]
    fact = "place" if kind == "building" else "load"
    told = [chance.pick(FACT_VALUES[fact]) for _ in shown]
    items = []
    for number, name, value in zip(shown, draw_places(len(names), len(shown), chance), told, strict=True):
        picture = shelf.pictures[number]
        items.append(replace(write_fact(picture.id, names[name], fact, value), image=picture.image))
    about = describe(kind, stated, chance)
    if attribute not in asked.attributes:
        question, answer = word_question(attribute, about), told[0] if attribute == fact else ""
    elif attribute in PICTURE_QUESTIONS and not chance.happens(_YES_NO_SHARE):
        question, answer = word_question(attribute, about), asked.attributes[attribute]
    else:
        value = chance.pick([asked.attributes[attribute], chance.pick(attributes_of(kind)[attribute])])
        question = word_yes_no_question({attribute: value}, about)
        answer = "yes" if value == asked.attributes[attribute] else "no"
    items = chance.shuffled(items)
    relevant = tuple(number for number, item in enumerate(items) if item.id == asked.id)
    return ReadingRow(items=tuple(items), question=question, answer=answer if relevant else "", relevant=relevant)


def _draw_asked(kind: str, chance: Chance) -> str:
    """What the question asks: something visible, or, as far as pictures alone go, what a text has to tell."""
    if kind == "boat":
        return "load"
    if chance.happens(_FACT_SHARE):
        return chance.pick(("year", "builder"))
    return chance.pick([name for name in attributes_of(kind) if name != "sky"])


class _Shelf:
    """The pictures of one kind, found by what they show."""

    def __init__(self, kind: str, pictures: Sequence[DescribedPicture]) -> None:
        self.pictures = pictures
        self._kind = kind
        self._places: dict[tuple[str, str], set[int]] = {}
        for place, picture in enumerate(pictures):
            for shown in picture.attributes.items():
                self._places.setdefault(shown, set()).add(place)

    def find_others(self, stated: Mapping[str, str], place: int, chance: Chance) -> list[int]:
        """Pictures that miss one of what is stated, a different one each; any others when there are too few.

        Most often the first of them shows what is stated on the wrong parts.
        """
        found: list[int] = []
        if chance.happens(_MISPLACED_SHARE):
            self._add_one(found, self._match(_misplace(self._kind, stated)) - self._match(stated), chance)
        for missed in chance.shuffled(stated):
            rest = {name: value for name, value in stated.items() if name != missed}
            self._add_one(found, self._match(rest) - self._match({missed: stated[missed]}), chance)
        others = draw_places(len(self.pictures), min(len(self.pictures), 3 * _MAX_ITEMS), chance)
        fits = [other for other in others if other != place and other not in found]
        found += [other for other in fits if not stated.items() <= self.pictures[other].attributes.items()]
        return found[:_MAX_ITEMS]

    def _match(self, stated: Mapping[str, str]) -> set[int]:
        """Places of the pictures that show all that is stated."""
        return set.intersection(*(self._places.get(shown, set()) for shown in stated.items()))

    def _add_one(self, found: list[int], alike: set[int], chance: Chance) -> None:
        fresh = alike - set(found)
        if fresh:
            found.append(chance.pick(sorted(fresh)))


def _misplace(kind: str, stated: Mapping[str, str]) -> dict[str, str]:
    """What is stated, with the values of two attributes that take the same ones (colors of two parts) exchanged."""
    values = attributes_of(kind)
    alike = {name: [other for other in values if other != name and values[other] == values[name]] for name in stated}
    return {(alike[name] or [name])[0]: value for name, value in stated.items()}
