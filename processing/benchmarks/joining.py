"""Rows of one file found by their ids in the order in which another file asks: a join that holds next to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["RowsInStep"]

Row = TypeVar("Row")


class RowsInStep(Generic[Row]):
    """Rows that are asked for by id, while their file is read.

    Official files list the same ids in the same order: then one row is held at a time. Rows that come before they are
    asked for are held until they are; give rows that are small, such as an id.

    Args:
        rows: (id, row), every id once.

    Example:
        >>> rows = RowsInStep(iter([("q1", "String"), ("q3", "Time"), ("q2", "Numerical")]))
        >>> rows.take("q1"), rows.take("q2"), rows.take("q9")
        ('String', 'Numerical', None)
        >>> list(rows.rest())
        ['q3']
    """

    def __init__(self, rows: Iterator[tuple[str, Row]]) -> None:
        self._rows = rows
        self._waiting: dict[str, Row] = {}

    def take(self, name: str) -> Row | None:
        """The row of an id, which is then given up; None when the file has no such id.

        Args:
            name: the id.
        """
        if name in self._waiting:
            return self._waiting.pop(name)
        for other, row in self._rows:
            if other == name:
                return row
            self._waiting[other] = row
        return None

    def rest(self) -> Iterator[str]:
        """The ids of all rows that nobody has asked for."""
        yield from self._waiting
        for name, _ in self._rows:
            yield name
