"""Charts as inline SVG: bars with whiskers, curves over k, and a calibration plot. Pure functions, no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby

from .chart_content import Bar, BarChart, CalibrationBin, CalibrationPlot, Curve, CurvePoint, LineChart
from .html_parts import escape
from .number_text import compact_count, interval_text, plain_number, short_value_text, value_text
from .svg_parts import (
    LEGEND_ROW,
    Axis,
    clipped_text,
    drawing,
    element,
    legend_rows,
    marker,
    name_lines,
    percent,
    rectangle,
    series_style,
    text,
    tick_text,
    whisker,
)

__all__ = ["bar_chart", "bin_words", "calibration_plot", "figure_words", "line_chart"]

# All in pixels.
_NAME = 20  # height of the name above a bar
_LINE = 16  # height of a second line of the name
_BAR = 15
_GAP = 12
_PLOT = 220  # height of the area of curves
_SQUARE = 260  # height of the area of a calibration plot
_COUNTS = 44  # height of the bars that count

_NEAREST_LABELS = 0.085  # share of the width between two numbers of the k axis
_MANY_BARS = 12  # from here on the axis is numbered at both ends
_MANY_BINS = 12  # from here on the bars that count have no room for a number


def bar_chart(chart: BarChart) -> str:
    """Horizontal bars with their values, counts and interval whiskers; two for each name where two are compared.

    Args:
        chart: what it shows.

    Example:
        >>> chart = BarChart(title="Accuracy", bars=[Bar(name="color", value=0.25, interval=(0.2, 0.3))])
        >>> 'width="25%"' in bar_chart(chart)
        True
    """
    if not chart.bars:
        return _nothing(chart.title)
    series = chart.series if chart.compared_bars and chart.series else ()
    rows = list(zip(chart.bars, chart.compared_bars, strict=True)) if series else [(bar,) for bar in chart.bars]
    axis = Axis.around([number for row in rows for number in _numbers(row)], scale=chart.scale)
    top = len(series) * LEGEND_ROW + (6 if series else 0)
    parts = [legend_rows(series, is_curve=False)]
    if len(rows) >= _MANY_BARS:
        top += 20
        parts += [tick_text(tick, x=percent(axis.share(tick)), y=top - 8) for tick in axis.ticks()]
    said, y = [], float(top)
    for row in rows:
        lines = name_lines(row[0].name)
        parts += [clipped_text(line, x=0, y=y + _LINE * number, width="100%") for number, line in enumerate(lines)]
        if row[0].num_questions is not None:
            count = f"n = {_count(row[0].num_questions)}"
            parts.append(text(count, x="100%", y=y + 14, style="tick", shift=8))
        y += _NAME + _LINE * (len(lines) - 1)
        for number, bar in enumerate(row):
            words = f"{bar.name}{f' ({series[number]})' if series else ''}: {figure_words(bar, scale=chart.scale)}"
            said.append(words)
            drawn = _bar(bar, axis, number, y=y, scale=chart.scale)
            parts.append(element("g", element("title", escape(words)) + drawn))
            y += _BAR
        y += _GAP
    parts += [tick_text(tick, x=percent(axis.share(tick)), y=y + 6) for tick in axis.ticks()]
    return drawing(chart.title, "; ".join(said), height=y + 14, style="bar-chart", parts=parts)


def line_chart(chart: LineChart) -> str:
    """Curves over k, with bands for their intervals.

    Args:
        chart: what it shows.

    Example:
        >>> from .chart_content import CurvePoint
        >>> points = [CurvePoint(k=1, value=0.5), CurvePoint(k=10, value=0.75)]
        >>> 'points="0,50 100,25"' in line_chart(LineChart(title="Recall", curves=[Curve(name="a", points=points)]))
        True
    """
    points = [point for curve in chart.curves for point in curve.points]
    if not points:
        return _nothing(chart.title)
    axis = Axis.around(_numbers(points), scale=chart.scale)
    places = _places({point.k for point in points}, is_logarithmic=chart.is_logarithmic)
    top = LEGEND_ROW * len(chart.curves) + 34
    bottom = top + _PLOT
    parts = [legend_rows([curve.name for curve in chart.curves], is_curve=True)]
    parts.append(clipped_text(chart.metric, x=0, y=top - 26, width="100%", style="axis"))
    parts += _horizontal_grid(axis, top=top, height=_PLOT)
    for k in _labelled(places):
        parts.append(text(f"{k:,}", x=percent(places[k]), y=bottom + 18, style="tick", anchor="middle"))
    parts.append(text("k", x="100%", y=bottom + 36, style="axis", anchor="end"))
    shapes = [_shapes(curve, axis, places) for curve in chart.curves]
    for kind, place in (("band", 0), ("curve", 1)):  # no band hides a line
        parts += [_area(shape[place], f"{kind} {series_style(number)}", top) for number, shape in enumerate(shapes)]
    said = []
    for number, curve in enumerate(chart.curves):
        values = {point.k: value_text(point.value, scale=chart.scale) for point in curve.points}
        said.append(f"{curve.name}: " + ", ".join(f"{value} at k = {k:,}" for k, value in values.items()))
        for point in curve.points:
            if point.value is not None:
                title = element("title", escape(f"{curve.name}, k = {point.k:,}: {values[point.k]}"))
                y = bottom - _PLOT * axis.share(point.value)
                parts.append(marker(number, x=percent(places[point.k]), y=y, content=title))
    return drawing(chart.title, "; ".join(said), height=bottom + 42, style="line-chart", parts=parts)


def calibration_plot(plot: CalibrationPlot) -> str:
    """The accuracy of answers beside their mean confidence, and below it how many answers there are of each.

    Args:
        plot: what it shows.

    Example:
        >>> bins = [CalibrationBin(low=0.5, high=1.0, confidence=0.8, accuracy=0.5, num_questions=10)]
        >>> 'cx="80%" cy="158"' in calibration_plot(CalibrationPlot(title="Confidence", bins=bins, error=0.3))
        True
    """
    num_questions = sum(one.num_questions for one in plot.bins)
    if not num_questions:
        return _nothing(plot.title)
    said = [f"{num_questions:,} answers", *map(bin_words, plot.bins)]
    axis = Axis(low=0.0, high=1.0)
    top = 28
    bottom = top + _SQUARE
    floor = bottom + 44 + _COUNTS  # base line of the bars that count
    parts = [text("share that is right", x="0", y=top - 12, style="axis")]
    if plot.error is not None:
        error = f"ECE {short_value_text(plot.error)}"
        said.insert(0, f"expected calibration error ({error})")
        parts.append(text(error, x="100%", y=top - 12, style="name strong", anchor="end"))
    parts += _horizontal_grid(axis, top=top, height=_SQUARE)
    parts += [tick_text(tick, x=percent(tick), y=bottom + 18) for tick in axis.ticks()]
    most = max(one.num_questions for one in plot.bins)
    points = []
    for one in plot.bins:
        title = element("title", escape(bin_words(one)))
        across = one.low, one.high
        height = _COUNTS * one.num_questions / most
        parts.append(rectangle("tally", across, y=floor - height, height=height, content=title))
        if one.num_questions and len(plot.bins) < _MANY_BINS:
            middle = percent((one.low + one.high) / 2)
            parts.append(text(compact_count(one.num_questions), x=middle, y=floor - height - 4, style="tick small",
                              anchor="middle"))  # fmt: skip
        if one.accuracy is not None and one.confidence is not None:
            height = _SQUARE * one.accuracy
            parts.append(rectangle("accuracy", across, y=bottom - height, height=height, content=title))
            if one.interval is not None:
                points.append(whisker(*(bottom - _SQUARE * end for end in one.interval), x=percent(one.confidence)))
            points.append(marker(0, x=percent(one.confidence), y=bottom - height, content=title))
    parts.append(element("line", class_="diagonal", x1="0%", y1=bottom, x2="100%", y2=top))
    parts += points
    parts.append(element("line", class_="grid", x1="0%", y1=floor, x2="100%", y2=floor))
    parts.append(text(f"{num_questions:,} answers", x="0", y=floor + 18, style="axis"))
    parts.append(text("confidence", x="100%", y=floor + 18, style="axis", anchor="end"))
    return drawing(plot.title, "; ".join(said), height=floor + 24, style="line-chart square", parts=parts)


def bin_words(one: CalibrationBin) -> str:
    """A bin of a calibration plot as a line of text.

    Example:
        >>> bin_words(CalibrationBin(low=0.8, high=0.9, confidence=0.86, accuracy=0.7, num_questions=40))
        'confidence 0.8 to 0.9: 0.7000 right, mean confidence 0.8600, n = 40'
    """
    bounds = f"confidence {one.low:g} to {one.high:g}"
    if one.accuracy is None:
        return f"{bounds}: no answers"
    right = figure_words(Bar(name="", value=one.accuracy, interval=one.interval), scale=1.0)
    return f"{bounds}: {right} right, mean confidence {value_text(one.confidence)}, n = {one.num_questions:,}"


def figure_words(bar: Bar, *, scale: float) -> str:
    """A value with its interval and count, as a line of text.

    Example:
        >>> figure_words(Bar(name="color", value=0.5, interval=(0.4, 0.6), num_questions=1790), scale=1.0)
        '0.5000 (0.4000 to 0.6000), n = 1,790'
    """
    words = value_text(bar.value, scale=scale) if bar.value is not None else "no value"
    words += f" ({interval_text(bar.interval, scale=scale)})" if bar.interval is not None else ""
    return words + (f", n = {bar.num_questions:,}" if bar.num_questions is not None else "")


def _numbers(figures: Iterable[Bar | CurvePoint]) -> list[float | None]:
    return [number for figure in figures for number in (figure.value, *(figure.interval or ()))]


def _nothing(title: str) -> str:
    words = "There is nothing to show."
    return drawing(title, words, height=24, style="line-chart", parts=[text(words, x="0", y=16, style="axis")])


def _bar(bar: Bar, axis: Axis, number: int, *, y: float, scale: float) -> str:
    parts = [rectangle("track", (0.0, 1.0), y=y + 1, height=_BAR - 3, round_corners=True)]
    for tick in axis.ticks():
        if axis.low < tick < axis.high:
            x = percent(axis.share(tick))
            parts.append(element("line", class_="notch", x1=x, y1=y + 1, x2=x, y2=y + _BAR - 2))
    if bar.value is not None:
        zero, end = axis.share(0.0), axis.share(bar.value)
        across = min(zero, end), max(zero, end)
        style = f"fill {series_style(number)}"
        parts.append(rectangle(style, across, y=y + 1, height=_BAR - 3, round_corners=True))
        if bar.interval is not None:
            parts.append(whisker(*map(axis.share, bar.interval), y=y + _BAR / 2 - 0.5))
    parts.append(text(short_value_text(bar.value, scale=scale), x="100%", y=y + 11.5, style="value", shift=8))
    return "".join(parts)


def _count(number: int) -> str:
    """A count that fits into the margin."""
    return f"{number:,}" if number < 100_000 else compact_count(number)


def _shapes(curve: Curve, axis: Axis, places: Mapping[int, float]) -> tuple[str, str]:
    """Bands and lines of a curve in a square of 100 by 100; both are interrupted where a number is missing."""

    def corner(point: CurvePoint, number: float) -> str:
        across, down = places[point.k], 1 - axis.share(number)
        return f"{plain_number(100 * across, decimals=2)},{plain_number(100 * down, decimals=2)}"

    bands, lines = [], []
    for run in _runs(curve.points, lambda point: point.value is not None):
        corners = [corner(point, point.value) for point in run if point.value is not None]
        lines.append(element("polyline", points=" ".join(corners), vector_effect="non-scaling-stroke"))
    for run in _runs(curve.points, lambda point: point.interval is not None):
        ends = [
            (corner(point, point.interval[1]), corner(point, point.interval[0])) for point in run if point.interval
        ]
        corners = [upper for upper, _ in ends] + [lower for _, lower in reversed(ends)]
        bands.append(element("polygon", points=" ".join(corners)))
    return "".join(bands), "".join(lines)


def _runs(points: Sequence[CurvePoint], is_there: Callable[[CurvePoint], bool]) -> list[list[CurvePoint]]:
    """Points in a row that have something; one alone is no line."""
    runs = [list(run) for there, run in groupby(points, key=is_there) if there]
    return [run for run in runs if len(run) > 1]


def _area(shapes: str, style: str, top: float) -> str:
    # Stretched to the width of the drawing: a line of many points cannot be placed in percent.
    place = {"y": top, "width": "100%", "height": _PLOT}
    return element("svg", shapes, class_=style, viewBox="0 0 100 100", preserveAspectRatio="none", **place)


def _places(ks: set[int], *, is_logarithmic: bool) -> dict[int, float]:
    """Where every k lies between the ends of the axis, from 0 to 1; a single one lies in the middle."""
    ordered = sorted(ks)
    if len(ordered) == 1:
        return {ordered[0]: 0.5}
    if is_logarithmic:
        first, last = math.log(ordered[0]), math.log(ordered[-1])
        return {k: (math.log(k) - first) / (last - first) for k in ordered}
    return {k: number / (len(ordered) - 1) for number, k in enumerate(ordered)}


def _labelled(places: Mapping[int, float]) -> list[int]:
    """The ks whose numbers have room on the axis: the last one, and from the first on those that are not too near."""
    *others, last = places
    kept: list[int] = []
    for k in others:
        near = _NEAREST_LABELS
        if (not kept or places[k] - places[kept[-1]] >= near) and places[last] - places[k] >= near:
            kept.append(k)
    return [*kept, last]


def _horizontal_grid(axis: Axis, *, top: float, height: float) -> list[str]:
    parts = []
    for tick in axis.ticks():
        y = top + height * (1 - axis.share(tick))
        parts.append(element("line", class_="grid", x1="0%", y1=y, x2="100%", y2=y))
        parts.append(tick_text(tick, x="0", y=y + 4, shift=-8, anchor="end"))
    return parts
