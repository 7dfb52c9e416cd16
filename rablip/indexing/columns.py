"""What every index of knowledge items can be filtered by."""

from __future__ import annotations

from collections.abc import Iterable

from ..processing.knowledge_rablip import KnowledgeItem

__all__ = ["COLUMNS", "make_columns"]

COLUMNS = {"modality": "string"}


def make_columns(items: Iterable[KnowledgeItem]) -> dict[str, list[str]]:
    """The values of `COLUMNS`: the modality of every item.

    Example:
        >>> make_columns([KnowledgeItem(id="a", text="It opened.")])
        {'modality': ['text']}
    """
    return {"modality": [item.modality.value for item in items]}
