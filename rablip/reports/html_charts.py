"""Charts on a page: each under its title, with a note and, folded, a table of its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from .chart_content import Bar, BarChart, CalibrationPlot, LineChart
from .evaluation_content import PairedFigure
from .html_frame import paragraphs_html
from .html_parts import escape
from .html_tables import TableGroup, TableRow, table_html
from .number_text import count_or_nothing, interval_text, value_text
from .svg_charts import bar_chart, calibration_plot, line_chart

__all__ = ["chart_html", "charts_html", "paired_chart"]


def paired_chart(title: str, figures: Sequence[PairedFigure], *, first: str, second: str) -> str:
    """The two measurements as bars; nothing where they are not all on one scale.

    Example:
        >>> paired_chart("Stress", [], first="plain", second="stressed")
        ''
    """
    scales = {one.scale for one in figures}
    if len(scales) != 1:
        return ""
    has_metrics = len({one.metric for one in figures}) > 1
    names = [f"{one.name}: {one.metric}" if has_metrics and one.metric else one.name for one in figures]
    bars = [
        [
            Bar(name=name, value=value, num_questions=one.num_questions)
            for name, one, value in zip(names, figures, values, strict=True)
        ]
        for values in ([one.first for one in figures], [one.second for one in figures])
    ]
    chart = BarChart(title=title, bars=bars[0], compared_bars=bars[1], series=(first, second), scale=scales.pop())
    return chart_html(chart)


def chart_html(chart: BarChart | LineChart | CalibrationPlot) -> str:
    """A chart under its title, with its note and, folded, all its numbers.

    Example:
        >>> "<svg" in chart_html(BarChart(title="Accuracy", bars=[Bar(name="color", value=0.5)]))
        True
    """
    if isinstance(chart, BarChart):
        drawn, columns, rows = bar_chart(chart), *_bar_numbers(chart)
    elif isinstance(chart, LineChart):
        drawn, columns, rows = line_chart(chart), *_curve_numbers(chart)
    else:
        drawn, columns, rows = calibration_plot(chart), *_bin_numbers(chart)
    numbers = ""
    if rows:
        table = table_html(f"Numbers of {chart.title}", columns, [TableGroup(rows=rows)])
        numbers = f"<details><summary>All numbers</summary>{table}</details>"
    note = paragraphs_html(chart.note, style="note")
    return f'<figure class="chart"><figcaption>{escape(chart.title)}</figcaption>{drawn}{note}{numbers}</figure>'


def charts_html(charts: Sequence[BarChart | LineChart | CalibrationPlot]) -> str:
    """Charts side by side where the screen is wide enough; nothing for none.

    Example:
        >>> charts_html([])
        ''
    """
    return f'<div class="charts">{"".join(map(chart_html, charts))}</div>' if charts else ""


def _bar_numbers(chart: BarChart) -> tuple[list[str], list[TableRow]]:
    names = chart.series if chart.compared_bars and chart.series else ("",)
    columns = [f"{name} {column}".strip() for name in names for column in ("value", "interval", "n")]
    rows = []
    for place, first in enumerate(chart.bars):
        bars = [first, *([chart.compared_bars[place]] if chart.compared_bars else [])]
        cells = [
            cell
            for bar in bars
            for cell in (
                value_text(bar.value, scale=chart.scale),
                interval_text(bar.interval, scale=chart.scale),
                count_or_nothing(bar.num_questions),
            )
        ]
        rows.append(TableRow(name=first.name, cells=cells))
    return columns, rows


def _curve_numbers(chart: LineChart) -> tuple[list[str], list[TableRow]]:
    ks = sorted({point.k for curve in chart.curves for point in curve.points})
    rows = []
    for curve in chart.curves:
        at = {point.k: point for point in curve.points}
        cells = []
        for k in ks:
            cell = value_text(at[k].value if k in at else None, scale=chart.scale)
            interval = at[k].interval if k in at else None
            cells.append(cell if interval is None else f"{cell} ({interval_text(interval, scale=chart.scale)})")
        rows.append(TableRow(name=curve.name, cells=cells))
    return [f"k = {k:,}" for k in ks], rows


def _bin_numbers(plot: CalibrationPlot) -> tuple[list[str], list[TableRow]]:
    rows = [
        TableRow(
            name=f"{one.low:g} to {one.high:g}",
            cells=[
                value_text(one.confidence),
                value_text(one.accuracy),
                interval_text(one.interval),
                count_or_nothing(one.num_questions),
            ],
        )
        for one in plot.bins
    ]
    return ["mean confidence", "right", "interval", "n"], rows
