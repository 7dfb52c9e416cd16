"""What a report refuses: numbers that cannot be drawn, and statements that contradict each other."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from rablip.answering import Answer
from rablip.reports import (
    Bar,
    BarChart,
    CalibrationBin,
    CalibrationPlot,
    ChangedQuestion,
    ComparisonPage,
    Curve,
    CurvePoint,
    EvaluationPage,
    LineChart,
    MetricRow,
    PageEntry,
    PairedFigure,
    PublishedRow,
    PublishedTable,
    SourceMark,
)
from rablip.reports.number_text import compact_count, difference_text, value_text

ANSWER = Answer(question="Who built it?", text="Marlow")
BIN = {"low": 0.0, "high": 0.5, "confidence": 0.3, "accuracy": 0.4, "num_questions": 10}


def entry(**values: object) -> PageEntry:
    return PageEntry(**{"answer": ANSWER, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Bar(name="color", value=math.nan), "Bar 'color' has the value nan"),
        (lambda: Bar(name="color", value=0.5, interval=(0.6, 0.4)), "lower bound is above"),
        (lambda: Bar(name="color", value=0.5, num_questions=-1), "at least 0"),
        (lambda: BarChart(title="a", bars=[], scale=0), "scale 0"),
        (lambda: BarChart(title="a", bars=[], scale=math.inf), "value inf"),
        (
            lambda: BarChart(
                title="a",
                bars=[Bar(name="x", value=1)],
                compared_bars=[Bar(name="y", value=1)],
                series=("1", "2"),
            ),
            r"\['x'\] with \['y'\]",
        ),
        (
            lambda: BarChart(title="a", bars=[Bar(name="x", value=1)], compared_bars=[Bar(name="x", value=1)]),
            "Say in `series`",
        ),
        (lambda: CurvePoint(k=0, value=0.5), "k = 0"),
        (lambda: CurvePoint(k=1, value=math.inf), "inf"),
        (lambda: Curve(name="a", points=[CurvePoint(k=5, value=1), CurvePoint(k=5, value=1)]), r"\[5, 5\]"),
        (lambda: LineChart(title="a", curves=[], scale=-1), "scale -1"),
        (lambda: CalibrationBin(**{**BIN, "high": 0.0}), "have a width"),
        (lambda: CalibrationBin(**{**BIN, "accuracy": 1.5}), "value 1.5"),
        (lambda: CalibrationBin(**{**BIN, "confidence": math.nan}), "value nan"),
        (lambda: CalibrationBin(**{**BIN, "confidence": None}), "any other one both"),
        (lambda: CalibrationBin(**{**BIN, "num_questions": 0}), "An empty bin has neither"),
        (
            lambda: CalibrationPlot(title="a", bins=[CalibrationBin(**{**BIN, "high": 0.6}), CalibrationBin(**BIN)]),
            "from low to high",
        ),
        (lambda: CalibrationPlot(title="a", bins=[], error=1.2), "1.2, outside 0..1"),
        (lambda: MetricRow(name="QA", value=math.nan), "Metric 'QA' has the value nan"),
        (lambda: MetricRow(name="QA", value=0.5, scale=0), "scale 0"),
        (lambda: PublishedRow(system="MuRAG", values=[]), "SourceMark.READ"),
        (
            lambda: PublishedTable(
                metrics=["QA", "FL"], rows=[PublishedRow(system="MuRAG", values=["1"], mark=SourceMark.READ)]
            ),
            "1 values for 2 metrics",
        ),
        (lambda: PairedFigure(name="a", first=0.5, second=0.4, difference=0.1), "second less the first"),
        (lambda: PairedFigure(name="a", first=0.5, second=math.nan), "value nan"),
        (lambda: PairedFigure(name="a", first=0.5, second=0.4, p_value=1.5), "p-value 1.5"),
        (lambda: EvaluationPage(title="a", max_bytes=0), "max_bytes is 0"),
        (lambda: entry(score=1.5), "Divide it by what a perfect answer scores"),
        (lambda: entry(score=math.nan), "is nan"),
        (lambda: entry(score=0.0, correct=True), "called right, but has the score 0.0"),
        (lambda: entry(score=1.0, correct=False), "called wrong, but has the score 1.0"),
        (lambda: ChangedQuestion(first=entry(correct=True), second=entry(correct=True)), "has not changed"),
        (lambda: ChangedQuestion(first=entry(correct=True), second=entry()), "has not changed"),
        (
            lambda: ChangedQuestion(first=entry(correct=True, question_id="1"), second=entry(correct=False)),
            "about one question",
        ),
        (
            lambda: ComparisonPage(
                title="a",
                first_name="x",
                second_name="y",
                changed=[ChangedQuestion(first=entry(correct=True), second=entry(correct=False))],
                num_first_better=0,
            ),
            "better on 0 questions, but 1 are listed",
        ),
    ],
)
def test_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("values", "verdict", "points"),
    [
        ({}, "unjudged", None),
        ({"correct": True}, "right", 1.0),
        ({"correct": False}, "wrong", 0.0),
        ({"score": 1.0}, "right", 1.0),
        ({"score": 0.0}, "wrong", 0.0),
        ({"score": 0.3}, "partly", 0.3),
        ({"score": 0.6, "correct": True}, "partly", 0.6),
    ],
)
def test_verdict_and_points(values: dict[str, object], verdict: str, points: float | None) -> None:
    assert (entry(**values).verdict, entry(**values).points) == (verdict, points)


def test_a_difference_is_worked_out_or_taken_as_rounded() -> None:
    assert PairedFigure(name="a", first=50.0, second=47.5, scale=100).difference == -2.5
    assert PairedFigure(name="a", first=None, second=47.5, scale=100).difference is None
    assert PairedFigure(name="a", first=50.0, second=47.5, difference=-2.46, scale=100).difference == -2.46


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [(0.0, 1, "0.0000"), (-0.00001, 1, "0.0000"), (-0.5, 1, "−0.5000"), (100.0, 100, "100.00"), (3.5, 10, "3.500")],
)
def test_values_as_text(value: float, scale: float, text: str) -> None:
    assert value_text(value, scale=scale) == text


def test_differences_and_counts_as_text() -> None:
    assert [difference_text(value) for value in (0.0, 0.00001, 10.0, -10.0)] == [
        "0.0000",
        "0.0000",
        "+10.0000",
        "−10.0000",
    ]
    counts = (0, 999, 1000, 9949, 9950, 99_499, 999_499, 999_500, 12_345_678, 999_500_000)
    shown = ["0", "999", "1.0k", "9.9k", "10k", "99k", "999k", "1.0M", "12M", "1G"]
    assert [compact_count(count) for count in counts] == shown
