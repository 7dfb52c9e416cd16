"""Reports for people, each one self-contained HTML page: what a model looked at, how a run did, what two differ in."""

from __future__ import annotations

from .chart_content import Bar, BarChart, CalibrationBin, CalibrationPlot, Curve, CurvePoint, LineChart
from .comparison_content import ChangedQuestion, ComparisonPage
from .comparison_page import build_comparison_page, write_comparison_page
from .evaluation_content import (
    EvaluationPage,
    MetricRow,
    PairedFigure,
    PublishedRow,
    PublishedTable,
    SourceMark,
)
from .evaluation_page import build_evaluation_page, write_evaluation_page
from .html_page import build_page, write_page
from .html_tables import PageTable
from .page_entry import PageEntry
from .svg_charts import bar_chart, calibration_plot, line_chart

__all__ = [
    "Bar",
    "BarChart",
    "CalibrationBin",
    "CalibrationPlot",
    "ChangedQuestion",
    "ComparisonPage",
    "Curve",
    "CurvePoint",
    "EvaluationPage",
    "LineChart",
    "MetricRow",
    "PageEntry",
    "PageTable",
    "PairedFigure",
    "PublishedRow",
    "PublishedTable",
    "SourceMark",
    "bar_chart",
    "build_comparison_page",
    "build_evaluation_page",
    "build_page",
    "calibration_plot",
    "line_chart",
    "write_comparison_page",
    "write_evaluation_page",
    "write_page",
]
