"""From what a run has in its folder to its results: metrics of every condition, curves, bins and importance."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ... import __version__
from ...metrics import MetricResult
from ...processing.knowledge_rablip import QuestionExample
from ..provenance import describe_machine
from .answer_scoring import PluggedScorers, score_answers
from .prediction import Prediction
from .results import EvaluationResults, measure_categories
from .retrieval_scoring import RELEVANCE_SOURCES, measure_relevance_bins, score_retrieval, score_trust
from .run import BenchmarkRun

if TYPE_CHECKING:
    from ...knowledge_base import KnowledgeBase

__all__ = ["measure_importance", "measure_run"]

# A passage counts as right where it holds an answer: what these benchmarks report of retrieval.
_PSEUDO_RELEVANCE = ("okvqa", "infoseek", "encyclopedic_vqa", "m2kr")
_NUM_SHOWN = 100
_IMPORTANCE = ("shuffle-image", "drop-image", "drop-text")
_MODALITY_CUTOFF = 5


def measure_run(run: BenchmarkRun, *, plugged: PluggedScorers | None = None) -> EvaluationResults:
    """Score a run in all its conditions.

    Args:
        run: what was asked and answered.
        plugged: as of `score_answers`.
    """
    base, corpus, depth = run.knowledge_base, run.benchmark.setting, int(run.description["depth"])
    metrics: dict[str, list[MetricResult]] = {}
    for name, made in run.predictions.items():
        pairs = list(zip(run.questions, made, strict=True))
        found = score_answers(run.benchmark.name, pairs, corpus=corpus, plugged=plugged)
        if run.conditions[name].num_distractors is None:
            pseudo = run.benchmark.name.startswith(_PSEUDO_RELEVANCE) and base is not None
            found += score_retrieval(
                run.questions,
                made,
                corpus=corpus,
                depth=depth,
                read_texts=_reader_of(base) if pseudo and base is not None else None,
                pseudo_answers={one.id: one.answers for one in run.questions} if pseudo else None,
            )
        metrics[name] = found + score_trust(run.questions, made)
    categories = {question.id: question.category for question in run.questions}
    plain = run.predictions["plain"]
    details: dict[str, Any] = {
        "rablip_version": __version__,
        "machine": describe_machine(run.description["device"]),
        "num_questions": len(run.questions),
        "counts": {name: _count(made) for name, made in run.predictions.items()},
        "question_problems": {
            "num": len(run.problems),
            "first": [str(problem) for problem in run.problems[:_NUM_SHOWN]],
        },
        "relevance_bins": {
            source: [list(one) for one in measure_relevance_bins(run.questions, plain, source=source)]
            for source in RELEVANCE_SOURCES
        },
        "importance": measure_importance(metrics, categories, seed=int(run.description["seed"])),
    }
    if base is not None:
        details["recall_by_modality"] = _measure_modalities(run.questions, plain, base)
    return EvaluationResults(
        description=run.description,
        metrics=metrics,
        categories=categories,
        questions={question.id: (question.question, question.answers) for question in run.questions},
        answers={name: {one.question_id: one.text for one in made} for name, made in run.predictions.items()},
        details=details,
    )


def measure_importance(
    metrics: Mapping[str, Sequence[MetricResult]], categories: Mapping[str, str], *, seed: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """How much each modality is needed: the first metric and recall by category, with and without it.

    Args:
        metrics: condition -> its metrics.
        categories: question id -> its category.
        seed: of the intervals.

    Returns:
        Metric -> category, `"all"` first -> condition -> value; nothing where nothing was left out.
    """
    left_out = [name for name in _IMPORTANCE if name in metrics]
    if not left_out or not metrics["plain"]:
        return {}
    keys = [metrics["plain"][0].key]
    keys += [one.key for one in metrics["plain"] if one.metric == "recall_at_k" and one.k == _MODALITY_CUTOFF]
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for key in dict.fromkeys(keys):
        rows: dict[str, dict[str, Any]] = defaultdict(dict)
        for name in ("plain", *left_out):
            for result in metrics[name]:
                if result.key != key:
                    continue
                rows["all"][name] = result.value
                for category, figure in measure_categories(result, categories, seed=seed).items():
                    rows[category][name] = figure["value"]
        table[key] = dict(rows)
    return table


def _reader_of(base: KnowledgeBase) -> Any:
    def read(ids: Sequence[str]) -> dict[str, str]:
        return {
            name: " ".join(part for part in parts if part)
            for name, parts in zip(ids, base.read_texts(ids), strict=True)
        }

    return read


def _count(predictions: Sequence[Prediction]) -> dict[str, int]:
    """How many questions were answered, withheld, cut or not asked at all."""
    return {
        "answered": sum(made.text is not None for made in predictions),
        "abstained": sum(made.abstained for made in predictions),
        "not_asked": sum(bool(made.problem) for made in predictions),
        "truncated": sum(made.truncated for made in predictions),
        "candidates_not_in_index": sum(made.num_unknown for made in predictions),
    }


def _measure_modalities(
    questions: Sequence[QuestionExample], predictions: Sequence[Prediction], base: KnowledgeBase
) -> dict[str, dict[str, float]]:
    """Share of right items of each modality that are among the first five, and how many there are."""
    found: dict[str, list[bool]] = defaultdict(list)
    for question, made in zip(questions, predictions, strict=True):
        first = set(made.ranked_ids[:_MODALITY_CUTOFF])
        for name in dict.fromkeys(question.positive_ids):
            if name in base:
                found[base[name].modality.value].append(name in first)
    return {
        modality: {f"recall@{_MODALITY_CUTOFF}": sum(hits) / len(hits), "n": len(hits)}
        for modality, hits in sorted(found.items())
    }
