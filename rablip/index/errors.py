"""Why an index cannot be used or changed: it belongs to another model, is damaged, or is being changed."""

from __future__ import annotations

__all__ = ["IndexCorruptError", "IndexLockedError", "IndexMismatchError"]


class IndexMismatchError(ValueError):
    """The index, or what was made for it, belongs to another model, format or state; the message has both values."""


class IndexCorruptError(ValueError):
    """A file of the index is missing, truncated or altered; the message names it and what was expected."""


class IndexLockedError(RuntimeError):
    """Another process is changing the index, or has changed it since it was loaded; nothing was written."""
