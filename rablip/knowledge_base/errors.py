"""Why items cannot be stored or read."""

from __future__ import annotations

from collections.abc import Iterable

from ..processing.readers_records import Problem

__all__ = ["KnowledgeBaseError"]


class KnowledgeBaseError(ValueError):
    """Items cannot be stored or read; `problems` has every one, the message the first ten.

    Args:
        message: what is wrong.
        problems: the items concerned.

    Example:
        >>> KnowledgeBaseError("no", [Problem("a", "a.png", "missing")]).problems[0].file
        'a.png'
    """

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)
