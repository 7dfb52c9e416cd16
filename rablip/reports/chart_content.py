"""What a chart of a report page shows: bars, curves over k, and the bins of a calibration plot, with their checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .number_text import check_finite, check_scale

__all__ = ["Bar", "BarChart", "CalibrationBin", "CalibrationPlot", "Curve", "CurvePoint", "LineChart"]


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One bar.

    Args:
        name: what it stands for, such as a category.
        value: its length, on the scale of the chart; None where nothing counts.
        interval: lower and upper bound, drawn as a whisker.
        num_questions: how many questions are behind it.

    Raises:
        ValueError: when a number is not finite, the bounds are in the wrong order, or the count is negative.

    Example:
        >>> Bar(name="color", value=0.5, interval=(0.4, 0.6), num_questions=179).name
        'color'
    """

    name: str
    value: float | None
    interval: tuple[float, float] | None = None
    num_questions: int | None = None

    def __post_init__(self) -> None:
        _check_figure(f"Bar {self.name!r}", self.value, self.interval)
        _check_count(f"Bar {self.name!r}", self.num_questions)


@dataclass(frozen=True, kw_only=True)
class BarChart:
    """Bars of one metric, such as one for every category.

    Args:
        title: heading of the chart.
        bars: the bars, from top to bottom.
        compared_bars: a second bar for each, with the same names in the same order.
        series: names of the first and the second bars; needed when there are second ones.
        scale: what a perfect answer scores, 1 or 100.
        note: how to read it.

    Raises:
        ValueError: when the second bars have other names than the first, or the scale is not positive.

    Example:
        >>> BarChart(title="Accuracy", bars=[Bar(name="color", value=0.5)]).scale
        1.0
    """

    title: str
    bars: Sequence[Bar]
    compared_bars: Sequence[Bar] = ()
    series: tuple[str, str] | None = None
    scale: float = 1.0
    note: str = ""

    def __post_init__(self) -> None:
        check_scale(f"Chart {self.title!r}", self.scale)
        if not self.compared_bars:
            return
        names, others = [bar.name for bar in self.bars], [bar.name for bar in self.compared_bars]
        if names != others:
            raise ValueError(
                f"Chart {self.title!r} compares the bars {names} with {others}. Give both the same names in one order."
            )
        if self.series is None:
            raise ValueError(f"Chart {self.title!r} has two bars for each name. Say in `series` what they are.")


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """A point of a curve.

    Args:
        k: how many of the ranking count, at least 1.
        value: the metric at k, on the scale of the chart; None leaves a gap.
        interval: lower and upper bound, drawn as a band.

    Raises:
        ValueError: when k is below 1, or a number is not finite.

    Example:
        >>> CurvePoint(k=5, value=0.8).k
        5
    """

    k: int
    value: float | None
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"A curve over k starts at k = 1, but has a point at k = {self.k}.")
        _check_figure(f"The point at k = {self.k}", self.value, self.interval)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One system's curve.

    Args:
        name: of the system.
        points: with rising k.

    Raises:
        ValueError: when k does not rise from point to point.

    Example:
        >>> Curve(name="BM25", points=[CurvePoint(k=1, value=0.3), CurvePoint(k=5, value=0.5)]).name
        'BM25'
    """

    name: str
    points: Sequence[CurvePoint]

    def __post_init__(self) -> None:
        ks = [point.k for point in self.points]
        if ks != sorted(set(ks)):
            raise ValueError(f"The points of curve {self.name!r} must have rising k, but have {ks}.")


@dataclass(frozen=True, kw_only=True)
class LineChart:
    """Curves of one metric over k.

    Args:
        title: heading of the chart.
        curves: one for every system.
        metric: what is measured, beside the vertical axis.
        scale: what a perfect answer scores, 1 or 100.
        is_logarithmic: whether k is drawn on a logarithmic axis; else every k takes the same place.
        note: how to read it.

    Raises:
        ValueError: when the scale is not positive.

    Example:
        >>> LineChart(title="Recall", curves=[]).is_logarithmic
        True
    """

    title: str
    curves: Sequence[Curve]
    metric: str = "recall@k"
    scale: float = 1.0
    is_logarithmic: bool = True
    note: str = ""

    def __post_init__(self) -> None:
        check_scale(f"Chart {self.title!r}", self.scale)


@dataclass(frozen=True, kw_only=True)
class CalibrationBin:
    """The answers whose confidence lies between two bounds.

    Args:
        low: lower bound of the confidence, from 0 to 1.
        high: upper bound.
        confidence: their mean confidence; None in an empty bin.
        accuracy: the share of them that is right; None in an empty bin.
        num_questions: how many they are.
        interval: bounds of the accuracy, drawn as a whisker.

    Raises:
        ValueError: when a number is outside 0..1, the bounds are in the wrong order, or an empty bin has values.

    Example:
        >>> CalibrationBin(low=0.8, high=0.9, confidence=0.86, accuracy=0.7, num_questions=40).high
        0.9
    """

    low: float
    high: float
    confidence: float | None
    accuracy: float | None
    num_questions: int
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        name = f"The bin from {self.low} to {self.high}"
        if not 0.0 <= self.low < self.high <= 1.0:
            raise ValueError(f"{name} must lie between 0 and 1 and have a width.")
        _check_figure(name, self.accuracy, self.interval)
        _check_count(name, self.num_questions)
        for value in (self.confidence, self.accuracy, *(self.interval or ())):
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} has the value {value}, but confidence and accuracy lie between 0 and 1.")
        if (self.confidence is None) != (self.num_questions == 0) or (self.accuracy is None) != (
            self.num_questions == 0
        ):
            raise ValueError(
                f"{name} holds {self.num_questions} answers with the mean confidence {self.confidence} and the "
                f"accuracy {self.accuracy}. An empty bin has neither, any other one both."
            )


@dataclass(frozen=True, kw_only=True)
class CalibrationPlot:
    """How often answers of some confidence are right.

    Args:
        title: heading of the plot.
        bins: from low to high confidence.
        error: the expected calibration error, from 0 to 1; None when it was not measured.
        note: whose confidence it is, and how to read it.

    Raises:
        ValueError: when bins overlap or are out of order, or the error is outside 0..1.

    Example:
        >>> CalibrationPlot(title="Is its confidence right?", bins=[], error=None).bins
        []
    """

    title: str
    bins: Sequence[CalibrationBin]
    error: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        for before, after in zip(self.bins, self.bins[1:], strict=False):
            # Bounds such as 3 / 10 and 0.1 + 0.2 are the same one.
            if after.low < before.high - 1e-9:
                raise ValueError(
                    f"The bin from {after.low} of plot {self.title!r} starts before the one before it ends, at "
                    f"{before.high}. Give the bins from low to high confidence."
                )
        if self.error is not None and not 0.0 <= self.error <= 1.0:
            raise ValueError(f"The calibration error of plot {self.title!r} is {self.error}, outside 0..1.")


def _check_figure(name: str, value: float | None, interval: tuple[float, float] | None) -> None:
    check_finite(name, value, *(interval or ()))
    if interval is not None and interval[0] > interval[1]:
        raise ValueError(f"{name} has the interval {interval}, whose lower bound is above the upper one.")


def _check_count(name: str, count: int | None) -> None:
    if count is not None and count < 0:
        raise ValueError(f"{name} has {count} questions; a count is at least 0.")
