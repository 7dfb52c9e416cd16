"""How right one MultimodalQA answer is: normalised with its numbers, then exact match or F1 over lists of answers."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

import numpy as np

from .assignment import find_best_assignment
from .number_words import parse_number_word

__all__ = ["multimodalqa_exact_match", "multimodalqa_f1", "normalize_multimodalqa_answer"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_multimodalqa_answer(answer: str) -> str:
    """An answer as it is compared: pieces between blanks and hyphens, in lower case, numbers written as floats.

    A piece that is no number loses its ASCII punctuation and is looked at again, then as a number word; then articles
    go. So a sign is lost ("-5" is split at its hyphen) and a decimal point before other punctuation too ("2.5.").

    Args:
        answer: one answer.

    Returns:
        The normalised pieces, joined by blanks; empty where nothing is left.

    Example:
        >>> [normalize_multimodalqa_answer(text) for text in ("two", "$1,000", "-5", "2.5.", "twenty-one", "the Cat")]
        ['2.0', '1000.0', '5.0', '25.0', '20.0 1.0', 'cat']
    """
    pieces = (_ARTICLES.sub(" ", _write_number(piece.lower())) for piece in re.split("[ -]", answer))
    return " ".join(part for piece in pieces for part in piece.split())


def multimodalqa_exact_match(prediction: str | Sequence[str], answers: Sequence[str]) -> float:
    """1 where both lists are equally long and hold the same normalised answers, in any order; else 0.

    Args:
        prediction: the answers given; a string is a list of one.
        answers: the gold answers.

    Example:
        >>> multimodalqa_exact_match(["Two", "the cat"], ["cat", "2"]), multimodalqa_exact_match("cat", ["cat", "2"])
        (1.0, 0.0)
    """
    given, gold = _normalize_all(prediction), _normalize_all(answers)
    return float(len(given) == len(gold) and set(given) == set(gold))


def multimodalqa_f1(prediction: str | Sequence[str], answers: Sequence[str]) -> float:
    """F1 over the distinct words of each answer, under the best one-to-one assignment, rounded to two decimals.

    A gold answer with numbers scores only with an answer that holds at least one of them. Answers left over on either
    side count 0.

    Args:
        prediction: the answers given; a string is a list of one.
        answers: the gold answers.

    Example:
        >>> multimodalqa_f1("red lighthouse", ["lighthouse"]), multimodalqa_f1(["1912 cup"], ["1913 cup"])
        (0.67, 0.0)
    """
    given = [set(normalized.split()) for normalized in _normalize_all(prediction)]
    gold = [set(normalized.split()) for normalized in _normalize_all(answers)]
    if not given and not gold:
        raise ValueError("F1 needs at least one answer, given or gold; leave out questions without a gold answer.")
    scores = [[_words_f1(words, gold_words) for words in given] for gold_words in gold]
    slots = np.zeros(max(len(gold), len(given)))
    for row, column in find_best_assignment(scores):
        slots[row] = scores[row][column]
    # numpy's mean and rounding, not Python's: 3/40 is rounded to 0.08 by one and to 0.07 by the other.
    return float(np.round(np.mean(slots), 2))


def _write_number(piece: str) -> str:
    """A number or number word as `str` writes a float; anything else without its punctuation."""
    for text in (piece, piece.translate(_NO_PUNCTUATION)):
        try:
            return str(float(text))
        except ValueError:
            continue  # not a number as it stands
    try:
        return str(float(parse_number_word(text)))
    except ValueError:
        return text


def _normalize_all(answers: str | Sequence[str]) -> list[str]:
    spans = [answers] if isinstance(answers, str) else answers
    return [normalize_multimodalqa_answer(span) for span in spans]


def _words_f1(words: set[str], gold_words: set[str]) -> float:
    """F1 of two sets of words, 0 where gold numbers are missed; an empty set has a precision, or a recall, of 1."""
    common = words & gold_words
    gold_numbers = {word for word in gold_words if _is_number(word)}
    if gold_numbers and not gold_numbers & common:
        return 0.0
    precision = len(common) / len(words) if words else 1.0
    recall = len(common) / len(gold_words) if gold_words else 1.0
    return 2 * precision * recall / (precision + recall) if precision or recall else 0.0


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
