"""Whether a system may be trusted: what it cites, when it abstains, how relevant and how sure it says things are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PrecisionRecall", "abstain_scores", "citation_scores"]


class PrecisionRecall(NamedTuple):
    """Precision, recall and their harmonic mean; `None` where the denominator is zero.

    `f1` is 0 when there was something to find or something was found, but nothing in common,
    and `None` only when there was neither.
    """

    precision: float | None
    recall: float | None
    f1: float | None


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


def _precision_recall(true_positives: int, found: int, expected: int) -> PrecisionRecall:
    precision = true_positives / found if found else None
    recall = true_positives / expected if expected else None
    f1 = 2 * true_positives / (found + expected) if found + expected else None
    return PrecisionRecall(precision, recall, f1)
