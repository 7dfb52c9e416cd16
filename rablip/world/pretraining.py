"""The pre-training split: described pictures for vision and fusion, reading rows for the language model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..processing.knowledge_rablip import ImageRef, KnowledgeItem
from .chance import Chance
from .drawing import draw_picture, encode_picture
from .entities import draw_attributes
from .lexicon import BUILDERS, LOADS, PLACES, SPLITS, YEARS, names_of_split
from .wording import article, describe, join_phrases, phrase_attribute, subject, word_picture_attribute, word_question

__all__ = [
    "FACT_VALUES",
    "DescribedPicture",
    "ReadingRow",
    "check_count",
    "describe_fully",
    "draw_places",
    "make_pretraining_split",
    "make_reading_rows",
    "write_fact",
]

FACT_VALUES: Mapping[str, tuple[str, ...]] = {"year": YEARS, "builder": BUILDERS, "load": LOADS, "place": PLACES}
_MAX_FACTS = 4
_UNANSWERABLE_SHARE = 0.15
_NAME_ALIKE_SHARE = 0.4
_MANY_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class DescribedPicture:
    """A picture and what is visible in it, in several wordings.

    Args:
        id: unique in its split.
        kind: "building" or "boat".
        image: the picture as a PNG file in memory.
        descriptions: each tells all attributes.
        attributes: attribute -> value.
    """

    id: str
    kind: str
    image: ImageRef
    descriptions: tuple[str, ...]
    attributes: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ReadingRow:
    """One or more questions over one to four items.

    Args:
        items: facts as knowledge items without pictures (in `make_viewing_rows` also pictures), in random order.
        question: asks one thing of one of them, or several.
        answer: the value, or the values in the order of the questions; "" when no item tells it.
        relevant: positions in `items` of those that tell the answer.
    """

    items: tuple[KnowledgeItem, ...]
    question: str
    answer: str
    relevant: tuple[int, ...]


def describe_fully(kind: str, attributes: Mapping[str, str], chance: Chance) -> tuple[str, str, str]:
    """All that is visible, as a list, as short sentences, and in the words of the questions; orders are random.

    Example:
        >>> boat = {"hull_color": "red", "sail_color": "blue", "num_sails": "two", "sail_mark": "star"}
        >>> sorted(describe_fully("boat", boat, Chance(0))[1].split(". "))[0]
        'The boat has two sails'
    """
    asked = describe(kind, attributes, chance)
    return (
        _as_list(kind, attributes, chance),
        _as_sentences(kind, attributes, chance),
        asked[0].upper() + asked[1:] + ".",
    )


def _as_list(kind: str, attributes: Mapping[str, str], chance: Chance) -> str:
    if kind == "boat":
        sails = phrase_attribute("num_sails", attributes["num_sails"]).replace(" ", f" {attributes['sail_color']} ")
        parts = [phrase_attribute("hull_color", attributes["hull_color"]), sails, article(attributes["sail_mark"])]
        return f"A boat with {join_phrases(chance.shuffled(parts))}."
    parts = [phrase_attribute(name, attributes[name]) for name in ("wall_color", "num_windows", "wall_mark")]
    parts.append(article(f"{attributes['roof_color']} {attributes['roof_shape']} roof"))
    sentences = [
        f"A tree stands on the {attributes['tree_side']}.",
        f"{article(attributes['object']).capitalize()} stands in front.",
        f"It is {attributes['sky']}.",
    ]
    return " ".join([f"A building with {join_phrases(chance.shuffled(parts))}.", *chance.shuffled(sentences)])


def _as_sentences(kind: str, attributes: Mapping[str, str], chance: Chance) -> str:
    sentences = [word_picture_attribute(kind, name, value) for name, value in attributes.items()]
    return " ".join(chance.shuffled(sentences))


def make_pretraining_split(seed: int, num_pictures: int, *, split: str = "train") -> list[DescribedPicture]:
    """Pictures of nameless buildings and boats (three to two), with full descriptions.

    They are drawn on their own: no name, fact or question of any world is in them.

    Raises:
        ValueError: when the split does not exist or the number is negative.

    Example:
        >>> len(make_pretraining_split(0, 2)[0].descriptions)
        3
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}. Choose one of {', '.join(SPLITS)}.")
    check_count("num_pictures", num_pictures)
    pictures = []
    for number in range(num_pictures):
        chance = Chance("pre-training", split, seed, number)
        kind = "building" if chance.happens(0.6) else "boat"
        attributes = draw_attributes(kind, chance)
        pictures.append(
            DescribedPicture(
                id=f"p{number:06d}",
                kind=kind,
                image=encode_picture(draw_picture(kind, attributes, chance)),
                descriptions=describe_fully(kind, attributes, chance),
                attributes=attributes,
            )
        )
    return pictures


def make_reading_rows(seed: int, num_rows: int) -> list[ReadingRow]:
    """Reading comprehension over names of the train split, with values drawn anew for every row.

    The facts of a row are years, builders, places and loads. Most rows ask for all of them at once; about one in seven
    asks a fact that no item tells.

    Raises:
        ValueError: when the number is negative.

    Example:
        >>> row = make_reading_rows(0, 1)[0]
        >>> 1 <= len(row.items) <= 4 and (row.answer == "") == (row.relevant == ())
        True
    """
    check_count("num_rows", num_rows)
    names = names_of_split("train")
    by_word: dict[str, list[str]] = {}
    for name in names:
        for word in name.split():
            by_word.setdefault(word, []).append(name)
    return [_make_row(number, names, by_word, Chance("reading", seed, number)) for number in range(num_rows)]


def _make_row(number: int, names: tuple[str, ...], by_word: Mapping[str, list[str]], chance: Chance) -> ReadingRow:
    facts, name = tuple(FACT_VALUES), chance.pick(names)
    asked = (name, chance.pick(facts))
    told = [asked]
    wanted = chance.whole(1, _MAX_FACTS)
    alikes = chance.shuffled(by_word[name.split()[0]] + by_word[name.split()[1]])
    while len(told) < wanted:
        if chance.happens(0.25):
            other = name
        else:
            other = alikes.pop() if alikes and chance.happens(_NAME_ALIKE_SHARE) else chance.pick(names)
        pair = (other, asked[1] if other != name and chance.happens(0.6) else chance.pick(facts))
        if pair not in told:
            told.append(pair)
    if chance.happens(_UNANSWERABLE_SHARE):
        if wanted > 1:
            told = told[1:]
        else:
            told = [(chance.pick([other for other in alikes if other != name] or names[:1]), asked[1])]
            told = [pair for pair in told if pair != asked] or [
                (name, facts[(facts.index(asked[1]) + 1) % len(facts)])
            ]
    told = chance.shuffled(told)
    wanted_facts = chance.shuffled(told) if asked in told and chance.happens(_MANY_SHARE) else [asked]
    values = {pair: chance.pick(FACT_VALUES[pair[1]]) for pair in told}
    return ReadingRow(
        items=tuple(write_fact(f"r{number:06d}-{place}", *pair, values[pair]) for place, pair in enumerate(told)),
        question=" ".join(_ask_fact(*pair) for pair in wanted_facts),
        answer=" ".join(values[pair] for pair in wanted_facts if pair in values),
        relevant=tuple(place for place, pair in enumerate(told) if pair in wanted_facts),
    )


def _ask_fact(name: str, fact: str) -> str:
    if fact == "place":
        return f"In which place is {name}?"
    return word_question(fact, subject("boat" if fact == "load" else "building", name))


def write_fact(item_id: str, name: str, fact: str, value: str) -> KnowledgeItem:
    """An item without a picture that tells a value of `FACT_VALUES`; a place or a load as its picture's item would.

    Example:
        >>> write_fact("r1", "Melbald Holti", "year", "1743").text
        'Melbald Holti was founded in 1743.'
    """
    if fact == "place":
        return KnowledgeItem(id=item_id, title=name, caption=f"{name} in {value}")
    if fact == "load":
        return KnowledgeItem(id=item_id, title=name, caption=f"Boat of {name}", text=f"It carries {value} barrels.")
    text = f"{name} was founded in {value}." if fact == "year" else f"{name} was built by {value}."
    return KnowledgeItem(id=item_id, title=name, text=text)


def check_count(name: str, count: int) -> None:
    """Refuse a negative number.

    Raises:
        ValueError: naming it.
    """
    if count < 0:
        raise ValueError(f"{name} must not be negative, got {count}.")


def draw_places(length: int, count: int, chance: Chance) -> list[int]:
    """Different whole numbers below `length`; shuffling all of them for every row would take most of the time."""
    places: list[int] = []
    while len(places) < count:
        place = chance.whole(0, length - 1)
        if place not in places:
            places.append(place)
    return places
