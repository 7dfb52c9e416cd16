"""WebQA's retrieval F1 over the sources of a question, in the forms that are in use; they differ in small ways."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, get_args

from .results import MetricResult
from .scorer_inputs import require_choice, require_same_ids

__all__ = ["WebQARetrievalForm", "score_webqa_retrieval"]

WebQARetrievalForm = Literal["baseline", "notebook", "micro"]
_EPSILON = 1e-5


def score_webqa_retrieval(
    predictions: Mapping[str, Collection[int | str]],
    references: Mapping[str, Collection[int | str]],
    *,
    form: WebQARetrievalForm = "baseline",
    k: int | None = None,
    corpus: str | None = None,
) -> MetricResult:
    """Retrieval F1 over sets of source ids.

    Ids are compared as texts: an image id may be a number, as in submissions, or its digits, as knowledge items have
    it. The server's own code is not public.

    Args:
        predictions: question id to the sources given, of either kind of id.
        references: question id to the right ones.
        form: "baseline" is `filter_metric` of the authors' baseline, with an epsilon in precision, recall and F1;
            "notebook" is the authors' BM25 notebook, with one in F1 alone (it divides by zero where nothing is given;
            here that is 0, and counted in `details`). Both are means over questions. "micro" is what RagVL (with `k`
            2, pictures alone) and SKURG report: precision and recall over the pairs of all questions.
        k: only the first so many sources of a question count, which must then be in order; None for all.
        corpus: what was searched.

    Returns:
        The F1, from 0 to 1. "micro" is no mean of `values`, which are the questions' own F1.

    Raises:
        TypeError: when the sources are one string, or ids of questions differ in type only.
        ValueError: when a prediction belongs to no question, a question has no right source, or `k` is below 1.

    Source:
        BM25 notebook and `filter_metric` of WebQnA/WebQA_Baseline.

    Example:
        >>> found = score_webqa_retrieval({"q1": [30000001, "q1_3"]}, {"q1": ["30000001"]}, form="notebook")
        >>> round(found.value, 5)
        0.66666
    """
    require_choice(form, get_args(WebQARetrievalForm), name="form")
    if k is not None and k < 1:
        raise ValueError(f"k must be at least 1, but is {k}.")
    counts = require_same_ids(predictions, references, allow_missing=True)
    values: dict[str, float] = {}
    total = [0, 0, 0]
    num_empty = 0
    for question_id, right in references.items():
        gold = _as_texts(right, None, question_id)
        if not gold:
            raise ValueError(f"Question {question_id!r} has no right source: leave it out.")
        given = _as_texts(predictions.get(question_id, ()), k, question_id)
        common = len(gold & given)
        num_empty += not given
        total = [number + more for number, more in zip(total, (common, len(given), len(gold)), strict=True)]
        values[question_id] = _f1(common, len(given), len(gold), "notebook" if form == "micro" else form)
    precision, recall = (total[0] / number if number else 0.0 for number in total[1:])
    is_micro = form == "micro"
    micro = 2 * precision * recall / (precision + recall) if total[0] else 0.0
    return MetricResult(
        metric="webqa_retrieval_f1",
        variant=form,
        value=micro if is_micro else sum(values.values()) / len(values),
        values=values,
        is_mean=not is_micro,
        k=k,
        corpus=corpus,
        details=counts
        | {"without_sources": num_empty}
        | ({"precision": precision, "recall": recall} if is_micro else {}),
    )


def _f1(common: int, num_given: int, num_gold: int, form: str) -> float:
    if not num_given:
        return 0.0
    epsilon = _EPSILON if form == "baseline" else 0.0
    precision, recall = common / (num_given + epsilon), common / (num_gold + epsilon)
    return 2 * precision * recall / (precision + recall + _EPSILON)


def _as_texts(ids: Collection[int | str], k: int | None, question_id: str) -> set[str]:
    if isinstance(ids, str):
        raise TypeError(f"The sources of question {question_id!r} must be a collection of ids, but are {ids!r}.")
    return {str(one) for one in list(ids)[:k]}
