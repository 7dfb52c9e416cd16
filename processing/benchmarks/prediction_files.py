"""Prediction files in the forms of official scorers, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["check_answered_ids", "write_json_file"]


def write_json_file(path: str | Path, value: Any) -> None:
    """Write one JSON value as ASCII, through a file beside it that takes its place when it is complete.

    Args:
        path: the file; its folder must exist.
        value: what to write; numbers must be finite.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the value holds a number that is not finite.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "results.json")
        >>> write_json_file(file, [{"question_id": 1, "answer": "race"}])
        >>> file.read_text()
        '[{"question_id": 1, "answer": "race"}]'
    """
    file = Path(path)
    if not file.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {file.parent} to write {file.name} to. Make it first.")
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    beside = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="ascii")
        os.replace(beside, file)
    finally:
        beside.unlink(missing_ok=True)


def check_answered_ids(answers: Mapping[str, str], question_ids: Iterable[str]) -> None:
    """Check that exactly the questions of a split are answered, as official loaders demand.

    Args:
        answers: question id to answer.
        question_ids: ids of the split.

    Raises:
        ValueError: questions without an answer, or answers to unknown questions; says how many and names the first.

    Example:
        >>> check_answered_ids({"1": "race"}, ["1", "2"])
        Traceback (most recent call last):
        ...
        ValueError: 1 question has no answer, the first is '2'. Official scorers take complete files only.
    """
    wanted = set(question_ids)
    missing, unknown = sorted(wanted - answers.keys()), sorted(answers.keys() - wanted)
    if missing:
        verb = "question has" if len(missing) == 1 else "questions have"
        raise ValueError(
            f"{len(missing)} {verb} no answer, the first is {missing[0]!r}. Official scorers take complete files only."
        )
    if unknown:
        raise ValueError(
            f"{len(unknown)} of the answers are to questions that are not in the split, the first is {unknown[0]!r}."
        )
