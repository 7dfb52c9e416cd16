"""The figures of an evaluation on a page: large ones, and tables of metrics, published figures and pairs."""

from __future__ import annotations

from collections.abc import Sequence

from .evaluation_content import MetricRow, PairedFigure, PublishedRow, PublishedTable, SourceMark
from .html_frame import paragraphs_html
from .html_parts import escape
from .html_tables import TableGroup, TableRow, table_html
from .number_text import NOTHING, count_or_nothing, difference_text, interval_text, p_value_text, value_text

__all__ = ["metric_table", "metric_tiles", "paired_table", "published_tables", "section_html"]

_MARKS = {
    SourceMark.READ: "the paper, its table or its code",
    SourceMark.SECONDARY: "another text cites it",
    SourceMark.RECALLED: "written down from memory, never checked",
}


def section_html(key: str, title: str, parts: Sequence[str], *, note: str = "") -> str:
    """A part of a page under its heading; nothing when all of it is empty.

    Args:
        key: its address on the page.
        title: heading.
        parts: HTML inside.
        note: text below the heading.

    Example:
        >>> section_html("run", "The run", ["", ""])
        ''
    """
    inside = "".join(parts)
    if not inside:
        return ""
    return (
        f'<section id="{escape(key)}"><h2>{escape(title)}</h2>{paragraphs_html(note, style="note")}{inside}</section>'
    )


def metric_tiles(rows: Sequence[MetricRow]) -> str:
    """The main figures in large digits.

    Example:
        >>> metric_tiles([MetricRow(name="QA", value=0.5)])
        ''
        >>> "0.5000" in metric_tiles([MetricRow(name="QA", value=0.5, is_main=True)])
        True
    """
    tiles = []
    for row in rows:
        if row.is_main:
            under = [interval_text(row.interval, scale=row.scale)] if row.interval is not None else []
            under += [f"n = {row.num_questions:,}"] if row.num_questions is not None else []
            lines = "".join(f"<small>{escape(line)}</small>" for line in under)
            name = " · ".join(part for part in (_metric_name(row), row.variant) if part)
            value = escape(value_text(row.value, scale=row.scale))
            tiles.append(f"<li><span>{escape(name)}</span><strong>{value}</strong>{lines}</li>")
    return f'<ul class="tiles">{"".join(tiles)}</ul>' if tiles else ""


def metric_table(title: str, rows: Sequence[MetricRow]) -> str:
    """A table of figures, the main ones first; a column that nothing stands in is left out.

    Example:
        >>> "webqa" in metric_table("Figures", [MetricRow(name="webqa", value=0.5)])
        True
    """
    ordered = sorted(rows, key=lambda row: not row.is_main)
    columns = {
        "value": [value_text(row.value, scale=row.scale) for row in ordered],
        "interval": [interval_text(row.interval, scale=row.scale) for row in ordered],
        "n": [count_or_nothing(row.num_questions) for row in ordered],
        "k": [count_or_nothing(row.k) for row in ordered],
        "corpus": [row.corpus or NOTHING for row in ordered],
        "out of": [f"{row.scale:g}" for row in ordered],
    }
    said_by_itself = {"out of": {"1"}, "value": set()}
    used = {name: cells for name, cells in columns.items() if set(cells) != said_by_itself.get(name, {NOTHING})}
    drawn = [
        TableRow(
            name=row.name,
            cells=[cells[place] for cells in used.values()],
            under=(row.variant, row.note),
            highlighted=row.is_main,
        )
        for place, row in enumerate(ordered)
    ]
    return table_html(title, list(used), [TableGroup(rows=drawn)]) if drawn else ""


def published_tables(tables: Sequence[PublishedTable]) -> str:
    """Our figures against published ones; what is not comparable stands below a line that says so.

    Example:
        >>> own = PublishedRow(system="this run", values=["45.8"], is_own=True)
        >>> "this run" in published_tables([PublishedTable(metrics=["QA"], rows=[own])])
        True
    """
    drawn = []
    for table in tables:
        if table.rows:
            title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
            groups = [
                TableGroup(rows=[_published_row(row) for row in table.rows if not row.not_comparable]),
                TableGroup(
                    rows=[_published_row(row) for row in table.rows if row.not_comparable],
                    heading="Not comparable: another protocol, split or variant",
                    is_apart=True,
                ),
            ]
            name = table.title or "Published figures"
            drawn.append(title + table_html(name, table.metrics, groups) + paragraphs_html(table.note, style="note"))
    marks = {row.mark for table in tables for row in table.rows}
    explained = [f"{mark.value}: {words}" for mark, words in _MARKS.items() if mark in marks]
    if drawn and explained:
        drawn.append(f'<p class="note">{escape("; ".join(explained).capitalize())}.</p>')
    return "".join(drawn)


def paired_table(title: str, figures: Sequence[PairedFigure], *, first: str, second: str) -> str:
    """Two measurements side by side, with their difference; bold where its interval leaves out zero.

    Args:
        title: what the table is.
        figures: one for every row.
        first: heading of the first measurement.
        second: heading of the second one.

    Example:
        >>> "−0.2500" in paired_table("Stress", [PairedFigure(name="shuffled", first=0.75, second=0.5)],
        ...                           first="plain", second="stressed")
        True
    """
    columns = {
        first: [value_text(one.first, scale=one.scale) for one in figures],
        second: [value_text(one.second, scale=one.scale) for one in figures],
        "difference": [difference_text(one.difference, scale=one.scale) for one in figures],
        "interval": [interval_text(one.interval, scale=one.scale, signed=True) for one in figures],
        "p": [p_value_text(one.p_value) for one in figures],
        "n": [count_or_nothing(one.num_questions) for one in figures],
    }
    kept = [
        (name, cells) for place, (name, cells) in enumerate(columns.items()) if place < 3 or set(cells) != {NOTHING}
    ]
    rows = [
        TableRow(
            name=one.name,
            cells=[cells[place] for _, cells in kept],
            under=(one.metric, one.note),
            stressed_cells=[2] if one.interval is not None and not one.interval[0] <= 0.0 <= one.interval[1] else [],
        )
        for place, one in enumerate(figures)
    ]
    if not rows:
        return ""
    has_bold = any(row.stressed_cells for row in rows)
    note = "A difference is bold where its interval leaves out zero." if has_bold else ""
    return table_html(title, [name for name, _ in kept], [TableGroup(rows=rows)]) + paragraphs_html(note, style="note")


def _published_row(row: PublishedRow) -> TableRow:
    mark = row.mark.value if row.mark is not None else ""
    under = [" · ".join(part for part in (mark, row.source) if part), row.not_comparable]
    cells = [NOTHING if value is None else value for value in row.values]
    return TableRow(name=row.system, cells=cells, under=under, highlighted=row.is_own)


def _metric_name(row: MetricRow) -> str:
    return row.name if row.k is None or f"@{row.k}" in row.name else f"{row.name} at k = {row.k:,}"
