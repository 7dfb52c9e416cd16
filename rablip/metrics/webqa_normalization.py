"""How WebQA's official scorer normalises an answer before it counts words."""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from .number_words import parse_number_word
from .webqa_lemmas import lemmatize_words
from .webqa_tokens import split_tokens

__all__ = ["normalize_webqa_answer"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_POINTS_BETWEEN_WORDS = re.compile(r"\.(?!\d)")
_PUNCTUATION = str.maketrans("", "", string.punctuation.replace(".", ""))


def normalize_webqa_answer(text: str, *, lemmatize: Callable[[str], str] | None = lemmatize_words) -> str:
    """Normalise an answer or its keywords as `vlp/eval_1022.py` of WebQA's baseline does.

    Which steps are taken depends on the text as it comes:

    - a single character is lower-cased and its number read (so "a" and "." stay what they are);
    - a single word is lower-cased, its punctuation deleted, its number read, and lemmatised (an article stays);
    - anything longer is lower-cased, its punctuation and articles deleted, its numbers read, and lemmatised.

    Punctuation is every ASCII punctuation mark, deleted without a blank in its place ("red/orange" becomes
    "redorange"), except that a full stop before a digit stays. Curly quotes and long dashes stay. Numbers are read
    word by word ("twenty one" becomes "20 1", "none" stays), and "point" is not read.

    Args:
        text: the answer.
        lemmatize: text of words with single blanks between them to lemmas with blanks between them; None only splits
            it into tokens, as spaCy does before it looks for lemmas. The official scorer takes spaCy's
            `en_core_web_sm` with "ner", "textcat" and "parser" disabled:
            `lambda text: " ".join(token.lemma_ for token in nlp(text))`.

    Returns:
        The normalised text.

    Example:
        >>> normalize_webqa_answer("The twenty-one buses were parked at 1,000 St. James' .", lemmatize=None)
        'twentyone buses were parked at 1000 st james'
        >>> normalize_webqa_answer("Two of the statues are taller."), normalize_webqa_answer("A")
        ('2 of statue be tall', 'a')
    """
    words = text.strip()
    if len(words) == 1:
        return _read_numbers(words.lower())
    single = len(words.split()) == 1
    words = _POINTS_BETWEEN_WORDS.sub("", words.lower().translate(_PUNCTUATION))
    words = _read_numbers(words if single else _ARTICLES.sub(" ", words))
    return " ".join(split_tokens(words)) if lemmatize is None else lemmatize(words)


def _read_numbers(text: str) -> str:
    """Every number word of a text as digits, with single blanks between the words."""
    return " ".join(_read_number(word) for word in text.split())


def _read_number(word: str) -> str:
    if word == "point":  # a shape here, a decimal point to the reader of number words
        return word
    try:
        return str(parse_number_word(word))
    except ValueError:
        return word
