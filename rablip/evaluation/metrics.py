"""Pure metrics: what is right, what is found, what is cited, when it is right to say nothing."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import NamedTuple

__all__ = [
    "PrecisionRecall",
    "abstain_scores",
    "citation_scores",
    "exact_match",
    "majority_answer",
    "majority_matches",
    "normalize_answer",
    "recall_at_k",
]

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, " "))


class PrecisionRecall(NamedTuple):
    """Precision, recall and their harmonic mean; `None` where the denominator is zero.

    `f1` is 0 when there was something to find or something was found, but nothing in common,
    and `None` only when there was neither.
    """

    precision: float | None
    recall: float | None
    f1: float | None


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


def recall_at_k(ranked_ids: Sequence[str], gold_ids: Sequence[str], k: int) -> float:
    """Share of the gold ids that are among the first `k` ranked ids.

    Raises:
        ValueError: when `k` is below 1, or when there is no gold id (recall of nothing is undefined).

    >>> recall_at_k(["a", "b", "c"], ["c", "a"], k=2)
    0.5
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
    if not gold_ids:
        raise ValueError("recall_at_k needs at least one gold id; leave out questions without one.")
    top = set(ranked_ids[:k])
    return sum(gold in top for gold in gold_ids) / len(gold_ids)


def _precision_recall(true_positives: int, found: int, expected: int) -> PrecisionRecall:
    precision = true_positives / found if found else None
    recall = true_positives / expected if expected else None
    f1 = 2 * true_positives / (found + expected) if found + expected else None
    return PrecisionRecall(precision, recall, f1)


def abstain_scores(abstained: Sequence[bool], unanswerable: Sequence[bool]) -> PrecisionRecall:
    """Precision, recall and F1 of abstentions; a question that cannot be answered is a positive.

    Raises:
        ValueError: when the two sequences differ in length.

    >>> abstain_scores([True, True, False], [True, False, False])
    PrecisionRecall(precision=0.5, recall=1.0, f1=0.6666666666666666)
    """
    if len(abstained) != len(unanswerable):
        raise ValueError(f"{len(abstained)} abstentions were given for {len(unanswerable)} questions.")
    both = sum(bool(a and u) for a, u in zip(abstained, unanswerable, strict=True))
    return _precision_recall(both, sum(map(bool, abstained)), sum(map(bool, unanswerable)))


def citation_scores(citations: Sequence[Sequence[str]], gold_ids: Sequence[Sequence[str]]) -> PrecisionRecall:
    """Micro-averaged precision, recall and F1 of cited ids, one row per answered question.

    An id that is cited twice in one row counts once.

    Raises:
        ValueError: when the two sequences differ in length.

    >>> citation_scores([["a", "x"], ["b"]], [["a"], ["b", "c"]])
    PrecisionRecall(precision=0.6666666666666666, recall=0.6666666666666666, f1=0.6666666666666666)
    """
    if len(citations) != len(gold_ids):
        raise ValueError(f"{len(citations)} rows of citations were given for {len(gold_ids)} questions.")
    rows = [(set(cited), set(gold)) for cited, gold in zip(citations, gold_ids, strict=True)]
    right = sum(len(cited & gold) for cited, gold in rows)
    return _precision_recall(right, sum(len(cited) for cited, _ in rows), sum(len(gold) for _, gold in rows))


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
