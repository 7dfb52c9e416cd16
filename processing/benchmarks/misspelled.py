"""Fields that look like known ones: a misspelled name would leave a field out without a word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["check_misspelled"]

_NEAR = 0.75  # of difflib's measure, where 1 is equal


def check_misspelled(fields: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise when a field is unknown and resembles a known one that is absent. Other unknown fields are let pass.

    Args:
        fields: of a row.
        known: names that its format has.

    Raises:
        ValueError: there is such a field; names both.

    Example:
        >>> check_misspelled({"titel": "Harbor", "year": 1889}, ["title", "text"])
        Traceback (most recent call last):
        ...
        ValueError: unknown field 'titel' and no field 'title': is it misspelled?
    """
    names = list(known)
    absent = [name for name in names if name not in fields]
    for name in fields:
        if name in names:
            continue
        near = [other for other in absent if _differ_by_one(name, other)]
        near += difflib.get_close_matches(name, absent, n=1, cutoff=_NEAR)
        if near:
            raise ValueError(f"unknown field {name!r} and no field {near[0]!r}: is it misspelled?")


def _differ_by_one(name: str, other: str) -> bool:
    return len(name) == len(other) and sum(a != b for a, b in zip(name, other, strict=True)) == 1
