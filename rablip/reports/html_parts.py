"""The small parts of a report page: escaped text, counted nouns, bars and tags."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ..answering.types import AbstainReason

__all__ = ["bar", "count_text", "escape", "facts_html", "reason_text", "tag"]

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


def count_text(number: int, noun: str) -> str:
    """A number with its noun in the singular or plural.

    Example:
        >>> count_text(1, "question"), count_text(7540, "question")
        ('1 question', '7,540 questions')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def facts_html(facts: Sequence[tuple[str, str]]) -> str:
    """Names and values, in columns.

    Example:
        >>> facts_html([("Seed", "0")])
        '<dl class="facts"><div><dt>Seed</dt><dd>0</dd></div></dl>'
    """
    listed = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="facts">{listed}</dl>' if listed else ""


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


def _well_formed(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
