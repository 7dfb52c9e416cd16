"""Decisions on scored candidates, as pure functions: what becomes evidence, what is cited, what is asked next."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from ..processing.knowledge_rablip import Modality
from ..processing.second_search import expand_question
from .types import Candidate, Selection

__all__ = [
    "choose_citations",
    "choose_readable",
    "drop_invented_references",
    "fit_pictures",
    "merge_hops",
    "renumber_references",
    "second_hop_question",
    "select_evidence",
]

_REFERENCE = re.compile(r"\s?\[(/?)(\d+)\]")


def select_evidence(
    candidates: Iterable[Candidate],
    *,
    max_evidence: int,
    threshold: float | None = None,
    max_pictures: int | None = None,
) -> Selection:
    """Keeps as many candidates as are relevant, which may be none, and no more than can be shown.

    Candidates that were re-ranked are kept from `threshold` on, best first; candidates that were not keep the order of
    their scores. A picture beyond `max_pictures` is dropped and its id recorded: an item that has a text is shown with
    the text alone, a picture without text makes room for the next candidate.

    Args:
        candidates: candidates of one question, each id once.
        max_evidence: most items to keep.
        threshold: least re-ranker probability; None keeps all.
        max_pictures: most pictures among the kept items; None for no limit.

    Example:
        >>> from rablip.processing.knowledge_rablip import KnowledgeItem
        >>> item = KnowledgeItem(id="7", text="It opened in 1889.")
        >>> len(select_evidence([Candidate(item, 0.9, rerank_relevance=0.2)], max_evidence=4, threshold=0.5))
        0
    """
    kept: list[Candidate] = []
    dropped: list[str] = []
    num_pictures = 0
    for candidate in sorted(candidates, key=_rank):
        if len(kept) == max_evidence:
            break
        relevance = candidate.rerank_relevance
        if threshold is not None and relevance is not None and relevance < threshold:
            continue
        if candidate.has_picture and max_pictures is not None and num_pictures >= max_pictures:
            dropped.append(candidate.id)
            if candidate.item.modality is Modality.IMAGE:
                continue
            candidate = dataclasses.replace(candidate, picture_withheld=True)
        num_pictures += candidate.has_picture
        kept.append(candidate)
    return Selection(tuple(kept), tuple(dropped))


def fit_pictures(evidence: Sequence[Candidate], max_pictures: int) -> Selection:
    """Applies the picture limit to evidence whose order and number stay as they are.

    The most relevant items keep their pictures (the first ones, where nothing was re-ranked); the others are shown by
    their words alone and recorded.

    Example:
        >>> fit_pictures([], 2).dropped_pictures
        ()
    """
    pictured = sorted(
        (position for position, one in enumerate(evidence) if one.has_picture),
        key=lambda position: (-(evidence[position].rerank_relevance or 0.0), position),
    )
    withheld = set(pictured[max(max_pictures, 0) :])
    fitted = tuple(
        dataclasses.replace(candidate, picture_withheld=True) if position in withheld else candidate
        for position, candidate in enumerate(evidence)
    )
    already = tuple(getattr(evidence, "dropped_pictures", ()))
    return Selection(fitted, already + tuple(evidence[position].id for position in sorted(withheld)))


def merge_hops(first: Iterable[Candidate], second: Iterable[Candidate]) -> list[Candidate]:
    """Joins what two searches found, each id once, best first.

    An item that both found keeps the entry in which it ranks better, and with it that entry's hop.

    Example:
        >>> merge_hops([], [])
        []
    """
    best: dict[str, Candidate] = {}
    for candidate in (*first, *second):
        known = best.get(candidate.id)
        if known is None or _rank(candidate) < _rank(known):
            best[candidate.id] = candidate
    return sorted(best.values(), key=_rank)


def second_hop_question(
    question: str, candidates: Iterable[Candidate], *, threshold: float | None = None
) -> str | None:
    """The question of a second search: the first one and the title of the best picture found.

    None when there is nothing new to ask: no picture with a title, a best picture that the re-ranker put below
    `threshold`, or a title that the question already names.

    Example:
        >>> from rablip.processing.knowledge_rablip import ImageRef, KnowledgeItem
        >>> item = KnowledgeItem(id="8", image=ImageRef(path="8.png"), title="Harbor Mill")
        >>> second_hop_question("Who built this mill?", [Candidate(item, 0.7)])
        'Who built this mill? | Harbor Mill'
    """
    pictures = [candidate for candidate in candidates if candidate.item.image is not None]
    if not pictures:
        return None
    best = min(pictures, key=_rank)
    relevance = best.rerank_relevance
    if threshold is not None and relevance is not None and relevance < threshold:
        return None
    return expand_question(question, best.item.title)


def choose_citations(ids: Sequence[str], relevance: Sequence[float], threshold: float) -> tuple[str, ...]:
    """The ids of the evidence whose relevance reaches `threshold`, most relevant first.

    Example:
        >>> choose_citations(["a", "b", "c"], [0.6, 0.1, 0.9], 0.5)
        ('c', 'a')
    """
    order = sorted(range(len(ids)), key=lambda position: (-relevance[position], position))
    return tuple(ids[position] for position in order if relevance[position] >= threshold)


def choose_readable(relevance: Sequence[float], threshold: float) -> list[int]:
    """Positions of the evidence that an answer is written from: what will be cited, or all where nothing will be.

    Example:
        >>> choose_readable([0.6, 0.1, 0.9], 0.5), choose_readable([0.2, 0.1], 0.5)
        ([0, 2], [0, 1])
    """
    reached = [position for position, value in enumerate(relevance) if value >= threshold]
    return reached or list(range(len(relevance)))


def renumber_references(text: str, kept: Sequence[int], num_references: int) -> str:
    """Turns the numbers that a text gives the evidence at the positions `kept` into those of all that was shown.

    A number that names none of the kept ones is moved past `num_references`, so that it stays an invented one.

    Example:
        >>> renumber_references("in 1889 [1], by Marlow [2] [3]", [0, 2], 3)
        'in 1889 [1], by Marlow [3] [6]'
    """

    def move(match: re.Match[str]) -> str:
        number = int(match[2])
        moved = kept[number - 1] + 1 if 1 <= number <= len(kept) else num_references + number
        return match[0].replace(match[2], str(moved))

    return _REFERENCE.sub(move, text)


def drop_invented_references(text: str, num_references: int) -> tuple[str, int]:
    """Removes reference marks that name no shown evidence from an answer, and counts them.

    Example:
        >>> drop_invented_references("in 1889 [1] [7]", 2)
        ('in 1889 [1]', 1)
    """
    invented = 0

    def judge(match: re.Match[str]) -> str:
        nonlocal invented
        if 1 <= int(match[2]) <= num_references:
            return match[0]
        invented += not match[1]
        return ""

    return _REFERENCE.sub(judge, text).strip(), invented


def _rank(candidate: Candidate) -> tuple[float, float]:
    relevance = candidate.rerank_relevance
    # Without a judgement a candidate ranks behind every judged one, in the order of the search.
    return (-relevance if relevance is not None else 1.0, -(candidate.score or 0.0))
