"""What happens to ids that are in an index already, or given twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

__all__ = ["DuplicatePolicy", "check_policy", "choose_rows"]

DuplicatePolicy = Literal["fail", "skip", "overwrite"]

_POLICIES = ("fail", "skip", "overwrite")


def check_policy(on_duplicate: str) -> None:
    """Check what is to be done about duplicates.

    Raises:
        ValueError: when it is none of the policies.
    """
    if on_duplicate not in _POLICIES:
        raise ValueError(f"on_duplicate must be one of {', '.join(_POLICIES)}, got {on_duplicate!r}.")


def choose_rows(
    names: Sequence[str], is_known: Sequence[bool] | np.ndarray, on_duplicate: DuplicatePolicy
) -> np.ndarray:
    """Which of the given items enter an index.

    Args:
        names: their ids.
        is_known: whether each is in the index already.
        on_duplicate: "fail" raises, "skip" keeps the first, "overwrite" keeps the last.

    Returns:
        (num_chosen,) int64 rows of `names`, one an id, in the order in which the ids are given first.

    Raises:
        ValueError: when an id is there already or given twice, and the policy is "fail".

    Example:
        >>> choose_rows(["a", "b", "a"], [False, True, False], "skip").tolist()
        [0]
        >>> choose_rows(["a", "b", "a"], [False, True, False], "overwrite").tolist()
        [2, 1]
    """
    rows: dict[str, int] = {}
    repeated = []
    for row, name in enumerate(names):
        if name in rows or is_known[row]:
            repeated.append(name)
            if on_duplicate != "overwrite":
                continue
        rows[name] = row
    if repeated and on_duplicate == "fail":
        shown = list(dict.fromkeys(repeated))
        raise ValueError(
            f"{len(shown)} ids are in the index already or given twice, the first are {shown[:5]}. Make ids "
            'unique, or pass on_duplicate="skip" or "overwrite".'
        )
    return np.fromiter(rows.values(), dtype=np.int64, count=len(rows))
