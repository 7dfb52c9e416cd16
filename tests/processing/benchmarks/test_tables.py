"""A table as text: its format to the character, and a budget that is kept whatever the table is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rablip.processing.benchmarks.tables import linearize_table
from tests.processing.benchmarks.multimodalqa_folder import make_table


def table(rows: list[list[str]], columns: list[str] | None = None, name: str | None = None) -> dict[str, Any]:
    return {
        "table_name": name,
        "header": [{"column_name": column} for column in columns or []],
        "table_rows": [[{"text": cell} for cell in row] for row in rows],
    }


def test_the_format() -> None:
    linear = linearize_table(table([["1985", " Mask\n(film) "], ["", "a|b"]], ["Year", "Title"], "Films  of\tBen"))
    assert linear.text == "Films of Ben\nYear | Title\n1985 | Mask (film)\n | a\\|b"
    assert (linear.num_rows, linear.rows_left_out) == (2, 0)


def test_what_a_table_does_not_have_makes_no_line() -> None:
    assert linearize_table(table([["a"]])).text == "a"
    assert linearize_table(table([["a"]], ["", ""], " ")).text == "a"
    assert linearize_table(table([], ["Year", ""])).text == "Year | "
    assert linearize_table(table([])).text == ""


def test_rows_are_kept_from_the_top_and_the_rest_is_counted() -> None:
    whole = linearize_table(make_table(3)).text
    assert whole == "Keepers\nYear | Keeper\n1889 | Keeper 0\n1890 | Keeper 1\n1891 | Keeper 2"  # 21 and 3 times 16
    for budget, kept in ((69, 3), (68, 2), (66, 2), (65, 1), (51, 1), (50, 0), (35, 0)):
        linear = linearize_table(make_table(3), max_characters=budget)
        note = "" if kept == 3 else "\n(1 more row)" if kept == 2 else f"\n({3 - kept} more rows)"
        assert linear.text == "\n".join(whole.split("\n")[: 2 + kept]) + note
        assert (linear.num_rows, linear.rows_left_out) == (3, 3 - kept)
    assert linearize_table(make_table(3), max_characters=10).text == "Keepers\nYe"


cells = st.lists(st.lists(st.text("ab |\n", max_size=6), max_size=3), max_size=6)


@given(cells, st.lists(st.text("xy|", max_size=5), max_size=3), st.integers(0, 60))
def test_the_budget_is_kept_and_no_row_that_fits_is_left_out(
    rows: list[list[str]], columns: list[str], most: int
) -> None:
    whole, linear = linearize_table(table(rows, columns)), linearize_table(table(rows, columns), max_characters=most)
    assert len(linear.text) <= most and linear.num_rows == len(rows)
    assert whole.rows_left_out == 0
    if len(whole.text) <= most:
        assert linear == whole
    elif linear.rows_left_out and most > 40:
        head = whole.text.split("\n")[: len(whole.text.split("\n")) - linear.rows_left_out]
        assert linear.text.split("\n")[:-1] == head or not head


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"table_rows": None}, "table_rows must be a list of rows"),
    ({"table_rows": [{"text": "a"}]}, "row 0 must be a list"),
    ({"table_rows": [[], ["a"]]}, "row 1, cell 0: expected an object with 'text', found 'a'"),
    ({"table_rows": [[{"text": None}]]}, "row 0, cell 0"),
    ({"header": "Year"}, "header must be a list"),
    ({"header": [{"name": "Year"}]}, "header, cell 0: expected an object with 'column_name'"),
    ({"table_name": 7}, "table_name must be text"),
]


@pytest.mark.parametrize(("changes", "cause"), MALFORMED)
def test_a_malformed_table_says_where(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=cause):
        linearize_table(make_table() | changes)
