"""The sentences of the world: texts and captions of knowledge items, visual descriptions and questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .chance import Chance
from .entities import Entity

__all__ = [
    "FACT_QUESTIONS",
    "PICTURE_QUESTIONS",
    "article",
    "describe",
    "join_phrases",
    "phrase_attribute",
    "subject",
    "word_fact",
    "word_picture_attribute",
    "word_picture_question",
    "word_question",
    "word_yes_no_question",
]

FACT_QUESTIONS: Mapping[str, str] = {
    "year": "In what year was {} founded?",
    "builder": "Who built {}?",
    "load": "How many barrels does {} carry?",
}
PICTURE_QUESTIONS: Mapping[str, str] = {
    "wall_color": "What color is the wall of {}?",
    "roof_color": "What color is the roof of {}?",
    "hull_color": "What color is the hull of {}?",
    "sail_color": "What color is the sail of {}?",
    "wall_mark": "What mark is on the wall of {}?",
    "sail_mark": "What mark is on the sail of {}?",
    "num_windows": "How many windows does {} have?",
    "num_sails": "How many sails does {} have?",
    "tree_side": "Is the tree left or right of {}?",
    "object": "What stands in front of {}?",
}
_QUESTIONS_WITH_PICTURE: Mapping[str, str] = {
    "place": "In which place is this building?",
    "year": "In what year was this building founded?",
    "builder": "Who built this building?",
    "load": "How many barrels does this boat carry?",
}
_MANY: Mapping[str, str] = {"num_windows": "window", "num_sails": "sail"}


def article(phrase: str) -> str:
    """Put "a" or "an" in front.

    Example:
        >>> article("orange wall"), article("star")
        ('an orange wall', 'a star')
    """
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def join_phrases(phrases: Sequence[str]) -> str:
    """Join as an English list.

    Example:
        >>> join_phrases(["a star", "a tent", "two windows"])
        'a star, a tent and two windows'
    """
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " and " + phrases[-1]


def _count(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "one" else f"{number} {noun}s"


def phrase_attribute(attribute: str, value: str) -> str:
    """What one attribute looks like, in words."""
    if attribute in _MANY:
        return _count(value, _MANY[attribute])
    if attribute in ("wall_color", "roof_color", "hull_color", "sail_color"):
        return article(f"{value} {attribute.partition('_')[0]}")
    if attribute == "roof_shape":
        return article(f"{value} roof")
    if attribute in ("wall_mark", "sail_mark"):
        return article(value)
    if attribute == "tree_side":
        return f"a tree on the {value}"
    if attribute == "object":
        return f"a {value} in front"
    return "at night" if value == "night" else "by day"


def describe(kind: str, stated: Mapping[str, str], chance: Chance) -> str:
    """Name a "building" or a "boat" by some of its visible attributes, in a random order of phrases.

    Example:
        >>> describe("boat", {"hull_color": "red"}, Chance(0))
        'the boat with a red hull'
    """
    rest = {name: value for name, value in stated.items() if name != "sky"}
    phrases = []
    if "roof_color" in rest and "roof_shape" in rest:
        phrases.append(article(f"{rest.pop('roof_color')} {rest.pop('roof_shape')} roof"))
    if "sail_color" in rest and "num_sails" in rest:
        number = rest.pop("num_sails")
        phrases.append(_count(number, f"{rest.pop('sail_color')} sail"))
    phrases += [phrase_attribute(name, value) for name, value in rest.items()]
    words = f"the {kind}" + (f" with {join_phrases(chance.shuffled(phrases))}" if phrases else "")
    return f"{words} {phrase_attribute('sky', stated['sky'])}" if "sky" in stated else words


def subject(kind: str, name: str) -> str:
    """How a question names a building or its boat.

    Example:
        >>> subject("boat", "Melbald Holti")
        'the boat of Melbald Holti'
    """
    return name if kind == "building" else f"the boat of {name}"


def word_question(attribute: str, about: str) -> str:
    """A question that asks one attribute or fact of what `about` names."""
    return (PICTURE_QUESTIONS.get(attribute) or FACT_QUESTIONS[attribute]).format(about)


def word_yes_no_question(asked: Mapping[str, str], about: str) -> str:
    """A question whether attributes have these values.

    Example:
        >>> word_yes_no_question({"roof_color": "red"}, "Melbald Holti")
        'Does Melbald Holti have a red roof?'
        >>> word_yes_no_question({"roof_color": "red", "wall_mark": "star"}, "Melbald Holti")
        'Does Melbald Holti have a red roof and a star?'
    """
    return f"Does {about} have {join_phrases([phrase_attribute(name, value) for name, value in asked.items()])}?"


def word_picture_question(fact: str) -> str:
    """A question about the picture that comes with it."""
    return _QUESTIONS_WITH_PICTURE[fact]


def word_fact(entity: Entity, fact: str) -> str | None:
    """The sentence that holds a text fact, or None when the fact is missing.

    Example:
        >>> from rablip.world.entities import draw_entity
        >>> word_fact(draw_entity("Melbald Holti", Chance(0)), "year")[:29]
        'Melbald Holti was founded in '
    """
    value = getattr(entity, fact)
    if value is None:
        return None
    if fact == "year":
        return f"{entity.name} was founded in {value}."
    return f"{entity.name} was built by {value}." if fact == "builder" else f"It carries {value} barrels."


def word_picture_attribute(kind: str, attribute: str, value: str) -> str:
    """A sentence that tells one visible attribute.

    Example:
        >>> word_picture_attribute("building", "wall_mark", "star")
        'The mark on the wall is a star.'
    """
    part, _, what = attribute.partition("_")
    if what in ("color", "shape"):
        return f"The {part} is {value}."
    if what == "mark":
        return f"The mark on the {part} is {article(value)}."
    if attribute in _MANY:
        return f"The {kind} has {phrase_attribute(attribute, value)}."
    if attribute == "tree_side":
        return f"The tree is {value} of the {kind}."
    if attribute == "object":
        return f"{article(value).capitalize()} stands in front of the {kind}."
    return f"It is {value}."
