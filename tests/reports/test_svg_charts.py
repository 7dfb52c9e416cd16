"""Charts: every mark stands where its number says, worked out by hand, and every number can be read as text."""

from __future__ import annotations

import re

import pytest

from rablip.reports import (
    Bar,
    BarChart,
    CalibrationBin,
    CalibrationPlot,
    Curve,
    CurvePoint,
    LineChart,
    bar_chart,
    calibration_plot,
    line_chart,
)
from tests.reports.page_reader import ALLOWED, PageReader

Element = dict[str, str | None]


def marks(svg: str, tag: str, style: str) -> list[Element]:
    """The elements of a name that have a class."""
    found = PageReader(svg).tags
    return [
        attributes for name, attributes in found if name == tag and style in (attributes.get("class") or "").split()
    ]


def places(svg: str, tag: str, style: str, *names: str) -> list[tuple[str | None, ...]]:
    return [tuple(one[name] for name in names) for one in marks(svg, tag, style)]


def said(svg: str) -> str:
    description = re.search(r"<desc>(.*?)</desc>", svg, re.S)
    assert description is not None
    return description[1]


def bars(*values: float | None, **options: object) -> list[Bar]:
    return [Bar(name=f"bar {place}", value=value, **options) for place, value in enumerate(values)]  # type: ignore[arg-type]


def test_bars_stand_where_their_numbers_say() -> None:
    chart = BarChart(
        title="Accuracy",
        bars=[
            Bar(name="color", value=0.25, interval=(0.2, 0.3), num_questions=179),
            Bar(name="shape", value=0.5, num_questions=74),
        ],
    )
    svg = bar_chart(chart)
    # The name takes 20 pixels, the bar 15 with a pixel above it and two below, and 12 separate it from the next.
    assert places(svg, "rect", "fill", "x", "width", "y", "height") == [
        ("0%", "25%", "21", "12"),
        ("0%", "50%", "68", "12"),
    ]
    assert places(svg, "rect", "track", "x", "width", "y") == [("0%", "100%", "21"), ("0%", "100%", "68")]
    line, *caps = places(svg, "line", "whisker", "x1", "x2", "y1", "y2")
    assert line == ("20%", "30%", "27", "27")
    assert caps == [("20%", "20%", "23", "31"), ("30%", "30%", "23", "31")]
    assert [x for (x,) in places(svg, "text", "tick", "x")][-5:] == ["0%", "25%", "50%", "75%", "100%"]
    assert said(svg) == "color: 0.2500 (0.2000 to 0.3000), n = 179; shape: 0.5000, n = 74"
    assert "<title>Accuracy</title>" in svg and 'role="img"' in svg and 'height="108"' in svg
    text = PageReader(svg).text
    assert "0.250" in text and "n = 179" in text


def test_two_bars_for_each_name() -> None:
    chart = BarChart(
        title="Stress", bars=bars(75.0), compared_bars=bars(50.0), series=("plain", "shuffled"), scale=100
    )
    svg = bar_chart(chart)
    first, second = marks(svg, "rect", "fill")[-2:]
    # Two rows of the legend, 22 pixels each, 6 below them, 20 for the name.
    assert (first["y"], first["width"], first["class"]) == ("71", "75%", "fill s1 d1")
    assert (second["y"], second["width"], second["class"]) == ("86", "50%", "fill s2 d1")
    assert said(svg) == "bar 0 (plain): 75.00; bar 0 (shuffled): 50.00"
    assert PageReader(svg).text.count("shuffled") == 3, "in the legend, the description and the bar's own title"


@pytest.mark.parametrize(
    ("value", "scale", "place"),
    [
        (0.0, 1.0, ("0%", "0%")),
        (1.0, 1.0, ("0%", "100%")),
        (81.25, 100.0, ("0%", "81.25%")),
        (1 / 3, 1.0, ("0%", "33.33%")),
        (-0.5, 1.0, ("0%", "33.33%")),  # the axis runs from -0.5 to 1, its zero is at a third
        (2.0, 1.0, ("0%", "100%")),  # the axis runs to 2
    ],
)
def test_the_axis_holds_every_value(value: float, scale: float, place: tuple[str, str]) -> None:
    svg = bar_chart(BarChart(title="One", bars=bars(value), scale=scale))
    assert places(svg, "rect", "fill", "x", "width") == [place]


def test_an_interval_wider_than_the_scale_widens_the_axis() -> None:
    svg = bar_chart(BarChart(title="One", bars=bars(0.9, interval=(0.6, 1.2))))
    assert places(svg, "rect", "fill", "width") == [("75%",)]
    assert places(svg, "line", "whisker", "x1", "x2")[0] == ("50%", "100%")


def test_no_value_and_no_bars() -> None:
    svg = bar_chart(BarChart(title="Accuracy", bars=bars(None, num_questions=0)))
    assert marks(svg, "rect", "fill") == [] and len(marks(svg, "rect", "track")) == 1
    assert "–" in PageReader(svg).text and said(svg) == "bar 0: no value, n = 0"
    empty = bar_chart(BarChart(title="Accuracy", bars=[]))
    assert "There is nothing to show." in said(empty) and marks(empty, "rect", "track") == []


def test_forty_categories_long_names_and_huge_counts() -> None:
    many = [Bar(name=f"category {place} " + "long " * 30, value=0.5, num_questions=12_345_678) for place in range(40)]
    svg = bar_chart(BarChart(title="Many", bars=many))
    assert len(marks(svg, "rect", "fill")) == 40
    lines = [text for text in re.findall(r'<text class="name"[^>]*>([^<]*)</text>', svg)]
    assert len(lines) == 80 and max(map(len, lines)) <= 34 and lines[1].endswith("…")
    assert all("long " * 30 in one for one in said(svg).split("; ")[:1]), "the whole name can be heard"
    assert svg.count(">n = 12M<") == 40 and "n = 12,345,678" in said(svg)
    assert len(places(svg, "text", "tick", "x")) == 40 + 2 * 5, "the axis is numbered above and below"
    tops = [float(y or 0) for (y,) in places(svg, "rect", "fill", "y")]
    assert {round(after - before, 6) for before, after in zip(tops, tops[1:], strict=False)} == {20 + 16 + 15 + 12}


def test_curves_over_a_logarithmic_axis() -> None:
    points = [CurvePoint(k=1, value=0.5), CurvePoint(k=10, value=0.75), CurvePoint(k=100, value=1.0)]
    svg = line_chart(LineChart(title="Recall", curves=[Curve(name="BM25", points=points)]))
    assert re.findall(r'<polyline points="([^"]*)"', svg) == ["0,50 50,25 100,0"]
    # A row of the legend and 34 pixels, then 220: from 56 to 276.
    shown = [one for one in places(svg, "circle", "point", "cx", "cy") if one != ("50%", "10")]
    assert shown == [("0%", "166"), ("50%", "111"), ("100%", "56")]
    assert said(svg) == "BM25: 0.5000 at k = 1, 0.7500 at k = 10, 1.0000 at k = 100"
    assert [("0%", "1"), ("50%", "10"), ("100%", "100")] == re.findall(
        r'class="tick" x="(\d+%)" y="294"[^>]*>(\d+)<', svg
    )


def test_curves_over_a_categorical_axis() -> None:
    points = [CurvePoint(k=k, value=0.5) for k in (1, 2, 100)]
    svg = line_chart(LineChart(title="Recall", curves=[Curve(name="a", points=points)], is_logarithmic=False))
    assert re.findall(r'<polyline points="([^"]*)"', svg) == ["0,50 50,50 100,50"]


def test_a_band_goes_along_its_upper_and_back_along_its_lower_bounds() -> None:
    points = [
        CurvePoint(k=1, value=0.5, interval=(0.4, 0.6)),
        CurvePoint(k=4, value=0.75, interval=(0.7, 0.8)),
        CurvePoint(k=16, value=0.8),
    ]
    svg = line_chart(LineChart(title="Recall", curves=[Curve(name="a", points=points)]))
    assert re.findall(r'<polygon points="([^"]*)"', svg) == ["0,40 50,20 50,30 0,60"]
    assert re.findall(r'<polyline points="([^"]*)"', svg) == ["0,50 50,25 100,20"]


def test_a_missing_value_interrupts_a_curve() -> None:
    values = {1: 0.1, 2: 0.2, 4: None, 8: 0.4, 16: 0.5}
    points = [CurvePoint(k=k, value=value) for k, value in values.items()]
    svg = line_chart(LineChart(title="Recall", curves=[Curve(name="a", points=points)]))
    assert re.findall(r'<polyline points="([^"]*)"', svg) == ["0,90 25,80", "75,60 100,50"]
    assert "– at k = 4" in said(svg)


def test_one_point_no_points_and_different_ks() -> None:
    one = line_chart(LineChart(title="Recall", curves=[Curve(name="a", points=[CurvePoint(k=7, value=0.5)])]))
    assert ("50%", "166") in places(one, "circle", "point", "cx", "cy") and "<polyline" not in one
    for curves in ([], [Curve(name="a", points=[])]):
        assert "There is nothing to show." in said(line_chart(LineChart(title="Recall", curves=curves)))
    two = [
        Curve(name="a", points=[CurvePoint(k=1, value=0.5), CurvePoint(k=4, value=0.5)]),
        Curve(name="b", points=[CurvePoint(k=2, value=0.25), CurvePoint(k=16, value=0.25)]),
    ]
    svg = line_chart(LineChart(title="Recall", curves=two))
    assert re.findall(r'<polyline points="([^"]*)"', svg) == ["0,50 50,50", "25,75 100,75"]


def test_numbers_of_the_axis_do_not_run_into_each_other() -> None:
    points = [CurvePoint(k=k, value=0.5) for k in range(1, 101)]
    svg = line_chart(LineChart(title="Recall", curves=[Curve(name="a", points=points)]))
    found = re.findall(r'class="tick" x="([\d.]+)%" y="294"[^>]*>(\d+)<', svg)
    shown = [(float(x), int(k)) for x, k in found]
    assert shown[0] == (0.0, 1) and shown[-1] == (100.0, 100)
    assert all(after[0] - before[0] >= 8.5 for before, after in zip(shown, shown[1:], strict=False))


def test_every_series_looks_different() -> None:
    curves = [Curve(name=f"system {n}", points=[CurvePoint(k=1, value=n / 20)]) for n in range(12)]
    svg = line_chart(LineChart(title="Recall", curves=curves))
    legend = marks(svg, "line", "curve")
    assert len({one["class"] for one in legend}) == 12


def test_calibration_stands_where_its_numbers_say() -> None:
    bins = [
        CalibrationBin(low=0.0, high=0.5, confidence=None, accuracy=None, num_questions=0),
        CalibrationBin(low=0.5, high=0.75, confidence=0.6, accuracy=0.5, num_questions=5, interval=(0.25, 0.75)),
        CalibrationBin(low=0.75, high=1.0, confidence=0.9, accuracy=1.0, num_questions=10),
    ]
    svg = calibration_plot(CalibrationPlot(title="Confidence", bins=bins, error=0.0333))
    # The plot reaches from 28 to 288; the bars that count stand on 376 and are 44 high at most.
    assert places(svg, "rect", "accuracy", "x", "width", "y", "height") == [
        ("50%", "25%", "158", "130"),
        ("75%", "25%", "28", "260"),
    ]
    assert places(svg, "circle", "point", "cx", "cy") == [("60%", "158"), ("90%", "28")]
    assert places(svg, "line", "whisker", "x1", "y1", "x2", "y2") == [("60%", "223", "60%", "93")]
    assert places(svg, "line", "diagonal", "x1", "y1", "x2", "y2") == [("0%", "288", "100%", "28")]
    assert places(svg, "rect", "tally", "x", "y", "height") == [
        ("0%", "376", "0"),
        ("50%", "354", "22"),
        ("75%", "332", "44"),
    ]
    text = PageReader(svg).text
    assert "ECE 0.033" in text and "15 answers" in text
    assert said(svg) == (
        "expected calibration error (ECE 0.033); 15 answers; confidence 0 to 0.5: no answers; "
        "confidence 0.5 to 0.75: 0.5000 (0.2500 to 0.7500) right, mean confidence 0.6000, n = 5; "
        "confidence 0.75 to 1: 1.0000 right, mean confidence 0.9000, n = 10"
    )


def test_calibration_without_answers_or_error() -> None:
    empty = CalibrationBin(low=0.0, high=1.0, confidence=None, accuracy=None, num_questions=0)
    for plot in (CalibrationPlot(title="None", bins=[]), CalibrationPlot(title="None", bins=[empty])):
        assert "There is nothing to show." in said(calibration_plot(plot))
    one = CalibrationBin(low=0.0, high=1.0, confidence=0.0, accuracy=0.0, num_questions=1)
    assert "ECE" not in calibration_plot(CalibrationPlot(title="One", bins=[one]))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><img src=x onerror=y>', "</svg></style>", "a\0b\x1f"]
)
def test_names_stay_names(name: str) -> None:
    bar = Bar(name=name, value=0.5)
    bin_ = CalibrationBin(low=0, high=1, confidence=0.5, accuracy=0.5, num_questions=1)
    point = CurvePoint(k=1, value=0.5)
    for svg in (
        bar_chart(BarChart(title=name, bars=[bar], compared_bars=[bar], series=(name, name))),
        line_chart(LineChart(title=name, curves=[Curve(name=name, points=[point])], metric=name)),
        calibration_plot(CalibrationPlot(title=name, bins=[bin_])),
    ):
        reader = PageReader(svg)
        assert {tag for tag, _ in reader.tags} <= ALLOWED - {"img", "style", "html"}
        shown = "".join(letter if letter >= " " else " " for letter in name)
        assert " ".join(shown.split()) in reader.text
        assert "nan" not in svg and "None" not in svg
