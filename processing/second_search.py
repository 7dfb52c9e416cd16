"""The question of a second search: asked again with the title of the picture that the first one found."""

from __future__ import annotations

__all__ = ["expand_question"]


def expand_question(question: str, title: str | None) -> str | None:
    """The question of a second search: the first one with the title of the picture that was found.

    Args:
        question: the question.
        title: the picture's title.

    Returns:
        None when there is nothing new to ask: no title, or one that the question already names.

    Example:
        >>> expand_question("Who built this mill?", "Harbor  Mill")
        'Who built this mill? | Harbor Mill'
        >>> expand_question("Who built Harbor Mill?", "Harbor Mill") is None
        True
    """
    title = " ".join((title or "").split())
    if not title or title.casefold() in " ".join(question.split()).casefold():
        return None
    return f"{question} | {title}"
