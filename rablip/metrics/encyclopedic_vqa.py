"""Encyclopedic-VQA: how many questions are right by exact match, or by an answer equivalence where one is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .encyclopedic_vqa_answers import encyclopedic_vqa_exact_match
from .results import MetricResult
from .scorer_inputs import compare_ids, require_answers, require_choice, require_texts

__all__ = [
    "ENCYCLOPEDIC_VQA_TYPES",
    "AnswerEquivalence",
    "EncyclopedicVQAReference",
    "score_encyclopedic_vqa",
]

ENCYCLOPEDIC_VQA_TYPES = ("templated", "automatic", "multi_answer", "2_hop")

AnswerEquivalence = Callable[[Sequence[str], Sequence[str], Sequence[str]], Sequence[float]]
"""Takes candidates, references and questions, all of one length, and gives a probability of equivalence for each."""

_EXACT = "exact"
_MULTI_ANSWER = "multi_answer"
_TWO_HOP = "2_hop"
_BETWEEN_ANSWERS = "&&"
_EQUIVALENT = 0.5


@dataclass(frozen=True, kw_only=True)
class EncyclopedicVQAReference:
    """What is known of one question.

    Args:
        question: its text, which an answer equivalence reads.
        answers: the alternatives, any of which is right (the files join them by `|`). Each alternative of a
            `multi_answer` question joins its parts by `&&`.
        question_type: one of `ENCYCLOPEDIC_VQA_TYPES`.

    Raises:
        TypeError: when `answers` is no sequence of strings.
        ValueError: when it is empty or holds an empty answer, or the type is unknown.

    Example:
        >>> EncyclopedicVQAReference(question="How tall?", answers=["3 m", "10 ft"], question_type="automatic").answers
        ['3 m', '10 ft']
    """

    question: str
    answers: Sequence[str]
    question_type: str

    def __post_init__(self) -> None:
        require_answers(self.answers)
        if "" in self.answers:
            raise ValueError(f"answers must not hold an empty answer: {list(self.answers)!r}.")
        require_choice(self.question_type, ENCYCLOPEDIC_VQA_TYPES, name="question_type")


def score_encyclopedic_vqa(
    predictions: Mapping[str, str],
    references: Mapping[str, EncyclopedicVQAReference],
    *,
    equivalence: AnswerEquivalence | None = None,
    equivalence_name: str | None = None,
    hops: Literal["all", "single"] = "all",
    batch_size: int = 64,
) -> MetricResult:
    """The share of questions answered right, as `encyclopedic_vqa/evaluation_utils.py` of google-research scores one.

    A question is right where one of its alternatives matches exactly or, with an answer equivalence, where that finds
    one equivalent with a probability of at least 0.5. The official equivalence is BEM, whose weights
    (`google/answer_equivalence/bem/1` of TensorFlow Hub) rablip does not bring. Without any the figure is the variant
    "exact", which is below the official one and must not stand beside it.

    Args:
        predictions: question id to answer. A question without one counts as wrong (the official code scores single
            questions and says nothing of missing ones); one for an unknown question counts nowhere.
        references: question id to reference.
        equivalence: takes candidates, references and questions, all of one length, and gives a probability for each.
            It is called with the raw strings of questions that no alternative matches exactly; the parts of a
            `multi_answer` reference are joined by commas.
        equivalence_name: what it is, which becomes the variant: "bem" for BEM, else the name of the model.
        hops: "all" questions, or "single" to leave out the type `2_hop`, as many papers do.
        batch_size: most pairs in one call of the equivalence.

    Returns:
        The share, from 0 to 1, also by `type/...`, `hop/single` and `hop/multi`.

    Raises:
        TypeError: when a prediction is no string, or ids differ in type only.
        ValueError: when nothing is left of a reference after normalisation, when there is no reference, when an
            equivalence has no name, a name no equivalence, or when it does not give one probability a pair.

    Example:
        >>> reference = EncyclopedicVQAReference(question="How tall?", answers=["10 ft"], question_type="automatic")
        >>> def same_number(candidates, references, questions):
        ...     return [float(one.split()[0] == other.split()[0]) for one, other in zip(candidates, references)]
        >>> score_encyclopedic_vqa({"q1": "10 feet"}, {"q1": reference}).value
        0.0
        >>> judged = score_encyclopedic_vqa({"q1": "10 feet"}, {"q1": reference}, equivalence=same_number,
        ...                                 equivalence_name="same number")
        >>> judged.value, judged.variant
        (1.0, 'same number')
    """
    require_choice(hops, ("all", "single"), name="hops")
    if (equivalence is None) != (not equivalence_name) or equivalence_name == _EXACT:
        raise ValueError(
            f"equivalence and equivalence_name belong together, but {equivalence!r} is called {equivalence_name!r}: "
            f"name the model that judges (only Google's BEM is 'bem', and {_EXACT!r} stands for no model)."
        )
    unknown = compare_ids(predictions, references)["unknown_predictions"]
    require_texts(predictions)
    scored = {
        question_id: reference
        for question_id, reference in references.items()
        if hops == "all" or reference.question_type != _TWO_HOP
    }
    right = {
        question_id: _matches(question_id, predictions.get(question_id), reference)
        for question_id, reference in scored.items()
    }
    details: dict[str, object] = {
        "hops": hops,
        "missing_predictions": sum(question_id not in predictions for question_id in scored),
        "unknown_predictions": unknown,
        "right_by_exact_match": (num_exact := sum(right.values())),
    }
    if equivalence is not None:
        open_ids = [question_id for question_id in scored if question_id in predictions and not right[question_id]]
        right |= dict.fromkeys(_find_equivalent(open_ids, predictions, scored, equivalence, batch_size), True)
        details["right_by_equivalence"] = sum(right.values()) - num_exact
    groups: dict[str, list[bool]] = {}
    for question_id, reference in scored.items():
        hop = "multi" if reference.question_type == _TWO_HOP else "single"
        for group in (f"hop/{hop}", f"type/{reference.question_type}"):
            groups.setdefault(group, []).append(right[question_id])
    return MetricResult(
        metric="encyclopedic_vqa_accuracy",
        variant=equivalence_name or _EXACT,
        value=sum(right.values()) / len(right) if right else None,
        values={question_id: float(outcome) for question_id, outcome in right.items()},
        groups={group: sum(groups[group]) / len(groups[group]) for group in sorted(groups)},
        details=details,
    )


def _matches(question_id: str, candidate: str | None, reference: EncyclopedicVQAReference) -> bool:
    """Whether any alternative matches exactly. All are looked at: a bad one is an error even behind a right one."""
    try:
        # Without a prediction the references are checked all the same.
        outcomes = [
            encyclopedic_vqa_exact_match(candidate or "", answer, question_type=reference.question_type)
            for answer in reference.answers
        ]
    except ValueError as error:
        raise ValueError(f"Question {question_id!r}: {error}") from error
    return any(outcomes)


def _find_equivalent(
    question_ids: Sequence[str],
    predictions: Mapping[str, str],
    references: Mapping[str, EncyclopedicVQAReference],
    equivalence: AnswerEquivalence,
    batch_size: int,
) -> set[str]:
    """The questions of which the equivalence finds an alternative equivalent to the prediction."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, but is {batch_size}.")
    pairs = [(question_id, answer) for question_id in question_ids for answer in references[question_id].answers]
    found: set[str] = set()
    for start in range(0, len(pairs), batch_size):
        batch = pairs[start : start + batch_size]
        # Only the parts of a multi_answer are joined: "&&" in any other answer stays what it is.
        texts = [
            answer.replace(_BETWEEN_ANSWERS, ",") if references[question_id].question_type == _MULTI_ANSWER else answer
            for question_id, answer in batch
        ]
        scores = equivalence(
            [predictions[question_id] for question_id, _ in batch],
            texts,
            [references[question_id].question for question_id, _ in batch],
        )
        if len(scores) != len(batch) or not all(0 <= score <= 1 for score in scores):
            raise ValueError(f"The equivalence must give {len(batch)} probabilities (0..1), but gave {scores!r}.")
        found |= {question_id for (question_id, _), score in zip(batch, scores, strict=True) if score >= _EQUIVALENT}
    return found
