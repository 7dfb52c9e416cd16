"""How sure a figure is: Wilson intervals for proportions, a seeded bootstrap for everything else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Figure", "bootstrap_interval", "proportion_figure", "ratio_figure", "wilson_interval"]

DEFAULT_CONFIDENCE = 0.95
DEFAULT_RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured number with the number of cases behind it and its interval.

    `value` is `None` when there was no case; the interval is then (0, 1): nothing is known.
    """

    value: float | None
    n: int
    interval: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """`{"value", "n", "interval": [low, high]}`, rounded to six decimals.

        >>> Figure(value=1 / 3, n=3, interval=(0.0, 1.0)).to_json()
        {'value': 0.333333, 'n': 3, 'interval': [0.0, 1.0]}
        """
        value = None if self.value is None else round(self.value, 6)
        return {"value": value, "n": self.n, "interval": [round(bound, 6) for bound in self.interval]}


def wilson_interval(successes: float, n: int, *, confidence: float = DEFAULT_CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion; (0, 1) for `n == 0`.

    Raises:
        ValueError: when `successes` is outside 0..n, or `confidence` outside (0, 1).

    >>> tuple(round(bound, 4) for bound in wilson_interval(8, 10))
    (0.4902, 0.9433)
    """
    if n < 0 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie in 0..n, but {successes} of {n} were given.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, but is {confidence}.")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = successes / n
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At 0 and n the closed form touches the bound exactly; rounding must not push it inside or outside.
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return low, high


def bootstrap_interval(
    rows: npt.ArrayLike,
    statistic: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    *,
    seed: int = 0,
    num_resamples: int = DEFAULT_RESAMPLES,
    confidence: float = DEFAULT_CONFIDENCE,
) -> tuple[float, float]:
    """Percentile bootstrap of a statistic of column sums, resampling whole rows (questions).

    Args:
        rows: (num_rows, num_columns) one row per question, one column per count.
        statistic: maps column sums (num_resamples, num_columns) to values (num_resamples,); a resample
            in which it is undefined (NaN) is left out.
        seed: seed of the resampling.
        num_resamples: number of resamples.
        confidence: mass between the two bounds.

    Returns:
        The two bounds; (0, 1) when there is no row or the statistic is never defined.

    Raises:
        ValueError: when `rows` is not two-dimensional, or `num_resamples` is below 1.

    >>> bootstrap_interval([[1.0, 1.0]] * 20, lambda sums: sums[:, 0] / sums[:, 1])
    (1.0, 1.0)
    """
    counts = np.asarray(rows, dtype=np.float64)
    if counts.size == 0:
        return 0.0, 1.0
    if counts.ndim != 2:
        raise ValueError(f"rows must be (num_rows, num_columns), but has shape {counts.shape}.")
    if num_resamples < 1:
        raise ValueError(f"num_resamples must be at least 1, but is {num_resamples}.")
    num_rows = len(counts)
    rng = np.random.default_rng(seed)
    # How often each row is drawn is multinomial: one matrix product replaces num_resamples gathers.
    drawn = rng.multinomial(num_rows, np.full(num_rows, 1 / num_rows), size=num_resamples).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = statistic(drawn @ counts)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def proportion_figure(outcomes: Sequence[bool]) -> Figure:
    """The share of true outcomes with its Wilson interval.

    >>> proportion_figure([True, True, False, True]).value
    0.75
    """
    n = len(outcomes)
    successes = sum(map(bool, outcomes))
    value = successes / n if n else None
    return Figure(value=value, n=n, interval=wilson_interval(successes, n))


def ratio_figure(numerators: Sequence[float], denominators: Sequence[float], *, n: int, seed: int = 0) -> Figure:
    """A ratio of two sums over questions (precision, F1 as 2TP / (found + expected)), bootstrapped by question.

    Args:
        numerators: one per question.
        denominators: one per question.
        n: the number of cases to report.
        seed: seed of the bootstrap.

    Raises:
        ValueError: when the two sequences differ in length.

    >>> ratio_figure([2, 0], [2, 2], n=2).value
    0.5
    """
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} numerators were given for {len(denominators)} denominators.")
    total = float(sum(denominators))
    if not total:
        return Figure(value=None, n=n, interval=(0.0, 1.0))
    rows = np.column_stack([np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)])
    interval = bootstrap_interval(rows, lambda sums: sums[:, 0] / sums[:, 1], seed=seed)
    return Figure(value=float(sum(numerators)) / total, n=n, interval=interval)
