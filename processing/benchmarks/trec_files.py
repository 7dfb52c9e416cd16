"""Relevance judgements and rankings as evaluation tools exchange them: qrels and TREC run files.

Qrels come in two forms, told apart by their first line: tab-separated under a header with the columns `query-id`,
`corpus-id` and `score` (BEIR), or four columns `question 0 item grade` without one (TREC). A run has six columns:
`question Q0 item rank score tag`. As in trec_eval, the ranking of a run is by falling score, and by falling item id
where scores are equal; what the rank column says is not looked at.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from ..readers_records import DAMAGED_GZIP, Problem, ReaderError, open_data_file, report_problem

__all__ = ["read_qrels", "read_trec_run", "write_trec_run"]

_MAX_LINE = 1 << 20  # bytes
_HEADER = ("query-id", "corpus-id", "score")


class _QrelsForm(NamedTuple):
    """Where question, item and grade stand, of how many columns, and what separates them."""

    places: tuple[int, ...]
    width: int
    separator: str | None
    has_header: bool


def read_qrels(path: str | Path, *, problems: list[Problem] | None = None) -> dict[str, dict[str, int]]:
    """Read relevance judgements.

    Args:
        path: the file, plain or compressed with gzip.
        problems: where malformed lines and second judgements of a pair are reported; None raises at the first.

    Returns:
        Grade by item id by question id, in the order of the file. A grade above 0 means relevant.

    Raises:
        FileNotFoundError: there is no such file.
        ReaderError: the file is damaged or has no known form, or a line is malformed and `problems` is None.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "test.tsv")
        >>> _ = file.write_text("query-id\\tcorpus-id\\tscore\\nq1\\td7\\t1\\n")
        >>> read_qrels(file)
        {'q1': {'d7': 1}}
    """
    file = _existing(path)
    judged: dict[str, dict[str, int]] = {}
    form: _QrelsForm | None = None
    for number, line in _lines(file):
        if form is None:
            form = _find_form(line, file)
            if form.has_header:
                continue
        try:
            cells = line.split(form.separator)
            if len(cells) != form.width:
                raise ValueError(f"expected {form.width} columns, found {len(cells)}")
            question, item, grade = (cells[place].strip() for place in form.places)
            if not question or not item:
                raise ValueError("an id is empty")
            if item in judged.get(question, {}):
                raise ValueError(f"the pair {question!r}, {item!r} is judged twice")
            judged.setdefault(question, {})[item] = _grade(grade)
        except ValueError as error:
            report_problem(Problem(f"line {number}", str(file), str(error)), problems)
    return judged


def read_trec_run(path: str | Path, *, problems: list[Problem] | None = None) -> dict[str, list[tuple[str, float]]]:
    """Read the rankings of a run.

    Args:
        path: the file, plain or compressed with gzip.
        problems: where malformed lines and repeated items are reported; None raises at the first.

    Returns:
        By question id, the (item id, score) pairs by falling score, equal scores by falling item id.

    Raises:
        FileNotFoundError: there is no such file.
        ReaderError: the file is damaged, or a line is malformed and `problems` is None; names file and line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "run.trec")
        >>> write_trec_run({"q1": [("a", 0.5), ("b", 0.5), ("c", 2.0)]}, file)
        >>> read_trec_run(file)
        {'q1': [('c', 2.0), ('b', 0.5), ('a', 0.5)]}
    """
    file = _existing(path)
    run: dict[str, dict[str, float]] = {}
    for number, line in _lines(file):
        try:
            cells = line.split()
            if len(cells) != 6:
                raise ValueError(f"expected 6 columns (question Q0 item rank score tag), found {len(cells)}")
            question, _, item, _, score, _ = cells
            if item in run.get(question, {}):
                raise ValueError(f"the item {item!r} is there twice for the question {question!r}")
            run.setdefault(question, {})[item] = _score(score)
        except ValueError as error:
            report_problem(Problem(f"line {number}", str(file), str(error)), problems)
    return {question: _rank(scores.items()) for question, scores in run.items()}


def write_trec_run(run: Mapping[str, Iterable[tuple[str, float]]], path: str | Path, *, tag: str = "rablip") -> None:
    """Write rankings as a run file.

    Args:
        run: by question id, (item id, score) pairs in any order.
        path: the file; replaced where it exists.
        tag: name of the run, without white space.

    Raises:
        ValueError: an id or the tag is empty or holds white space, an item is there twice for a question, or a score
            is no finite number.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "run.trec")
        >>> write_trec_run({"q1": [("d2", 0.25), ("d7", 1.5)]}, file)
        >>> print(file.read_text(), end="")
        q1 Q0 d7 1 1.5 rablip
        q1 Q0 d2 2 0.25 rablip
    """
    lines = []
    for question, scored in run.items():
        pairs = [(item, _score(score)) for item, score in scored]
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"The run of question {question!r} has an item twice.")
        for name in (question, tag, *(item for item, _ in pairs)):
            if not isinstance(name, str) or name.split() != [name]:
                raise ValueError(f"{name!r} cannot stand in a run file, whose columns are separated by white space.")
        ranked = enumerate(_rank(pairs), start=1)
        lines += [f"{question} Q0 {item} {rank} {score!r} {tag}\n" for rank, (item, score) in ranked]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def _rank(pairs: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]), reverse=True)


def _score(value: object) -> float:
    try:
        score = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"a score must be a finite number, found {value!r}")
    return score


def _grade(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value != int(value):
        raise ValueError(f"a grade must be a whole number, found {text!r}")
    return int(value)


def _find_form(line: str, file: Path) -> _QrelsForm:
    names = [cell.strip().lower().replace("_", "-") for cell in line.split("\t")]
    if all(name in names for name in _HEADER):
        return _QrelsForm(tuple(names.index(name) for name in _HEADER), len(names), "\t", True)
    if len(line.split()) == 4:
        return _QrelsForm((0, 2, 3), 4, None, False)
    raise ReaderError(
        f"{file}: line 1: qrels begin with a header that has {', '.join(_HEADER)}, separated by tabs, or have four "
        f"columns (question 0 item grade); found {line[:80]!r}"
    )


def _existing(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}. Give a qrels or run file.")
    return file


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers from 1."""
    with open_data_file(file) as handle:
        for number in itertools.count(1):
            try:
                line = handle.readline(_MAX_LINE)
            except DAMAGED_GZIP as error:
                raise ReaderError(f"{file}: line {number}: the compressed data is damaged: {error}") from error
            if not line:
                return
            if len(line) == _MAX_LINE:
                raise ReaderError(f"{file}: line {number}: longer than {_MAX_LINE} bytes")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ReaderError(f"{file}: line {number}: not UTF-8: {error}") from error
            if text.strip():
                yield number, text
