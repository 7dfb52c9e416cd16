"""InfoSeek: exact match for strings and times, ranges for numbers, and the harmonic mean over its two splits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .infoseek_answers import matches_infoseek_answers, matches_value_range
from .results import MetricResult
from .scorer_inputs import compare_ids, require_answers, require_choice, require_texts

__all__ = ["INFOSEEK_SPLITS", "InfoSeekReference", "score_infoseek"]

INFOSEEK_SPLITS = ("unseen_question", "unseen_entity")

_NEVER_ZERO = 1e-12  # stands for a split's score of 0 in the harmonic mean
_SCALE = 100
_TYPES = ("time", "numerical", "string")
_VARIANTS = {"ignore": "official", "zero": "missing_zero"}


@dataclass(frozen=True, kw_only=True)
class InfoSeekReference:
    """What is known of one question.

    Args:
        question_type: `"String"`, `"Time"` or `"Numerical"`, in any case. Every other type is scored as a string, as
            officially.
        data_split: such as `"val_unseen_question"`; what does not end so counts as unseen entity, as officially.
        answers: the accepted answers (`answer_eval`) of a question that is not numerical.
        value_range: least and greatest right value of a numerical question: `read_value_range` of its `answer_eval`.

    Raises:
        TypeError: when the answers are no sequence of strings, or type or split is no string.
        ValueError: when there is nothing to score against, or the range is no pair of finite numbers.

    Example:
        >>> InfoSeekReference(question_type="Numerical", data_split="val_unseen_entity", value_range=(0.9, 1.1)).split
        'unseen_entity'
    """

    question_type: str
    data_split: str
    answers: Sequence[str] = ()
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name, value in (("question_type", self.question_type), ("data_split", self.data_split)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a string, but is {value!r}.")
        if self.kind != "numerical":
            require_answers(self.answers)
        elif self.value_range is None:
            raise ValueError("A numerical question needs a value_range: read_value_range(answer_eval).")
        elif len(self.value_range) != 2 or not all(map(_is_number, self.value_range)):
            raise ValueError(f"value_range must be two finite numbers, but is {self.value_range!r}.")

    @property
    def kind(self) -> str:
        """How it is scored: `"time"`, `"numerical"` or `"string"`."""
        lowered = self.question_type.lower()
        return lowered if lowered in _TYPES else "string"

    @property
    def split(self) -> str:
        """Which of the two `INFOSEEK_SPLITS` it counts in."""
        return INFOSEEK_SPLITS[0] if self.data_split.endswith(INFOSEEK_SPLITS[0]) else INFOSEEK_SPLITS[1]


def score_infoseek(
    predictions: Mapping[str, str],
    references: Mapping[str, InfoSeekReference],
    *,
    missing: Literal["ignore", "zero"] = "ignore",
) -> MetricResult:
    """The harmonic mean of the scores on unseen questions and on unseen entities, as `infoseek_eval.py` of edchengg.

    The official score of a split is the mean over the predictions *given*: leaving out a hard question raises it. How
    many are missing is in `details`; the variant "missing_zero" of our own counts them as wrong.

    Args:
        predictions: question id (`data_id`) to answer. One for an unknown question counts nowhere.
        references: question id to reference.
        missing: what questions without a prediction are: "ignore" gives the variant "official", "zero" the variant
            "missing_zero".

    Returns:
        The harmonic mean of the two rounded scores, times 100, rounded to two decimals; 0 where one of them is. Groups
        are `unseen_question` and `unseen_entity`, and each also by `.../time`, `.../numerical` and `.../string`; a
        group without a prediction has the official 0.

    Raises:
        TypeError: when a prediction is no string, or ids differ in type only.
        ValueError: when there is no reference, or the option is unknown.

    Example:
        >>> question = InfoSeekReference(question_type="String", data_split="val_unseen_question", answers=["Paris"])
        >>> entity = InfoSeekReference(question_type="Time", data_split="val_unseen_entity", answers=["1889"])
        >>> references = {"1": question, "2": entity, "3": entity}
        >>> result = score_infoseek({"1": "paris!", "2": "1889", "3": "1890"}, references)
        >>> result.groups["unseen_question"], result.groups["unseen_entity"], result.value
        (100.0, 50.0, 66.67)
    """
    require_choice(missing, _VARIANTS, name="missing")
    details: dict[str, object] = dict(compare_ids(predictions, references))
    require_texts(predictions)
    values: dict[str, float] = {}
    grouped: dict[str, list[bool]] = {split: [] for split in INFOSEEK_SPLITS}
    grouped |= {f"{split}/{kind}": [] for split in INFOSEEK_SPLITS for kind in _TYPES}
    missed = dict.fromkeys(INFOSEEK_SPLITS, 0)
    for question_id, reference in references.items():
        answered = question_id in predictions
        missed[reference.split] += not answered
        if not answered and missing == "ignore":
            continue
        right = answered and _is_right(predictions[question_id], reference)
        values[question_id] = float(_SCALE * right)
        for group in (reference.split, f"{reference.split}/{reference.kind}"):
            grouped[group].append(right)
    groups = {group: _percent(outcomes) for group, outcomes in grouped.items()}
    details["missing_by_split"] = missed
    details["scored_by_split"] = {split: len(grouped[split]) for split in INFOSEEK_SPLITS}
    return MetricResult(
        metric="infoseek_accuracy",
        variant=_VARIANTS[missing],
        value=_harmonic_mean([groups[split] for split in INFOSEEK_SPLITS]),
        values=values,
        scale=_SCALE,
        groups=groups,
        is_mean=False,
        details=details,
    )


def _is_right(prediction: str, reference: InfoSeekReference) -> bool:
    if reference.kind == "numerical" and reference.value_range is not None:
        return matches_value_range(prediction, reference.value_range)
    return matches_infoseek_answers(prediction, reference.answers)


def _is_number(bound: object) -> bool:
    return isinstance(bound, (int, float)) and math.isfinite(bound)


def _percent(outcomes: Sequence[bool]) -> float:
    return round((sum(outcomes) / len(outcomes) if outcomes else 0.0) * _SCALE, 2)


def _harmonic_mean(scores: Sequence[float]) -> float:
    return round(len(scores) / sum(1.0 / (score or _NEVER_ZERO) for score in scores), 2)
