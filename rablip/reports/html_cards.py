"""Knowledge items on a report page: a card for one that was shown to the generator, a row for one that was not."""

from __future__ import annotations

from PIL import Image

from ..answering.types import Candidate, EvidenceRelevance
from .html_parts import bar, escape, tag
from .html_pictures import LARGE_PICTURE, THUMBNAIL, PictureSize, image_tag

__all__ = ["candidate_row", "evidence_card"]

_LONGEST_CARD = 3000  # characters of a text on a card, and in a row
_LONGEST_ROW = 400


def evidence_card(
    number: int,
    evidence: EvidenceRelevance,
    candidate: Candidate | None,
    picture: Image.Image | None,
    *,
    cited: bool,
    needed: bool = False,
    with_search: bool = False,
    size: PictureSize = LARGE_PICTURE,
) -> str:
    """One shown item: what the generator saw of it, and how relevant the models found it.

    Args:
        number: its reference number in the prompt.
        evidence: its relevance.
        candidate: the item itself; None when it is not known any more.
        picture: its picture; None when it has none or it cannot be opened.
        cited: whether the answer cites it.
        needed: whether the question is known to need it.
        with_search: whether the card also says how the search scored it.
        size: of the picture.
    """
    item = candidate.item if candidate is not None else None
    text = _shortened((item.text or "").strip(), _LONGEST_CARD) if item is not None else ""
    name = (item.caption or item.title or "").strip() if item is not None else ""
    top, body = "", []
    if picture is not None:
        top = image_tag(picture, name or f"Picture of item {evidence.id}", size)
    elif item is not None and item.image is not None:
        top = '<div class="blank">The picture cannot be opened</div>'
    elif text:
        top = f'<blockquote class="quote" dir="auto">{escape(text)}</blockquote>'
    if name and name != text:
        body.append(f'<p class="name" dir="auto">{escape(name)}</p>')
    if text and "quote" not in top:
        body.append(f'<p dir="auto">{escape(text)}</p>')
    score = _search_score(evidence.score) if with_search else ""
    body.append(f'<p class="id"><span>{escape(evidence.id)}</span>{_source(candidate)}{score}</p>')
    tags = [tag("cited", "cited")] if cited else []
    tags += [tag("needed", "needed")] if needed else []
    tags.append(tag(f"reference {number}"))
    if evidence.hop > 1:
        tags.append(tag("second search"))
    if picture is not None and not evidence.picture_shown and evidence.relevance is not None:
        tags.append(tag("read without its picture", "held"))
    bars = bar("generator", evidence.relevance) + bar("re-ranker", evidence.rerank_relevance, "reranker")
    style = " ".join(["item", *(["cited"] if cited else []), *([] if picture is not None else ["text"])])
    return (
        f'<li class="{style}">{top}<div class="tags">{"".join(tags)}</div>'
        f'<div class="words">{"".join(body)}</div><div class="bars">{bars}</div></li>'
    )


def candidate_row(
    candidate: Candidate, picture: Image.Image | None, *, needed: bool = False, size: PictureSize = THUMBNAIL
) -> str:
    """One line for an item that was found but not shown to the generator.

    Args:
        candidate: the item and what was made of it.
        picture: its picture; None when it has none or it cannot be opened.
        needed: whether the question is known to need it.
        size: of the picture.
    """
    item = candidate.item
    words = " · ".join(dict.fromkeys(part.strip() for part in (item.caption or item.title, item.text) if part))
    words = _shortened(words, _LONGEST_ROW) or "A picture without words"
    thumb = image_tag(picture, "", size) if picture is not None else '<span class="thumb">text</span>'
    if picture is None and item.image is not None:
        thumb = '<span class="thumb">missing</span>'
    second = " · second search" if candidate.hop > 1 else ""
    return (
        f'<li>{thumb}<div><span dir="auto">{escape(words)}</span>{tag("needed", "needed") if needed else ""}'
        f'<div class="id"><span>{escape(item.id)}</span>{_search_score(candidate.score)}{second}</div></div>'
        f"{bar('re-ranker', candidate.rerank_relevance, 'reranker') or '<span></span>'}</li>"
    )


def _source(candidate: Candidate | None) -> str:
    # A source is data from a knowledge base: shown as text, never as a link to follow.
    source = candidate.item.source if candidate is not None else None
    return f" · <span>{escape(source)}</span>" if source else ""


def _search_score(score: float | None) -> str:
    return "" if score is None else f" · search score {score:.3g}"


def _shortened(text: str, longest: int) -> str:
    """The beginning of a text that is too long for a page, with what is missing."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text) - longest:,} more characters)"
