"""What the charts are drawn with: elements, axes, clipped names and a legend.

A drawing has no fixed width: what lies along the horizontal axis is placed in percent, everything else in pixels, so
that letters keep their size on a phone. The box of the drawing is the area between the two ends of the axis; the style
sheet leaves a margin beside it, where the numbers of the axes and the bars stand.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from .html_parts import escape
from .number_text import plain_number

__all__ = [
    "LEGEND_ROW",
    "Axis",
    "clipped_text",
    "drawing",
    "element",
    "legend_rows",
    "marker",
    "name_lines",
    "percent",
    "rectangle",
    "series_style",
    "text",
    "tick_text",
    "whisker",
]

LEGEND_ROW = 22
"""Height of a row of the legend in pixels."""

_NUM_COLORS = 6
_NUM_DASHES = 3
_LONGEST_LINE = 34  # characters of a name; about as many fit into a drawing on a phone
_CAP = 4  # pixels: half the length of the line that ends a whisker
_LONGEST_LEGEND = 60


@dataclass(frozen=True, kw_only=True)
class Axis:
    """An axis from one value to another.

    Args:
        low: value at its beginning.
        high: value at its end.

    Example:
        >>> Axis(low=0.0, high=100.0).share(25.0)
        0.25
    """

    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float | None], *, scale: float) -> Axis:
        """From zero to the scale, and further where a value lies outside.

        Example:
            >>> Axis.around([0.2, None, 1.25], scale=1.0)
            Axis(low=0.0, high=1.25)
        """
        known = [value for value in values if value is not None]
        return cls(low=min([0.0, *known]), high=max([scale, *known]))

    def share(self, value: float) -> float:
        """Where a value lies between the ends of the axis, from 0 to 1.

        Example:
            >>> Axis(low=-1.0, high=1.0).share(0.0)
            0.5
        """
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values along the axis, at steps of 1, 2, 2.5 or 5 times a power of ten; four steps at most.

        Example:
            >>> Axis(low=0.0, high=100.0).ticks()
            [0.0, 25.0, 50.0, 75.0, 100.0]
        """
        rough = (self.high - self.low) / 4
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def element(name: str, content: str = "", /, **attributes: object) -> str:
    """An element with escaped attributes; `class_` is written as class, other underscores as hyphens.

    Args:
        name: of the element.
        content: SVG inside it.
        attributes: numbers are pixels; what is None is left out.

    Example:
        >>> element("text", "a", class_="name", text_anchor="end", y=4.0)
        '<text class="name" text-anchor="end" y="4">a</text>'
    """
    written = []
    for key, value in attributes.items():
        if value is not None:
            value = plain_number(value, decimals=2) if isinstance(value, (int, float)) else value
            written.append(f' {"class" if key == "class_" else key.replace("_", "-")}="{escape(value)}"')
    return f"<{name}{''.join(written)}>{content}</{name}>"


def percent(share: float) -> str:
    """A share of the width as an attribute.

    Example:
        >>> percent(0.5), percent(1 / 3)
        ('50%', '33.33%')
    """
    return f"{plain_number(100 * share, decimals=2)}%"


def drawing(title: str, description: str, *, height: float, style: str, parts: Sequence[str]) -> str:
    """A whole drawing, with its title and description for those who hear it.

    Example:
        >>> drawing("Accuracy", "color: 0.5", height=40, style="bar-chart", parts=[])[:37]
        '<svg class="bar-chart" role="img" wid'
    """
    said = element("title", escape(title)) + element("desc", escape(description))
    return element("svg", said + "".join(parts), class_=style, role="img", width="100%", height=height)


def text(content: str, *, x: str, y: float, style: str, shift: float | None = None, anchor: str | None = None) -> str:
    """A line of text.

    Args:
        content: what it says.
        x: place in percent.
        y: of its base line.
        style: class.
        shift: further pixels to the right.
        anchor: which part of it stands at its place: "start" when None, "middle" or "end".

    Example:
        >>> text("0.5", x="50%", y=12, style="tick", anchor="middle")
        '<text class="tick" x="50%" y="12" text-anchor="middle">0.5</text>'
    """
    return element("text", escape(content), class_=style, x=x, y=y, dx=shift, text_anchor=anchor)


def tick_text(value: float, *, x: str, y: float, shift: float | None = None, anchor: str = "middle") -> str:
    """A number of an axis.

    Example:
        >>> tick_text(0.25, x="25%", y=12)
        '<text class="tick" x="25%" y="12" text-anchor="middle">0.25</text>'
    """
    return text(f"{value:g}".replace("-", "\N{MINUS SIGN}"), x=x, y=y, style="tick", shift=shift, anchor=anchor)


def rectangle(
    style: str,
    across: tuple[float, float],
    *,
    y: float,
    height: float,
    round_corners: bool = False,
    content: str = "",
) -> str:
    """A rectangle between two places, which are shares of the width.

    Example:
        >>> rectangle("fill", (0.0, 0.25), y=2, height=10)
        '<rect class="fill" x="0%" y="2" width="25%" height="10"></rect>'
    """
    left, right = across
    place = {"x": percent(left), "y": y, "width": percent(right - left), "height": height}
    return element("rect", content, class_=style, **place, rx=3 if round_corners else None)


def name_lines(content: str, *, longest: int = _LONGEST_LINE) -> list[str]:
    """A name in at most two lines, as text in a drawing does not wrap by itself.

    Example:
        >>> name_lines("color")
        ['color']
        >>> name_lines("every picture replaced by another one")
        ['every picture replaced by another', 'one']
    """
    lines = textwrap.wrap(" ".join(content.split()), longest) or [""]
    return lines if len(lines) < 3 else [lines[0], f"{lines[1][: longest - 1]}…"]


def clipped_text(content: str, *, x: float, y: float, width: str, style: str = "name") -> str:
    """A line of text that is never wider than its place.

    Example:
        >>> clipped_text("color", x=0, y=2, width="100%")
        '<svg x="0" y="2" width="100%" height="20"><text class="name" x="0" y="14">color</text></svg>'
    """
    return element("svg", text(content, x="0", y=14, style=style), x=x, y=y, width=width, height=20)


def whisker(low: float, high: float, *, y: float | None = None, x: str | None = None) -> str:
    """The line of an interval, on a halo that sets it off from the bar that it lies on.

    Args:
        low: one bound: as a share of the width with `y`, in pixels with `x`.
        high: the other one.
        y: height of a horizontal one, which has a cap at both ends.
        x: place of a vertical one.

    Example:
        >>> whisker(10, 40, x="50%").count("<line")
        2
    """
    if y is None:
        line: dict[str, object] = {"x1": x, "y1": low, "x2": x, "y2": high}
        return element("line", class_="halo", **line) + element("line", class_="whisker", **line)
    ends = percent(low), percent(high)
    line = {"x1": ends[0], "y1": y, "x2": ends[1], "y2": y}
    caps = [element("line", class_="whisker", x1=end, y1=y - _CAP, x2=end, y2=y + _CAP) for end in ends]
    return element("line", class_="halo", **line) + element("line", class_="whisker", **line) + "".join(caps)


def series_style(number: int) -> str:
    """Classes that give the series of a number, from 0, its colour and its dashes.

    Example:
        >>> series_style(0), series_style(7)
        ('s1 d1', 's2 d2')
    """
    return f"s{number % _NUM_COLORS + 1} d{number // _NUM_COLORS % _NUM_DASHES + 1}"


def marker(number: int, *, x: str, y: float, content: str = "") -> str:
    """The point of a series: a disc, a square, a ring or a frame, so that colour is not all that tells them apart.

    Args:
        number: of the series, from 0.
        x: place in percent.
        y: height in pixels.
        content: what stands inside the element, such as a title.

    Example:
        >>> marker(0, x="50%", y=10)
        '<circle class="point s1 d1" cx="50%" cy="10" r="4"></circle>'
    """
    style = f"{'point' if number % 4 < 2 else 'ring'} {series_style(number)}"
    if number % 2 == 0:
        return element("circle", content, class_=style, cx=x, cy=y, r=4)
    return element("rect", content, class_=style, x=x, y=y - 4, width=8, height=8, transform="translate(-4 0)")


def legend_rows(names: Sequence[str], *, is_curve: bool) -> str:
    """One row for every series: how it is drawn, and its name.

    Args:
        names: of the series.
        is_curve: whether a series is drawn as a line with points; else as a bar.

    Example:
        >>> "BM25" in legend_rows(["BM25"], is_curve=True)
        True
    """
    rows = []
    for number, name in enumerate(names):
        top = LEGEND_ROW * number
        style = series_style(number)
        if is_curve:
            line = element("line", class_=f"curve {style}", x1=0, y1=10, x2=28, y2=10)
            rows.append(element("svg", line + marker(number, x="50%", y=10), y=top, width=28, height=20))
        else:
            rows.append(element("rect", class_=f"fill {style}", x=0, y=top + 5, width=28, height=10, rx=3))
        first, *others = name_lines(name, longest=_LONGEST_LEGEND)
        rows.append(clipped_text(f"{first}…" if others else first, x=36, y=top, width="86%"))
    return "".join(rows)
