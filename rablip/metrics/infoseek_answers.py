"""When one answer to an InfoSeek question is right: normalised exact match, and numbers read out of a text."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping, Sequence

__all__ = [
    "matches_infoseek_answers",
    "matches_value_range",
    "normalize_infoseek_answer",
    "parse_quantity",
    "read_value_range",
]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"[-+]?[.]?\d+(?:,\d\d\d)*[.]?\d*(?:[eE][-+]?\d+)?")
_LEAST_OVERLAP = 0.5
_EPSILON = 1e-12


def normalize_infoseek_answer(answer: str) -> str:
    """Lower case, ASCII punctuation deleted, then articles, white space collapsed.

    A hyphen glues its words together, since it is deleted and not replaced.

    Args:
        answer: a prediction or an accepted answer.

    Example:
        >>> normalize_infoseek_answer("The Mid-Atlantic, U.S.")
        'midatlantic us'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_NO_PUNCTUATION)).split())


def matches_infoseek_answers(prediction: str, answers: Sequence[str]) -> bool:
    """Whether a prediction equals one of the accepted answers after normalisation, also where a time is asked for.

    The official docstring promises a tolerance of one year; its code has none.

    Args:
        prediction: the answer given.
        answers: the accepted answers.

    Example:
        >>> matches_infoseek_answers("the Louvre", ["Louvre!"]), matches_infoseek_answers("1888", ["1889"])
        (True, False)
    """
    normalized = normalize_infoseek_answer(prediction)
    return any(normalized == normalize_infoseek_answer(answer) for answer in answers)


def parse_quantity(prediction: str) -> float | tuple[float, float]:
    """The number, or the range of two ascending numbers, that the official scorer reads in a text.

    A hyphen after a digit separates ("9-10" is a range). Thousands may have commas, exponents are read, units and
    words such as "million" are not. Dots at the ends of a number are dropped with everything they mean (".5" is 5, and
    "1.2.3" is 1.2 and 3). Of more than two numbers the first two count; of two that descend, the first alone.
    Without a number it is (0, 0): then any text is right where 0 lies in the range.

    A sign before two dots ("-.5.3") ends the official scorer with an exception; here it is no number.

    Args:
        prediction: the answer given.

    Example:
        >>> [parse_quantity(text) for text in ("about 1,200 m", "9-10", "10 to 9", ".5", "-5", "35 km in 1999", "?")]
        [1200.0, (9.0, 10.0), 10.0, 5.0, -5.0, (35.0, 1999.0), (0.0, 0.0)]
    """
    spaced = "".join(
        " - " if character == "-" and place and prediction[place - 1].isdigit() else character
        for place, character in enumerate(prediction)
    )
    pieces = [piece.replace(",", "").strip(".") for piece in _NUMBER.findall(spaced)]
    numbers = [float(piece) for piece in pieces if piece.count(".") < 2]
    if not numbers:
        return 0.0, 0.0
    if len(numbers) > 1 and numbers[0] <= numbers[1]:
        return numbers[0], numbers[1]
    return numbers[0]


def matches_value_range(prediction: str, value_range: tuple[float, float]) -> bool:
    """Whether the quantity in a text is right: a number inside the range, a range inside it or half overlapping.

    Args:
        prediction: the answer given.
        value_range: least and greatest right value.

    Example:
        >>> [matches_value_range(text, (8.0, 12.0)) for text in ("8", "9-11", "8-16", "8-17", "no idea")]
        [True, True, True, False, False]
    """
    low, high = value_range
    quantity = parse_quantity(prediction)
    if isinstance(quantity, float):
        return low <= quantity <= high
    if all(low <= bound <= high for bound in quantity):
        return True
    return _overlap(quantity, value_range) >= _LEAST_OVERLAP - _EPSILON


def read_value_range(answer_eval: object) -> tuple[float, float]:
    """The range of a numerical question, from `answer_eval` as the files write it.

    Args:
        answer_eval: `[{"wikidata": 1.0, "range": [0.9, 1.1]}]`, or that mapping without the list.

    Returns:
        The first two numbers of `range`.

    Raises:
        ValueError: when there is no range of two numbers in it.

    Example:
        >>> read_value_range([{"wikidata": 1.0, "range": [0.9, 1.1]}])
        (0.9, 1.1)
    """
    entry = answer_eval[0] if isinstance(answer_eval, (list, tuple)) and answer_eval else answer_eval
    bounds = entry.get("range") if isinstance(entry, Mapping) else None
    try:
        numbers = [float(bound) for bound in bounds[:2]] if isinstance(bounds, (list, tuple)) else []
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) < 2 or not all(map(math.isfinite, numbers)):
        raise ValueError(
            f"answer_eval of a numerical question must hold a range of two numbers, but is {answer_eval!r}."
        )
    return numbers[0], numbers[1]


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Intersection over union of two ranges; a range of one point has a length of next to nothing."""
    common = max(0.0, min(max(one), max(other)) - max(min(one), min(other)))
    union = (max(one) - min(one) + _EPSILON) + (max(other) - min(other) + _EPSILON) - common
    return common / union if union else 0.0
