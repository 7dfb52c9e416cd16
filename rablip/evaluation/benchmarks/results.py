"""The results of a run: every figure with variant, interval and origin, on disk and back."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ...index.files import write_text_atomically
from ...metrics import MetricResult, PairedDifference, compare_paired
from .conditions import CONDITIONS

__all__ = ["RESULTS_NAME", "SCORES_NAME", "EvaluationResults", "measure_categories", "measure_stress"]

RESULTS_NAME, SCORES_NAME = "results.json", "scores.json"
_FORMAT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class EvaluationResults:
    """What was measured in a run.

    Args:
        description: where the figures come from: benchmark, split, setting, fingerprints of data and models, seed,
            machine, versions, counts, seconds.
        metrics: condition -> its metrics, the main one first.
        categories: question id -> its category.
        questions: question id -> its words and accepted answers.
        answers: condition -> question id -> what was answered; None where nothing was.
        details: what the report shows beside the metrics, as plain values: curves, bins, importance.
    """

    description: Mapping[str, Any]
    metrics: Mapping[str, Sequence[MetricResult]]
    categories: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict, repr=False)
    answers: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict, repr=False)
    details: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def stress(self) -> dict[str, dict[str, PairedDifference]]:
        """What every stress test changes, as of `measure_stress`."""
        return measure_stress(self.metrics, seed=int(self.description.get("seed", 0)))

    def to_json(self) -> dict[str, Any]:
        """Everything but the values per question, as plain values for JSON; its intervals are drawn once."""
        return dict(self._described)

    @cached_property
    def _described(self) -> dict[str, Any]:
        seed = int(self.description.get("seed", 0))
        return {
            "format_version": _FORMAT_VERSION,
            **self.description,
            "metrics": {
                name: [
                    one.to_json(seed=seed) | {"by_category": measure_categories(one, self.categories, seed=seed)}
                    for one in of_condition
                ]
                for name, of_condition in self.metrics.items()
            },
            "stress": {
                name: {key: dataclasses.asdict(found) for key, found in of_condition.items()}
                for name, of_condition in self.stress.items()
            },
            **self.details,
        }

    def save(self, folder: str | Path) -> None:
        """Write `results.json`, and every question with its values and answers into `scores.json`.

        Raises:
            OSError: when the disk is full or read-only; older results stay as they are.
        """
        place = Path(folder)
        scores = {
            "format_version": _FORMAT_VERSION,
            "categories": dict(self.categories),
            "questions": {name: [words, list(expected)] for name, (words, expected) in self.questions.items()},
            "answers": {name: dict(said) for name, said in self.answers.items()},
            "metrics": {name: [_store(one) for one in of_condition] for name, of_condition in self.metrics.items()},
        }
        write_text_atomically(place / SCORES_NAME, json.dumps(scores, ensure_ascii=False, allow_nan=False))
        write_text_atomically(
            place / RESULTS_NAME, json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        )

    @classmethod
    def load(cls, folder: str | Path) -> EvaluationResults:
        """Read what `save` wrote; description and details come back together, as the description.

        Raises:
            FileNotFoundError: when the folder has no results.
            ValueError: when they are damaged or of another format.
        """
        place = Path(folder)
        for name in (RESULTS_NAME, SCORES_NAME):
            if not (place / name).is_file():
                raise FileNotFoundError(f"{place} has no {name}. Give the --out folder of a finished rablip eval.")
        try:
            results = json.loads((place / RESULTS_NAME).read_text(encoding="utf-8"))
            scores = json.loads((place / SCORES_NAME).read_text(encoding="utf-8"))
            versions = {results.pop("format_version"), scores["format_version"]}
            if versions != {_FORMAT_VERSION}:
                raise ValueError(f"their format is {versions}, and this version reads {_FORMAT_VERSION}")
            for derived in ("metrics", "stress"):
                results.pop(derived, None)
            metrics = {
                name: [MetricResult(**one) for one in of_condition] for name, of_condition in scores["metrics"].items()
            }
            questions = {name: (words, tuple(expected)) for name, (words, expected) in scores["questions"].items()}
            return cls(
                description=results,
                metrics=metrics,
                categories=scores["categories"],
                questions=questions,
                answers=scores["answers"],
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"The results in {place} cannot be read: {error}. Run the evaluation again.") from error


def measure_categories(result: MetricResult, categories: Mapping[str, str], *, seed: int) -> dict[str, dict[str, Any]]:
    """A metric by category of the questions, with intervals; nothing where its figure is no mean.

    Args:
        result: the metric.
        categories: question id -> its category.
        seed: of the resampling.

    Returns:
        Category -> `{"value", "n", "interval"}`, the largest first.
    """
    if not result.is_mean:
        return {}
    groups: dict[str, dict[str, float]] = defaultdict(dict)
    for question_id, value in result.values.items():
        groups[categories.get(question_id) or "other"][question_id] = value
    found = {}
    for name, values in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        part = dataclasses.replace(result, value=sum(values.values()) / len(values), values=values, groups={})
        interval = part.interval(seed=seed)
        found[name] = {"value": part.value, "n": len(values), "interval": list(interval or (None, None))}
    return found


def measure_stress(
    metrics: Mapping[str, Sequence[MetricResult]], *, seed: int
) -> dict[str, dict[str, PairedDifference]]:
    """What every stress test changes, question by question, against what it is compared with.

    Args:
        metrics: condition -> its metrics.
        seed: of the intervals.

    Returns:
        Condition -> key of the metric -> the difference.
    """
    changes: dict[str, dict[str, PairedDifference]] = {}
    for name, of_condition in metrics.items():
        before = {one.key: one for one in metrics.get(CONDITIONS[name].compared_with, ())}
        if name == CONDITIONS[name].compared_with:
            continue
        changes[name] = {
            one.key: compare_paired(before[one.key].values, one.values, seed=seed)
            for one in of_condition
            if one.key in before and one.is_mean and one.values.keys() & before[one.key].values.keys()
        }
    return changes


def _store(result: MetricResult) -> dict[str, Any]:
    return {name.name: getattr(result, name.name) for name in dataclasses.fields(result)}
