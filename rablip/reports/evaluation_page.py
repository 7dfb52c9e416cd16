"""The report of an evaluation run as one HTML page: figures, charts and a browsable sample of questions."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from .bounded_list import BoundedList
from .evaluation_content import EvaluationPage, PairedFigure
from .evaluation_style import EVALUATION_STYLE
from .html_charts import charts_html, paired_chart
from .html_figures import metric_table, metric_tiles, paired_table, published_tables, section_html
from .html_frame import PagePart, build_frame, contents_html, paragraphs_html, write_html
from .html_parts import count_text, escape, facts_html
from .question_sample import question_sample

__all__ = ["build_evaluation_page", "write_evaluation_page"]

logger = logging.getLogger(__name__)

_FEW_PROBLEMS = 5  # more are folded
_MOST_PROBLEMS = 100  # more are only counted


def build_evaluation_page(page: EvaluationPage) -> str:
    """The page as one HTML text: no script, no file beside it, nothing loaded from a network.

    Every text is escaped, so that what stands in a data set is shown and never interpreted. The same content gives
    the same bytes.

    Args:
        page: what it says.

    Example:
        >>> from .evaluation_content import MetricRow
        >>> rows = [MetricRow(name="QA", value=0.458, num_questions=4966, is_main=True)]
        >>> "4,966" in build_evaluation_page(EvaluationPage(title="RA-BLIP on WebQA", metrics=rows))
        True
    """
    parts = [part for part in _parts(page) if part.html]

    def assemble(questions: BoundedList) -> str:
        shown = [*parts, PagePart("questions", count_text(len(page.entries), "question"), questions.section)]
        return build_frame(
            title=page.title,
            introduction=page.introduction,
            header=metric_tiles(page.metrics) + contents_html(shown),
            main=[part.html for part in shown],
            footer=page.footer,
            style="\n".join(part for part in (EVALUATION_STYLE, questions.style) if part),
        )

    room = page.max_bytes - len(assemble(BoundedList()).encode())
    sample = question_sample(page.entries, room=room, num_questions=page.num_questions, note=page.sample_note)
    if sample.num_left_out:
        logger.warning(
            "The page %r leaves out %d of %d questions, as it may have %d bytes only.",
            page.title, sample.num_left_out, len(page.entries), page.max_bytes,
        )  # fmt: skip
    return assemble(sample)


def write_evaluation_page(page: EvaluationPage, path: str | os.PathLike[str]) -> Path:
    """Writes the page of `build_evaluation_page` to a file, as a whole or not at all, and returns its path.

    Args:
        page: what it says.
        path: the file, in a folder that exists.

    Raises:
        FileNotFoundError: when the folder of the file does not exist.

    Example:
        >>> import tempfile
        >>> write_evaluation_page(EvaluationPage(title="RA-BLIP on WebQA"), tempfile.mkdtemp() + "/report.html").name
        'report.html'
    """
    return write_html(path, build_evaluation_page(page))


def _parts(page: EvaluationPage) -> list[PagePart]:
    def part(key: str, title: str, *inside: str, note: str = "") -> PagePart:
        return PagePart(key, title, section_html(key, title, inside, note=note))

    return [
        part("run", "What was evaluated", facts_html(page.facts), _command(page.command), _problems(page.problems)),
        part("figures", "All figures", metric_table("All figures", page.metrics), _note(page)),
        part("published", "Against published figures", published_tables(page.published)),
        part("categories", "By category", charts_html(page.categories)),
        part("curves", "Recall curves", charts_html(page.curves)),
        part("calibration", "Calibration", charts_html(page.calibration)),
        part("trust", "Abstention and citations", metric_table("Abstention and citations", page.trust)),
        part(
            "stress",
            "Stress tests",
            *_paired(page.stress, "Stress tests", first="plain", second="stressed"),
            note="The same questions once as they are and once under the stress.",
        ),
        part(
            "modalities",
            "Modality importance",
            *_paired(page.modality_importance, "Modality importance", first="everything", second="left out"),
            note="The same questions once with everything and once with a modality left out.",
        ),
    ]


def _note(page: EvaluationPage) -> str:
    has_interval = any(row.interval is not None for row in page.metrics)
    return paragraphs_html(page.interval_note, style="note") if has_interval else ""


def _paired(figures: Sequence[PairedFigure], title: str, *, first: str, second: str) -> list[str]:
    return [
        paired_table(title, figures, first=first, second=second),
        paired_chart(title, figures, first=first, second=second),
    ]


def _command(command: str) -> str:
    return f'<pre class="command">{escape(command)}</pre>' if command else ""


def _problems(problems: Sequence[str]) -> str:
    """What is wrong in the data; a long list is folded."""
    if not problems:
        return ""
    title = f"{count_text(len(problems), 'problem')} found in the data"
    lines = list(problems[:_MOST_PROBLEMS])
    if len(problems) > len(lines):
        lines.append(f"and {len(problems) - len(lines):,} more")
    listed = f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
    state = "" if len(problems) > _FEW_PROBLEMS else " open"
    return f'<details class="problems"{state}><summary>{title}</summary>{listed}</details>'
