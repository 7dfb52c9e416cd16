"""Which ids a reader has seen, at a few bytes an id: files of millions of records are checked for duplicates."""

from __future__ import annotations

from array import array

__all__ = ["SeenIds"]

_FREE = 0
_SLOTS = 1 << 15  # to begin with: 256 kB, so that files of twenty thousand ids never grow it


class SeenIds:
    """A set of ids that keeps a 64-bit hash of each and not the texts: 12 to 24 bytes an id, and 256 kB at least.

    Two different ids are taken for one with a chance of about n * n / 2**65 over n ids: one in a million for six
    million ids.

    Example:
        >>> seen = SeenIds()
        >>> seen.add("q1"), seen.add("q2"), seen.add("q1")
        (True, True, False)
        >>> "q2" in seen, "q3" in seen, len(seen)
        (True, False, 2)
    """

    def __init__(self) -> None:
        self._slots = array("q", [_FREE]) * _SLOTS
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, name: object) -> bool:
        return self._slots[self._position(hash(name) or 1)] != _FREE

    def add(self, name: str) -> bool:
        """Add an id and say whether it is new.

        Args:
            name: the id.
        """
        key = hash(name) or 1  # zero marks a free slot
        position = self._position(key)
        if self._slots[position] != _FREE:
            return False
        self._slots[position] = key
        self._count += 1
        if 3 * self._count > 2 * len(self._slots):
            self._grow()
        return True

    def _position(self, key: int) -> int:
        """Where the key is, or the free slot where it belongs."""
        slots, mask = self._slots, len(self._slots) - 1
        position = key & mask
        while slots[position] not in (_FREE, key):
            position = (position + 1) & mask
        return position

    def _grow(self) -> None:
        keys, self._slots = self._slots, array("q", [_FREE]) * (2 * len(self._slots))
        for key in keys:
            if key != _FREE:
                self._slots[self._position(key)] = key
