"""A browsable list of questions that fits into a page: with smaller pictures if need be, then with fewer questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .html_entries import LEGEND
from .html_figures import section_html
from .html_filters import FilterGroup, filter_rules, filtered_list
from .html_parts import count_text
from .html_pictures import PictureSize

__all__ = ["PICTURE_SIZES", "BoundedList", "PictureSizes", "list_within"]


@dataclass(frozen=True, kw_only=True)
class PictureSizes:
    """How large the pictures of a list are.

    Args:
        large: those of questions and of what the generator was shown.
        thumbnail: those of what was found besides.

    Example:
        >>> PICTURE_SIZES[0].large.largest_side
        480
    """

    large: PictureSize
    thumbnail: PictureSize


PICTURE_SIZES = tuple(
    PictureSizes(
        large=PictureSize(largest_side=large, quality=quality, exact_bytes=exact),
        thumbnail=PictureSize(largest_side=small, quality=quality, exact_bytes=exact // 8),
    )
    for large, small, quality, exact in (
        (480, 96, 85, 16_000),
        (320, 80, 75, 8_000),
        (224, 64, 72, 5_000),
        (160, 56, 70, 3_000),
        (112, 48, 68, 2_000),
    )
)
"""From the best to what is still a picture; a page takes the first at which all its questions fit."""

_RESERVED_BYTES = 400  # for the line on what is left out, and for the link to the list


@dataclass(frozen=True, kw_only=True)
class BoundedList:
    """The list as part of a page.

    Args:
        section: HTML of the part; empty when there is nothing to list.
        style: the rules of its filters.
        num_left_out: how many questions found no room.

    Example:
        >>> BoundedList().num_left_out
        0
    """

    section: str = ""
    style: str = ""
    num_left_out: int = 0


def list_within(
    num_entries: int,
    draw: Callable[[int, PictureSizes], str],
    groups: Sequence[FilterGroup],
    *,
    title: str,
    note: str,
    room: int,
) -> BoundedList:
    """A list with filters above it, in a number of bytes.

    Args:
        num_entries: how many questions there are.
        draw: gives the HTML of a question by its place, with pictures of some size.
        groups: the filters.
        title: heading of the list.
        note: text below the heading.
        room: how many bytes of UTF-8 it may take.

    Example:
        >>> made = list_within(3, lambda place, sizes: "x" * 900, [], title="Questions", note="", room=3_000)
        >>> made.num_left_out, len(made.section) <= 3_000
        (1, True)
    """
    if not num_entries:
        return BoundedList()

    def assemble(drawn: dict[int, str]) -> str:
        num_left_out = num_entries - len(drawn)
        left_out = ""
        if num_left_out:
            left_out = (
                f"{count_text(num_left_out, 'question')} of {num_entries:,} left out: the page would be too large."
            )
        own = [group.only(list(drawn)) for group in groups]
        parts = [LEGEND, filtered_list(own, list(drawn.values()))]
        return section_html("questions", title, parts, note="\n\n".join(part for part in (note, left_out) if part))

    rules = filter_rules(groups)
    # What stands around the entries is as large for all of them as for some, but for the line on what is left out.
    around = assemble(dict.fromkeys(range(num_entries), "")) + rules
    drawn = _draw_within(num_entries, draw, room - len(around.encode()) - _RESERVED_BYTES)
    return BoundedList(section=assemble(drawn), style=rules, num_left_out=num_entries - len(drawn))


def _draw_within(num_entries: int, draw: Callable[[int, PictureSizes], str], room: int) -> dict[int, str]:
    for sizes in PICTURE_SIZES[:-1]:
        drawn: dict[int, str] = {}
        left = room
        for place in range(num_entries):
            drawn[place] = draw(place, sizes)
            left -= len(drawn[place].encode())
            if left < 0:
                break
        if left >= 0:
            return drawn
    drawn, left = {}, room
    for place in range(num_entries):
        html = draw(place, PICTURE_SIZES[-1])
        if (size := len(html.encode())) <= left:
            drawn[place] = html
            left -= size
    return drawn
