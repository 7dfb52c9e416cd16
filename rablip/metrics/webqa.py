"""WebQA's QA-Acc: bags of words against keywords, by the rule of the question's category."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from .results import MetricResult
from .scorer_inputs import list_some, require_answers, require_choice, require_same_ids, require_texts
from .webqa_lemmas import lemmatize_words
from .webqa_normalization import normalize_webqa_answer

__all__ = [
    "WEBQA_COLORS",
    "WEBQA_SHAPES",
    "WebQAReference",
    "WebQAVariant",
    "aggregate_leaderboard",
    "score_webqa",
    "webqa_accuracy",
]

WebQAVariant = Literal["official", "approx_val", "ragvl", "skurg"]
Lemmatize = Callable[[str], str]

WEBQA_COLORS = frozenset(
    "aqua beige black blonde blue bluere bluewhite bronze brown chrome gold golden gray green grey ivory maroon "
    "orange orangebrown orangepurple pink purple rainbow red redorange rust silver spot tan teal transparent "
    "turquoise violet white yellow yes".split()
)
"""The only words that count in a question of the category color."""

WEBQA_SHAPES = frozenset(
    "arch ball bell bellshaped bow circle circular concave cone conical convex corkscrew crescent crest cross "
    "crosse cube cuboid curl curve cylinder cylindrical diamond dome domeshape dot flat flower fold fork globe "
    "globular h heart hexagon hook hoop keyhole obelisk octagon octagonal octogon oval pentagon point pyramid "
    "pyramidal rectangle rectangular ring round rounded semicircle shamrock slope sphere spherical spiral square "
    "star step straight teardrop torus triangle triangular tube wavy xs".split()
)
"""The only words that count in a question of the category shape."""

_CLOSED = {"color": WEBQA_COLORS, "shape": WEBQA_SHAPES, "YesNo": frozenset({"yes", "no"})}
_EPSILON = 1e-5
_LEADERBOARD_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class WebQAReference:
    """What is known of one question.

    Args:
        answers: the reference sentences, as `A` in the files.
        keywords: `Keywords_A`; None where they are hidden or the file has none.
        category: `Qcate`. Anything but "text" is a question of pictures.

    Raises:
        TypeError: when `answers` is no sequence of strings.

    Example:
        >>> WebQAReference(answers=["The door is red."], keywords="red", category="color").category
        'color'
    """

    answers: Sequence[str]
    category: str
    keywords: str | None = None

    def __post_init__(self) -> None:
        if self.answers:
            require_answers(self.answers)


def webqa_accuracy(
    prediction: str,
    target: str,
    category: str,
    *,
    variant: WebQAVariant = "official",
    lemmatize: Lemmatize | None = lemmatize_words,
) -> float:
    """QA-Acc of one question, as `vlp/eval_1022.py` of WebQA's baseline.

    Colors, shapes and yes/no are sets of words of a closed list, numbers a bag of whole numbers; they give the F1
    `2PR / (P + R + 1e-5)`, at most 0.999995. The other categories give the recall of all words; nothing common is 0.

    Args:
        prediction: the answer.
        target: the keywords; in the other variants the whole reference sentence.
        category: `Qcate`.
        variant: see `score_webqa`.
        lemmatize: as of `normalize_webqa_answer`.

    Returns:
        The score, from 0 to 1.

    Example:
        >>> round(webqa_accuracy("It is red and blue.", "red", "color"), 4), webqa_accuracy("a boat", "boat", "text")
        (0.6667, 1.0)
        >>> webqa_accuracy("crimson", "crimson", "color")
        0.0
    """
    require_choice(variant, get_args(WebQAVariant), name="variant")
    if variant == "skurg":
        prediction, target = prediction.lower(), target.lower()
    said = normalize_webqa_answer(prediction, lemmatize=lemmatize).split()
    wanted = normalize_webqa_answer(target, lemmatize=lemmatize).split()
    closed = _CLOSED.get(category)
    if closed is not None and not (variant == "ragvl" and not closed.intersection(wanted)):
        said, wanted = sorted(closed.intersection(said)), sorted(closed.intersection(wanted))
    elif category == "number":
        said, wanted = _whole_numbers(said), _whole_numbers(wanted)
    common = (Counter(said) & Counter(wanted)).total()
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    if closed is None and category != "number":
        return recall
    return 2 * precision * recall / (precision + recall + (_EPSILON if variant == "official" else 0.0))


def score_webqa(
    predictions: Mapping[str, str],
    references: Mapping[str, WebQAReference],
    *,
    variant: WebQAVariant = "official",
    lemmatize: Lemmatize | None = lemmatize_words,
) -> MetricResult:
    """QA-Acc over questions.

    A question without a prediction scores 0 and is counted in `details`.

    Args:
        predictions: question id (Guid) to answer.
        references: question id to reference.
        variant: "official" compares with the keywords, which only the hidden test set and the authors' dumps have.
            "approx_val" is the authors' way for val, also RAMQA's: the same with the whole first reference sentence
            and an F1 without epsilon. "ragvl" is that with all words where the sentence has no word of the closed
            list. "skurg" is "approx_val" after lower-casing.
        lemmatize: as of `normalize_webqa_answer`. The default is a small rule lemmatiser (within 0.0015 of what was
            published with spaCy on both of the authors' dumps); None is a variant of its own, about a point lower.

    Returns:
        The mean, from 0 to 1, also by category, and of `image` and `text` questions. The variant says when there are
        no lemmas.

    Raises:
        TypeError: when a prediction is no string, or ids differ in type only.
        ValueError: when a prediction belongs to no question, or a reference lacks what the variant compares with.

    Source:
        `vlp/eval_1022.py` and `eval_webqa.md` of WebQnA/WebQA_Baseline; RagVL; SKURG.

    Example:
        >>> references = {"q1": WebQAReference(answers=["It is red."], keywords="red", category="color")}
        >>> score_webqa({"q1": "A red door."}, references).value
        0.9999950000249999
    """
    require_choice(variant, get_args(WebQAVariant), name="variant")
    require_texts(predictions)
    counts = require_same_ids(predictions, references, allow_missing=True)
    targets = _targets(references, variant)
    values = {
        question_id: webqa_accuracy(
            predictions[question_id], targets[question_id], reference.category, variant=variant, lemmatize=lemmatize
        )
        if question_id in predictions
        else 0.0
        for question_id, reference in references.items()
    }
    return MetricResult(
        metric="webqa_accuracy",
        variant=variant if lemmatize is not None else f"{variant}, no lemmas",
        value=sum(values.values()) / len(values),
        values=values,
        groups=group_by_category(values, references),
        details=counts,
    )


def group_by_category(values: Mapping[str, float], references: Mapping[str, WebQAReference]) -> dict[str, float]:
    """Means by category, and of the questions of pictures (`image`) and of texts (`text`).

    Args:
        values: question id to value.
        references: question id to reference.

    Example:
        >>> kinds = {"1": "YesNo", "2": "text"}
        >>> references = {name: WebQAReference(answers=(), category=kind) for name, kind in kinds.items()}
        >>> group_by_category({"1": 1.0, "2": 0.0}, references)
        {'YesNo': 1.0, 'image': 1.0, 'text': 0.0}
    """
    groups: dict[str, list[float]] = {}
    for question_id, value in values.items():
        category = references[question_id].category
        for name in dict.fromkeys((category, "text" if category == "text" else "image")):
            groups.setdefault(name, []).append(value)
    return {name: sum(found) / len(found) for name, found in groups.items()}


def aggregate_leaderboard(values: Mapping[str, float], num_questions: int) -> float:
    """The figure of the leaderboard: the sum over the questions of the split, missing ones 0, rounded to 4 decimals.

    Args:
        values: question id to value, of the questions that were answered.
        num_questions: of the split; 7,540 of the test set.

    Raises:
        ValueError: when there are more values than questions.

    Example:
        >>> aggregate_leaderboard({"q1": 1.0, "q2": 0.5}, 3)
        0.5
    """
    if num_questions < max(len(values), 1):
        raise ValueError(f"There are {len(values)} values, but the split is said to have {num_questions} questions.")
    return round(sum(values.values()) / num_questions, _LEADERBOARD_DIGITS)


def _targets(references: Mapping[str, WebQAReference], variant: str) -> dict[str, str]:
    """What each answer is compared with."""
    if variant == "official":
        targets = {question_id: reference.keywords or "" for question_id, reference in references.items()}
        what, instead = "keywords", 'Take the variant "approx_val", which compares with the reference sentence.'
    else:
        targets = {question_id: next(iter(one.answers), "") for question_id, one in references.items()}
        what, instead = "answer", "Its labels are hidden: leave it out."
    missing = [question_id for question_id, target in targets.items() if not target.strip()]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(references)} questions have no {what} ({list_some(missing)}), with which the "
            f"variant {variant!r} compares. {instead}"
        )
    return targets


def _whole_numbers(words: Sequence[str]) -> list[str]:
    numbers = []
    for word in words:
        try:
            numbers.append(str(int(word)))
        except ValueError:  # a word that is no whole number does not count
            continue
    return numbers
