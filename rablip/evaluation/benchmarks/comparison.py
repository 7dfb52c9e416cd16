"""Two runs over the same questions, metric by metric, with paired intervals and significance."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...metrics import MetricResult, PairedDifference, compare_paired
from .results import EvaluationResults

__all__ = ["MetricComparison", "RunComparison", "compare_runs"]

# A comparison is of the same questions: these must agree. Others may differ, and are said.
_SAME = ("benchmark", "split")
_SAID = ("setting", "data", "seed", "limit", "index", "num_items", "depth", "settings", "model", "model_fingerprints")


@dataclass(frozen=True, kw_only=True)
class MetricComparison:
    """One metric of two runs.

    Args:
        first: of the first run.
        second: of the second run.
        paired: the second less the first by question; None where the figure is no mean of values per question.
    """

    first: MetricResult
    second: MetricResult
    paired: PairedDifference | None


@dataclass(frozen=True, kw_only=True)
class RunComparison:
    """Two runs beside each other.

    Args:
        first, second: their results.
        metrics: those that both have, the main one first.
        differences: what is not the same in the two runs beside their figures, with both values.
        only_one: keys of metrics that only one of them has.
    """

    first: EvaluationResults
    second: EvaluationResults
    metrics: Sequence[MetricComparison]
    differences: Mapping[str, tuple[Any, Any]]
    only_one: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "metrics": [
                {
                    "metric": one.first.key,
                    "first": one.first.value,
                    "second": one.second.value,
                    "scale": one.first.scale,
                    "paired": one.paired and dataclasses.asdict(one.paired),
                }
                for one in self.metrics
            ],
            "differences": {name: list(values) for name, values in self.differences.items()},
            "only_one": list(self.only_one),
        }


def compare_runs(first: str | Path, second: str | Path, *, condition: str = "plain", seed: int = 0) -> RunComparison:
    """Compare two finished runs of one benchmark and split.

    Args:
        first, second: the folders of the runs.
        condition: which of their conditions.
        seed: of intervals and flips.

    Raises:
        FileNotFoundError: when a folder has no results.
        ValueError: when the runs are of other benchmarks or splits, have no question in common, or one was not asked
            in that condition.
    """
    one, other = EvaluationResults.load(first), EvaluationResults.load(second)
    for name in _SAME:
        if one.description.get(name) != other.description.get(name):
            raise ValueError(
                f"The two runs are of another {name} ({one.description.get(name)!r} and "
                f"{other.description.get(name)!r}), so no question can be compared."
            )
    for folder, results in ((first, one), (second, other)):
        if condition not in results.metrics:
            raise ValueError(
                f"{folder} was not asked in the condition {condition!r}, only in {', '.join(results.metrics)}."
            )
    by_key = {result.key: result for result in other.metrics[condition]}
    both = [(result, by_key[result.key]) for result in one.metrics[condition] if result.key in by_key]
    keys = {result.key for result, _ in both}
    return RunComparison(
        first=one,
        second=other,
        metrics=[
            MetricComparison(
                first=result,
                second=twin,
                paired=compare_paired(result.values, twin.values, seed=seed) if result.is_mean else None,
            )
            for result, twin in both
        ],
        differences={
            name: (one.description.get(name), other.description.get(name))
            for name in _SAID
            if one.description.get(name) != other.description.get(name)
        },
        only_one=sorted({result.key for results in (one, other) for result in results.metrics[condition]} - keys),
    )
