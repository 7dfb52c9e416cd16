"""Which rows of a knowledge base count: of an id in several parts the last, and none that is deleted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .table import StoredTable

__all__ = ["find_visible", "has_row"]

Rows = range | np.ndarray


def find_visible(tables: Sequence[StoredTable], id_hashes: np.ndarray | None = None) -> list[Rows]:
    """The rows of every part that count, in order; a range, which takes no memory, where all of them do.

    Args:
        tables: the parts; of an id in several of them the last one's row counts.
        id_hashes: sorted hashes of the ids that are still there; None for all.
    """
    visible: list[Rows] = []
    later: list[StoredTable] = []
    for table in reversed(tables):
        hashes, rows = table.ids.read_lookup()
        hidden = np.zeros(len(table), dtype=bool)
        if id_hashes is not None:
            hidden[rows[~is_member(hashes, id_hashes)].astype(np.int64)] = True
        for other in later:
            # Different ids may have one hash, so what is replaced is told by the ids themselves.
            candidates = rows[is_member(hashes, other.ids.read_lookup()[0])].astype(np.int64)
            hidden[candidates[other.ids.find(table.ids.take(candidates)) >= 0]] = True
        later.append(table)
        visible.append(np.flatnonzero(~hidden) if hidden.any() else range(len(table)))
    return visible[::-1]


def has_row(rows: Rows, row: int) -> bool:
    """Whether a row is among the sorted rows of a part."""
    if isinstance(rows, range):
        return row in rows
    place = int(np.searchsorted(rows, row))
    return place < len(rows) and int(rows[place]) == row


def is_member(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """Which values are among others; both are sorted.

    Example:
        >>> is_member(np.array([1, 4, 9]), np.array([4, 5])).tolist()
        [False, True, False]
    """
    if not len(among):
        return np.zeros(len(values), dtype=bool)
    places = np.minimum(np.searchsorted(among, values), len(among) - 1)
    found: np.ndarray = among[places] == values
    return found
