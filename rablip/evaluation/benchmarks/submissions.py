"""Predictions of a run in the form that each benchmark's own scorer or server takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ...index.files import write_text_atomically
from ...processing.benchmarks.aokvqa import write_aokvqa_predictions
from ...processing.benchmarks.okvqa import write_vqa_results
from ...processing.benchmarks.retrieval_collection import write_trec_run
from ...processing.benchmarks.webqa import DUMMY_SOURCE
from ...processing.benchmarks.webqa_submission import write_webqa_submission
from ...processing.knowledge_rablip import QuestionExample
from .answer_scoring import name_choice
from .choices import choose_by_words
from .prediction import Prediction
from .run import BenchmarkRun

__all__ = ["write_submission"]

Pairs = Sequence[tuple[QuestionExample, Prediction]]


def write_submission(run: BenchmarkRun, folder: Path) -> list[Path]:
    """Write the predictions of the plain condition into a folder, and the retriever's rankings as a TREC run.

    Args:
        run: a finished run.
        folder: is made.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pairs = list(zip(run.questions, run.predictions["plain"], strict=True))
    ranking = folder / "ranking.trec"
    write_trec_run({_column(made.question_id): _ranked(made) for _, made in pairs}, ranking)
    written = [ranking]
    if any(made.text is not None or made.abstained for _, made in pairs):
        written.append(_WRITERS.get(run.benchmark.name, _write_plain)(pairs, folder))
    return written


def _ranked(made: Prediction) -> list[tuple[str, float]]:
    """Names and scores of a ranking, each name once with its best score."""
    best = {one.name: one.score for one in reversed(made.ranking) if one.score is not None}
    return [(_column(name), score) for name, score in best.items()]


def _column(name: str) -> str:
    """An id as one column of a run file: white space in it is written as in addresses."""
    return "".join(quote(mark) if mark.isspace() else mark for mark in name)


def _answer(made: Prediction) -> str:
    return made.text or ""


def _write_webqa(pairs: Pairs, folder: Path) -> Path:
    predictions: dict[str, dict[str, Any]] = {}
    for question, made in pairs:
        own = set(question.candidate_ids) | set(question.metadata.get("facts", ()))
        sources = [name if name in own or name.isdigit() else DUMMY_SOURCE for name in made.cited_names]
        predictions[question.id] = {"sources": list(dict.fromkeys(sources)), "answer": _answer(made)}
    path = folder / "webqa_submission.json"
    write_webqa_submission(predictions, path)
    return path


def _write_multimodalqa(pairs: Pairs, folder: Path) -> Path:
    path = folder / "multimodalqa_predictions.json"
    write_text_atomically(path, json.dumps({question.id: _answer(made) for question, made in pairs}, indent=1))
    return path


def _write_okvqa(pairs: Pairs, folder: Path) -> Path:
    path = folder / "okvqa_results.json"
    write_vqa_results(path, {question.id: _answer(made) for question, made in pairs})
    return path


def _write_aokvqa(pairs: Pairs, folder: Path) -> Path:
    path = folder / "aokvqa_predictions.json"
    answers = {question.id: _answer(made) for question, made in pairs}
    chosen = {
        question.id: choose_by_words(answers[question.id], question.metadata["choices"]) for question, _ in pairs
    }
    write_aokvqa_predictions(path, multiple_choice=chosen, direct_answer=answers)
    return path


def _write_infoseek(pairs: Pairs, folder: Path) -> Path:
    return _write_lines(
        folder / "infoseek_predictions.jsonl",
        [{"data_id": question.id, "prediction": _answer(made)} for question, made in pairs],
    )


def _write_mrag_bench(pairs: Pairs, folder: Path) -> Path:
    return _write_lines(
        folder / "mrag_bench_results.jsonl",
        [
            {
                "id": question.id,
                "gt_choice": question.metadata.get("answer_choice"),
                "output": name_choice(_answer(made), question.metadata["choices"]),
                "scenario": question.metadata.get("scenario"),
                "prompt": question.question,
            }
            for question, made in pairs
        ],
    )


def _write_plain(pairs: Pairs, folder: Path) -> Path:
    return _write_lines(
        folder / "answers.jsonl",
        [
            {"id": question.id, "answer": made.text, "abstained": made.abstained, "citations": made.cited_names}
            for question, made in pairs
        ],
    )


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    write_text_atomically(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


_WRITERS: dict[str, Callable[[Pairs, Path], Path]] = {
    "aokvqa": _write_aokvqa,
    "infoseek": _write_infoseek,
    "mrag_bench": _write_mrag_bench,
    "multimodalqa": _write_multimodalqa,
    "okvqa": _write_okvqa,
    "webqa": _write_webqa,
}
