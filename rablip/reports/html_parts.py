"""The small parts of the report page: escaped text, pictures as data, bars, tags and item cards."""

from __future__ import annotations

import base64
import html
import io

from PIL import Image

from ..answering.types import AbstainReason, Candidate, EvidenceRelevance

__all__ = ["bar", "candidate_row", "escape", "evidence_card", "image_tag", "reason_text", "tag"]

_LARGEST_SIDE = 480  # pixels; twice the width at which a picture is shown
_REASONS = {
    AbstainReason.EMPTY_INDEX: "The index is empty.",
    AbstainReason.NO_CANDIDATES: "Nothing was found to look at.",
    AbstainReason.NO_RELEVANT_EVIDENCE: "The re-ranker kept none of the candidates.",
    AbstainReason.GENERATOR_FOUND_NONE_RELEVANT: "The generator read the evidence and found none of it relevant.",
    AbstainReason.NO_ANSWER: "The generator wrote nothing.",
    AbstainReason.NO_GENERATOR: "There is no generator: this is what was found.",
}


def escape(text: object) -> str:
    """Text as HTML that can only be text, also inside a quoted attribute.

    Example:
        >>> escape('<b> & "c"')
        '&lt;b&gt; &amp; &quot;c&quot;'
    """
    return html.escape("".join(c if c >= " " or c in "\n\t" else " " for c in _well_formed(str(text))), quote=True)


def reason_text(reason: AbstainReason) -> str:
    """One sentence for a person on why there is no answer.

    Example:
        >>> reason_text(AbstainReason.EMPTY_INDEX)
        'The index is empty.'
    """
    return _REASONS[reason]


def image_tag(picture: Image.Image, description: str) -> str:
    """A picture inside the page itself, no larger than it is shown.

    Example:
        >>> image_tag(Image.new("RGB", (4, 3)), "A tower")[:50]
        '<img alt="A tower" width="4" height="3" src="data:'
    """
    picture = picture.convert("RGB")
    if max(picture.size) > _LARGEST_SIDE:
        picture.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    # Drawings stay sharp as PNG; photographs are many times smaller as JPEG.
    png, jpeg = _encode(picture, "PNG", optimize=True), _encode(picture, "JPEG", quality=88)
    kind, data = ("png", png) if len(png) <= 2 * len(jpeg) or len(png) < 20_000 else ("jpeg", jpeg)
    width, height = picture.size
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    return f'<img alt="{escape(description)}" width="{width}" height="{height}" src="{source}">'


def bar(name: str, value: float | None, style: str = "") -> str:
    """A named bar for a probability; nothing for None.

    Example:
        >>> "93%" in bar("generator", 0.93)
        True
        >>> bar("re-ranker", None)
        ''
    """
    if value is None:
        return ""
    percent = f"{100 * min(max(value, 0.0), 1.0):.0f}%"
    filled = f'<span class="track" aria-hidden="true"><i class="{escape(style)}" style="width:{percent}"></i></span>'
    return f'<div class="bar"><span>{escape(name)}</span>{filled}<b>{percent}</b></div>'


def tag(text: str, style: str = "") -> str:
    """A short label.

    Example:
        >>> tag("cited", "cited")
        '<span class="tag cited">cited</span>'
    """
    return f'<span class="{f"tag {style}".strip()}">{escape(text)}</span>'


def evidence_card(
    number: int, evidence: EvidenceRelevance, candidate: Candidate | None, picture: Image.Image | None, *, cited: bool
) -> str:
    """One shown item: what the generator saw of it, and how relevant the models found it.

    Args:
        number: its reference number in the prompt.
        evidence: its relevance.
        candidate: the item itself; None when it is not known any more.
        picture: its picture; None when it has none or it cannot be opened.
        cited: whether the answer cites it.
    """
    item = candidate.item if candidate is not None else None
    text = (item.text or "").strip() if item is not None else ""
    name = (item.caption or item.title or "").strip() if item is not None else ""
    top, body = "", []
    if picture is not None:
        top = image_tag(picture, name or f"Picture of item {evidence.id}")
    elif item is not None and item.image is not None:
        top = '<div class="blank">The picture cannot be opened</div>'
    elif text:
        top = f'<blockquote class="quote">{escape(text)}</blockquote>'
    if name and name != text:
        body.append(f'<p class="name">{escape(name)}</p>')
    if text and "quote" not in top:
        body.append(f"<p>{escape(text)}</p>")
    body.append(f'<p class="id">{escape(evidence.id)}{_source(candidate)}</p>')
    tags = [tag("cited", "cited")] if cited else []
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


def candidate_row(candidate: Candidate, picture: Image.Image | None) -> str:
    """One line for an item that was found but not shown to the generator."""
    item = candidate.item
    words = " · ".join(dict.fromkeys(part.strip() for part in (item.caption or item.title, item.text) if part))
    thumb = image_tag(picture, "") if picture is not None else '<span class="thumb">text</span>'
    if picture is None and item.image is not None:
        thumb = '<span class="thumb">missing</span>'
    score = "" if candidate.score is None else f" · similarity {candidate.score:.2f}"
    second = " · second search" if candidate.hop > 1 else ""
    return (
        f"<li>{thumb}<div>{escape(words or 'A picture without words')}"
        f'<div class="id">{escape(item.id)}{score}{second}</div></div>'
        f"{bar('re-ranker', candidate.rerank_relevance, 'reranker') or '<span></span>'}</li>"
    )


def _source(candidate: Candidate | None) -> str:
    # A source is data from a knowledge base: shown as text, never as a link to follow.
    source = candidate.item.source if candidate is not None else None
    return f" · {escape(source)}" if source else ""


def _encode(picture: Image.Image, kind: str, **options: int | bool) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
