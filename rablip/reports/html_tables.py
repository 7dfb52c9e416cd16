"""Tables of a report page: one look for all of them, readable on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .html_frame import paragraphs_html
from .html_parts import escape

__all__ = ["PageTable", "TableGroup", "TableRow", "page_table_html", "table_html"]


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """A table of the page.

    Args:
        title: heading above the table.
        columns: one heading per value column.
        rows: name of the row and its values, as long as `columns`.
        highlighted: names of the rows to stress.
        note: what the numbers are and how to read them.

    Raises:
        ValueError: when a row has another number of values than there are columns.

    Example:
        >>> PageTable(title="Recall@5", columns=["overall"], rows=[("BM25", ["0.41"])]).rows[0][0]
        'BM25'
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    highlighted: Sequence[str] = ()
    note: str = ""

    def __post_init__(self) -> None:
        for name, cells in self.rows:
            if len(cells) != len(self.columns):
                raise ValueError(
                    f"Row {name!r} of table {self.title!r} has {len(cells)} values for {len(self.columns)} columns."
                )


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """A row as it is drawn.

    Args:
        name: heading of the row.
        cells: its values.
        under: small lines under the name.
        highlighted: whether to stress the row.
        stressed_cells: places of the cells to stress.

    Example:
        >>> TableRow(name="BM25", cells=["0.41"]).under
        ()
    """

    name: str
    cells: Sequence[str]
    under: Sequence[str] = ()
    highlighted: bool = False
    stressed_cells: Sequence[int] = ()


@dataclass(frozen=True, kw_only=True)
class TableGroup:
    """Rows that stand together.

    Args:
        rows: the rows.
        heading: line above them; none when empty.
        is_apart: whether they are drawn quieter than the rest, as they are no part of a comparison.

    Example:
        >>> TableGroup(rows=()).heading
        ''
    """

    rows: Sequence[TableRow]
    heading: str = ""
    is_apart: bool = False


def page_table_html(table: PageTable) -> str:
    """A table with its heading and note, as a section of the page.

    Example:
        >>> "0.41" in page_table_html(PageTable(title="Recall@5", columns=["all"], rows=[("BM25", ["0.41"])]))
        True
    """
    rows = [TableRow(name=name, cells=cells, highlighted=name in table.highlighted) for name, cells in table.rows]
    drawn = table_html(table.title, table.columns, [TableGroup(rows=rows)])
    return f"<section><h2>{escape(table.title)}</h2>{drawn}{paragraphs_html(table.note, style='note')}</section>"


def table_html(name: str, columns: Sequence[str], groups: Sequence[TableGroup], *, has_words: bool = False) -> str:
    """A table that scrolls sideways where the screen is too narrow, while the names of the rows stay in view.

    Args:
        name: what the table is, for those who hear it.
        columns: headings of the value columns.
        groups: the rows.
        has_words: whether the cells hold words, which wrap, and not numbers.

    Example:
        >>> "<td>1</td>" in table_html("Counts", ["n"], [TableGroup(rows=[TableRow(name="a", cells=["1"])])])
        True
    """
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    bodies = "".join(_body(group, len(columns)) for group in groups if group.rows)
    style = "scroll wraps" if has_words else "scroll"
    return (
        f'<div class="{style}" tabindex="0" role="region" aria-label="{escape(name)}"><table>'
        f"<thead><tr><th></th>{head}</tr></thead>{bodies}</table></div>"
    )


def _body(group: TableGroup, num_columns: int) -> str:
    heading = ""
    if group.heading:
        heading = (
            f'<tr class="heading"><th scope="rowgroup" colspan="{num_columns + 1}">'
            f"<span>{escape(group.heading)}</span></th></tr>"
        )
    style = ' class="apart"' if group.is_apart else ""
    return f"<tbody{style}>{heading}{''.join(map(_row, group.rows))}</tbody>"


def _row(row: TableRow) -> str:
    under = "".join(f"<small>{escape(line)}</small>" for line in row.under if line)
    cells = "".join(
        f"<td><b>{escape(cell)}</b></td>" if place in row.stressed_cells else f"<td>{escape(cell)}</td>"
        for place, cell in enumerate(row.cells)
    )
    style = ' class="highlighted"' if row.highlighted else ""
    return f'<tr{style}><th scope="row">{escape(row.name)}{under}</th>{cells}</tr>'
