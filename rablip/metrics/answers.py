"""Right or wrong answers: exact match after normalisation, and what always saying the most common answer reaches."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Hashable, Sequence

__all__ = ["exact_match", "majority_answer", "majority_matches", "normalize_answer"]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


def normalize_answer(answer: str) -> str:
    """Lower case, punctuation and the articles a/an/the removed, white space collapsed.

    An answer that is nothing but articles keeps them.

    >>> normalize_answer("  The red, pointed roof. ")
    'red pointed roof'
    """
    words = answer.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", words).split()) or " ".join(words.split())


def exact_match(prediction: str | None, answers: Sequence[str]) -> bool:
    """Whether the prediction equals one of the answers after `normalize_answer`.

    `None` (an abstention) and a prediction of which nothing is left never match.

    >>> exact_match("The Red.", ["red", "crimson"]), exact_match(None, ["red"])
    (True, False)
    """
    if prediction is None:
        return False
    normalized = normalize_answer(prediction)
    return bool(normalized) and any(normalized == normalize_answer(answer) for answer in answers)


def majority_answer(answers: Sequence[Sequence[str]]) -> tuple[str | None, float | None]:
    """The most common (normalised) answer and the share of questions that it would get right.

    `answers` holds the accepted answers of each question; ties go to the alphabetically first.
    No question gives `(None, None)`.

    >>> majority_answer([["Yes"], ["no"], ["yes"], ["yes", "indeed"]])
    ('yes', 0.75)
    """
    if not answers:
        return None, None
    counts = Counter(normalized for row in answers for normalized in {normalize_answer(answer) for answer in row})
    if not counts:
        return None, 0.0
    answer, count = min(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return answer, count / len(answers)


def majority_matches(groups: Sequence[Hashable], answers: Sequence[Sequence[str]]) -> list[bool]:
    """Per question: would the most common answer of its group be right?

    The mean over one group is that group's majority-answer rate; the mean over several groups
    is what a guesser reaches that knows only the group.

    Raises:
        ValueError: when the two sequences differ in length.

    >>> majority_matches(["color", "color", "color", "YesNo"], [["red"], ["red"], ["blue"], ["yes"]])
    [True, True, False, True]
    """
    if len(groups) != len(answers):
        raise ValueError(f"{len(groups)} groups were given for {len(answers)} questions.")
    by_group: dict[Hashable, list[Sequence[str]]] = {}
    for group, row in zip(groups, answers, strict=True):
        by_group.setdefault(group, []).append(row)
    best = {group: majority_answer(rows)[0] for group, rows in by_group.items()}
    return [exact_match(best[group], row) for group, row in zip(groups, answers, strict=True)]
