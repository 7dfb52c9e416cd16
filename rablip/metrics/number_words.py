"""English number words to numbers, as the official scorers of WebQA and MultimodalQA read them with word2number."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["parse_number_word"]

_ONES = "zero one two three four five six seven eight nine"
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SCALES = {"billion": 1_000_000_000, "million": 1_000_000, "thousand": 1_000}  # from the largest down
_DIGITS = {word: value for value, word in enumerate(_ONES.split())}
_VALUES = {
    **_DIGITS,
    **{word: value for value, word in enumerate(_TEENS.split(), start=10)},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), start=2)},
    "hundred": 100,
    **_SCALES,
}
_POINT = "point"


def parse_number_word(token: str) -> int | float:
    """The number that `word2number` 1.1 reads in a token, with its oddities.

    For one word: zero to twenty, thirty to ninety by tens, hundred, thousand, million, billion, digits, and `point`,
    which is 0. Ordinals, "dozen", "half", "none", "2.5", "1,000" and "hundreds" are no number words.

    Case does not count and a hyphen separates words. Of several words, those that are no number words are passed over
    (white space inside a token is possible: MultimodalQA splits its answers at blanks only, not at tabs or newlines).
    Such words are not always added up as a reader would: "one two three" is 1 * 2 + 3, five words or more before
    or after a scale word count as the first of them, and a scale word that ends a number counts again after a larger
    one ("two million five thousand" is 2,006,005).

    Args:
        token: one token of an answer.

    Returns:
        An integer; a float where digits follow a `point`.

    Raises:
        ValueError: when the token holds no number word, or number words that make no number (also where the package
            itself fails with another exception, as in "million five").

    Example:
        >>> parse_number_word("Twelve"), parse_number_word("1000"), parse_number_word("point")
        (12, 1000, 0)
        >>> parse_number_word("two hundred\\tand six"), parse_number_word("one point\\nfive")
        (206, 1.5)
    """
    text = token.replace("-", " ").lower()
    if text.isdigit():
        return int(text)
    words = [word for word in text.split() if word in _VALUES or word == _POINT]
    if not words:
        raise ValueError(f"{token!r} holds no number word, such as 'seven', 'hundred' or '7'.")
    for word in (_POINT, *_SCALES):
        if words.count(word) > 1:
            raise ValueError(f"{token!r} holds {word!r} twice: that is no number.")
    if _POINT not in words:
        return _whole_number(words, token)
    point = words.index(_POINT)
    whole = _whole_number(words[:point], token) if point else 0
    decimals = words[point + 1 :]
    if not decimals or any(word not in _DIGITS for word in decimals):
        return whole  # decimals that are not single digits are dropped
    return whole + float("0." + "".join(str(_DIGITS[word]) for word in decimals))


def _whole_number(words: Sequence[str], token: str) -> int:
    """What number words without a point amount to."""
    if len(words) == 1:
        return _VALUES[words[0]]
    places = {scale: words.index(scale) for scale in _SCALES if scale in words}
    if list(places.values()) != sorted(places.values()):
        raise ValueError(f"{token!r} names a larger scale after a smaller one: that is no number.")
    total, start = 0, 0
    for scale, place in places.items():
        total += _SCALES[scale] * _group(words[start:place], token)
        start = place + 1
    # What follows the last scale word that does not end the number is added, even where it ends with a scale word
    # that has been counted already.
    open_ended = [place for place in places.values() if place != len(words) - 1]
    if open_ended or not places:
        total += _group(words[max(open_ended, default=-1) + 1 :], token)
    return total


def _group(words: Sequence[str], token: str) -> int:
    """What the words before or after a scale word amount to: by how many they are, not by what they mean."""
    values = [_VALUES[word] for word in words]
    if not values:
        raise ValueError(f"{token!r} names a scale without a number before it: that is no number.")
    if len(values) == 2:
        return values[0] * values[1] if 100 in values else values[0] + values[1]
    if len(values) in (3, 4):
        return values[0] * values[1] + sum(values[2:])
    return values[0]
