"""What every scorer asks of the predictions and references it is given: a slip is an error, not a low score."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

__all__ = ["compare_ids", "list_some", "require_answers", "require_choice", "require_same_ids", "require_texts"]

_NUM_EXAMPLES = 3


def compare_ids(predictions: Mapping[Any, object], references: Mapping[Any, object]) -> dict[str, int]:
    """How many questions have no prediction, and how many predictions belong to no question.

    Ids are compared as they are. A prediction for 12 and a question "12" would both be left over without a word, so
    this is an error.

    Args:
        predictions: question id to prediction.
        references: question id to reference.

    Returns:
        `missing_predictions` and `unknown_predictions`, as they stand in the details of a result.

    Raises:
        TypeError: when one of the two is no mapping, or their ids differ in type only.
        ValueError: when there is no reference.

    Example:
        >>> compare_ids({"q1": "red", "q7": "blue"}, {"q1": "red", "q2": "green", "q3": "blue"})
        {'missing_predictions': 2, 'unknown_predictions': 1}
    """
    missing, unknown = _split_ids(predictions, references)
    return {"missing_predictions": len(missing), "unknown_predictions": len(unknown)}


def require_same_ids(
    predictions: Mapping[Any, object], references: Mapping[Any, object], *, allow_missing: bool = False
) -> dict[str, int]:
    """Raise unless every question has a prediction and every prediction a question.

    Args:
        predictions: question id to prediction.
        references: question id to reference.
        allow_missing: whether questions without a prediction are let through (and counted).

    Returns:
        The counts of `compare_ids`.

    Raises:
        TypeError: as `compare_ids`.
        ValueError: when ids are left over; says how many, and names some.

    Example:
        >>> require_same_ids({"q1": "red"}, {"q1": "red", "q2": "blue"})
        Traceback (most recent call last):
        ...
        ValueError: 1 of 2 questions have no prediction ('q2'). Predict every question, or let missing ones count zero.
    """
    missing, unknown = _split_ids(predictions, references)
    if unknown:
        raise ValueError(
            f"{len(unknown)} of {len(predictions)} predictions belong to no question of the references "
            f"({list_some(unknown)}). Score against the split that was predicted."
        )
    if missing and not allow_missing:
        raise ValueError(
            f"{len(missing)} of {len(references)} questions have no prediction ({list_some(missing)}). "
            "Predict every question, or let missing ones count zero."
        )
    return {"missing_predictions": len(missing), "unknown_predictions": 0}


def require_texts(predictions: Mapping[Any, object]) -> None:
    """Raise unless every prediction is a string.

    Raises:
        TypeError: when one is not; names it.

    Example:
        >>> require_texts({"q1": None})
        Traceback (most recent call last):
        ...
        TypeError: The prediction of question 'q1' must be a string, but is None: give '' where nothing was answered.
    """
    for question_id, prediction in predictions.items():
        if not isinstance(prediction, str):
            raise TypeError(
                f"The prediction of question {question_id!r} must be a string, but is {prediction!r}: "
                "give '' where nothing was answered."
            )


def require_answers(answers: object, *, name: str = "answers") -> None:
    """Raise unless this is a sequence of at least one string, and not a bare string.

    Args:
        answers: the accepted answers of a reference.
        name: what the message calls them.

    Raises:
        TypeError: when it is no sequence of strings.
        ValueError: when it is empty.

    Example:
        >>> require_answers("race")
        Traceback (most recent call last):
        ...
        TypeError: answers must be a sequence of strings, but is 'race'.
    """
    if not isinstance(answers, (list, tuple)) or not all(isinstance(answer, str) for answer in answers):
        raise TypeError(f"{name} must be a sequence of strings, but is {answers!r}.")
    if not answers:
        raise ValueError(f"{name} must hold at least one answer, but is empty: leave the question out.")


def require_choice(value: object, allowed: Collection[object], *, name: str) -> None:
    """Raise unless `value` is one of `allowed`.

    Raises:
        ValueError: when it is not; names the argument and what is allowed.

    Example:
        >>> require_choice("none", ["error", "zero"], name="missing")
        Traceback (most recent call last):
        ...
        ValueError: missing must be one of 'error', 'zero', but is 'none'.
    """
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, but is {value!r}.")


def list_some(ids: Iterable[object]) -> str:
    """The first few of many ids, for a message.

    Example:
        >>> list_some(["a", "b", "c", "d"])
        "'a', 'b', 'c' and 1 more"
    """
    listed = [repr(one) for one in ids]
    more = f" and {len(listed) - _NUM_EXAMPLES} more" if len(listed) > _NUM_EXAMPLES else ""
    return ", ".join(listed[:_NUM_EXAMPLES]) + more


def _split_ids(
    predictions: Mapping[Any, object], references: Mapping[Any, object]
) -> tuple[list[object], list[object]]:
    """The ids of questions without a prediction, and of predictions without a question."""
    for name, given in (("predictions", predictions), ("references", references)):
        if not isinstance(given, Mapping):
            raise TypeError(f"{name} must map question ids, but is a {type(given).__name__}.")
    if not references:
        raise ValueError("There is no reference to score against: references is empty.")
    missing = [question_id for question_id in references if question_id not in predictions]
    unknown = [question_id for question_id in predictions if question_id not in references]
    by_text = {str(question_id): question_id for question_id in missing}
    for question_id in unknown:
        other = by_text.get(str(question_id))
        if other is not None:
            raise TypeError(
                f"The prediction of {question_id!r} ({type(question_id).__name__}) does not belong to question "
                f"{other!r} ({type(other).__name__}): give the ids of predictions and references the same type."
            )
    return missing, unknown
