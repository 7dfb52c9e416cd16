"""The two ways in which an index must not be used: it belongs to another model, or its files are damaged."""

from __future__ import annotations

__all__ = ["IndexCorruptError", "IndexMismatchError"]


class IndexMismatchError(ValueError):
    """The index was built by another model or in another format than asked for; the message has both values."""


class IndexCorruptError(ValueError):
    """A file of the index is missing, truncated or altered; the message names it and what was expected."""
