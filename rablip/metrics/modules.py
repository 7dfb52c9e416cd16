"""The metrics as modules of Hugging Face's `evaluate`, made here and never fetched: add in batches, compute once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import evaluate
from datasets import Features, List, Value

from .aokvqa import AOKVQAReference, score_aokvqa_choices, score_aokvqa_direct_answers
from .encyclopedic_vqa import EncyclopedicVQAReference, score_encyclopedic_vqa
from .infoseek import InfoSeekReference, score_infoseek
from .mrag_bench import MRAGBenchReference, score_mrag_bench
from .multimodalqa import MultimodalQAReference, score_multimodalqa
from .ranking_scores import score_ranking
from .results import MetricResult
from .vqa import VQAReference, score_vqa
from .webqa import WebQAReference, score_webqa
from .webqa_retrieval import score_webqa_retrieval

__all__ = ["MODULES", "BenchmarkMetric", "load_metric"]

_TEXT, _TEXTS, _WHOLE = Value("string"), List(Value("string")), Value("int64")
_ANSWER = {"id": _TEXT, "answer": _TEXT}
_RANKED = {"id": _TEXT, "ids": _TEXTS}
_AOKVQA = {
    "id": _TEXT,
    "choices": _TEXTS,
    "correct_choice_idx": _WHOLE,
    "direct_answers": _TEXTS,
    "difficult_direct_answer": Value("bool"),
}


@dataclass(frozen=True, kw_only=True)
class ModuleSpec:
    """What one module takes and how it scores.

    Args:
        description: what it computes.
        prediction: columns of a prediction.
        reference: columns of a reference.
        score: gets predictions and references by id, and the options of `compute`; gives one result or several.
        make_reference: makes a reference of its columns without the id; None where the one other column is it.
    """

    description: str
    prediction: Mapping[str, Any]
    reference: Mapping[str, Any]
    score: Callable[..., Any]
    make_reference: Callable[..., Any] | None


MODULES: dict[str, ModuleSpec] = {
    "webqa": ModuleSpec(
        description="QA-Acc of WebQA, by keywords and category. Options: variant, lemmatize.",
        prediction=_ANSWER,
        reference={"id": _TEXT, "answers": _TEXTS, "keywords": _TEXT, "category": _TEXT},
        score=score_webqa,
        make_reference=WebQAReference,
    ),
    "webqa_retrieval": ModuleSpec(
        description="Retrieval F1 of WebQA over source ids. Options: variant.",
        prediction=_RANKED,
        reference=_RANKED,
        score=score_webqa_retrieval,
        make_reference=None,
    ),
    "multimodalqa": ModuleSpec(
        description="Exact match and F1 of MultimodalQA over lists of answers.",
        prediction=_ANSWER,
        reference={"id": _TEXT, "answers": _TEXTS, "modality": _TEXT, "question_type": _TEXT},
        score=score_multimodalqa,
        make_reference=MultimodalQAReference,
    ),
    "vqa": ModuleSpec(
        description="Soft accuracy of VQA and OK-VQA over ten annotators. Options: variant, missing.",
        prediction=_ANSWER,
        reference={
            "id": _TEXT,
            "answers": _TEXTS,
            "answer_ids": _TEXTS,
            "question_type": _TEXT,
            "answer_type": _TEXT,
        },
        score=score_vqa,
        make_reference=VQAReference,
    ),
    "aokvqa_multiple_choice": ModuleSpec(
        description="Multiple-choice accuracy of A-OKVQA by the text of the choice. Options: strict.",
        prediction=_ANSWER,
        reference=_AOKVQA,
        score=score_aokvqa_choices,
        make_reference=AOKVQAReference,
    ),
    "aokvqa_direct_answer": ModuleSpec(
        description="Direct-answer accuracy of A-OKVQA without difficult questions. Options: strict.",
        prediction=_ANSWER,
        reference=_AOKVQA,
        score=score_aokvqa_direct_answers,
        make_reference=AOKVQAReference,
    ),
    "infoseek": ModuleSpec(
        description="InfoSeek's harmonic mean over unseen questions and unseen entities. Options: missing.",
        prediction=_ANSWER,
        reference={
            "id": _TEXT,
            "question_type": _TEXT,
            "data_split": _TEXT,
            "answers": _TEXTS,
            "value_range": List(Value("float64")),
        },
        score=score_infoseek,
        make_reference=InfoSeekReference,
    ),
    "encyclopedic_vqa": ModuleSpec(
        description="Encyclopedic-VQA by exact match, or by an answer equivalence. Options: equivalence, hops.",
        prediction=_ANSWER,
        reference={"id": _TEXT, "question": _TEXT, "answers": _TEXTS, "question_type": _TEXT},
        score=score_encyclopedic_vqa,
        make_reference=EncyclopedicVQAReference,
    ),
    "mrag_bench": ModuleSpec(
        description="Accuracy of MRAG-Bench by the option letter that a reply names.",
        prediction=_ANSWER,
        reference={"id": _TEXT, "answer_choice": _TEXT, "scenario": _TEXT},
        score=score_mrag_bench,
        make_reference=MRAGBenchReference,
    ),
    "ranking": ModuleSpec(
        description="Recall, hits, precision, nDCG or reciprocal rank of rankings. Options: metric, k, corpus.",
        prediction=_RANKED,
        reference=_RANKED,
        score=score_ranking,
        make_reference=None,
    ),
}


class BenchmarkMetric(evaluate.Metric):
    """One of our metrics as an `evaluate` module, see `load_metric`.

    `evaluate` knows no missing text, so that a reference's "" or empty list stands for what is not known.

    Args:
        spec: what it takes and how it scores.
        name: of the module.
        options: of the metric, unless `compute` is given others.
    """

    def __init__(self, spec: ModuleSpec, name: str, **options: Any) -> None:
        self._spec = spec
        self._options = options
        super().__init__(config_name=name, keep_in_memory=True)

    def _info(self) -> evaluate.MetricInfo:
        spec = self._spec
        return evaluate.MetricInfo(
            description=spec.description,
            citation="",
            inputs_description=f"predictions: {', '.join(spec.prediction)}; references: {', '.join(spec.reference)}.",
            features=Features({"predictions": dict(spec.prediction), "references": dict(spec.reference)}),
        )

    def _compute(
        self,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        *,
        seed: int | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        spec = self._spec
        (said,) = set(spec.prediction) - {"id"}
        found = spec.score(
            _by_id(predictions, lambda row: row[said], "predictions"),
            _by_id(references, self._make_reference, "references"),
            **{**self._options, **options},
        )
        results = [found] if isinstance(found, MetricResult) else [one for one in found if one is not None]
        if len(results) == 1:
            return results[0].to_json(seed=seed)
        return {one.metric: one.to_json(seed=seed) for one in results}

    def _make_reference(self, row: Mapping[str, Any]) -> Any:
        fields = {name: value for name, value in row.items() if name != "id"}
        if self._spec.make_reference is None:
            (only,) = fields.values()
            return only
        return self._spec.make_reference(
            **{name: value for name, value in fields.items() if value not in ("", [], None)}
        )


def load_metric(name: str, **options: Any) -> evaluate.Metric:
    """One of the metrics as a module of `evaluate`: `add`, `add_batch`, `compute`, `evaluate.combine`.

    Nothing is downloaded. A prediction is an `id` and an `answer` (or `ids`, best first); a reference has the fields
    of the metric's own reference class. `compute(seed=0)` adds a bootstrap interval.

    Args:
        name: of `MODULES`.
        options: of the metric, such as `variant`.

    Raises:
        ValueError: when there is no metric of that name; names the nearest.

    Example:
        >>> metric = load_metric("vqa", variant="simple")
        >>> answers = ["red"] * 3 + ["blue"] * 7
        >>> reference = {"id": "1", "answers": answers, "answer_ids": [], "question_type": "", "answer_type": ""}
        >>> metric.compute(predictions=[{"id": "1", "answer": "red"}], references=[reference])["value"]
        100.0
    """
    if name not in MODULES:
        near = difflib.get_close_matches(name, MODULES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"There is no metric {name!r}.{hint} There are {', '.join(MODULES)}.")
    return BenchmarkMetric(MODULES[name], name, **options)


def _by_id(rows: Sequence[Mapping[str, Any]], make: Callable[[Mapping[str, Any]], Any], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in rows:
        if row["id"] in found:
            raise ValueError(f"The id {row['id']!r} stands twice in the {what}.")
        found[row["id"]] = make(row)
    return found
