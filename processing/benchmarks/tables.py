"""Tables as text, so that they can be indexed and read like any text: one format, with a budget.

The text has one line each for

- the name of the table, where it has one;
- the column names, joined by ` | `, where any is there;
- every row, its cells joined by ` | `.

White space inside a cell becomes one space, and a bar inside a cell is written `\\|`. Rows are kept from the top as
long as the text stays within its budget; where some are left out, a last line says how many: `(12 more rows)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["LinearTable", "linearize_table"]

_BETWEEN = " | "


@dataclass(frozen=True)
class LinearTable:
    """A table as text, and how many of its rows are in it."""

    text: str
    num_rows: int
    rows_left_out: int


def linearize_table(table: Mapping[str, Any], *, max_characters: int | None = None) -> LinearTable:
    """Write a table of MultimodalQA as text.

    Args:
        table: `table_name`, `header` (a list of `{"column_name": ...}`) and `table_rows` (lists of `{"text": ...}`).
        max_characters: longest text; None for all rows. A name and header that do not fit are cut.

    Returns:
        The text, never longer than the budget, and the counts of rows.

    Raises:
        ValueError: the table has another form; says where.

    Example:
        >>> rows = [[{"text": "1985"}, {"text": "Mask"}], [{"text": "1991"}, {"text": "Guilty|Suspicion"}]]
        >>> columns = [{"column_name": "Year"}, {"column_name": "Title"}]
        >>> print(linearize_table({"table_name": "Films", "header": columns, "table_rows": rows}).text)
        Films
        Year | Title
        1985 | Mask
        1991 | Guilty\\|Suspicion
        >>> linearize_table({"header": columns, "table_rows": rows}, max_characters=40).text
        'Year | Title\\n1985 | Mask\\n(1 more row)'
    """
    name = table.get("table_name")
    if name is not None and not isinstance(name, str):
        raise ValueError(f"table_name must be text, found {name!r}")
    columns = _cells(table.get("header"), "column_name", "header")
    rows = table.get("table_rows")
    if not isinstance(rows, list):
        raise ValueError(f"table_rows must be a list of rows, found {str(rows)[:40]!r}")
    lines = [_join([name])] if name and name.strip() else []
    lines += [_join(columns)] if any(columns) else []
    written = [_join(_cells(row, "text", f"row {number}")) for number, row in enumerate(rows)]
    kept = len(written)
    if max_characters is not None:
        kept = _count_fitting(sum(len(line) + 1 for line in lines) - 1, written, max_characters)
    left = len(written) - kept
    note = [_note(left)] if left else []
    text = "\n".join([*lines, *written[:kept], *note])
    return LinearTable(text if max_characters is None else text[:max_characters], len(written), left)


def _count_fitting(used: int, rows: list[str], most: int) -> int:
    """The largest number of first rows that fit together with the note on those left out."""
    best = 0
    for count in range(1, len(rows) + 1):
        used += len(rows[count - 1]) + 1
        if used > most:
            break
        left = len(rows) - count
        if not left or used + 1 + len(_note(left)) <= most:
            best = count
    return best


def _note(left: int) -> str:
    return f"({left} more row{'s' if left > 1 else ''})"


def _cells(row: Any, field: str, where: str) -> list[str]:
    if not isinstance(row, list):
        raise ValueError(f"{where} must be a list, found {str(row)[:40]!r}")
    texts = []
    for number, cell in enumerate(row):
        text = cell.get(field) if isinstance(cell, Mapping) else None
        if not isinstance(text, str):
            raise ValueError(f"{where}, cell {number}: expected an object with {field!r}, found {str(cell)[:40]!r}")
        texts.append(text)
    return texts


def _join(cells: Iterable[str]) -> str:
    return _BETWEEN.join(" ".join(cell.split()).replace("|", "\\|") for cell in cells)
