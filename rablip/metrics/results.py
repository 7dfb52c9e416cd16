"""What every metric gives back: a value, which variant it is, on what, at which k, and its values per question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .intervals import DEFAULT_CONFIDENCE, DEFAULT_RESAMPLES, bootstrap_interval

__all__ = ["MetricResult"]


@dataclass(frozen=True, kw_only=True)
class MetricResult:
    """One metric over the questions of a data set.

    Args:
        metric: name of the metric, such as `"webqa_accuracy"`.
        variant: which of its forms was computed, such as `"official"`.
        value: the figure over all questions, on `scale`; None where no question counts.
        values: id of every question that counts to its own value, on `scale`. Where the figure is their mean an
            interval is found by resampling them.
        scale: what a perfect answer scores: 1 or 100, as the official scorer prints it.
        groups: figures of parts of the questions (a category, a type), on `scale`.
        is_mean: whether `value` is the mean of `values` (before the official rounding); else it has no interval.
        k: how many of a ranking counted; None where there is no ranking.
        corpus: what was searched, such as `"distractor"` or `"full"`; None where nothing was.
        details: other figures that belong to the result, such as how many predictions were missing.

    Example:
        >>> result = MetricResult(metric="vqa_accuracy", variant="simple", value=50.0, values={"1": 100.0, "2": 0.0},
        ...                       scale=100)
        >>> result.num_questions, result.interval(seed=0)
        (2, (0.0, 100.0))
    """

    metric: str
    variant: str
    value: float | None
    values: Mapping[str, float] = field(repr=False)
    scale: float = 1.0
    groups: Mapping[str, float | None] = field(default_factory=dict)
    is_mean: bool = True
    k: int | None = None
    corpus: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """A name that no other metric of the same predictions has: metric, k and variant.

        Example:
            >>> MetricResult(metric="recall_at_k", variant="binary", value=None, values={}, k=5).key
            'recall@5 (binary)'
        """
        name = self.metric if self.k is None else f"{self.metric.removesuffix('_at_k')}@{self.k}"
        return f"{name} ({self.variant})"

    @property
    def num_questions(self) -> int:
        """How many questions count."""
        return len(self.values)

    def interval(
        self, *, seed: int, num_resamples: int = DEFAULT_RESAMPLES, confidence: float = DEFAULT_CONFIDENCE
    ) -> tuple[float, float] | None:
        """A percentile bootstrap over questions, on `scale`; None where the figure is no mean or nothing counts.

        Args:
            seed: of the resampling.
            num_resamples: how many resamples.
            confidence: mass between the two bounds.
        """
        if not self.is_mean or not self.values:
            return None
        rows = np.asarray([[value, 1.0] for value in self.values.values()])
        return bootstrap_interval(
            rows, lambda sums: sums[:, 0] / sums[:, 1], seed=seed, num_resamples=num_resamples, confidence=confidence
        )

    def to_json(self, *, seed: int | None = None) -> dict[str, Any]:
        """Everything but the values per question; with a seed also the interval."""
        report: dict[str, Any] = {
            "metric": self.metric,
            "variant": self.variant,
            "value": self.value,
            "scale": self.scale,
            "num_questions": self.num_questions,
        }
        optional = {"k": self.k, "corpus": self.corpus, "groups": dict(self.groups), "details": dict(self.details)}
        report |= {name: value for name, value in optional.items() if value not in (None, {})}
        if seed is not None and (interval := self.interval(seed=seed)) is not None:
            report["interval"] = list(interval)
        return report
