"""Two systems on the same questions: their difference, how sure it is, and how often chance makes one as large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .intervals import bootstrap_interval

__all__ = ["PairedDifference", "compare_paired"]

_NUM_FLIPS = 10_000
_MOST_NUMBERS = 1 << 22  # signs drawn at once
_ALL_FLIPS = 12  # up to so many questions that differ, every way of flipping them is counted


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The second system less the first, over the questions that both have.

    Args:
        difference: of the means.
        interval: a 95 % percentile bootstrap over questions.
        p_value: of a two-sided sign-flip test: how often swapping the two systems' values at random, question by
            question, makes a difference at least as large.
        num_questions: how many questions both have.
        num_better: questions on which the second is better.
        num_worse: questions on which it is worse.
        num_unpaired: questions that only one of the two has; they do not count.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    num_questions: int
    num_better: int
    num_worse: int
    num_unpaired: int = 0


def compare_paired(first: Mapping[str, float], second: Mapping[str, float], *, seed: int) -> PairedDifference:
    """Compare two systems by their values per question, as `MetricResult.values` has them.

    Args:
        first: question id to value of the first system.
        second: likewise, on the same scale.
        seed: of resampling and flips.

    Raises:
        ValueError: when they have no question in common, or a value is not finite.

    Example:
        >>> first, second = {"1": 0.0, "2": 0.0, "3": 1.0, "4": 0.0}, {"1": 1.0, "2": 1.0, "3": 1.0, "4": 1.0}
        >>> found = compare_paired(first, second, seed=0)
        >>> found.difference, found.p_value, found.num_better
        (0.75, 0.25, 3)
    """
    both = [name for name in first if name in second]
    if not both:
        raise ValueError(f"The two have no question in common: {len(first)} and {len(second)} questions.")
    differences = np.array([second[name] - first[name] for name in both], dtype=np.float64)
    if not np.isfinite(differences).all():
        raise ValueError(f"The value of question {both[int(np.isfinite(differences).argmin())]!r} is not finite.")
    rows = np.stack([differences, np.ones(len(differences))], axis=1)
    return PairedDifference(
        difference=float(differences.mean()),
        interval=bootstrap_interval(rows, lambda sums: sums[:, 0] / sums[:, 1], seed=seed),
        p_value=_flip_test(differences, seed),
        num_questions=len(both),
        num_better=int((differences > 0).sum()),
        num_worse=int((differences < 0).sum()),
        num_unpaired=len(first) + len(second) - 2 * len(both),
    )


def _flip_test(differences: np.ndarray, seed: int) -> float:
    changed = differences[differences != 0]
    if not len(changed):
        return 1.0
    # Sums of the same numbers in another order differ in their last digits; they are as large.
    observed = abs(changed.sum()) - 1e-9 * np.abs(changed).sum()
    if len(changed) <= _ALL_FLIPS:
        signs = 1.0 - 2.0 * ((np.arange(1 << len(changed))[:, None] >> np.arange(len(changed))) & 1)
        return float((np.abs(signs @ changed) >= observed).mean())
    rng = np.random.default_rng(seed)
    num_done = num_as_large = 0
    while num_done < _NUM_FLIPS:
        some = min(_NUM_FLIPS - num_done, max(1, _MOST_NUMBERS // len(changed)))
        signs = 1.0 - 2.0 * rng.integers(0, 2, size=(some, len(changed)))
        num_as_large += int((np.abs(signs @ changed) >= observed).sum())
        num_done += some
    # What was observed is one of the ways, so that no finite number of flips gives 0.
    return (num_as_large + 1) / (num_done + 1)
