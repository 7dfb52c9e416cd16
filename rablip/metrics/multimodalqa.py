"""MultimodalQA: exact match and F1 over lists of answers, as the benchmark's own evaluation computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .multimodalqa_answers import multimodalqa_exact_match, multimodalqa_f1
from .results import MetricResult
from .scorer_inputs import compare_ids

__all__ = [
    "SINGLE_HOP_TYPES",
    "MultimodalQAReference",
    "MultimodalQAScores",
    "score_multimodalqa",
]

SINGLE_HOP_TYPES = frozenset({"TextQ", "TableQ", "ImageQ", "ImageListQ"})

_SCALE = 100


@dataclass(frozen=True, kw_only=True)
class MultimodalQAReference:
    """What is known of one question.

    Args:
        answers: the gold answers, all of which are asked for. Numbers are taken as `str` writes them, as the official
            evaluation does (the files hold floats for answers of type `number`). A question without one counts
            nowhere.
        modality: where the answer was found, such as `"image"`; None where it is not known.
        question_type: one of the 16 types, such as `"Compose(TableQ,ImageListQ)"`; None where it is not known.

    Raises:
        TypeError: when `answers` is no sequence of strings and numbers.

    Example:
        >>> MultimodalQAReference(answers=["Harbor FC", 300.0]).texts
        ('Harbor FC', '300.0')
    """

    answers: Sequence[str | float]
    modality: str | None = None
    question_type: str | None = None

    def __post_init__(self) -> None:
        _require_list(self.answers, (str, int, float), name="answers", wanted="strings and numbers")

    @property
    def texts(self) -> tuple[str, ...]:
        """The gold answers as strings."""
        return tuple(str(answer) for answer in self.answers)


class MultimodalQAScores(NamedTuple):
    """The two figures that MultimodalQA is reported by."""

    exact_match: MetricResult
    f1: MetricResult


def score_multimodalqa(
    predictions: Mapping[str, str | Sequence[str]], references: Mapping[str, MultimodalQAReference]
) -> MultimodalQAScores:
    """Exact match and F1 over all questions with a gold answer, as `baselines/evaluate.py` of allenai/multimodalqa.

    A question without a prediction scores 0, a prediction for no question counts nowhere; both are counted in
    `details`, as are questions without a gold answer, which are left out.

    Args:
        predictions: question id to answer or answers; a string is a list of one.
        references: question id to reference.

    Returns:
        Both figures times 100 (not rounded, like the official ones), also by `modality/...`, `hop/single` and
        `hop/multi`, and `type/...`.

    Raises:
        TypeError: when a prediction is neither a string nor a sequence of strings, or ids differ in type only.
        ValueError: when there is no reference, or none with a gold answer.

    Example:
        >>> references = {"q1": MultimodalQAReference(answers=["Harbor FC"], modality="image", question_type="ImageQ"),
        ...               "q2": MultimodalQAReference(answers=[300.0], modality="table", question_type="TableQ")}
        >>> scores = score_multimodalqa({"q1": "harbor"}, references)
        >>> scores.exact_match.value, round(scores.f1.value, 2), scores.f1.groups["modality/image"]
        (0.0, 33.5, 67.0)
    """
    unknown = compare_ids(predictions, references)["unknown_predictions"]
    for question_id, prediction in predictions.items():
        if not isinstance(prediction, str):
            _require_list(prediction, (str,), name=f"The prediction of question {question_id!r}", wanted="strings")
    scored = {question_id: reference for question_id, reference in references.items() if reference.answers}
    if not scored:
        raise ValueError(f"None of {len(references)} questions has a gold answer: the test split hides them.")
    details = {
        "missing_predictions": sum(question_id not in predictions for question_id in scored),
        "unknown_predictions": unknown,
        "without_answer": len(references) - len(scored),
    }

    def score(metric: str, function: Callable[[str | Sequence[str], Sequence[str]], float]) -> MetricResult:
        values = {
            question_id: function(predictions[question_id], reference.texts) if question_id in predictions else 0.0
            for question_id, reference in scored.items()
        }
        groups: dict[str, list[float]] = {}
        for question_id, reference in scored.items():
            for group in _groups(reference):
                groups.setdefault(group, []).append(values[question_id])
        return MetricResult(
            metric=metric,
            variant="official",
            value=_mean(list(values.values())),
            values={question_id: value * _SCALE for question_id, value in values.items()},
            scale=_SCALE,
            groups={group: _mean(groups[group]) for group in sorted(groups)},
            details=details,
        )

    return MultimodalQAScores(
        exact_match=score("multimodalqa_exact_match", multimodalqa_exact_match),
        f1=score("multimodalqa_f1", multimodalqa_f1),
    )


def _groups(reference: MultimodalQAReference) -> list[str]:
    groups = [] if reference.modality is None else [f"modality/{reference.modality}"]
    if reference.question_type is not None:
        hop = "single" if reference.question_type in SINGLE_HOP_TYPES else "multi"
        groups += [f"hop/{hop}", f"type/{reference.question_type}"]
    return groups


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values) * _SCALE)


def _require_list(answers: object, kinds: tuple[type, ...], *, name: str, wanted: str) -> None:
    if not isinstance(answers, (list, tuple)):
        raise TypeError(f"{name} must be a list of {wanted}, but is {answers!r}.")
    for answer in answers:
        if not isinstance(answer, kinds) or isinstance(answer, bool):
            raise TypeError(f"{name} must be a list of {wanted}, but holds {answer!r}.")
