"""One self-contained HTML page: questions, answers, and the pictures and texts that the model looked at."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from .html_entries import LEGEND, entry_article, verdict_words
from .html_frame import build_frame, write_html
from .html_parts import count_text, escape, facts_html
from .html_tables import PageTable, page_table_html
from .page_entry import PageEntry

__all__ = ["build_page", "write_page"]


def build_page(
    entries: Sequence[PageEntry],
    *,
    title: str,
    introduction: str = "",
    facts: Sequence[tuple[str, str]] = (),
    tables: Sequence[PageTable] = (),
    footer: str = "",
) -> str:
    """The page as one HTML text: no script, no file beside it, nothing loaded from a network.

    Every text is escaped, so that what stands in a knowledge base is shown and never interpreted.

    Args:
        entries: the questions, in order.
        title: title of the page.
        introduction: what the page shows; blank lines separate paragraphs.
        facts: name and value of what the page was made with (seed, items, model).
        tables: tables above the questions.
        footer: last line of the page.

    Example:
        >>> from ..answering.types import Answer
        >>> entry = PageEntry(answer=Answer(question="Who built it?", text="Marlow"))
        >>> "Marlow" in build_page([entry], title="Answers")
        True
    """
    return build_frame(
        title=title,
        introduction=introduction,
        header=facts_html(facts),
        main=[*map(page_table_html, tables), _questions(entries)],
        footer=footer,
    )


def write_page(path: str | os.PathLike[str], entries: Sequence[PageEntry], *, title: str, **parts: object) -> Path:
    """Writes the page of `build_page` (same keywords) to a file, as a whole or not at all, and returns its path.

    Raises:
        FileNotFoundError: when the folder of the file does not exist.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> write_page(folder + "/page.html", [], title="Answers").name
        'page.html'
    """
    return write_html(path, build_page(entries, title=title, **parts))  # type: ignore[arg-type]


def _questions(entries: Sequence[PageEntry]) -> str:
    if not entries:
        return ""
    lines = [
        f'<li><span class="sign {style}" aria-hidden="true">{sign}</span>'
        f'<a href="#q{number}">{escape(entry.answer.question)}</a></li>'
        for number, entry in enumerate(entries, start=1)
        for sign, style, _ in [verdict_words(entry)]
    ]
    articles = "\n".join(entry_article(number, entry) for number, entry in enumerate(entries, start=1))
    return (
        f"<section><h2>{count_text(len(entries), 'question')}</h2>{_summary(entries)}"
        f'<ol class="contents">{"".join(lines)}</ol>{LEGEND}</section>\n{articles}'
    )


def _summary(entries: Sequence[PageEntry]) -> str:
    verdicts = Counter(entry.verdict for entry in entries)
    judged = len(entries) - verdicts["unjudged"]
    withheld = sum(entry.is_withheld for entry in entries)
    parts = [f"{verdicts['right']} of {judged} right"] if judged else []
    parts += [f"{verdicts['partly']} partly"] if verdicts["partly"] else []
    parts += [f"{withheld} withheld"] if withheld else []
    return f'<p class="note">{", ".join(parts)}.</p>' if parts else ""
