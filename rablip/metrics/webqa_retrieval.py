"""WebQA's retrieval F1, in the two variants that its authors published and the two that other systems report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

from .results import MetricResult
from .webqa_references import check_known_ids, mean_or_none

__all__ = ["WEBQA_RETRIEVAL_VARIANTS", "score_webqa_retrieval", "webqa_retrieval_f1"]

WEBQA_RETRIEVAL_VARIANTS = ("baseline", "notebook", "ragvl_top2", "skurg")

_EPSILON = 1e-5
_RAGVL_K = 2


def webqa_retrieval_f1(predicted_ids: Sequence[str | int], gold_ids: Sequence[str | int], *, variant: str) -> float:
    """Retrieval F1 of one question, over sets of ids. The leaderboard's server is closed; two variants are public:

    - "baseline" (`filter_metric` of the baseline's training code): precision, recall and F1 each have 1e-5 added to
      the denominator, so that a perfect F1 of two sources is 0.99999;
    - "notebook" (the BM25 notebook): only F1 has, so that a perfect one is 0.999995. Its code divides by zero where
      nothing was predicted; here that is 0, as in "baseline": a file with one empty prediction has a score.

    Ids are compared as text, so that the image 30000123 is found by "30000123" and by 30000123: WebQA's files hold
    images as numbers and snippets as strings, and a mixture would silently score 0. The filler id "dummy" that the
    authors' files hold is an id like any other: it is never right and lowers precision.

    Args:
        predicted_ids: `image_id`s and `snippet_id`s that were given as sources, in any order.
        gold_ids: those of the question's positive facts.
        variant: "baseline" or "notebook".

    Raises:
        TypeError: when an id is neither a string nor a whole number, or ids are no sequence.
        ValueError: when there is no gold id, or the variant is unknown or not one of a single question.

    Example:
        >>> webqa_retrieval_f1([30000123, 30000007], ["30000123"], variant="notebook")
        0.6666622222518517
        >>> webqa_retrieval_f1(["d5aa_3"], ["d5aa_3"], variant="baseline")
        0.999985000124999
        >>> webqa_retrieval_f1([], ["d5aa_3"], variant="notebook")
        0.0
    """
    if variant not in ("baseline", "notebook"):
        raise ValueError(
            f"variant must be 'baseline' or 'notebook' for one question, but is {variant!r}; 'ragvl_top2' and 'skurg' "
            "are figures of many questions: see score_webqa_retrieval."
        )
    predicted, gold = set(_text_ids(predicted_ids)), set(_gold(gold_ids))
    common = len(predicted & gold)
    if not common:
        return 0.0
    extra = _EPSILON if variant == "baseline" else 0.0
    precision, recall = common / (len(predicted) + extra), common / (len(gold) + extra)
    return 2 * precision * recall / (precision + recall + _EPSILON)


def score_webqa_retrieval(
    predictions: Mapping[str, Sequence[str | int]],
    gold_ids: Mapping[str, Sequence[str | int]],
    *,
    variant: str = "baseline",
    corpus: str | None = None,
) -> MetricResult:
    """Retrieval F1 over a set of questions; a question without a prediction, or with an empty one, has found nothing.

    - "baseline" and "notebook": the mean of `webqa_retrieval_f1` over the questions with gold ids.
    - "ragvl_top2" (RagVL): F1 of precision and recall over all questions together (micro), over the first two ids of
      each ranking. RagVL reports it on the image questions: give those.
    - "skurg" (SKURG's script): as that, over all predicted ids; an id that is given twice counts twice as predicted
      and once as right. The script leaves out questions without a prediction; here their gold ids count as not found.

    Args:
        predictions: question id (Guid) to predicted ids, best first.
        gold_ids: question id to the ids of its positive facts, of every question that counts.
        variant: one of `WEBQA_RETRIEVAL_VARIANTS`.
        corpus: what was searched, for the result: "distractor" or "full".

    Returns:
        The result. `values` holds per question the F1 of the variant, for the micro variants without 1e-5. `details`
        says how many predictions were missing and how many empty, and for the micro variants precision and recall.

    Raises:
        TypeError: see `webqa_retrieval_f1`; also when "ragvl_top2" is given a set, which has no order.
        ValueError: when a prediction's question is unknown, a question has no gold id, or the variant is unknown.

    Example:
        >>> gold = {"a": [30000123, 30000124], "b": ["d5aa_3"]}
        >>> result = score_webqa_retrieval({"a": ["30000124", "30000001"], "b": []}, gold, variant="skurg")
        >>> round(result.value, 4), result.details["precision"], round(result.details["recall"], 4)
        (0.4, 0.5, 0.3333)
    """
    if variant not in WEBQA_RETRIEVAL_VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(WEBQA_RETRIEVAL_VARIANTS)}, but is {variant!r}.")
    check_known_ids(predictions, gold_ids)
    gold = {identifier: _named(_gold, ids, identifier) for identifier, ids in gold_ids.items()}
    predicted = {identifier: _named(_text_ids, ids, identifier) for identifier, ids in predictions.items()}
    details: dict[str, Any] = {
        "num_missing": len(gold) - len(predicted),
        "num_empty": sum(not ids for ids in predicted.values()),
    }
    if variant in ("baseline", "notebook"):
        values = {key: webqa_retrieval_f1(predicted.get(key, ()), ids, variant=variant) for key, ids in gold.items()}
        value = mean_or_none(values.values())
        return _result(variant, value, values, details, corpus=corpus, is_mean=True)
    if variant == "ragvl_top2":
        unordered = [key for key, ids in predictions.items() if not isinstance(ids, Sequence)]
        if unordered:
            raise TypeError(f"question {unordered[0]!r}: the ids of a ranking must come in a list, best first.")
        predicted = {key: list(dict.fromkeys(ids))[:_RAGVL_K] for key, ids in predicted.items()}
    counts = {
        key: (len(set(ids) & set(predicted.get(key, ()))), len(predicted.get(key, ())), len(ids))
        for key, ids in gold.items()
    }
    right, found, expected = (sum(column) for column in zip(*counts.values(), strict=True)) if counts else (0, 0, 0)
    details |= {"precision": right / found if found else 0.0, "recall": right / expected if expected else 0.0}
    values = {key: _f1(*row) for key, row in counts.items()}
    value = _f1(right, found, expected) if counts else None
    return _result(variant, value, values, details, corpus=corpus, is_mean=False)


def _result(
    variant: str,
    value: float | None,
    values: Mapping[str, float],
    details: Mapping[str, Any],
    *,
    corpus: str | None,
    is_mean: bool,
) -> MetricResult:
    return MetricResult(
        metric="webqa_retrieval_f1",
        variant=variant,
        value=value,
        values=values,
        is_mean=is_mean,
        k=_RAGVL_K if variant == "ragvl_top2" else None,
        corpus=corpus,
        details=details,
    )


def _f1(right: int, found: int, expected: int) -> float:
    """2PR / (P + R), which is twice what is right over what was found and what was expected."""
    return 2 * right / (found + expected) if right else 0.0


def _gold(ids: Sequence[str | int]) -> list[str]:
    gold = _text_ids(ids)
    if not gold:
        raise ValueError("a question without gold ids has no retrieval F1; leave it out.")
    return gold


def _text_ids(ids: Sequence[str | int]) -> list[str]:
    """Ids as text. A float is refused: "30000123.0" would never be found."""
    if isinstance(ids, (str, bytes)) or not isinstance(ids, (Sequence, set, frozenset)):
        raise TypeError(f"ids must come in a list, but {ids!r} was given.")
    for identifier in ids:
        if isinstance(identifier, bool) or not isinstance(identifier, (str, Integral)):
            raise TypeError(
                f"an id must be a string (snippet_id) or a whole number (image_id), but is {identifier!r}; read the "
                "file without changing its ids."
            )
    return [str(identifier) for identifier in ids]


def _named(check: Any, ids: Sequence[str | int], identifier: str) -> list[str]:
    """Check the ids of a question; an error names it."""
    try:
        return check(ids)
    except (TypeError, ValueError) as error:
        raise type(error)(f"question {identifier!r}: {error}") from error
