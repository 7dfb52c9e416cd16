"""Whether a system may be trusted: what it cites, when it abstains, which candidates it takes for relevant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .results import MetricResult
from .scorer_inputs import list_some, require_same_ids

__all__ = [
    "PrecisionRecall",
    "abstain_scores",
    "citation_scores",
    "relevance_scores",
    "score_abstentions",
    "score_citations",
]


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


def relevance_scores(
    probabilities: Sequence[Sequence[float]], relevant: Sequence[Sequence[bool]], *, threshold: float
) -> PrecisionRecall:
    """Micro-averaged precision, recall and F1 of the relevance told for candidates, one row per question.

    Args:
        probabilities: the relevance of each candidate of a question, as the re-ranker or ASKG tells it.
        relevant: whether the candidate is relevant.
        threshold: a candidate with this probability or more is taken for relevant.

    Raises:
        ValueError: when rows or questions differ in number, or a probability lies outside 0..1.

    Example:
        >>> relevance_scores([[0.9, 0.6], [0.5]], [[True, False], [True]], threshold=0.6)
        PrecisionRecall(precision=0.5, recall=0.5, f1=0.5)
    """
    if len(probabilities) != len(relevant):
        raise ValueError(f"{len(probabilities)} rows of probabilities were given for {len(relevant)} questions.")
    judged: list[tuple[bool, bool]] = []
    for row, (told, wanted) in enumerate(zip(probabilities, relevant, strict=True)):
        if len(told) != len(wanted):
            raise ValueError(f"Row {row} has {len(told)} probabilities for {len(wanted)} candidates.")
        outside = [probability for probability in told if not 0 <= probability <= 1]
        if outside:
            raise ValueError(f"Probabilities must lie in 0..1, but row {row} holds {outside[0]!r}.")
        judged += [(probability >= threshold, bool(truth)) for probability, truth in zip(told, wanted, strict=True)]
    return _precision_recall(
        sum(taken and truth for taken, truth in judged),
        sum(taken for taken, _ in judged),
        sum(truth for _, truth in judged),
    )


def score_abstentions(abstained: Mapping[str, bool], unanswerable: Mapping[str, bool]) -> MetricResult:
    """F1 of abstentions over questions; see `abstain_scores`.

    Args:
        abstained: question id to whether no answer was given.
        unanswerable: question id to whether it cannot be answered.

    Returns:
        The F1, from 0 to 1, with precision and recall in `details`; None where nothing was withheld and everything can
        be answered. It is no mean of `values`, which are 1 where the decision was right.

    Raises:
        TypeError: when ids differ in type only.
        ValueError: when the two do not hold the same questions, or there is none.

    Example:
        >>> result = score_abstentions({"q1": True, "q2": True}, {"q1": True, "q2": False})
        >>> round(result.value, 4), result.details["precision"], dict(result.values)
        (0.6667, 0.5, {'q1': 1.0, 'q2': 0.0})
    """
    require_same_ids(abstained, unanswerable)
    scores = abstain_scores([abstained[one] for one in unanswerable], list(unanswerable.values()))
    return MetricResult(
        metric="abstention_f1",
        variant="unanswerable_positive",
        value=scores.f1,
        values={one: float(bool(abstained[one]) == bool(truth)) for one, truth in unanswerable.items()},
        is_mean=False,
        details={"precision": scores.precision, "recall": scores.recall},
    )


def score_citations(citations: Mapping[str, Sequence[str]], gold_ids: Mapping[str, Sequence[str]]) -> MetricResult:
    """Micro-averaged F1 of cited ids over answered questions; see `citation_scores`.

    Args:
        citations: question id to the ids cited. A question that is not in it was not answered: it is left out and
            counted.
        gold_ids: question id to the ids that should be cited.

    Returns:
        The F1, from 0 to 1, with precision and recall in `details`; None where there was nothing to cite and nothing
        was cited. It is no mean of `values`, which hold the F1 of each question that has one.

    Raises:
        TypeError: when ids of questions differ in type only, or a row is a bare string.
        ValueError: when a row of citations belongs to no question, or there is no question.

    Example:
        >>> result = score_citations({"q1": ["a", "x"], "q2": ["b"]}, {"q1": ["a"], "q2": ["b", "c"], "q3": ["d"]})
        >>> round(result.value, 4), result.details["not_answered"]
        (0.6667, 1)
    """
    counts = require_same_ids(citations, gold_ids, allow_missing=True)
    bare = [one for rows in (citations, gold_ids) for one, row in rows.items() if isinstance(row, str)]
    if bare:
        raise TypeError(f"Citations are sequences of ids, but questions have a bare string: {list_some(bare)}.")
    rows = {one: (citations[one], gold) for one, gold in gold_ids.items() if one in citations}
    scores = citation_scores([cited for cited, _ in rows.values()], [gold for _, gold in rows.values()])
    single = {one: citation_scores([cited], [gold]).f1 for one, (cited, gold) in rows.items()}
    return MetricResult(
        metric="citation_f1",
        variant="micro",
        value=scores.f1,
        values={one: value for one, value in single.items() if value is not None},
        is_mean=False,
        details={
            "precision": scores.precision,
            "recall": scores.recall,
            "not_answered": counts["missing_predictions"],
        },
    )


def _precision_recall(true_positives: int, found: int, expected: int) -> PrecisionRecall:
    precision = true_positives / found if found else None
    recall = true_positives / expected if expected else None
    f1 = 2 * true_positives / (found + expected) if found + expected else None
    return PrecisionRecall(precision, recall, f1)
