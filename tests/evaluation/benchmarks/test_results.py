"""Results of a run: saved and read again, by category, under stress, and compared in pairs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rablip.evaluation.benchmarks.comparison import compare_runs
from rablip.evaluation.benchmarks.results import (
    RESULTS_NAME,
    SCORES_NAME,
    EvaluationResults,
    measure_categories,
    measure_stress,
)
from rablip.metrics import MetricResult

CATEGORIES = {"q1": "color", "q2": "color", "q3": "text"}


def make_result(*values: float, metric: str = "accuracy", **more: object) -> MetricResult:
    of_questions = {f"q{place}": value for place, value in enumerate(values, start=1)}
    value = sum(values) / len(values)
    return MetricResult(metric=metric, variant="official", value=value, values=of_questions, scale=100, **more)


def make_results(*values: float, **description: object) -> EvaluationResults:
    kept = {"benchmark": "webqa", "split": "val", "seed": 3, **description}
    metrics = {
        "plain": [
            make_result(*values),
            make_result(50.0, 0.0, 50.0, metric="overall", is_mean=False),
            make_result(*values, metric="recall", k=5, corpus="distractor"),
        ],
        "drop-image": [make_result(*(0.0 for _ in values))],
    }
    return EvaluationResults(description=kept, metrics=metrics, categories=CATEGORIES, details={"curves": [1, 2]})


def test_saved_and_read_again(tmp_path: Path) -> None:
    made = make_results(100.0, 0.0, 100.0)
    made.save(tmp_path)
    read = EvaluationResults.load(tmp_path)
    assert read.metrics == made.metrics and read.categories == made.categories
    assert read.description == {**made.description, **made.details}
    written = json.loads((tmp_path / RESULTS_NAME).read_text(encoding="utf-8"))
    first = written["metrics"]["plain"][0]
    assert first["value"] == pytest.approx(200 / 3) and first["interval"][0] < first["value"] < first["interval"][1]
    assert first["by_category"]["color"] | {"interval": 0} == {"value": 50.0, "n": 2, "interval": 0}
    assert written["stress"]["drop-image"]["accuracy (official)"]["difference"] == pytest.approx(-200 / 3)
    assert "interval" not in written["metrics"]["plain"][1], "a figure that is no mean has no interval"


def test_categories_are_means_of_their_questions() -> None:
    found = measure_categories(make_result(100.0, 50.0, 0.0), {"q1": "a", "q2": "a"}, seed=0)
    assert {name: (one["value"], one["n"]) for name, one in found.items()} == {"a": (75.0, 2), "other": (0.0, 1)}
    assert measure_categories(make_result(1.0, is_mean=False), {}, seed=0) == {}


def test_stress_is_compared_with_its_own_measure() -> None:
    metrics = {
        "plain": [make_result(60.0, 60.0)],
        "oracle": [make_result(100.0, 80.0)],
        "distract": [make_result(50.0, 80.0), make_result(1.0, metric="only here")],
    }
    found = measure_stress(metrics, seed=0)
    assert found["distract"]["accuracy (official)"].difference == -25.0
    assert found["oracle"]["accuracy (official)"].difference == 30.0
    assert "plain" not in found and "only here (official)" not in found["distract"]


def test_two_runs_compared(tmp_path: Path) -> None:
    for name, second in (("one", 0.0), ("two", 100.0)):
        (tmp_path / name).mkdir()
        make_results(100.0, second, 0.0, model=name).save(tmp_path / name)
    found = compare_runs(tmp_path / "one", tmp_path / "two")
    assert [one.first.key for one in found.metrics] == [
        "accuracy (official)",
        "overall (official)",
        "recall@5 (official)",
    ]
    assert found.metrics[0].paired.difference == pytest.approx(100 / 3) and found.metrics[1].paired is None
    assert found.differences == {"model": ("one", "two")}
    json.dumps(found.to_json(), allow_nan=False)


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    for name, split in (("one", "val"), ("two", "test")):
        (tmp_path / name).mkdir()
        make_results(1.0, 0.0, 0.0, split=split).save(tmp_path / name)
    with pytest.raises(ValueError, match="another split.*'val' and 'test'"):
        compare_runs(tmp_path / "one", tmp_path / "two")
    with pytest.raises(ValueError, match="'dilute', only in plain, drop-image"):
        compare_runs(tmp_path / "one", tmp_path / "one", condition="dilute")
    with pytest.raises(FileNotFoundError, match="rablip eval"):
        compare_runs(tmp_path / "one", tmp_path)
    (tmp_path / "one" / SCORES_NAME).write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match="Run the evaluation again"):
        compare_runs(tmp_path / "one", tmp_path / "two")
    other = json.loads((tmp_path / "two" / RESULTS_NAME).read_text(encoding="utf-8")) | {"format_version": 9}
    (tmp_path / "two" / RESULTS_NAME).write_text(json.dumps(other), encoding="utf-8")
    with pytest.raises(ValueError, match="9"):
        EvaluationResults.load(tmp_path / "two")
