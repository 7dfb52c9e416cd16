"""Lexical search: BM25 over the words of the items of an index, beside its vectors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .building import build_lexical_index
    from .lexical_index import LexicalIndex
    from .words import lexical_words, searchable_text

__all__ = ["LexicalIndex", "build_lexical_index", "lexical_words", "searchable_text"]

_HOME = {
    "LexicalIndex": "lexical_index",
    "build_lexical_index": "building",
    "lexical_words": "words",
    "searchable_text": "words",
}


def __getattr__(name: str) -> Any:
    """Imports the module that holds `name` on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
