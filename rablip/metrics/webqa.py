"""WebQA's answer accuracy (QA-Acc), in the official form and the three that papers use where there are no keywords."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from .results import MetricResult
from .webqa_lemmas import lemmatize_words
from .webqa_normalization import normalize_skurg_answer, normalize_skurg_prediction, normalize_webqa_answer
from .webqa_references import (
    WebQAReference,
    check_category,
    check_known_ids,
    check_text,
    mean_or_none,
    name_some,
    webqa_groups,
)

__all__ = [
    "WEBQA_ACCURACY_VARIANTS",
    "WEBQA_COLORS",
    "WEBQA_SHAPES",
    "WEBQA_YES_NO",
    "WebQAReference",
    "score_webqa",
    "webqa_accuracy",
]

WEBQA_ACCURACY_VARIANTS = ("official", "approx_val", "ragvl", "skurg")

WEBQA_COLORS = frozenset(
    """
    aqua beige black blonde blue bluere bluewhite bronze brown chrome gold golden gray green grey ivory maroon orange
    orangebrown orangepurple pink purple rainbow red redorange rust silver spot tan teal transparent turquoise violet
    white yellow yes
    """.split()
)

WEBQA_SHAPES = frozenset(
    """
    arch ball bell bellshaped bow circle circular concave cone conical convex corkscrew crescent crest cross crosse
    cube cuboid curl curve cylinder cylindrical diamond dome domeshape dot flat flower fold fork globe globular h heart
    hexagon hook hoop keyhole obelisk octagon octagonal octogon oval pentagon point pyramid pyramidal rectangle
    rectangular ring round rounded semicircle shamrock slope sphere spherical spiral square star step straight teardrop
    torus triangle triangular tube wavy xs
    """.split()
)

WEBQA_YES_NO = frozenset(("yes", "no"))

_CLOSED_LISTS = {"color": WEBQA_COLORS, "shape": WEBQA_SHAPES, "YesNo": WEBQA_YES_NO}
_F1_CATEGORIES = (*_CLOSED_LISTS, "number")
_OFFICIAL_EPSILON = 1e-5


def webqa_accuracy(
    prediction: str,
    keywords: str,
    category: str,
    *,
    variant: str = "official",
    lemmatize: Callable[[str], str] | None = lemmatize_words,
) -> float:
    """QA-Acc of one answer.

    Both texts are normalised (`normalize_webqa_answer`) and compared as bags of words:

    - color, shape, YesNo: F1 over the words that are in the category's closed list, each counted once;
    - number: F1 over the whole numbers among the words;
    - choose, Others, text: recall of all words.

    No word in common is 0. The official F1 has 1e-5 in its denominator, so a perfect one is 0.999995. A closed list
    holds what an answer must be to score at all: "crimson" is never right, and neither "grey" for "gray".

    The variants are the forms in use:

    - "official": `vlp/eval_1022.py` of WebQA's baseline, against the keywords;
    - "approx_val": the WebQA authors' `eval_webqa.md` for the validation set (also RAMQA's), against the full answer;
      F1 without 1e-5;
    - "ragvl": as "approx_val", but where the answer to a color, shape or YesNo question has no word of the closed
      list, F1 is over all words;
    - "skurg": as "approx_val" after SKURG's own preparation of both texts.

    Args:
        prediction: the answer to score.
        keywords: what it is compared with: the keywords for "official", the first full answer for the others.
        category: `Qcate` of the question.
        variant: one of `WEBQA_ACCURACY_VARIANTS`.
        lemmatize: see `normalize_webqa_answer`.

    Returns:
        The accuracy, between 0 and 1.

    Raises:
        ValueError: when the category or the variant is unknown.

    Example:
        >>> webqa_accuracy("The door of the Harbor Light is green .", "Green", "color")
        0.9999950000249999
        >>> webqa_accuracy("It is a small crimson boat", "crimson", "color")
        0.0
        >>> webqa_accuracy("A fountain is in front of it", "Fountain and statues", "Others")
        0.3333333333333333
    """
    check_category(category)
    _check_variant(variant)
    predicted = _normalize_prediction(prediction, variant, lemmatize)
    return _compare(predicted, _normalize_target(keywords, variant, lemmatize), category, variant)


def score_webqa(
    predictions: Mapping[str, str],
    references: Mapping[str, WebQAReference],
    *,
    variant: str = "official",
    lemmatize: Callable[[str], str] | None = lemmatize_words,
) -> MetricResult:
    """QA-Acc over a set of questions: the mean over the references; a question without a prediction counts 0.

    SKURG's own script averages over the predictions that are there; the two agree where none is missing.

    Args:
        predictions: question id (Guid) to answer.
        references: question id to reference, of every question that counts.
        variant: see `webqa_accuracy`.
        lemmatize: see `normalize_webqa_answer`.

    Returns:
        The result, with a group per category, "image" and "text", and in `details` how many predictions were missing
        and how many questions no answer can score on, because what it is compared with has no word that counts. No
        exact match: the official script compares two sets in the order of their hashes, which differs between runs.

    Raises:
        TypeError: when a prediction is no string.
        ValueError: when a prediction's question is unknown, when the variant is, or when a reference lacks what the
            variant compares with (keywords for "official", an answer for the others).

    Example:
        >>> references = {
        ...     "a": WebQAReference(answers=("It has two towers.",), keywords="Two", category="number"),
        ...     "b": WebQAReference(answers=("The taller one.",), keywords="taller", category="choose"),
        ... }
        >>> result = score_webqa({"a": "There are 2 towers and 3 gates"}, references)
        >>> round(result.value, 4), round(result.groups["number"], 4), result.details["num_missing"]
        (0.3333, 0.6667, 1)
    """
    _check_variant(variant)
    check_known_ids(predictions, references)
    targets = _targets(references, variant)
    values: dict[str, float] = {}
    num_unreachable = 0
    for identifier, reference in references.items():
        expected = _normalize_target(targets[identifier], variant, lemmatize)
        num_unreachable += not _compare(expected, expected, reference.category, variant)
        if identifier in predictions:
            prediction = check_text(predictions[identifier], identifier)
            predicted = _normalize_prediction(prediction, variant, lemmatize)
            values[identifier] = _compare(predicted, expected, reference.category, variant)
        else:
            values[identifier] = 0.0
    return MetricResult(
        metric="webqa_accuracy",
        variant=variant,
        value=mean_or_none(values.values()),
        values=values,
        groups=webqa_groups(values, references),
        details={"num_missing": len(references) - len(predictions), "num_unreachable": num_unreachable},
    )


def _normalize_prediction(text: str, variant: str, lemmatize: Callable[[str], str] | None) -> list[str]:
    text = normalize_skurg_prediction(text) if variant == "skurg" else text
    return normalize_webqa_answer(text, lemmatize=lemmatize).split()


def _normalize_target(text: str, variant: str, lemmatize: Callable[[str], str] | None) -> list[str]:
    text = normalize_skurg_answer(text) if variant == "skurg" else text
    return normalize_webqa_answer(text, lemmatize=lemmatize).split()


def _compare(predicted: list[str], expected: list[str], category: str, variant: str) -> float:
    """The score of a bag of words against another one."""
    predicted, expected = _keep_what_counts(predicted, expected, category, variant)
    common = sum((Counter(predicted) & Counter(expected)).values())
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(expected)
    if category not in _F1_CATEGORIES:
        return recall
    return 2 * precision * recall / (precision + recall + (_OFFICIAL_EPSILON if variant == "official" else 0))


def _keep_what_counts(
    predicted: list[str], expected: list[str], category: str, variant: str
) -> tuple[list[str], list[str]]:
    """The words of both bags that the category looks at."""
    if category == "number":
        return _whole_numbers(predicted), _whole_numbers(expected)
    allowed = _CLOSED_LISTS.get(category)
    if allowed is None or (variant == "ragvl" and not allowed.intersection(expected)):
        return predicted, expected
    return list(allowed.intersection(predicted)), list(allowed.intersection(expected))


def _whole_numbers(words: list[str]) -> list[str]:
    numbers = []
    for word in words:
        try:
            numbers.append(str(int(word)))  # "007" is 7
        except ValueError:
            continue
    return numbers


def _targets(references: Mapping[str, WebQAReference], variant: str) -> dict[str, str]:
    """What each answer is compared with."""
    if variant == "official":
        missing = [identifier for identifier, reference in references.items() if not reference.has_keywords]
        if missing:
            raise ValueError(
                f"{len(missing)} of {len(references)} references have no keywords: {name_some(missing)}. The official "
                "QA-Acc compares with Keywords_A, which the public files of WebQA do not hold: give keywords, or take "
                "variant='approx_val' and say so."
            )
        return {identifier: reference.keywords or "" for identifier, reference in references.items()}
    missing = [identifier for identifier, reference in references.items() if not reference.answers]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(references)} references have no answer: {name_some(missing)}. The answers of "
            "WebQA's test set are hidden: score a split that has them, or leave these questions out."
        )
    return {identifier: reference.answers[0] for identifier, reference in references.items()}


def _check_variant(variant: str) -> None:
    if variant not in WEBQA_ACCURACY_VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(WEBQA_ACCURACY_VARIANTS)}, but is {variant!r}.")
