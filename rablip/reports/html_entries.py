"""A question as a report page shows it: what was answered, the verdict on it, and what the models looked at."""

from __future__ import annotations

from .html_cards import candidate_row, evidence_card
from .html_parts import count_text, escape, reason_text
from .html_pictures import LARGE_PICTURE, THUMBNAIL, PictureSize, image_tag
from .page_entry import PageEntry

__all__ = [
    "LEGEND",
    "answer_html",
    "entry_article",
    "evidence_html",
    "own_pictures_html",
    "said_html",
    "verdict_words",
]

LEGEND = (
    '<ul class="legend"><li><span class="swatch"></span>generator: how far this item helps with the question</li>'
    '<li><span class="swatch reranker"></span>re-ranker: how far it seemed to, before anything was answered</li>'
    '<li><span class="swatch box"></span>cited by the answer</li></ul>'
)


def verdict_words(entry: PageEntry) -> tuple[str, str, str]:
    """Sign, style and words of the verdict on an answer.

    Example:
        >>> from ..answering.types import Answer
        >>> verdict_words(PageEntry(answer=Answer(question="Who?", text="Marlow"), correct=True))
        ('✓', 'right', 'right')
    """
    withheld, verdict = entry.is_withheld, entry.verdict
    if verdict == "unjudged":
        return ("–", "held", "withheld") if withheld else ("·", "plain", "")
    if verdict == "right":
        return "✓", "right", "rightly withheld" if withheld else "right"
    if verdict == "partly":
        return "≈", "held", f"{'withheld, ' if withheld else ''}partly right: {100 * (entry.score or 0.0):.0f}%"
    if withheld:
        return "✗", "wrong", "withheld, though it can be answered"
    return "✗", "wrong", "wrong: this cannot be answered" if entry.expected == () else "wrong"


def answer_html(entry: PageEntry) -> str:
    """The answer in large letters with the verdict on it.

    Example:
        >>> from ..answering.types import Answer
        >>> "Marlow" in answer_html(PageEntry(answer=Answer(question="Who?", text="Marlow")))
        True
    """
    sign, style, words = verdict_words(entry)
    verdict = f'<span class="verdict {style}">{sign} {escape(words)}</span>' if words else ""
    text = entry.answer.text if entry.answer.text is not None else "No answer"
    held = "held" if entry.answer.abstained else ""
    return f'<p class="answer"><strong class="{held}" dir="auto">{escape(text)}</strong>{verdict}</p>'


def said_html(entry: PageEntry, *, always_expected: bool = False) -> str:
    """The lines below an answer: why it was withheld, what was expected, what happened on the way.

    Args:
        entry: the question.
        always_expected: whether to say what was expected also where the answer is right.

    Example:
        >>> from ..answering.types import Answer
        >>> said_html(PageEntry(answer=Answer(question="Who?", text="Thilous"), expected=("Marlow",), correct=False))
        '<p class="said">Expected: Marlow.</p>'
    """
    answer, said = entry.answer, []
    if answer.reason is not None:
        said.append(reason_text(answer.reason))
    if entry.expected and (always_expected or entry.verdict != "right"):
        expected = " or ".join(entry.expected)
        said.append(f"Expected: {expected}{'' if expected.endswith(('.', '!', '?')) else '.'}")
    if entry.expected == () and always_expected:
        said.append("Expected: no answer, as the knowledge base does not hold it.")
    if answer.expanded_question:
        said.append(f"Second search: {answer.expanded_question}")
    if answer.dropped_pictures:
        said.append(f"No place was left for the picture of {', '.join(answer.dropped_pictures)}.")
    if answer.truncated:
        said.append("The text was too long for the model and was cut.")
    return "".join(f'<p class="said">{escape(line)}</p>' for line in said)


def own_pictures_html(entry: PageEntry, size: PictureSize = LARGE_PICTURE) -> str:
    """The pictures that a question is asked with; nothing when there are none."""
    figures = "".join(
        f"<figure>{image_tag(picture, 'Picture of the question', size)}<figcaption>asked with</figcaption></figure>"
        for picture in entry.question_images
    )
    return f'<div class="own">{figures}</div>' if figures else ""


def evidence_html(
    entry: PageEntry,
    *,
    size: PictureSize = LARGE_PICTURE,
    thumbnail: PictureSize = THUMBNAIL,
    with_search: bool = False,
) -> str:
    """What the generator was shown, as cards, and below them, folded, what was found besides.

    Args:
        entry: the question.
        size: of the pictures on the cards.
        thumbnail: size of the pictures of what was not shown.
        with_search: whether the cards also say what the search made of an item and whether it is needed.
    """
    answer = entry.answer
    candidates = {candidate.id: candidate for candidate in answer.candidates}
    gold = set(entry.gold_ids or ()) if with_search else set()
    cards = "".join(
        evidence_card(
            number,
            one,
            candidates.get(one.id),
            entry.pictures.get(one.id),
            cited=one.id in answer.citations,
            needed=one.id in gold,
            with_search=with_search,
            size=size,
        )
        for number, one in enumerate(answer.evidence, start=1)
    )
    shown = {one.id for one in answer.evidence}
    others = [candidate for candidate in answer.candidates if candidate.id not in shown]
    rows = "".join(
        candidate_row(candidate, entry.pictures.get(candidate.id), needed=candidate.id in gold, size=thumbnail)
        for candidate in others
    )
    if not shown and not entry.is_withheld:
        found = count_text(len(others), "item") + " found"
    else:
        found = count_text(len(others), "other item") + " found but not used"
    heading = (
        "What the generator looked at" if any(one.relevance is not None for one in answer.evidence) else "Evidence"
    )
    return (
        f'<section class="shown"><h4>{heading}</h4><ol class="evidence">{cards}</ol></section>' if cards else ""
    ) + (f'<details><summary>{found}</summary><ul class="found">{rows}</ul></details>' if rows else "")


def entry_article(number: int, entry: PageEntry) -> str:
    """A question with everything on it laid open, as an article of the page.

    Args:
        number: its place on the page, from 1.
        entry: the question.
    """
    kind = escape(entry.kind.replace("_", " "))
    return (
        f'<article id="q{number}"><p class="kind"><span>{kind}</span><span>{number}</span></p>'
        f'<div class="asked"><div class="said-and-asked">'
        f'<h3 class="question" dir="auto">{escape(entry.answer.question)}</h3>{answer_html(entry)}{said_html(entry)}'
        f"</div>{own_pictures_html(entry)}</div>{evidence_html(entry)}</article>"
    )
