"""Two evaluation runs side by side as one HTML page: paired differences, bars of both, and what changed."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from .bounded_list import BoundedList, PictureSizes, list_within
from .comparison_content import ComparisonPage
from .evaluation_style import EVALUATION_STYLE
from .html_charts import charts_html
from .html_entries import answer_html, evidence_html, said_html
from .html_figures import paired_table, section_html
from .html_filters import FilterGroup, filter_marks
from .html_frame import PagePart, build_frame, contents_html, paragraphs_html, write_html
from .html_parts import count_text, escape, facts_html
from .html_tables import TableGroup, TableRow, table_html
from .page_entry import PageEntry
from .question_sample import folded_entry, gold_line, kind_group, outcome_html

__all__ = ["build_comparison_page", "write_comparison_page"]

logger = logging.getLogger(__name__)


def build_comparison_page(page: ComparisonPage) -> str:
    """The page as one HTML text, under the same rules as that of an evaluation.

    Args:
        page: what it says.

    Example:
        >>> "BM25" in build_comparison_page(ComparisonPage(title="Two runs", first_name="BM25", second_name="RA-BLIP"))
        True
    """
    parts = [
        _part("figures", "All figures", paired_table("All figures", page.metrics, first="A", second="B"),
              paragraphs_html(page.interval_note if page.metrics else "", style="note")),
        _part("categories", "By category", charts_html(page.categories)),
        _part("runs", "The two runs", _facts(page.facts)),
    ]  # fmt: skip

    def assemble(questions: BoundedList) -> str:
        shown = [*parts, PagePart("questions", "What changed", questions.section)]
        return build_frame(
            title=page.title,
            introduction=page.introduction,
            header=facts_html([("A", page.first_name), ("B", page.second_name), *_counts(page)])
            + contents_html(shown),
            main=[part.html for part in shown],
            footer=page.footer,
            style="\n".join(part for part in (EVALUATION_STYLE, questions.style) if part),
        )

    changes = _changes(page, room=page.max_bytes - len(assemble(BoundedList()).encode()))
    if changes.num_left_out:
        logger.warning(
            "The page %r leaves out %d of %d changed questions, as it may have %d bytes only.",
            page.title, changes.num_left_out, len(page.changed), page.max_bytes,
        )  # fmt: skip
    return assemble(changes)


def write_comparison_page(page: ComparisonPage, path: str | os.PathLike[str]) -> Path:
    """Writes the page of `build_comparison_page` to a file, as a whole or not at all, and returns its path.

    Args:
        page: what it says.
        path: the file, in a folder that exists.

    Raises:
        FileNotFoundError: when the folder of the file does not exist.

    Example:
        >>> import tempfile
        >>> page = ComparisonPage(title="Two runs", first_name="BM25", second_name="RA-BLIP")
        >>> write_comparison_page(page, tempfile.mkdtemp() + "/comparison.html").name
        'comparison.html'
    """
    return write_html(path, build_comparison_page(page))


def _part(key: str, title: str, *inside: str) -> PagePart:
    return PagePart(key, title, section_html(key, title, inside))


def _counts(page: ComparisonPage) -> list[tuple[str, str]]:
    if not page.changed and page.num_first_better is None and page.num_second_better is None:
        return []
    first = sum(question.is_first_better for question in page.changed)
    second = len(page.changed) - first
    counts = [
        ("A better on", count_text(first if page.num_first_better is None else page.num_first_better, "question")),
        ("B better on", count_text(second if page.num_second_better is None else page.num_second_better, "question")),
    ]
    return counts + (
        [("Compared on", count_text(page.num_questions, "question"))] if page.num_questions is not None else []
    )


def _facts(facts: Sequence[tuple[str, str, str]]) -> str:
    rows = [TableRow(name=name, cells=cells, stressed_cells=(0, 1) if cells[0] != cells[1] else ())
            for name, *cells in facts]  # fmt: skip
    return table_html("The two runs", ["A", "B"], [TableGroup(rows=rows)], has_words=True) if rows else ""


def _changes(page: ComparisonPage, *, room: int) -> BoundedList:
    points = [question.points for question in page.changed]
    is_clear = all(set(both) == {0.0, 1.0} for both in points)
    choices = ["A right, B wrong", "B right, A wrong"] if is_clear else ["A better", "B better"]
    better = [[choices[0] if first > second else choices[1]] for first, second in points]
    groups = [
        FilterGroup(key="b", legend="Which run", choices=choices, chosen_by=better),
        kind_group([question.first.kind for question in page.changed]),
    ]

    def draw(place: int, sizes: PictureSizes) -> str:
        question = page.changed[place]
        runs = (("A", page.first_name, question.first), ("B", page.second_name, question.second))
        answers = "".join(
            f'<div><h4><span class="letter">{letter}</span> {escape(name)}</h4>{_answer(entry, sizes)}</div>'
            for letter, name, entry in runs
        )
        return folded_entry(
            place + 1,
            question.first,
            f'<div class="answers">{answers}</div>',
            marks=filter_marks(groups, place),
            sign=f'<span class="sign letter">{better[place][0][0]}</span>',
            outcomes="".join(outcome_html(entry, letter=letter) for letter, _, entry in runs),
            size=sizes.large,
        )

    note = "The letter says which run is better: right where the other is wrong, or with the higher score."
    return list_within(
        len(page.changed),
        draw,
        groups,
        title="What changed",
        note="\n\n".join(part for part in (note, page.sample_note) if part),
        room=room,
    )


def _answer(entry: PageEntry, sizes: PictureSizes) -> str:
    evidence = evidence_html(entry, size=sizes.large, thumbnail=sizes.thumbnail, with_search=True)
    return answer_html(entry) + said_html(entry, always_expected=True) + gold_line(entry) + evidence
