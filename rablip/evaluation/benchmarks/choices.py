"""Which of several given choices a free answer means, by its words: for questions that are answered by choosing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...metrics import normalize_answer

__all__ = ["choose_by_words"]


def choose_by_words(answer: str, choices: Sequence[str]) -> str:
    """The choice that shares most words with an answer; "" where none shares any.

    A-OKVQA's own helper chooses by word vectors that rablip does not bring. What this maps wrong counts against the
    system, so that its figure is no higher than one by better means.

    Args:
        answer: as written.
        choices: their texts; among equally good ones the first is taken.

    Returns:
        The text of the choice, exactly as given.

    Example:
        >>> choose_by_words("It is a red bus.", ["train", "bus", "red car"]), choose_by_words("a boat", ["train"])
        ('bus', '')
    """
    said = Counter(normalize_answer(answer).split())
    best, best_score = "", 0.0
    for choice in choices:
        words = Counter(normalize_answer(choice).split())
        num_shared = (said & words).total()
        score = 2 * num_shared / (said.total() + words.total()) if num_shared else 0.0
        if score > best_score:
            best, best_score = choice, score
    return best
