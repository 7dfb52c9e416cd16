"""The browsable sample of an evaluation: a folded line a question, with filters by verdict, evidence and category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .bounded_list import BoundedList, PictureSizes, list_within
from .html_entries import evidence_html, said_html, verdict_words
from .html_filters import FilterGroup, filter_marks
from .html_parts import count_text, escape
from .html_pictures import PictureSize, image_tag
from .page_entry import PageEntry

__all__ = ["folded_entry", "gold_line", "kind_group", "outcome_html", "question_sample"]

_VERDICTS = {"right": "Right", "partly": "Partly right", "wrong": "Wrong"}
_WITHHELD = "Withheld"
_GOLD = ("All found", "Some found", "None found")


def question_sample(
    entries: Sequence[PageEntry], *, room: int, num_questions: int | None = None, note: str = ""
) -> BoundedList:
    """The sample of an evaluation.

    Args:
        entries: the questions.
        room: how many bytes it may take.
        num_questions: how many questions the sample was drawn from.
        note: how it was drawn.

    Example:
        >>> from ..answering.types import Answer
        >>> entry = PageEntry(answer=Answer(question="Who built it?", text="Marlow"), correct=True)
        >>> question_sample([entry], room=100_000).num_left_out
        0
    """
    groups = [_verdict_group(entries), _gold_group(entries), kind_group([entry.kind for entry in entries])]

    def draw(place: int, sizes: PictureSizes) -> str:
        entry = entries[place]
        inside = said_html(entry, always_expected=True) + gold_line(entry)
        inside += evidence_html(entry, size=sizes.large, thumbnail=sizes.thumbnail, with_search=True)
        sign, style, _ = verdict_words(entry)
        return folded_entry(
            place + 1,
            entry,
            inside,
            marks=filter_marks(groups, place),
            sign=f'<span class="sign {style}" aria-hidden="true">{sign}</span>',
            outcomes=outcome_html(entry),
            size=sizes.large,
        )

    title = count_text(len(entries), "question")
    if num_questions is not None and num_questions > len(entries):
        title = f"A sample: {len(entries):,} of {count_text(num_questions, 'question')}"
    return list_within(len(entries), draw, groups, title=title, note=note, room=room)


def kind_group(kinds: Sequence[str]) -> FilterGroup:
    """The filter by category; a question without one is shown by none of its choices.

    Example:
        >>> kind_group(["two_hop", "color", ""]).choices
        ['color', 'two hop']
    """
    names = [kind.replace("_", " ").strip() for kind in kinds]
    return FilterGroup(
        key="c",
        legend="Category",
        choices=sorted({name for name in names if name}),
        chosen_by=[[name] if name else [] for name in names],
    )


def gold_line(entry: PageEntry) -> str:
    """How many of the needed items were found; nothing when it is not known which are needed.

    Example:
        >>> from ..answering.types import Answer
        >>> gold_line(PageEntry(answer=Answer(question="Who?", text="Marlow"), gold_ids=("7",)))
        '<p class="said">Needed items found: 0 of 1. Not found: 7.</p>'
    """
    if not entry.gold_ids:
        return ""
    found = {candidate.id for candidate in entry.answer.candidates}
    missing = [gold for gold in dict.fromkeys(entry.gold_ids) if gold not in found]
    line = f"Needed items found: {entry.found_gold} of {len(set(entry.gold_ids))}."
    if missing:
        line += f" Not found: {', '.join(missing)}."
    return f'<p class="said">{escape(line)}</p>'


def outcome_html(entry: PageEntry, *, letter: str = "") -> str:
    """The answer with its verdict, in a line.

    Args:
        entry: the question.
        letter: of the run that answered, where there are two.

    Example:
        >>> from ..answering.types import Answer
        >>> "Marlow" in outcome_html(PageEntry(answer=Answer(question="Who?", text="Marlow"), correct=True))
        True
    """
    _, style, words = verdict_words(entry)
    answer = entry.answer.text if entry.answer.text is not None else "No answer"
    verdict = f'<span class="verdict {style}">{escape(words)}</span>' if words else ""
    held = "held" if entry.answer.abstained else ""
    run = f'<span class="letter">{escape(letter)}</span>' if letter else ""
    return f'<span class="outcome">{run}<strong class="{held}" dir="auto">{escape(answer)}</strong>{verdict}</span>'


def folded_entry(
    number: int, entry: PageEntry, inside: str, *, marks: str, sign: str, outcomes: str, size: PictureSize
) -> str:
    """A question as one line that unfolds.

    Args:
        number: its place on the page, from 1.
        entry: the question.
        inside: HTML of what the line unfolds.
        marks: its classes for the filters.
        sign: HTML at the beginning of the line.
        outcomes: HTML of the answers in the line.
        size: of the pictures of the question.
    """
    parts = [part for part in (entry.kind.replace("_", " ").strip(), entry.question_id) if part]
    about = "".join(f"<span>{escape(part)}</span>" for part in parts)
    pictures = "".join(image_tag(picture, "Picture of the question", size) for picture in entry.question_images)
    return (
        f'<details class="entry {marks}" id="q{number}"><summary>{sign}<span class="line">'
        f'<span class="question" dir="auto">{escape(entry.answer.question)}</span>{outcomes}'
        f'<span class="about">{about}</span></span>{f"""<span class="thumbs">{pictures}</span>""" if pictures else ""}'
        f'</summary><div class="inside">{inside}</div></details>'
    )


def _verdict_group(entries: Sequence[PageEntry]) -> FilterGroup:
    chosen = [
        [*([_VERDICTS[entry.verdict]] if entry.verdict in _VERDICTS else []), *([_WITHHELD] * entry.is_withheld)]
        for entry in entries
    ]
    counted = Counter(choice for choices in chosen for choice in choices)
    # Where nothing can be partly right there is no filter for it.
    choices = [choice for choice in (*_VERDICTS.values(), _WITHHELD) if choice != "Partly right" or counted[choice]]
    return FilterGroup(key="v", legend="Answer", choices=choices, chosen_by=chosen)


def _gold_group(entries: Sequence[PageEntry]) -> FilterGroup:
    chosen: list[list[str]] = []
    for entry in entries:
        if not entry.gold_ids or entry.found_gold is None:
            chosen.append([])
        elif entry.found_gold == len(set(entry.gold_ids)):
            chosen.append([_GOLD[0]])
        else:
            chosen.append([_GOLD[1] if entry.found_gold else _GOLD[2]])
    return FilterGroup(key="g", legend="Items that the question needs", choices=_GOLD, chosen_by=chosen)
