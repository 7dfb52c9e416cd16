"""Pseudo relevance: a passage counts as relevant where it holds an answer, as OK-VQA-style retrieval is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from .answers import normalize_answer
from .results import MetricResult
from .scorer_inputs import compare_ids, list_some, require_answers, require_choice

__all__ = ["holds_answer", "pseudo_recall_at_k", "score_pseudo_recall"]

_FORMS = ("substring", "strict")


def holds_answer(passage: str, answers: Sequence[str], *, form: Literal["substring", "strict"]) -> bool:
    """Whether a passage holds one of the answers.

    Args:
        passage: the text of a knowledge item.
        answers: the accepted answers.
        form: "substring" is PreFLMR's: the answer, stripped and in lower case, anywhere in the passage in lower case,
            so that "1" is found in "1987" and an empty answer everywhere. "strict" asks for whole words after
            `normalize_answer`; an answer of which nothing is left is found nowhere.

    Raises:
        ValueError: when the form is unknown.

    Example:
        >>> [holds_answer("Built in 1987.", ["1"], form=form) for form in ("substring", "strict")]
        [True, False]
    """
    require_choice(form, _FORMS, name="form")
    if form == "substring":
        lowered = passage.lower()
        return any(answer.strip().lower() in lowered for answer in answers)
    words = f" {normalize_answer(passage)} "
    return any(f" {wanted} " in words for wanted in map(normalize_answer, answers) if wanted)


def pseudo_recall_at_k(
    passages: Sequence[str], answers: Sequence[str], k: int, *, form: Literal["substring", "strict"]
) -> float:
    """1 where any of the first `k` passages holds one of the answers, else 0 (PRR@k, PR@k).

    Args:
        passages: texts of the items found, best first.
        answers: the accepted answers.
        k: how many passages count.
        form: see `holds_answer`; figures of the two forms must not stand in one table.

    Raises:
        TypeError: when `answers` is no sequence of strings.
        ValueError: when `k` is below 1, when there is no answer, or when the form is unknown.

    Example:
        >>> pseudo_recall_at_k(["A red door.", "The lighthouse"], ["light house", "Lighthouse"], 2, form="strict")
        1.0
    """
    require_choice(form, _FORMS, name="form")
    require_answers(answers)
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
    return float(any(holds_answer(passage, answers, form=form) for passage in passages[:k]))


def score_pseudo_recall(
    rankings: Mapping[str, Sequence[str]],
    passages: Mapping[str, str],
    answers: Mapping[str, Sequence[str]],
    *,
    form: Literal["substring", "strict"],
    k: int,
    corpus: str | None = None,
) -> MetricResult:
    """The share of questions with an answer in their first `k` passages.

    Only questions with an answer count; one of them without a ranking scores 0.

    Args:
        rankings: question id to ids of knowledge items, best first.
        passages: id of a knowledge item to its text; a picture without text may be left out.
        answers: question id to its accepted answers.
        form: see `holds_answer`; it is the variant of the result.
        k: how many passages count.
        corpus: what was searched.

    Returns:
        The share, from 0 to 1; None where no question has an answer. `details` says how many questions had no ranking
        or no answer, and how many of the items ranked first had no text.

    Raises:
        TypeError: when ids of questions differ in type only, or answers are no sequence of strings.
        ValueError: when `k` is below 1, when an id stands twice in a ranking, when `answers` is empty, when none of
            the items ranked has a text, or when the form is unknown.

    Example:
        >>> result = score_pseudo_recall({"q1": ["p1"]}, {"p1": "It was built in 1987."}, {"q1": ["1987"]},
        ...                              form="substring", k=5, corpus="full")
        >>> result.value, result.variant
        (1.0, 'substring')
    """
    require_choice(form, _FORMS, name="form")
    counts = compare_ids(rankings, answers)
    values: dict[str, float] = {}
    num_items, without_text, unranked = 0, 0, 0
    for question_id, accepted in answers.items():
        if not accepted:
            continue
        unranked += question_id not in rankings
        ranked = rankings.get(question_id, ())
        if len(set(ranked)) < len(ranked):
            raise ValueError(f"The ranking of question {question_id!r} holds an id twice: {list_some(ranked)}.")
        texts = [passages.get(found) for found in ranked[:k]]
        num_items, without_text = num_items + len(texts), without_text + texts.count(None)
        known = [text for text in texts if text is not None]
        values[question_id] = pseudo_recall_at_k(known, accepted, k, form=form)
    if num_items and without_text == num_items:
        raise ValueError(f"None of the {num_items} items ranked has a text in passages: are these their ids?")
    return MetricResult(
        metric="pseudo_recall_at_k",
        variant=form,
        value=sum(values.values()) / len(values) if values else None,
        values=values,
        k=k,
        corpus=corpus,
        details={
            "missing_predictions": unranked,
            "unknown_predictions": counts["unknown_predictions"],
            "without_answer": len(answers) - len(values),
            "items_without_text": without_text,
        },
    )
