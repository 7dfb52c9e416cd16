"""The row that WebQA's leaderboard prints."""

from __future__ import annotations

import math

from .results import MetricResult
from .webqa_references import name_some

__all__ = ["WEBQA_TEST_QUESTIONS", "webqa_leaderboard_row"]

WEBQA_TEST_QUESTIONS = 7540
_DECIMALS = 4


def webqa_leaderboard_row(
    *,
    accuracy: MetricResult | None = None,
    fluency: MetricResult | None = None,
    retrieval: MetricResult | None = None,
    num_questions: int | None = None,
) -> dict[str, float]:
    """Retrieval, QA-FL, QA-Acc and QA as the leaderboard has them: sums over the number of questions, 4 decimals.

    Args:
        accuracy: of `score_webqa`.
        fluency: of `score_webqa_fluency`; with accuracy it also gives QA, from their product for each question.
        retrieval: of `score_webqa_retrieval`, in a form that has a value for each question.
        num_questions: what the sums are divided by: 7,540 (`WEBQA_TEST_QUESTIONS`) on the leaderboard, also where
            fewer were predicted or scored; None for the number of questions scored.

    Returns:
        The figures that can be given, by the leaderboard's names.

    Raises:
        ValueError: when the results are over different questions or more than `num_questions`, or a result has no
            value for each question (micro-averaged retrieval).

    Example:
        >>> def result(metric, **values):
        ...     return MetricResult(metric=metric, variant="official", value=sum(values.values()) / 2, values=values)
        >>> accuracy, fluency = result("webqa_accuracy", a=1.0, b=0.5), result("webqa_fluency", a=0.6, b=0.0)
        >>> webqa_leaderboard_row(accuracy=accuracy, fluency=fluency)
        {'QA-FL': 0.3, 'QA-Acc': 0.75, 'QA': 0.3}
        >>> webqa_leaderboard_row(accuracy=accuracy, num_questions=7540)
        {'QA-Acc': 0.0002}
    """
    given = {"Retrieval": retrieval, "QA-FL": fluency, "QA-Acc": accuracy}
    results = {name: result for name, result in given.items() if result is not None}
    for name, result in results.items():
        first = next(iter(results.values()))
        different = sorted(first.values.keys() ^ result.values.keys())
        if different:
            raise ValueError(f"{name} is not over the same questions as the others: {name_some(different)} differ.")
        if not result.is_mean or result.scale != 1:
            raise ValueError(
                f"{name} ({result.metric}, {result.variant}) is no mean of values between 0 and 1 for each question."
            )
        if num_questions is not None and len(result.values) > num_questions:
            raise ValueError(f"{name} has {len(result.values)} questions, more than num_questions={num_questions}.")
    sums = {name: math.fsum(result.values.values()) for name, result in results.items()}
    if fluency is not None and accuracy is not None:
        sums["QA"] = math.fsum(score * accuracy.values[key] for key, score in fluency.values.items())
    divisor = num_questions or max((len(result.values) for result in results.values()), default=0)
    if sums and not divisor:
        raise ValueError("there is no question: a leaderboard row needs at least one.")
    return {name: round(total / divisor, _DECIMALS) for name, total in sums.items()}
