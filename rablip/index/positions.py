"""The items of an index by their position in its order, for what is kept beside it: one row an item, without ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import Filter, check_filter, make_schema, match_rows

if TYPE_CHECKING:
    from .knowledge_index import KnowledgeIndex

__all__ = ["ItemPositions"]


class ItemPositions:
    """Positions 0, 1, ... of the items that an index holds now, in the order of `iterate_ids`.

    They hold until the index is changed: compare `KnowledgeIndex.state`.

    Args:
        index: the index.

    Example:
        >>> from rablip.index import IndexManifest, KnowledgeIndex
        >>> manifest = IndexManifest(model_id="m", model_fingerprint="0", embedding_dim=2, columns={"year": "int64"})
        >>> index = KnowledgeIndex.create(manifest)
        >>> index.add(["a", "b", "c"], np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), columns={"year": [1, 2, 2]})
        3
        >>> index.delete(["b"])
        []
        >>> positions = ItemPositions(index)
        >>> len(positions), positions.take(np.array([1])), positions.match({"year": 2}).tolist()
        (2, ['c'], [False, True])
    """

    def __init__(self, index: KnowledgeIndex) -> None:
        self._schema = make_schema(index.manifest.columns)
        self._segments = [part.segment for part in index.parts]
        # None where nothing is deleted, so that positions cost no memory there.
        self._rows = [np.flatnonzero(~part.deleted) if part.num_deleted else None for part in index.parts]
        self._starts = np.cumsum([0, *(part.num_items for part in index.parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, positions: np.ndarray) -> list[str]:
        """The ids of items.

        Args:
            positions: (num_wanted,) int.
        """
        names = np.empty(len(positions), dtype=object)
        of_segments = np.searchsorted(self._starts, positions, side="right") - 1
        for number in np.unique(of_segments).tolist():
            places = np.flatnonzero(of_segments == number)
            within = positions[places] - self._starts[number]
            rows = self._rows[number]
            names[places] = self._segments[number].ids.take(within if rows is None else rows[within])
        return names.tolist()

    def match(self, where: Filter) -> np.ndarray:
        """Which items a filter lets count, (num_items,) bool.

        Raises:
            ValueError, TypeError: as of `KnowledgeIndex.search`.
        """
        expression = check_filter(where, self._schema)
        matched = [np.zeros(0, dtype=bool)]
        for segment, rows in zip(self._segments, self._rows, strict=True):
            found = match_rows(expression, segment.columns())
            matched.append(found if rows is None else found[rows])
        return np.concatenate(matched)

    def count_values(self, column: str) -> dict[Any, int]:
        """How many items have each value of a column; None counts those without one.

        Raises:
            ValueError: when the index has no such column.
        """
        if column not in self._schema.names:
            raise ValueError(f"The index has no column {column!r}; it has {self._schema.names or 'none'}.")
        counts: dict[Any, int] = {}
        for segment, rows in zip(self._segments, self._rows, strict=True):
            values = segment.columns().column(column)
            for entry in (values if rows is None else values.take(rows)).value_counts().to_pylist():
                counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
        return counts
