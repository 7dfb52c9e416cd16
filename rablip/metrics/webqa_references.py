"""What WebQA's answers are scored against, and what its metrics share: categories, missing predictions, groups."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "WEBQA_CATEGORIES",
    "WebQAReference",
    "check_category",
    "check_known_ids",
    "check_text",
    "mean_or_none",
    "name_some",
    "webqa_groups",
]

WEBQA_CATEGORIES = ("YesNo", "Others", "choose", "number", "color", "shape", "text")
_NO_KEYWORDS = ("", "TBD")
_MOST_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class WebQAReference:
    """The reference of one WebQA question.

    Args:
        answers: the full answers (`A`); the public files hold one each.
        keywords: the answer in keywords (`Keywords_A`), which only the hidden test set and the authors' dumps have;
            None where there are none (an empty string and the dumps' placeholder "TBD" count as none).
        category: `Qcate`, one of `WEBQA_CATEGORIES`; "text" questions are answered from text, all others from images.

    Raises:
        TypeError: when the answers are one string, or one of them or the keywords is no string.
        ValueError: when the category is none of WebQA's.

    Example:
        >>> WebQAReference(answers=("The door is green.",), keywords="green", category="color").modality
        'image'
    """

    answers: Sequence[str]
    category: str
    keywords: str | None = None

    def __post_init__(self) -> None:
        listed = isinstance(self.answers, Sequence) and not isinstance(self.answers, str)
        if not listed or not all(isinstance(answer, str) for answer in self.answers):
            raise TypeError(f"answers must be strings in a list or tuple, but {self.answers!r} was given.")
        if self.keywords is not None and not isinstance(self.keywords, str):
            raise TypeError(f"keywords must be a string or None, but {self.keywords!r} was given.")
        check_category(self.category)
        object.__setattr__(self, "answers", tuple(self.answers))

    @property
    def has_keywords(self) -> bool:
        """Whether there are keywords, and not only their placeholder."""
        return self.keywords is not None and self.keywords.strip() not in _NO_KEYWORDS

    @property
    def modality(self) -> str:
        """What the question is answered from: "text" or "image"."""
        return "text" if self.category == "text" else "image"


def check_category(category: str) -> None:
    """Refuse a question category that WebQA does not have.

    Raises:
        ValueError: naming those that it has.

    >>> check_category("color")
    """
    if category not in WEBQA_CATEGORIES:
        raise ValueError(f"category must be one of {', '.join(WEBQA_CATEGORIES)}, but is {category!r}.")


def check_known_ids(predictions: Mapping[str, Any], references: Mapping[str, Any]) -> None:
    """Refuse predictions of questions that are not asked: they come from another split, or the ids are wrong.

    Raises:
        ValueError: naming the first of them.

    >>> check_known_ids({"a": "red"}, {"a": "blue", "b": "green"})
    """
    unknown = [identifier for identifier in predictions if identifier not in references]
    if unknown:
        raise ValueError(
            f"{len(unknown)} of {len(predictions)} predictions are of unknown questions: {name_some(unknown)}. Give "
            "the references of the split that was predicted, with the same ids (Guid, a string)."
        )


def check_text(prediction: Any, identifier: str) -> str:
    """The prediction of a question, which must be text.

    Raises:
        TypeError: naming the question.

    >>> check_text("red", "a")
    'red'
    """
    if not isinstance(prediction, str):
        raise TypeError(
            f"the prediction of question {identifier!r} must be a string, but is {prediction!r}; leave out a question "
            "without an answer, it counts 0."
        )
    return prediction


def name_some(identifiers: Iterable[Any]) -> str:
    """The first few of many ids, for a message.

    >>> name_some("abcdefg")
    "'a', 'b', 'c', 'd', 'e', ..."
    """
    listed = [repr(identifier) for identifier in identifiers]
    return ", ".join(listed[:_MOST_NAMED]) + (", ..." if len(listed) > _MOST_NAMED else "")


def mean_or_none(values: Iterable[float]) -> float | None:
    """The mean, or None of nothing.

    >>> mean_or_none([1.0, 0.5]), mean_or_none([])
    (0.75, None)
    """
    listed = list(values)
    return math.fsum(listed) / len(listed) if listed else None


def webqa_groups(values: Mapping[str, float], references: Mapping[str, WebQAReference]) -> dict[str, float | None]:
    """Means per category, and over the questions that are answered from images and from text; None of no question.

    >>> references = {"a": WebQAReference(answers=["Red."], category="color")}
    >>> groups = webqa_groups({"a": 1.0}, references)
    >>> groups["color"], groups["image"], groups["text"]
    (1.0, 1.0, None)
    """
    groups = {
        category: mean_or_none(value for key, value in values.items() if references[key].category == category)
        for category in WEBQA_CATEGORIES
    }
    images = (value for key, value in values.items() if references[key].modality == "image")
    return {**groups, "image": mean_or_none(images), "text": groups["text"]}
