"""Seeded draws that give the same result on every machine and Python version."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TypeVar

__all__ = ["Chance"]

T = TypeVar("T")


class Chance:
    """Random draws from a name. Only `random.Random.random` is used: Python keeps its sequence the same for ever.

    Args:
        *name: what the draws are for; the same parts give the same draws.

    Example:
        >>> Chance("a", 1).pick("xyz") == Chance("a", 1).pick("xyz")
        True
    """

    def __init__(self, *name: object) -> None:
        self._random = random.Random("/".join(map(str, name)))

    def uniform(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self._random.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def happens(self, probability: float) -> bool:
        """True with the given probability."""
        return self._random.random() < probability

    def pick(self, values: Sequence[T]) -> T:
        """One of the values."""
        return values[int(self._random.random() * len(values))]

    def shuffled(self, values: Iterable[T]) -> list[T]:
        """All values in another order."""
        result = list(values)
        for last in range(len(result) - 1, 0, -1):
            other = int(self._random.random() * (last + 1))
            result[last], result[other] = result[other], result[last]
        return result

    def sample(self, values: Iterable[T], count: int) -> list[T]:
        """Some of the values (all when there are fewer), without repeats."""
        return self.shuffled(values)[:count]
