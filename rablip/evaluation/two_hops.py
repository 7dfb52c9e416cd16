"""The generic second search: ask again with the title of the best picture that the first search found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..processing.knowledge_rablip import KnowledgeItem, QuestionExample
from ..processing.second_search import expand_question

__all__ = ["SearchFunction", "rank_in_hops", "second_question"]

SearchFunction = Callable[[Sequence[str], Sequence[int]], "list[list[str]]"]
"""Ranks items for questions in words; beside each its position, for a searcher that also uses pictures."""


def second_question(question: str, ranking: Sequence[str], items: Mapping[str, KnowledgeItem]) -> str | None:
    """The question of the second search, or None when no picture with a title was found or it is named already.

    Nothing but the searcher's own first ranking is used: no gold item, no re-ranker.

    >>> from rablip.processing.knowledge_rablip import ImageRef
    >>> items = {
    ...     "1": KnowledgeItem(id="1", text="Words."),
    ...     "2": KnowledgeItem(id="2", image=ImageRef(path="2.png"), title="Harbor Mill"),
    ... }
    >>> second_question("Who built this?", ["1", "2"], items)
    'Who built this? | Harbor Mill'
    """
    for item_id in ranking:
        item = items[item_id]
        if item.image is not None:
            return expand_question(question, item.title)
    return None


def rank_in_hops(
    questions: Sequence[QuestionExample],
    items: Mapping[str, KnowledgeItem],
    first: SearchFunction,
    second: SearchFunction | None = None,
) -> list[list[list[str]]]:
    """One ranking per question, and a second one for those whose answer takes two hops.

    Args:
        questions: the questions.
        items: the knowledge items by id.
        first: the first search.
        second: the second search; None: the same.

    Returns:
        Per question one or two rankings of ids. Where there is nothing to ask again with, the second is the first.
    """
    rankings = [[ranking] for ranking in first([question.question for question in questions], range(len(questions)))]
    again: list[tuple[int, str]] = []
    for place, question in enumerate(questions):
        if question.answerable and len(question.hops) > 1:
            expanded = second_question(question.question, rankings[place][0], items)
            if expanded is None:
                rankings[place].append(rankings[place][0])
            else:
                again.append((place, expanded))
    if again:
        searched = (second or first)([expanded for _, expanded in again], [place for place, _ in again])
        for (place, _), ranking in zip(again, searched, strict=True):
            rankings[place].append(ranking)
    return rankings
