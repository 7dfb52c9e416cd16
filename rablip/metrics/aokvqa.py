"""A-OKVQA: multiple choice and direct answers, compared letter by letter as the benchmark's own evaluation does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .results import MetricResult
from .scorer_inputs import compare_ids, list_some, require_answers, require_texts

__all__ = ["AOKVQAReference", "AOKVQAScores", "score_aokvqa", "score_aokvqa_choices", "score_aokvqa_direct_answers"]

_SCALE = 100
_ENOUGH = 3  # as many annotators make a direct answer fully right
_TASKS = ("multiple_choice", "direct_answer")


@dataclass(frozen=True, kw_only=True)
class AOKVQAReference:
    """What is known of one question.

    Args:
        choices: the options, of which one is right.
        correct_choice_idx: which of them, from 0; None where it is hidden.
        direct_answers: one answer an annotator; None where they are hidden.
        difficult_direct_answer: whether the question counts for multiple choice only.

    Raises:
        TypeError: when choices or answers are no sequence of strings, or the index is no integer.
        ValueError: when one of them is empty, or the index points to no choice.

    Example:
        >>> AOKVQAReference(choices=["train", "cab"], correct_choice_idx=1, direct_answers=["cab"] * 10).correct_choice
        'cab'
    """

    choices: Sequence[str]
    correct_choice_idx: int | None = None
    direct_answers: Sequence[str] | None = None
    difficult_direct_answer: bool = False

    def __post_init__(self) -> None:
        require_answers(self.choices, name="choices")
        if self.direct_answers is not None:
            require_answers(self.direct_answers, name="direct_answers")
        index = self.correct_choice_idx
        if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
            raise TypeError(f"correct_choice_idx must be an integer, but is {index!r}.")
        if index is not None and not 0 <= index < len(self.choices):
            raise ValueError(f"correct_choice_idx must be one of 0..{len(self.choices) - 1}, but is {index}.")
        if not isinstance(self.difficult_direct_answer, bool):
            raise TypeError(f"difficult_direct_answer must be True or False, but is {self.difficult_direct_answer!r}.")

    @property
    def correct_choice(self) -> str | None:
        """The text of the right choice; None where it is hidden."""
        return None if self.correct_choice_idx is None else self.choices[self.correct_choice_idx]


class AOKVQAScores(NamedTuple):
    """The two figures of A-OKVQA; None where no prediction is meant for the task."""

    multiple_choice: MetricResult | None
    direct_answer: MetricResult | None


def score_aokvqa(
    predictions: Mapping[str, Mapping[str, str]], references: Mapping[str, AOKVQAReference], *, strict: bool = False
) -> AOKVQAScores:
    """Both tasks from one set of predictions in the official form, as `evaluation/eval_predictions.py` of aokvqa.

    Args:
        predictions: question id to `{"multiple_choice": ..., "direct_answer": ...}`, either of which may be missing.
        references: question id to reference.
        strict: see `score_aokvqa_choices` and `score_aokvqa_direct_answers`; the official command line is not strict.

    Returns:
        Both figures; None for a task that no prediction holds an answer to, which the official script leaves out.

    Raises:
        TypeError: when a prediction is no mapping, or as the scorers of the two tasks.
        ValueError: when no prediction holds an answer to either task, or as the scorers of the two tasks.

    Example:
        >>> reference = AOKVQAReference(choices=["train", "cab"], correct_choice_idx=1, direct_answers=["taxi"] * 10)
        >>> scores = score_aokvqa({"q1": {"multiple_choice": "cab"}}, {"q1": reference})
        >>> scores.multiple_choice.value, scores.direct_answer
        (100.0, None)
    """
    compare_ids(predictions, references)
    for question_id, prediction in predictions.items():
        if not isinstance(prediction, Mapping):
            raise TypeError(
                f"The prediction of question {question_id!r} must map a task to an answer: {prediction!r}."
            )
    by_task = {
        task: {question_id: answers[task] for question_id, answers in predictions.items() if task in answers}
        for task in _TASKS
    }
    if not any(by_task.values()):
        raise ValueError(f"None of {len(predictions)} predictions holds a 'multiple_choice' or a 'direct_answer'.")
    choices, direct = by_task["multiple_choice"], by_task["direct_answer"]
    return AOKVQAScores(
        multiple_choice=score_aokvqa_choices(choices, references, strict=strict) if choices else None,
        direct_answer=score_aokvqa_direct_answers(direct, references, strict=strict) if direct else None,
    )


def score_aokvqa_choices(
    predictions: Mapping[str, str], references: Mapping[str, AOKVQAReference], *, strict: bool = False
) -> MetricResult:
    """Multiple choice: the share of all questions whose prediction is the text of the right choice, letter by letter.

    Args:
        predictions: question id to the text of a choice (no letter, no index). One that is missing counts 0.
        references: question id to reference.
        strict: whether a missing prediction, or one that is none of the choices, is an error.

    Returns:
        The share times 100, not rounded, like the official one.

    Raises:
        TypeError: when a prediction is no string, or ids differ in type only.
        ValueError: when a right choice is hidden, when there is no reference, or what `strict` finds.

    Example:
        >>> reference = AOKVQAReference(choices=["train", "cab"], correct_choice_idx=1)
        >>> score_aokvqa_choices({"q1": "cab", "q2": "Cab"}, {"q1": reference, "q2": reference}).value
        50.0
    """
    details = compare_ids(predictions, references)
    _require_known(
        {question_id: reference.correct_choice for question_id, reference in references.items()}, "right choice"
    )
    outside = [
        question_id
        for question_id, reference in references.items()
        if question_id in predictions and predictions[question_id] not in reference.choices
    ]
    if strict and outside:
        raise ValueError(
            f"{len(outside)} predictions are none of the choices of their question ({list_some(outside)})."
        )
    return _score(
        "aokvqa_multiple_choice",
        predictions,
        references,
        lambda prediction, reference: float(prediction == reference.correct_choice),
        details | {"not_a_choice": len(outside)},
        strict,
    )


def score_aokvqa_direct_answers(
    predictions: Mapping[str, str], references: Mapping[str, AOKVQAReference], *, strict: bool = False
) -> MetricResult:
    """Direct answers: min(1, n / 3) with n annotators who wrote exactly the prediction, over questions not difficult.

    Nothing is normalised and nobody is left out. Difficult questions leave the denominator.

    Args:
        predictions: question id to answer. One that is missing counts 0.
        references: question id to reference.
        strict: whether a missing prediction of a question that counts is an error.

    Returns:
        The mean times 100, not rounded, like the official one; None where every question is difficult.

    Raises:
        TypeError: when a prediction is no string, or ids differ in type only.
        ValueError: when answers are hidden, when there is no reference, or what `strict` finds.

    Example:
        >>> reference = AOKVQAReference(choices=["train", "cab"], direct_answers=["cab", "cab", "Taxi"])
        >>> round(score_aokvqa_direct_answers({"q1": "cab"}, {"q1": reference}).value, 2)
        66.67
    """
    unknown = compare_ids(predictions, references)["unknown_predictions"]
    scored = {
        question_id: reference
        for question_id, reference in references.items()
        if not reference.difficult_direct_answer
    }
    _require_known(
        {question_id: reference.direct_answers for question_id, reference in scored.items()}, "direct answer"
    )
    details = {
        "missing_predictions": sum(question_id not in predictions for question_id in scored),
        "unknown_predictions": unknown,
        "difficult_questions": len(references) - len(scored),
    }
    return _score(
        "aokvqa_direct_answer",
        predictions,
        scored,
        lambda prediction, reference: min(1.0, list(reference.direct_answers or ()).count(prediction) / _ENOUGH),
        details,
        strict,
    )


def _score(
    metric: str,
    predictions: Mapping[str, str],
    references: Mapping[str, AOKVQAReference],
    accuracy: Callable[[str, AOKVQAReference], float],
    details: Mapping[str, int],
    strict: bool,
) -> MetricResult:
    require_texts(predictions)
    missing = [question_id for question_id in references if question_id not in predictions]
    if strict and missing:
        raise ValueError(f"{len(missing)} of {len(references)} questions have no prediction ({list_some(missing)}).")
    accuracies = {
        question_id: accuracy(predictions[question_id], reference) if question_id in predictions else 0.0
        for question_id, reference in references.items()
    }
    return MetricResult(
        metric=metric,
        variant="official",
        value=sum(accuracies.values()) / len(accuracies) * _SCALE if accuracies else None,
        values={question_id: value * _SCALE for question_id, value in accuracies.items()},
        scale=_SCALE,
        details=details,
    )


def _require_known(answers: Mapping[str, object], name: str) -> None:
    hidden = [question_id for question_id, answer in answers.items() if answer is None]
    if hidden:
        raise ValueError(
            f"{len(hidden)} of {len(answers)} questions have no {name} to score against: {list_some(hidden)}."
        )
