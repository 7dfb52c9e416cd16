"""Fields of a benchmark's rows as ids, whole numbers and texts: what is written differently but means the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["answer_text", "identifier", "readable", "required_text", "text_list", "whole_number"]


def identifier(row: Mapping[str, Any], field: str) -> str:
    """The id in a field, as a text: ids are texts everywhere in rablip, and numbers in many official files.

    Args:
        row: the row.
        field: its field.

    Raises:
        ValueError: the field is missing or holds neither a text nor a whole number.

    Example:
        >>> identifier({"question_id": 2971475}, "question_id"), identifier({"question_id": "22Mex"}, "question_id")
        ('2971475', '22Mex')
    """
    value = row.get(field)
    if isinstance(value, str) and value.strip():
        return readable(value, field)
    number = _whole(value)
    if number is None:
        raise ValueError(f"field {field!r} must be an id (a text or a whole number), found {_shown(value)}")
    return str(number)


def whole_number(row: Mapping[str, Any], field: str) -> int:
    """The whole number in a field, which may be written as a text or as 7.0.

    Args:
        row: the row.
        field: its field.

    Raises:
        ValueError: the field is missing or holds no whole number of zero or more.

    Example:
        >>> whole_number({"image_id": "297147"}, "image_id"), whole_number({"image_id": 297147.0}, "image_id")
        (297147, 297147)
    """
    value = row.get(field)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        return int(value)
    number = _whole(value)
    if number is None or number < 0:
        raise ValueError(f"field {field!r} must be a whole number of zero or more, found {_shown(value)}")
    return number


def required_text(row: Mapping[str, Any], field: str) -> str:
    """The text in a field, as it is written.

    Args:
        row: the row.
        field: its field.

    Raises:
        ValueError: the field is missing, blank or holds something else.

    Example:
        >>> required_text({"question": "What is this &amp; that?"}, "question")
        'What is this &amp; that?'
    """
    value = row.get(field)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field {field!r} must be a text that is not blank, found {_shown(value)}")
    return readable(value, field)


def answer_text(value: object, field: str) -> str:
    """An answer as a text: numbers are written as Python writes them.

    Args:
        value: the answer.
        field: where it was found, for the error.

    Raises:
        ValueError: it is neither a text nor a finite number.

    Example:
        >>> answer_text("race", "answer"), answer_text(3, "answer"), answer_text(300.0, "answer")
        ('race', '3', '300.0')
    """
    if isinstance(value, str):
        return readable(value, field)
    finite = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not finite:
        raise ValueError(f"field {field!r} must hold texts or numbers, found {_shown(value)}")
    return str(value)


def text_list(row: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The texts of a list in a field, numbers among them as texts; missing and null are ().

    Args:
        row: the row.
        field: its field.

    Raises:
        ValueError: the field holds something else than a list of texts and numbers.

    Example:
        >>> text_list({"answer": ["1889", 12.5]}, "answer"), text_list({}, "answer")
        (('1889', '12.5'), ())
    """
    value = row.get(field)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"field {field!r} must be a list, found {_shown(value)}")
    # A list first: of tuples that grow out of a generator, Python keeps some two thousand that it never uses again.
    return tuple([answer_text(entry, field) for entry in value])


def readable(text: str, field: str) -> str:
    """The text itself, once it is sure that it can be written: JSON may hold half of a character.

    Args:
        text: the text.
        field: where it was found, for the error.

    Raises:
        ValueError: the text holds one half of a surrogate pair.

    Example:
        >>> readable("caf\u00e9", "title") == "caf\u00e9"
        True
    """
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"field {field!r} holds half of a character (a lone surrogate): {error}") from error
    return text


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if math.isfinite(value) and value == int(value) else None


def _shown(value: object) -> str:
    return repr(value) if len(repr(value)) <= 80 else repr(value)[:80] + "..."
