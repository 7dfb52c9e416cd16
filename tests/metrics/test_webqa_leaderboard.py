"""The leaderboard's row: sums over 7,540 questions, four decimals."""

from __future__ import annotations

import pytest

from rablip.metrics.results import MetricResult
from rablip.metrics.webqa_leaderboard import WEBQA_TEST_QUESTIONS, webqa_leaderboard_row
from rablip.metrics.webqa_retrieval import score_webqa_retrieval


def result(metric, *scores, **options):
    values = {f"q{number}": score for number, score in enumerate(scores)}
    return MetricResult(metric=metric, variant="official", value=sum(scores) / len(scores), values=values, **options)


def test_row():
    fluency, accuracy = result("webqa_fluency", 0.5, 1.0, 0.25), result("webqa_accuracy", 1.0, 0.33333, 0.0)
    retrieval = score_webqa_retrieval({"q0": [1], "q1": [2]}, {"q0": [1], "q1": [1], "q2": [1]}, variant="baseline")
    row = webqa_leaderboard_row(accuracy=accuracy, fluency=fluency, retrieval=retrieval)
    assert row == {"Retrieval": 0.3333, "QA-FL": 0.5833, "QA-Acc": 0.4444, "QA": 0.2778}
    assert list(row) == ["Retrieval", "QA-FL", "QA-Acc", "QA"]


def test_missing_questions_count_nothing():
    accuracy = result("webqa_accuracy", *[1.0] * 3464)
    assert webqa_leaderboard_row(accuracy=accuracy) == {"QA-Acc": 1.0}
    assert WEBQA_TEST_QUESTIONS == 7540
    assert webqa_leaderboard_row(accuracy=accuracy, num_questions=WEBQA_TEST_QUESTIONS) == {"QA-Acc": 0.4594}


def test_nothing_given():
    assert webqa_leaderboard_row() == {}


def test_errors():
    accuracy = result("webqa_accuracy", 1.0, 0.5)
    with pytest.raises(ValueError, match=r"QA-Acc is not over the same questions as the others: 'q1' differ"):
        webqa_leaderboard_row(accuracy=accuracy, fluency=result("webqa_fluency", 1.0))
    with pytest.raises(ValueError, match="2 questions, more than num_questions=1"):
        webqa_leaderboard_row(accuracy=accuracy, num_questions=1)
    with pytest.raises(ValueError, match="no mean of values"):
        webqa_leaderboard_row(retrieval=score_webqa_retrieval({}, {"q0": [1]}, variant="skurg"))
    with pytest.raises(ValueError, match="no mean of values"):
        webqa_leaderboard_row(accuracy=result("vqa_accuracy", 50.0, scale=100))
    empty = MetricResult(metric="webqa_accuracy", variant="official", value=None, values={})
    with pytest.raises(ValueError, match="at least one"):
        webqa_leaderboard_row(accuracy=empty)
