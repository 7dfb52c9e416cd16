"""Whether a system is right as often as it says: calibration error, and the bins of a reliability diagram."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Literal, NamedTuple

from .results import MetricResult
from .scorer_inputs import compare_ids, list_some, require_choice

__all__ = ["DEFAULT_NUM_BINS", "ReliabilityBin", "expected_calibration_error", "reliability_bins", "score_calibration"]

DEFAULT_NUM_BINS = 10

_BINNINGS = ("equal_width", "adaptive")


class ReliabilityBin(NamedTuple):
    """One point of a reliability diagram: answers of like confidence, and how many of them are right.

    `low` and `high` are the bounds of the bin; of an adaptive one, the least and greatest confidence in it. The two
    means are None where `num_answers` is 0.
    """

    low: float
    high: float
    num_answers: int
    mean_confidence: float | None
    accuracy: float | None


def reliability_bins(
    confidences: Sequence[float],
    correct: Sequence[bool],
    *,
    num_bins: int = DEFAULT_NUM_BINS,
    binning: Literal["equal_width", "adaptive"] = "equal_width",
) -> list[ReliabilityBin]:
    """Confidence against accuracy, bin by bin.

    Args:
        confidences: the probability given to each answer.
        correct: whether it is right.
        num_bins: how many bins.
        binning: "equal_width" cuts 0..1 into bins (low, high] of one width (0 itself is in the first) and gives empty
            ones too. "adaptive" puts as near as may be equally many answers into each; equal confidences are never
            parted, so that the order of answers does not matter, and a bin that is left empty by this is not given.

    Returns:
        The bins, by rising confidence.

    Raises:
        ValueError: when the two differ in length, when a confidence lies outside 0..1, when there is less than one
            bin, or when the binning is unknown.

    Example:
        >>> for one in reliability_bins([0.2, 0.9, 1.0], [False, True, False], num_bins=2):
        ...     print(one)
        ReliabilityBin(low=0.0, high=0.5, num_answers=1, mean_confidence=0.2, accuracy=0.0)
        ReliabilityBin(low=0.5, high=1.0, num_answers=2, mean_confidence=0.95, accuracy=0.5)
    """
    require_choice(binning, _BINNINGS, name="binning")
    if num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, but is {num_bins}.")
    if len(confidences) != len(correct):
        raise ValueError(f"{len(confidences)} confidences were given for {len(correct)} answers.")
    outside = [confidence for confidence in confidences if not 0 <= confidence <= 1]
    if outside:
        raise ValueError(f"Confidences must lie in 0..1, but {len(outside)} do not, such as {outside[0]!r}.")
    pairs = sorted((float(confidence), bool(right)) for confidence, right in zip(confidences, correct, strict=True))
    if binning == "adaptive":
        binned = _cut_by_count(pairs, num_bins)
        return [_summarize(members, members[0][0], members[-1][0]) for members in binned if members]
    edges = [step / num_bins for step in range(num_bins + 1)]
    cuts = [0, *(bisect_right(pairs, edge, key=itemgetter(0)) for edge in edges[1:])]
    return [
        _summarize(pairs[start:stop], low, high)
        for (start, stop), (low, high) in zip(pairwise(cuts), pairwise(edges), strict=True)
    ]


def expected_calibration_error(
    confidences: Sequence[float],
    correct: Sequence[bool],
    *,
    num_bins: int = DEFAULT_NUM_BINS,
    binning: Literal["equal_width", "adaptive"] = "equal_width",
) -> float | None:
    """How far accuracy is from confidence: the gap of each bin, weighted by the share of answers in it.

    Args:
        confidences: the probability given to each answer.
        correct: whether it is right.
        num_bins: how many bins.
        binning: see `reliability_bins`; figures of different binnings must not stand in one table.

    Returns:
        The error, from 0 (calibrated) to 1; None where there is no answer.

    Raises:
        ValueError: as `reliability_bins`.

    Source:
        Naeini, Cooper and Hauskrecht 2015 (equal width); Nguyen and O'Connor 2015 (adaptive).

    Example:
        >>> round(expected_calibration_error([0.2, 0.9, 1.0], [False, True, False], num_bins=2), 4)
        0.3667
    """
    bins = reliability_bins(confidences, correct, num_bins=num_bins, binning=binning)
    if not confidences:
        return None
    gaps = [
        one.num_answers * abs(one.accuracy - one.mean_confidence)
        for one in bins
        if one.accuracy is not None and one.mean_confidence is not None
    ]
    return sum(gaps) / len(confidences)


def score_calibration(
    confidences: Mapping[str, float],
    correct: Mapping[str, bool],
    *,
    num_bins: int = DEFAULT_NUM_BINS,
    binning: Literal["equal_width", "adaptive"] = "equal_width",
) -> MetricResult:
    """Expected calibration error over questions.

    Args:
        confidences: question id to the probability given to its answer. A question without one (nothing was answered)
            is left out and counted.
        correct: question id to whether the answer is right.
        num_bins: how many bins.
        binning: see `reliability_bins`; it is the variant of the result.

    Returns:
        The error, lower is better; None where no question has a confidence. It is no mean of `values`, which hold how
        far each confidence is from being right (1) or wrong (0). `details` holds the bins for a plot.

    Raises:
        TypeError: when ids differ in type only.
        ValueError: when a confidence belongs to no question, when there is no question, or as `reliability_bins`.

    Example:
        >>> result = score_calibration({"q1": 0.75, "q2": 0.75}, {"q1": True, "q2": False}, num_bins=1)
        >>> result.value, dict(result.values)
        (0.25, {'q1': 0.25, 'q2': 0.75})
    """
    counts = compare_ids(confidences, correct)
    unknown = [question_id for question_id in confidences if question_id not in correct]
    if unknown:
        raise ValueError(f"{len(unknown)} confidences belong to no question: {list_some(unknown)}.")
    ids = [question_id for question_id in correct if question_id in confidences]
    said, right = [confidences[one] for one in ids], [bool(correct[one]) for one in ids]
    bins = reliability_bins(said, right, num_bins=num_bins, binning=binning)
    return MetricResult(
        metric="expected_calibration_error",
        variant=binning,
        value=expected_calibration_error(said, right, num_bins=num_bins, binning=binning),
        values={one: abs(right[place] - said[place]) for place, one in enumerate(ids)},
        is_mean=False,
        details={
            "num_bins": num_bins,
            "without_confidence": counts["missing_predictions"],
            "bins": [one._asdict() for one in bins],
        },
    )


def _cut_by_count(pairs: Sequence[tuple[float, bool]], num_bins: int) -> list[Sequence[tuple[float, bool]]]:
    """Sorted pairs in runs of about one length, cut where the confidence changes."""
    cuts = [0]
    for step in range(1, num_bins + 1):
        cut = max(cuts[-1], step * len(pairs) // num_bins)
        while 0 < cut < len(pairs) and pairs[cut][0] == pairs[cut - 1][0]:
            cut += 1
        cuts.append(cut)
    return [pairs[start:stop] for start, stop in pairwise(cuts)]


def _summarize(members: Sequence[tuple[float, bool]], low: float, high: float) -> ReliabilityBin:
    count = len(members)
    if not count:
        return ReliabilityBin(low, high, 0, None, None)
    mean_confidence = sum(confidence for confidence, _ in members) / count
    return ReliabilityBin(low, high, count, mean_confidence, sum(right for _, right in members) / count)
