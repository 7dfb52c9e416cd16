"""How WebQA's official scorer normalises an answer before it counts words, and SKURG's script before that."""

from __future__ import annotations

import re
import string
from collections.abc import Callable

from .number_words import parse_number_word
from .webqa_lemmas import lemmatize_words
from .webqa_tokens import split_tokens

__all__ = ["normalize_skurg_answer", "normalize_skurg_prediction", "normalize_webqa_answer"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_POINTS_BETWEEN_WORDS = re.compile(r"\.(?!\d)")
_PUNCTUATION = str.maketrans("", "", string.punctuation.replace(".", ""))
_BLANK_BEFORE_PUNCTUATION = re.compile(f" (?=[{re.escape(string.punctuation)}])")


def normalize_webqa_answer(text: str, *, lemmatize: Callable[[str], str] | None = lemmatize_words) -> str:
    """Normalise an answer or its keywords as `vlp/eval_1022.py` of WebQA's baseline does.

    Which steps are taken depends on the text as it comes:

    - a single character is lower-cased and its number read (so "a" and "." stay what they are);
    - a single word is lower-cased, its punctuation deleted, its number read, and lemmatised (an article stays);
    - anything else is lower-cased, its punctuation and articles deleted, its numbers read, and lemmatised.

    Punctuation is every ASCII punctuation mark, deleted without a blank in its place ("red/orange" becomes
    "redorange"), except that a full stop before a digit stays. Curly quotes and long dashes stay. Numbers are read
    word by word ("twenty one" becomes "20 1", "none" stays), and "point" is not read.

    Args:
        text: the answer.
        lemmatize: text of words with single blanks between them to lemmas with blanks between them. The official
            scorer takes spaCy's `en_core_web_sm` with "ner", "textcat" and "parser" disabled:
            `lambda text: " ".join(token.lemma_ for token in nlp(text))`. The default comes close by rules of spelling.
            None splits the text into the same tokens and leaves them as they are.

    Returns:
        The normalised text.

    Raises:
        TypeError: when the text is no string.

    Example:
        >>> normalize_webqa_answer("The twenty-one buses were parked at 1,000 St. James' .", lemmatize=None)
        'twentyone buses were parked at 1000 st james'
        >>> normalize_webqa_answer("Two of the statues are taller."), normalize_webqa_answer("A")
        ('2 of statue be tall', 'a')
    """
    if not isinstance(text, str):
        raise TypeError(f"an answer must be a string, but is {text!r}.")
    stripped = text.strip()
    if len(stripped) == 1:
        return _read_numbers(stripped.lower())
    words = _POINTS_BETWEEN_WORDS.sub("", stripped.lower().translate(_PUNCTUATION))
    if len(stripped.split()) != 1:
        words = _ARTICLES.sub(" ", words)
    words = _read_numbers(words)
    return " ".join(split_tokens(words)) if lemmatize is None else lemmatize(words)


def normalize_skurg_prediction(text: str) -> str:
    """A prediction as SKURG's script has it before the common steps: no blank before punctuation, lower case.

    >>> normalize_skurg_prediction("Yes , the Mid - Hudson Bridge .")
    'yes, the mid- hudson bridge.'
    """
    return _BLANK_BEFORE_PUNCTUATION.sub("", text).lower()


def normalize_skurg_answer(text: str) -> str:
    """A reference as SKURG's script has it before the common steps: lower case, without the quotes around it.

    >>> normalize_skurg_answer('"The door is green."')
    'the door is green.'
    """
    text = text.lower()
    return text[1:-1] if text.startswith('"') else text


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
