"""One self-contained HTML page: questions, answers, and the pictures and texts that the model looked at."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from PIL import Image

from ..answering.types import Answer
from ..processing.images_rablip import ImageError
from ..processing.knowledge_rablip import KnowledgeItem
from .html_parts import candidate_row, escape, evidence_card, image_tag, reason_text
from .html_style import STYLE

__all__ = ["PageEntry", "PageTable", "build_page", "write_page"]

logger = logging.getLogger(__name__)

# Nothing is ever loaded from elsewhere and nothing runs, whatever the texts hold.
_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>$title</title>
<style>
$style
</style>
</head>
<body>
<div class="page">
<header>
<h1>$title</h1>
$introduction
$facts
</header>
<main>
$tables
$questions
</main>
$footer
</div>
</body>
</html>
"""
)


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
class PageEntry:
    """A question on the page.

    Args:
        answer: what was answered, and from what.
        kind: what kind of question it is.
        expected: accepted answers; empty when the right thing is to withhold the answer; None when unknown.
        correct: whether the answer is right; None shows no verdict.
        question_images: pictures of the question.
        pictures: opened pictures of the candidates by item id.

    Example:
        >>> PageEntry(answer=Answer(question="Who?", text="Marlow"), expected=("Marlow",), correct=True).kind
        ''
    """

    answer: Answer
    kind: str = ""
    expected: tuple[str, ...] | None = None
    correct: bool | None = None
    question_images: tuple[Image.Image, ...] = ()
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)

    @classmethod
    def from_answer(
        cls,
        answer: Answer,
        open_picture: Callable[[KnowledgeItem], Image.Image | None],
        *,
        kind: str = "",
        expected: Sequence[str] | None = None,
        correct: bool | None = None,
        question_images: Sequence[Image.Image] = (),
    ) -> PageEntry:
        """An entry with the pictures of its candidates; one that cannot be opened is left out.

        Args:
            answer: what was answered.
            open_picture: gives the picture of an item, such as `RablipAnswerer.open_picture`.
            kind, expected, correct, question_images: as in the class.

        Example:
            >>> PageEntry.from_answer(Answer(question="Who?", text="Marlow"), lambda item: None).pictures
            {}
        """
        pictures: dict[str, Image.Image] = {}
        for candidate in answer.candidates:
            try:
                picture = open_picture(candidate.item)
            except ImageError as error:
                logger.warning("The page shows item %r without its picture: %s", candidate.id, error)
                continue
            if picture is not None:
                pictures[candidate.id] = picture
        return cls(
            answer=answer,
            kind=kind,
            expected=None if expected is None else tuple(expected),
            correct=correct,
            question_images=tuple(question_images),
            pictures=pictures,
        )


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
        >>> entry = PageEntry(answer=Answer(question="Who built it?", text="Marlow"))
        >>> "Marlow" in build_page([entry], title="Answers")
        True
    """
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return _PAGE.substitute(
        title=escape(title),
        style=STYLE,
        introduction="\n".join(f'<p class="lead">{escape(part.strip())}</p>' for part in _paragraphs(introduction)),
        facts=f'<dl class="facts">{listed}</dl>' if listed else "",
        tables="\n".join(map(_table, tables)),
        questions=_questions(entries),
        footer=f"<footer>{escape(footer)}</footer>" if footer else "",
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
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"The folder {target.parent} of the page {target.name} does not exist. Make it first.")
    page = build_page(entries, title=title, **parts)  # type: ignore[arg-type]
    temporary = target.with_name(target.name + ".partial")
    temporary.write_text(page, encoding="utf-8")
    os.replace(temporary, target)
    return target


def _questions(entries: Sequence[PageEntry]) -> str:
    if not entries:
        return ""
    lines = [
        f'<li><span class="sign {style}" aria-hidden="true">{sign}</span>'
        f'<a href="#q{number}">{escape(entry.answer.question)}</a></li>'
        for number, entry in enumerate(entries, start=1)
        for sign, style, _ in [_verdict(entry)]
    ]
    legend = (
        '<ul class="legend"><li><span class="swatch"></span>generator: how far this item helps with the question</li>'
        '<li><span class="swatch reranker"></span>re-ranker: how far it seemed to, before anything was answered</li>'
        '<li><span class="swatch box"></span>cited by the answer</li></ul>'
    )
    articles = "\n".join(_article(number, entry) for number, entry in enumerate(entries, start=1))
    return (
        f"<section><h2>{_count(len(entries), 'question')}</h2>{_summary(entries)}"
        f'<ol class="contents">{"".join(lines)}</ol>{legend}</section>\n{articles}'
    )


def _summary(entries: Sequence[PageEntry]) -> str:
    judged = [entry for entry in entries if entry.correct is not None]
    withheld = sum(entry.answer.abstained for entry in entries)
    parts = [f"{sum(bool(entry.correct) for entry in judged)} of {len(judged)} right"] if judged else []
    parts += [f"{withheld} withheld"] if withheld else []
    return f'<p class="note">{", ".join(parts)}.</p>' if parts else ""


def _verdict(entry: PageEntry) -> tuple[str, str, str]:
    """Sign, style and words of the verdict on an answer."""
    withheld = entry.answer.abstained
    if entry.correct is None:
        return ("–", "held", "withheld") if withheld else ("·", "plain", "")
    if entry.correct:
        return "✓", "right", "rightly withheld" if withheld else "right"
    if withheld:
        return "✗", "wrong", "withheld, though it can be answered"
    return "✗", "wrong", "wrong" if entry.expected else "wrong: this cannot be answered"


def _article(number: int, entry: PageEntry) -> str:
    answer = entry.answer
    sign, style, words = _verdict(entry)
    verdict = f'<span class="verdict {style}">{sign} {escape(words)}</span>' if words else ""
    kind = escape(entry.kind.replace("_", " "))
    text = answer.text if answer.text is not None else "No answer"
    said = []
    if answer.reason is not None:
        said.append(reason_text(answer.reason))
    if entry.expected and not entry.correct:
        said.append(f"Expected: {' or '.join(entry.expected)}.")
    if answer.expanded_question:
        said.append(f"Second search: {answer.expanded_question}")
    if answer.dropped_pictures:
        said.append(f"No place was left for the picture of {', '.join(answer.dropped_pictures)}.")
    if answer.truncated:
        said.append("The text was too long for the model and was cut.")
    own = "".join(
        f"<figure>{image_tag(picture, 'Picture of the question')}<figcaption>asked with</figcaption></figure>"
        for picture in entry.question_images
    )
    return (
        f'<article id="q{number}"><p class="kind"><span>{kind}</span><span>{number}</span></p>'
        f'<div class="asked"><div class="said-and-asked"><h3 class="question">{escape(answer.question)}</h3>'
        f'<p class="answer"><strong class="{"held" if answer.abstained else ""}">{escape(text)}</strong>{verdict}</p>'
        f'{"".join(f"""<p class="said">{escape(line)}</p>""" for line in said)}</div>'
        f"{f'<div class={chr(34)}own{chr(34)}>{own}</div>' if own else ''}</div>{_evidence(entry)}</article>"
    )


def _evidence(entry: PageEntry) -> str:
    answer = entry.answer
    candidates = {candidate.id: candidate for candidate in answer.candidates}
    cards = "".join(
        evidence_card(
            number, one, candidates.get(one.id), entry.pictures.get(one.id), cited=one.id in answer.citations
        )
        for number, one in enumerate(answer.evidence, start=1)
    )
    shown = {one.id for one in answer.evidence}
    others = [candidate for candidate in answer.candidates if candidate.id not in shown]
    rows = "".join(candidate_row(candidate, entry.pictures.get(candidate.id)) for candidate in others)
    heading = (
        "What the generator looked at" if any(one.relevance is not None for one in answer.evidence) else "Evidence"
    )
    return (
        f'<section class="shown"><h4>{heading}</h4><ol class="evidence">{cards}</ol></section>' if cards else ""
    ) + (
        f"<details><summary>{_count(len(others), 'other item')} found but not used</summary>"
        f'<ul class="found">{rows}</ul></details>'
        if rows
        else ""
    )


def _table(table: PageTable) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    body = "".join(
        f'<tr class="{"highlighted" if name in table.highlighted else ""}"><th scope="row">{escape(name)}</th>'
        f"{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
        for name, cells in table.rows
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    return (
        f'<section><h2>{escape(table.title)}</h2><div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escape(table.title)}"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody>'
        f"</table></div>{note}</section>"
    )


def _paragraphs(text: str) -> list[str]:
    return [part for part in text.split("\n\n") if part.strip()]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
