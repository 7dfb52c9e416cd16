"""Measured figures for cards and README: read, matched with the weights that they were measured with, and rendered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from ..evaluation.table import answer_rows, retrieval_rows, trust_rows
from ..index.fingerprint import fingerprint_folder
from .contents import FolderContents

__all__ = ["DATASET_TYPE", "describe_run", "eval_results", "read_results", "render_figures"]

DATASET_TYPE = "rablip-world"  # by which a card's figures are known as ours
_NAME = "results.json"
_RECALL_GROUPS = ("overall", "text", "image", "image_text", "visual_only")
# Which sections of a report say something of which kind of folder.
_RETRIEVAL = ("retriever", "bundle")
_ANSWERS = ("generator", "bundle")


def read_results(contents: FolderContents, file: str | Path | None = None) -> dict[str, Any] | None:
    """The report of `rablip eval world --json` that belongs to a folder.

    Args:
        contents: as `read_contents` gives it.
        file: the report; None looks for `results.json` in the folder, then in the bundle that it is a part of.

    Returns:
        The report, or None where there is none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such report, or was measured with other weights than the folder's.
    """
    own = contents.folder / _NAME if file is None else Path(file)
    if file is not None and not own.is_file():
        raise FileNotFoundError(f"There is no file {file}.")
    if own.is_file():
        return _read_matching(own, contents)
    beside = contents.folder.parent / _NAME
    try:
        return _read_matching(beside, contents) if beside.is_file() else None
    except ValueError:
        return None  # what lies beside the folder may well be anything else's


def _read_matching(path: Path, contents: FolderContents) -> dict[str, Any]:
    """A report, if it is one and was measured with the weights of the folder."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        measured = report["model_fingerprints"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no report of `rablip eval world --json`: {error!r}") from error
    for name, folder in contents.parts.items():
        found = fingerprint_folder(folder)
        if measured.get(name) != found:
            raise ValueError(
                f"{path} was measured with other weights: it says {name} {measured.get(name)}, {folder} is {found}. "
                "Measure again with `rablip eval world`, or take the file away."
            )
    return report


def describe_run(report: Mapping[str, Any]) -> str:
    """Which world a report is over, in words."""
    return f"seed {report['seed']}, {report['num_entities']} entities, world version `{report['world_version']}`"


def render_figures(report: Mapping[str, Any], kind: str = "bundle") -> str:
    """The tables of a report as Markdown.

    Args:
        report: what `rablip eval world --json` wrote.
        kind: the kind of folder whose figures are wanted.
    """
    tables = [retrieval_rows(report)] if kind in _RETRIEVAL else []
    tables += [answer_rows(report), trust_rows(report)] if kind in _ANSWERS else []
    return "\n\n".join(_markdown_table(rows) for rows in tables)


def eval_results(report: Mapping[str, Any], kind: str, *, task_type: str) -> list[EvalResult]:
    """The figures of a report as a card's metadata holds them.

    Args:
        report: what `rablip eval world --json` wrote.
        kind: the kind of folder whose figures are wanted.
        task_type: the card's pipeline tag.
    """
    return [
        EvalResult(
            task_type=task_type,
            dataset_type=DATASET_TYPE,
            dataset_name=f"rablip world ({describe_run(report).replace('`', '')})",
            dataset_split=report["split"],
            dataset_revision=report["world_version"],
            metric_type=metric,
            metric_name=name,
            metric_value=figure["value"],
        )
        for metric, name, figure in _figures(report, kind)
        if figure["value"] is not None
    ]


def _figures(report: Mapping[str, Any], kind: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    if kind in _RETRIEVAL and "retriever" in report:
        for group in _RECALL_GROUPS:
            yield "recall", f"Recall@5 ({group.replace('_', ' ')})", report["retriever"]["recall@5"][group]
    if kind in _ANSWERS:
        for condition, values in report.get("answer", {}).get("accuracy", {}).items():
            yield "accuracy", f"Accuracy ({condition.replace('_', ' ')})", values["overall"]
        if "abstain" in report:
            yield "f1", "Abstention F1", report["abstain"]["f1"]
        if "citation" in report:
            yield "precision", "Citation precision", report["citation"]["precision"]


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|---|{'---:|' * (len(rows[0]) - 1)}")
    return "\n".join(lines)
