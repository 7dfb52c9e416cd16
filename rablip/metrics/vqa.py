"""VQA and OK-VQA: how many annotators gave the predicted answer, as the benchmark's own evaluation counts them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .results import MetricResult
from .scorer_inputs import require_answers, require_choice, require_same_ids, require_texts
from .vqa_normalization import normalize_vqa_answer, strip_vqa_answer

__all__ = ["VQAReference", "score_vqa", "vqa_accuracy"]

_SCALE = 100
_ENOUGH = 3  # as many annotators make an answer fully right
_VARIANTS = ("leave_one_out", "simple")


@dataclass(frozen=True, kw_only=True)
class VQAReference:
    """What annotators answered to one question.

    Args:
        answers: one answer an annotator, ten in the official files (their field `answer`).
        answer_ids: which annotator gave which. The accuracy "leave_one_out" sets aside every answer that is *equal* to
            the one at hand, and its `answer_id` is what keeps two annotators apart: without distinct answer_ids all
            equal answers vanish together, and a question on which everyone agrees can only score 0. None leaves them
            all alike.
        question_type: such as `"what color is the"`; None where it is not known.
        answer_type: such as `"yes/no"`; None where it is not known.

    Raises:
        TypeError: when `answers` is no sequence of strings.
        ValueError: when it is empty, or there is not one id an answer.

    Example:
        >>> VQAReference(answers=["race"] * 10, answer_ids=range(1, 11)).question_type is None
        True
    """

    answers: Sequence[str]
    answer_ids: Sequence[Hashable] | None = None
    question_type: str | None = None
    answer_type: str | None = None

    def __post_init__(self) -> None:
        require_answers(self.answers)
        if self.answer_ids is not None and len(self.answer_ids) != len(self.answers):
            raise ValueError(f"{len(self.answer_ids)} answer_ids were given for {len(self.answers)} answers.")


def vqa_accuracy(
    prediction: str, reference: VQAReference, *, variant: Literal["leave_one_out", "simple"] = "leave_one_out"
) -> float:
    """How right one answer is, from 0 to 1.

    Unless all annotators gave the same string, their answers and the prediction are normalised first
    (`normalize_vqa_answer`); where they did, "Race" is not "race".

    Args:
        prediction: the answer given.
        reference: what the annotators answered.
        variant: "leave_one_out" is what the official code computes: the mean over annotators of min(1, n / 3), with n
            the matches among the others. With ten distinct annotators 0, 1, 2, 3 and more matches give 0, 0.3, 0.6,
            0.9 and 1. "simple" is the formula that papers print, min(1, n / 3) over all: 0, 1/3, 2/3, 1, 1.

    Raises:
        ValueError: when the variant is unknown.

    Example:
        >>> reference = VQAReference(answers=["race"] * 2 + ["surfing"] * 8, answer_ids=range(10))
        >>> round(vqa_accuracy("Race", reference), 4), round(vqa_accuracy("race", reference, variant="simple"), 4)
        (0.6, 0.6667)
        >>> vqa_accuracy("race", VQAReference(answers=["race"] * 10))  # no answer_ids: nobody is left to agree
        0.0
    """
    require_choice(variant, _VARIANTS, name="variant")
    answers = [strip_vqa_answer(answer) for answer in reference.answers]
    predicted = strip_vqa_answer(prediction)
    if len(set(answers)) > 1:
        answers, predicted = [normalize_vqa_answer(answer) for answer in answers], normalize_vqa_answer(predicted)
    if variant == "simple":
        return min(1.0, answers.count(predicted) / _ENOUGH)
    answer_ids: Sequence[Hashable] = [None] * len(answers) if reference.answer_ids is None else reference.answer_ids
    annotators = list(zip(answers, answer_ids, strict=True))
    accuracies = []
    for left_out in annotators:
        matches = sum(annotator[0] == predicted for annotator in annotators if annotator != left_out)
        accuracies.append(min(1.0, matches / _ENOUGH))
    return sum(accuracies) / len(accuracies)


def score_vqa(
    predictions: Mapping[str, str],
    references: Mapping[str, VQAReference],
    *,
    variant: Literal["leave_one_out", "simple"] = "leave_one_out",
    missing: Literal["error", "zero"] = "error",
) -> MetricResult:
    """VQA accuracy over all questions, per question type and per answer type, as `vqaEval.py` of GT-Vision-Lab/VQA.

    Args:
        predictions: question id to answer.
        references: question id to reference.
        variant: see `vqa_accuracy`; figures of the two forms must not stand in one table.
        missing: what a question without a prediction is: an "error", as officially, or "zero", counted in `details`.

    Returns:
        The accuracy times 100, rounded to two decimals like the official one, also by `question_type/...` and
        `answer_type/...`.

    Raises:
        TypeError: when a prediction is no string, or ids differ in type only.
        ValueError: when the ids of predictions and references are not the same (missing ones excepted where they are
            "zero"), when there is no reference, or when an option is unknown.

    Example:
        >>> references = {"1": VQAReference(answers=["2"] * 9 + ["3"], answer_ids=range(10), answer_type="number"),
        ...               "2": VQAReference(answers=["yes"] * 10, answer_ids=range(10), answer_type="yes/no")}
        >>> result = score_vqa({"1": "three", "2": "Yes"}, references)
        >>> result.value, dict(result.groups)
        (15.0, {'answer_type/number': 30.0, 'answer_type/yes/no': 0.0})
    """
    require_choice(variant, _VARIANTS, name="variant")
    require_choice(missing, ("error", "zero"), name="missing")
    details = require_same_ids(predictions, references, allow_missing=missing == "zero")
    require_texts(predictions)
    accuracies: dict[str, float] = {}
    groups: dict[str, list[float]] = {}
    for question_id, reference in references.items():
        answered = question_id in predictions
        accuracy = vqa_accuracy(predictions[question_id], reference, variant=variant) if answered else 0.0
        accuracies[question_id] = accuracy
        for kind, name in (("question_type", reference.question_type), ("answer_type", reference.answer_type)):
            if name is not None:
                groups.setdefault(f"{kind}/{name}", []).append(accuracy)
    return MetricResult(
        metric="vqa_accuracy",
        variant=variant,
        value=_percent(list(accuracies.values())),
        values={question_id: _SCALE * accuracy for question_id, accuracy in accuracies.items()},
        scale=_SCALE,
        groups={group: _percent(groups[group]) for group in sorted(groups)},
        details=details,
    )


def _percent(accuracies: Sequence[float]) -> float:
    return round(_SCALE * sum(accuracies) / len(accuracies), 2)
