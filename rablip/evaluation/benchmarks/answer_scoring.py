"""The answers of a run by the official metrics of each benchmark: from question examples to references and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...metrics import (
    AOKVQAReference,
    EncyclopedicVQAReference,
    InfoSeekReference,
    MetricResult,
    MRAGBenchReference,
    MultimodalQAReference,
    VQAReference,
    WebQAReference,
    exact_match,
    score_aokvqa_choices,
    score_aokvqa_direct_answers,
    score_encyclopedic_vqa,
    score_infoseek,
    score_mrag_bench,
    score_multimodalqa,
    score_vqa,
    score_webqa,
    score_webqa_fluency,
    score_webqa_overall,
    score_webqa_retrieval,
)
from ...processing.knowledge_rablip import QuestionExample
from .choices import choose_by_words
from .prediction import Prediction

__all__ = ["SCORERS", "PluggedScorers", "score_answers"]

Pairs = Sequence[tuple[QuestionExample, Prediction]]
PluggedScorers = Mapping[str, Any]


def score_answers(
    benchmark: str, pairs: Pairs, *, corpus: str, plugged: PluggedScorers | None = None
) -> list[MetricResult]:
    """The answers by the metrics of a benchmark, the main one first.

    An abstention and a question that could not be asked are the empty answer: wrong, not missing.

    Args:
        benchmark: its name; one without an official metric is scored by exact match after normalisation.
        pairs: questions with their predictions.
        corpus: what was searched.
        plugged: models that metrics need and rablip does not bring: `"bart"`, a scorer for WebQA's fluency;
            `"equivalence"` and `"equivalence_name"` for Encyclopedic-VQA; `"lemmatize"` for WebQA.

    Returns:
        The results; none where the split hides its labels or nothing was answered.
    """
    if all(question.metadata.get("hidden_labels") for question, _ in pairs):
        return []
    if all(made.text is None and not made.abstained for _, made in pairs):
        return []
    return SCORERS.get(benchmark, _score_exact_match)(pairs, corpus, plugged or {})


def _answers(pairs: Pairs) -> dict[str, str]:
    return {question.id: made.text or "" for question, made in pairs}


def _score_webqa(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    references = {
        question.id: WebQAReference(
            answers=question.answers, keywords=question.metadata.get("keywords"), category=question.category
        )
        for question, _ in pairs
    }
    predictions = _answers(pairs)
    options = {"lemmatize": plugged["lemmatize"]} if "lemmatize" in plugged else {}
    with_keywords = {name: one for name, one in references.items() if one.has_keywords}
    results: list[MetricResult] = []
    if with_keywords:
        kept = {name: predictions[name] for name in with_keywords}
        results.append(score_webqa(kept, with_keywords, variant="official", **options))
    results += [score_webqa(predictions, references, variant=name, **options) for name in ("approx_val", "ragvl")]
    if "bart" in plugged:
        fluency = score_webqa_fluency(predictions, references, plugged["bart"])
        results += [fluency, score_webqa_overall(fluency, results[0])]
    gold = {question.id: question.positive_ids for question, _ in pairs if question.positive_ids}
    if gold:
        cited = {question.id: made.cited_names for question, made in pairs if question.id in gold}
        results += [
            score_webqa_retrieval(cited, gold, variant=name, corpus=corpus) for name in ("baseline", "notebook")
        ]
    return results


def _score_multimodalqa(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus, plugged
    references = {
        question.id: MultimodalQAReference(
            answers=question.metadata.get("answers", question.answers),
            modality=question.metadata.get("answer_modality"),
            question_type=question.category or None,
        )
        for question, _ in pairs
    }
    return list(score_multimodalqa(_answers(pairs), references))


def _score_okvqa(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus, plugged
    references = {
        question.id: VQAReference(
            answers=question.metadata["answers"],
            answer_ids=question.metadata.get("answer_ids"),
            question_type=question.metadata.get("question_type"),
            answer_type=question.metadata.get("answer_type"),
        )
        for question, _ in pairs
    }
    return [score_vqa(_answers(pairs), references, variant=form) for form in ("leave_one_out", "simple")]


def _score_aokvqa(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus, plugged
    references = {
        question.id: AOKVQAReference(
            choices=question.metadata["choices"],
            correct_choice_idx=question.metadata.get("correct_choice_idx"),
            direct_answers=question.metadata.get("direct_answers"),
            difficult_direct_answer=bool(question.metadata.get("difficult_direct_answer", False)),
        )
        for question, _ in pairs
    }
    predictions = _answers(pairs)
    chosen = {
        question.id: choose_by_words(predictions[question.id], question.metadata["choices"]) for question, _ in pairs
    }
    results = []
    if any(one.direct_answers for one in references.values()):
        results.append(score_aokvqa_direct_answers(predictions, references))
    if any(one.correct_choice_idx is not None for one in references.values()):
        results.append(score_aokvqa_choices(chosen, references))
    return results


def _score_infoseek(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus, plugged
    references = {
        question.id: InfoSeekReference(
            question_type=question.metadata.get("question_type", "String"),
            data_split=question.metadata.get("data_split", ""),
            **_accepted(question.metadata.get("answer_eval", question.answers)),
        )
        for question, _ in pairs
    }
    return [score_infoseek(_answers(pairs), references)]


def _accepted(answer_eval: Any) -> dict[str, Any]:
    """What InfoSeek accepts of a question: texts, or a range, which stands alone or in a list."""
    listed = [answer_eval] if isinstance(answer_eval, Mapping) else list(answer_eval)
    if listed and isinstance(listed[0], Mapping):
        low, high = listed[0]["range"][:2]
        return {"value_range": (float(low), float(high))}
    return {"answers": listed}


def _score_encyclopedic_vqa(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus
    references = {
        question.id: EncyclopedicVQAReference(
            question=question.question,
            answers=question.metadata["references"],
            question_type=question.metadata["question_type"],
        )
        for question, _ in pairs
    }
    options = {name: plugged[name] for name in ("equivalence", "equivalence_name") if name in plugged}
    every = score_encyclopedic_vqa(_answers(pairs), references, **options)
    return [every]


def _score_mrag_bench(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus, plugged
    references = {
        question.id: MRAGBenchReference(
            answer_choice=question.metadata["answer_choice"], scenario=question.metadata.get("scenario")
        )
        for question, _ in pairs
    }
    replies = {question.id: name_choice(made.text or "", question.metadata["choices"]) for question, made in pairs}
    return [score_mrag_bench(replies, references)]


def name_choice(reply: str, choices: Mapping[str, str]) -> str:
    """A reply that is the text of a choice, as the letter of it in the form that MRAG-Bench parses; else as it is.

    Example:
        >>> name_choice("a heron", {"A": "a stork", "B": "A heron"})
        '(B)'
    """
    same = [letter for letter, text in choices.items() if exact_match(reply, [text])]
    return f"({same[0]})" if len(same) == 1 else reply


def _score_exact_match(pairs: Pairs, corpus: str, plugged: PluggedScorers) -> list[MetricResult]:
    del corpus, plugged
    answerable = [(question, made) for question, made in pairs if question.answerable]
    if not answerable:
        return []
    values = {question.id: float(exact_match(made.text, question.answers)) for question, made in answerable}
    return [
        MetricResult(
            metric="exact_match",
            variant="normalized",
            value=sum(values.values()) / len(values),
            values=values,
            details={"without_answer": len(pairs) - len(answerable)},
        )
    ]


SCORERS: dict[str, Callable[[Pairs, str, PluggedScorers], list[MetricResult]]] = {
    "aokvqa": _score_aokvqa,
    "encyclopedic_vqa": _score_encyclopedic_vqa,
    "infoseek": _score_infoseek,
    "mrag_bench": _score_mrag_bench,
    "multimodalqa": _score_multimodalqa,
    "okvqa": _score_okvqa,
    "webqa": _score_webqa,
}
