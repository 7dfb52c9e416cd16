"""Replaced rows of the pre-training split: what a picture shows in words, some of them exchanged for wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .chance import Chance
from .entities import draw_other_value
from .lexicon import names_of_split
from .pretraining import DescribedPicture, check_count, draw_places
from .wording import describe, subject, word_question, word_yes_no_question

__all__ = ["ReplacedRow", "make_replaced_rows"]

_REPLACED_SHARE = 0.4
_YES_NO_SHARE = 0.5
_MIN_STATED = 2
_FACTS_ASKED: Mapping[str, tuple[str, ...]] = {"building": ("year", "builder"), "boat": ("load",)}


@dataclass(frozen=True, kw_only=True)
class ReplacedRow:
    """A question that states some of what a picture shows, and some of what it does not.

    Args:
        picture_id: of the picture.
        words: the question, split at blanks.
        replaced: for each word that names a visible value, whether the picture shows another one; None for the others.
    """

    picture_id: str
    words: tuple[str, ...]
    replaced: tuple[bool | None, ...]


def make_replaced_rows(seed: int, pictures: Sequence[DescribedPicture], num_rows: int) -> list[ReplacedRow]:
    """Questions about pictures, each of two or more visible values told, two in five of them wrongly.

    Half of them ask for yes or no ("Does Melbald Holti have a red roof and a star?"), the others describe what they
    mean ("Who built the building with a red roof and a star?"). Which words are wrong is known, one by one: it says at
    every value what an answer or a match says once a question.

    Args:
        seed: seed of all draws.
        pictures: of `make_pretraining_split`.
        num_rows: how many rows.

    Raises:
        ValueError: when the number is negative or there is no picture.

    Example:
        >>> from rablip.world import make_pretraining_split
        >>> row = make_replaced_rows(0, make_pretraining_split(0, 2), 1)[0]
        >>> len(row.words) == len(row.replaced), sum(told is not None for told in row.replaced) >= 2
        (True, True)
    """
    check_count("num_rows", num_rows)
    if not pictures:
        raise ValueError("There are no pictures to ask about. Pass at least one.")
    names = names_of_split("train")
    return [_make_row(pictures, names, Chance("replaced", seed, number)) for number in range(num_rows)]


def _make_row(pictures: Sequence[DescribedPicture], names: tuple[str, ...], chance: Chance) -> ReplacedRow:
    [place] = draw_places(len(pictures), 1, chance)
    picture = pictures[place]
    yes_no = chance.happens(_YES_NO_SHARE)
    tellable = [name for name in chance.shuffled(picture.attributes) if not (yes_no and name == "sky")]
    told = tellable[: chance.whole(_MIN_STATED, len(tellable))]
    shown = {name: picture.attributes[name] for name in told}
    stated = {
        name: draw_other_value(name, value, chance) if chance.happens(_REPLACED_SHARE) else value
        for name, value in shown.items()
    }
    if yes_no:
        about = subject(picture.kind, names[draw_places(len(names), 1, chance)[0]])
        true_text, text = (word_yes_no_question(values, about) for values in (shown, stated))
    else:
        fact, order = chance.pick(_FACTS_ASKED[picture.kind]), chance.whole(0, 2**31)
        true_text, text = (
            word_question(fact, describe(picture.kind, values, Chance("replaced", order)))
            for values in (shown, stated)
        )
    values = set(stated.values())
    words = tuple(text.split())
    replaced = tuple(
        word != true_word if word.strip(",?") in values else None
        for word, true_word in zip(words, true_text.split(), strict=True)
    )
    return ReplacedRow(picture_id=picture.id, words=words, replaced=replaced)
