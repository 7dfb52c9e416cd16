"""Viewing rows of the pre-training split: questions about described pictures that bear names of the train split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..processing.knowledge_rablip import KnowledgeItem
from .asking import state_uniquely
from .chance import Chance
from .entities import attributes_of
from .lexicon import names_of_split
from .pretraining import FACT_VALUES, DescribedPicture, ReadingRow, check_count, write_fact
from .wording import PICTURE_QUESTIONS, describe, subject, word_question, word_yes_no_question

__all__ = ["make_viewing_rows"]

_MAX_ITEMS = 3
_PICTURE_SHARE = 0.7  # of the items beside the one asked about; the others are texts
_YES_NO_SHARE = 0.25
_BY_LOOK_SHARE = 0.4
_UNANSWERABLE_SHARE = 0.1


def make_viewing_rows(seed: int, pictures: Sequence[DescribedPicture], num_rows: int) -> list[ReadingRow]:
    """Questions about what is visible in one of up to three items; half of the rows hold that one picture only.

    Every row names its pictures anew (train split), and asks one attribute of one picture, which it calls by its name
    or by what else is visible in it. In about one row in ten the picture is not there.

    Args:
        seed: seed of all draws.
        pictures: of `make_pretraining_split`; at least as many as a row can hold.
        num_rows: how many rows.

    Raises:
        ValueError: when the number is negative or there are too few pictures.

    Example:
        >>> from rablip.world import make_pretraining_split
        >>> row = make_viewing_rows(0, make_pretraining_split(0, 8), 1)[0]
        >>> row.items[0].id[0], (row.answer == "") == (row.relevant == ())
        ('p', True)
    """
    check_count("num_rows", num_rows)
    if len(pictures) <= _MAX_ITEMS:
        raise ValueError(f"A row shows up to {_MAX_ITEMS} pictures, got only {len(pictures)}. Pass more pictures.")
    names = names_of_split("train")
    return [_make_row(pictures, names, Chance("viewing", seed, number)) for number in range(num_rows)]


def _make_row(pictures: Sequence[DescribedPicture], names: tuple[str, ...], chance: Chance) -> ReadingRow:
    num_items = 1 if chance.happens(0.5) else chance.whole(2, _MAX_ITEMS)
    shown = [pictures[place] for place in _draw_places(len(pictures), num_items + 1, chance)]
    called = [names[place] for place in _draw_places(len(names), num_items + 1, chance)]
    asked = shown[0]
    first = 1 if chance.happens(_UNANSWERABLE_SHARE) else 0
    items = [_write_picture(shown[first], called[first], chance)]
    for picture, name in list(zip(shown, called, strict=True))[first + 1 : first + num_items]:
        if chance.happens(_PICTURE_SHARE):
            items.append(_write_picture(picture, name, chance))
        else:
            fact = chance.pick(("year", "builder"))
            items.append(write_fact(f"{asked.id}-text{len(items)}", called[0], fact, chance.pick(FACT_VALUES[fact])))
    question, answer = _ask(asked, called[0], [picture.attributes for picture in shown[1:]], chance)
    items = chance.shuffled(items)
    relevant = tuple(place for place, item in enumerate(items) if item.id == asked.id)
    return ReadingRow(items=tuple(items), question=question, answer=answer if relevant else "", relevant=relevant)


def _draw_places(length: int, count: int, chance: Chance) -> list[int]:
    """Different whole numbers below `length`; shuffling all of them for every row would take most of the time."""
    places: list[int] = []
    while len(places) < count:
        place = chance.whole(0, length - 1)
        if place not in places:
            places.append(place)
    return places


def _ask(picture: DescribedPicture, name: str, others: Sequence[Mapping[str, str]], chance: Chance) -> tuple[str, str]:
    kind, attributes = picture.kind, picture.attributes
    about = subject(kind, name)
    yes_no = chance.happens(_YES_NO_SHARE)
    askable = [attribute for attribute in attributes if attribute in PICTURE_QUESTIONS or yes_no]
    attribute = chance.pick([name for name in askable if name != "sky"])
    if chance.happens(_BY_LOOK_SHARE):
        # No other picture of the row may show them all, whether it is shown or left out.
        stated = state_uniquely(
            attributes, attribute, lambda part: not any(part.items() <= other.items() for other in others), chance
        )
        if stated is not None:
            about = describe(kind, stated, chance)
    value = attributes[attribute]
    if not yes_no:
        return word_question(attribute, about), value
    if chance.happens(0.5):
        return word_yes_no_question(attribute, value, about), "yes"
    other = chance.pick([other for other in attributes_of(kind)[attribute] if other != value])
    return word_yes_no_question(attribute, other, about), "no"


def _write_picture(picture: DescribedPicture, name: str, chance: Chance) -> KnowledgeItem:
    fact = "place" if picture.kind == "building" else "load"
    return replace(write_fact(picture.id, name, fact, chance.pick(FACT_VALUES[fact])), image=picture.image)
