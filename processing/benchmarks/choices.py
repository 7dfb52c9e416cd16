"""What an argument may say, checked in one way: an unknown value names the nearest one that is known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["check_choice"]


def check_choice(what: str, value: str, allowed: Iterable[str]) -> str:
    """Return the value, or raise when it is none of those allowed.

    Args:
        what: the argument, for the message.
        value: what was given.
        allowed: what it may be.

    Raises:
        ValueError: it is something else; names the nearest and lists all.

    Example:
        >>> check_choice("split", "vak", ["train", "val"])
        Traceback (most recent call last):
        ...
        ValueError: There is no split 'vak'. Did you mean 'val'? Known: train, val.
    """
    names = list(allowed)
    if value in names:
        return value
    near = difflib.get_close_matches(str(value), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"There is no {what} {value!r}.{hint} Known: {', '.join(names)}.")
