"""WebQA's fluency (QA-FL) and what it makes with accuracy: the overall score (QA)."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence

from .bart_score import FluencyScorer
from .results import MetricResult
from .webqa_normalization import normalize_skurg_answer, normalize_skurg_prediction
from .webqa_references import (
    WebQAReference,
    check_known_ids,
    check_text,
    mean_or_none,
    name_some,
    webqa_groups,
)

__all__ = ["WEBQA_FLUENCY_VARIANTS", "prepare_fluency_text", "score_webqa_fluency", "score_webqa_overall"]

WEBQA_FLUENCY_VARIANTS = ("official", "skurg")

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ROUNDING = 1e-6


def prepare_fluency_text(text: str) -> str:
    """A text as QA-FL scores it: all ASCII punctuation deleted, white space collapsed, case kept.

    >>> prepare_fluency_text("Yes , it's 3.5 m high .")
    'Yes its 35 m high'
    """
    return " ".join(text.translate(_PUNCTUATION).split())


def score_webqa_fluency(
    predictions: Mapping[str, str],
    references: Mapping[str, WebQAReference],
    scorer: FluencyScorer,
    *,
    variant: str = "official",
    normalize: bool = True,
) -> MetricResult:
    """QA-FL over a set of questions: BARTScore from the reference to the answer, relative to the reference itself.

    With s(x -> y) the scorer's mean log-probability of y's tokens after x, the fluency of answer c to a question with
    references A_i is min(1, max_i exp(s(A_i -> c)) / exp(s(A_i -> A_i))). A question without a prediction counts 0.

    Args:
        predictions: question id (Guid) to answer.
        references: question id to reference, of every question that counts.
        scorer: s, such as a `BartScorer`: called once with all sources and targets. The leaderboard's is BARTScore
            with the ParaBank2 weights; anything else (plain `bart-large-cnn` too) gives other figures.
        variant: "official"; or "skurg": the first reference only, and both texts in SKURG's own preparation, in lower
            case.
        normalize: False drops the divisor (`--no_norm` of the official script); the variant is then called
            "official_no_norm" or "skurg_no_norm".

    Returns:
        The result, with groups as `score_webqa` has them and the number of missing predictions in `details`.

    Raises:
        TypeError: when a prediction is no string.
        ValueError: when a prediction's question or the variant is unknown, a reference has no answer, or the scorer
            gives anything but one log-probability for each pair.

    Example:
        >>> def scorer(sources, targets):
        ...     return [-1.0 if source == target else -2.0 for source, target in zip(sources, targets)]
        >>> references = {"a": WebQAReference(answers=("It is green.",), category="color")}
        >>> round(score_webqa_fluency({"a": "Green"}, references, scorer).value, 4)
        0.3679
    """
    if variant not in WEBQA_FLUENCY_VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(WEBQA_FLUENCY_VARIANTS)}, but is {variant!r}.")
    check_known_ids(predictions, references)
    without = [identifier for identifier, reference in references.items() if not reference.answers]
    if without:
        raise ValueError(
            f"{len(without)} of {len(references)} references have no answer: {name_some(without)}. QA-FL compares "
            "with the full answers: score a split that has them."
        )
    pairs = {
        identifier: _pairs(check_text(predictions[identifier], identifier), reference, variant)
        for identifier, reference in references.items()
        if identifier in predictions
    }
    wanted = [pair for row in pairs.values() for pair in row]
    if normalize:
        wanted += [(source, source) for source, _ in wanted]
    scores = _score_pairs(scorer, list(dict.fromkeys(wanted)))
    values = {
        identifier: max(
            math.exp(min(0.0, scores[source, target] - (scores[source, source] if normalize else 0.0)))
            for source, target in pairs[identifier]
        )
        if identifier in pairs
        else 0.0
        for identifier in references
    }
    return MetricResult(
        metric="webqa_fluency",
        variant=variant if normalize else f"{variant}_no_norm",
        value=mean_or_none(values.values()),
        values=values,
        groups=webqa_groups(values, references),
        details={"num_missing": len(references) - len(predictions)},
    )


def score_webqa_overall(
    fluency: MetricResult, accuracy: MetricResult, *, references: Mapping[str, WebQAReference] | None = None
) -> MetricResult:
    """QA, the score that WebQA ranks by: the mean over questions of fluency times accuracy, not the product of means.

    Args:
        fluency: of `score_webqa_fluency`.
        accuracy: of `score_webqa`, over the same questions.
        references: those of the questions, for the groups; None gives none.

    Returns:
        The result; its variant is the common one, or names both ("official x approx_val").

    Raises:
        ValueError: when the two are not over the same questions, or the references are not theirs.

    Example:
        >>> def result(metric, **values):
        ...     return MetricResult(metric=metric, variant="official", value=sum(values.values()) / 2, values=values)
        >>> score_webqa_overall(result("webqa_fluency", a=1.0, b=0.0), result("webqa_accuracy", a=0.5, b=1.0)).value
        0.25
    """
    for name, other in (("accuracy", accuracy.values), ("references", references)):
        if other is not None and fluency.values.keys() != other.keys():
            different = sorted(fluency.values.keys() ^ other.keys())
            raise ValueError(
                f"fluency and {name} are not over the same questions: {len(different)} are in one only "
                f"({name_some(different)}). Score the same predictions against the same references."
            )
    values = {identifier: fluency.values[identifier] * score for identifier, score in accuracy.values.items()}
    same = fluency.variant == accuracy.variant
    return MetricResult(
        metric="webqa_overall",
        variant=fluency.variant if same else f"{fluency.variant} x {accuracy.variant}",
        value=mean_or_none(values.values()),
        values=values,
        groups=webqa_groups(values, references) if references is not None else {},
    )


def _pairs(prediction: str, reference: WebQAReference, variant: str) -> list[tuple[str, str]]:
    """Source (reference) and target (prediction) of every score that a question needs."""
    answers = list(reference.answers)
    if variant == "skurg":
        prediction, answers = normalize_skurg_prediction(prediction), [normalize_skurg_answer(answers[0])]
    return [(prepare_fluency_text(answer), prepare_fluency_text(prediction)) for answer in answers]


def _score_pairs(scorer: FluencyScorer, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], float]:
    if not pairs:
        return {}
    scores = [float(score) for score in scorer([source for source, _ in pairs], [target for _, target in pairs])]
    if len(scores) != len(pairs):
        raise ValueError(f"the scorer gave {len(scores)} scores for {len(pairs)} pairs of texts.")
    for pair, score in zip(pairs, scores, strict=True):
        if not math.isfinite(score) or score > _ROUNDING:
            raise ValueError(
                f"the scorer must give mean log-probabilities, finite and at most 0, but gave {score} for {pair!r}."
            )
    return dict(zip(pairs, scores, strict=True))
