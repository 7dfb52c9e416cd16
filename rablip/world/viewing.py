"""Viewing rows of the pre-training split: questions about described pictures that bear names of the train split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..processing.knowledge_rablip import KnowledgeItem
from .asking import state_uniquely
from .chance import Chance
from .entities import draw_other_value
from .lexicon import names_of_split
from .pretraining import FACT_VALUES, DescribedPicture, ReadingRow, check_count, draw_places, write_fact
from .wording import PICTURE_QUESTIONS, describe, subject, word_question, word_yes_no_question

__all__ = ["make_viewing_rows"]

_MAX_ITEMS = 3
_PICTURE_SHARE = 0.7  # of the items beside the one asked about; the others are texts
_YES_NO_SHARE = 0.5
_MANY_SHARE = 0.75
_MAX_ASKED = 4
_BY_LOOK_SHARE = 0.4
_UNANSWERABLE_SHARE = 0.1


def make_viewing_rows(seed: int, pictures: Sequence[DescribedPicture], num_rows: int) -> list[ReadingRow]:
    """Questions about what is visible in one of up to three items; half of the rows hold that one picture only.

    Every row names its pictures anew (train split), and asks about one picture, which it calls by its name or by what
    else is visible in it. Half of the rows ask for one yes or no. Most of the others ask several attributes at once
    and have as many answers, in that order. In about one row in ten the picture is not there.

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
    shown = [pictures[place] for place in draw_places(len(pictures), num_items + 1, chance)]
    called = [names[place] for place in draw_places(len(names), num_items + 1, chance)]
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


def _ask(picture: DescribedPicture, name: str, others: Sequence[Mapping[str, str]], chance: Chance) -> tuple[str, str]:
    kind, attributes = picture.kind, picture.attributes
    about = subject(kind, name)
    yes_no = chance.happens(_YES_NO_SHARE)
    askable = [name for name in attributes if name != "sky" and (yes_no or name in PICTURE_QUESTIONS)]
    asked = chance.shuffled(askable)
    if chance.happens(_BY_LOOK_SHARE):
        # No other picture of the row may show them all, whether it is shown or left out.
        stated = state_uniquely(
            attributes, asked[0], lambda part: not any(part.items() <= other.items() for other in others), chance
        )
        if stated is not None:
            about = describe(kind, stated, chance)
            asked = [name for name in asked if name not in stated]
    if not yes_no:
        if name not in about:
            asked = asked[:1]
        asked = asked[: chance.whole(2, _MAX_ASKED) if chance.happens(_MANY_SHARE) else 1]
        return " ".join(word_question(part, about) for part in asked), " ".join(attributes[part] for part in asked)
    [checked] = asked[:1]
    holds = chance.happens(0.5)
    value = attributes[checked] if holds else draw_other_value(checked, attributes[checked], chance)
    return word_yes_no_question({checked: value}, about), "yes" if holds else "no"


def _write_picture(picture: DescribedPicture, name: str, chance: Chance) -> KnowledgeItem:
    fact = "place" if picture.kind == "building" else "load"
    return replace(write_fact(picture.id, name, fact, chance.pick(FACT_VALUES[fact])), image=picture.image)
