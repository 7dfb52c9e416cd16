"""WebQA's submission file and scoring dump: written, checked and read in the official form.

A submission is one JSON object: by Guid an object with `sources`, a list of image ids (whole numbers) and snippet ids
(texts), and `answer`, a text; fewer than 10,000 entries. The server compares ids as they are typed, so that an image
id written as a text never counts and is refused here.

A scoring dump is what `eval_1022.py` of the baseline reads: tab-separated lines under a header, with JSON in the cells
of `A`, `Output` (lists of texts) and `Output_conf` (a text that holds a list of numbers).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..readers_records import Problem, ReaderError, iterate_json_members, report_problem
from ..readers_webqa import FIRST_IMAGE_ID
from .prediction_files import write_json_file
from .webqa import DUMMY_SOURCE

__all__ = [
    "DUMP_COLUMNS",
    "MAX_ENTRIES",
    "WebQADumpRow",
    "check_webqa_submission",
    "read_webqa_dump",
    "write_webqa_dump",
    "write_webqa_submission",
]

MAX_ENTRIES = 9_999
DUMP_COLUMNS = ("Guid", "Qcate", "Q", "A", "Keywords_A", "Output_conf", "Output")
_UNKNOWN_KEYWORDS = "TBD"
_IMAGE_ID = re.compile("[0-9]{8}")


@dataclass(frozen=True, kw_only=True)
class WebQADumpRow:
    """One question of a scoring dump.

    Args:
        id: Guid of the question.
        category: Qcate.
        question: the question.
        answers: the reference answers.
        keywords: the keyword answer that the accuracy is computed with; None where it is not known ("TBD").
        confidences: log probabilities of the outputs; may be empty.
        outputs: the answers given, best first; the first is scored.
    """

    id: str
    category: str
    question: str
    answers: tuple[str, ...]
    keywords: str | None
    confidences: tuple[float, ...]
    outputs: tuple[str, ...]


def write_webqa_submission(predictions: Mapping[str, Mapping[str, Any]], path: str | Path) -> None:
    """Write predictions as the leaderboard takes them.

    Args:
        predictions: by Guid, `{"sources": [...], "answer": "..."}`. An image id may be a number, or its digits as
            knowledge items have it; it is written as a number. Sources may be empty.
        path: the file; replaced where it exists.

    Raises:
        ValueError: there are too many predictions, or one is not of that form; names its Guid. Nothing is written.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "submission.json")
        >>> write_webqa_submission({"q1": {"sources": ["30000001", "q1_4"], "answer": "1889"}}, file)
        >>> json.loads(file.read_text())
        {'q1': {'sources': [30000001, 'q1_4'], 'answer': '1889'}}
        >>> check_webqa_submission(file)
        []
    """
    if len(predictions) > MAX_ENTRIES:
        raise ValueError(
            f"There are {len(predictions)} predictions and the server takes fewer than {MAX_ENTRIES + 1}: pass those "
            "of the test split only."
        )
    entries = {}
    for guid, prediction in predictions.items():
        entry = dict(prediction)
        if isinstance(entry.get("sources"), (list, tuple)):
            entry["sources"] = [
                int(source) if isinstance(source, str) and _IMAGE_ID.fullmatch(source) else source
                for source in entry["sources"]
            ]
        causes = list(_find_faults(guid, entry))
        if causes:
            raise ValueError(f"The prediction of {guid!r} cannot be submitted: {'; '.join(causes)}.")
        entries[guid] = {"sources": entry["sources"], "answer": entry["answer"]}
    write_json_file(path, entries)


def check_webqa_submission(path: str | Path, *, question_ids: Iterable[str] | None = None) -> list[Problem]:
    """Return what the server would refuse or count as nothing in a submission file.

    Args:
        path: the file.
        question_ids: Guids of the split; then a question without a prediction (it counts 0) and a prediction without
            a question are problems too.

    Returns:
        The problems, none where the file is right. Empty sources and answers are right.

    Raises:
        FileNotFoundError: there is no such file.
    """
    file = Path(path)
    problems: list[Problem] = []
    given: set[str] = set()
    try:
        for guid, entry in iterate_json_members(file):
            given.add(guid)
            problems += [Problem(f"Guid {guid}", str(file), cause) for cause in _find_faults(guid, entry)]
    except ReaderError as error:
        return [*problems, Problem("the file", str(file), str(error).removeprefix(f"{file}: "))]
    if len(given) > MAX_ENTRIES:
        problems.append(Problem("the file", str(file), f"it has {len(given)} entries, more than {MAX_ENTRIES}"))
    if question_ids is not None:
        wanted = list(dict.fromkeys(question_ids))
        unknown = sorted(given - set(wanted))
        problems += [
            Problem(f"Guid {guid}", str(file), "it has no prediction") for guid in wanted if guid not in given
        ]
        problems += [Problem(f"Guid {guid}", str(file), "it is no question of this split") for guid in unknown]
    return problems


def read_webqa_dump(path: str | Path, *, problems: list[Problem] | None = None) -> Iterator[WebQADumpRow]:
    """Read a scoring dump, one question a line, as a stream.

    Args:
        path: the TSV file. Columns are found by the header; columns other than those of the format are passed over.
        problems: where malformed lines are reported; None raises at the first.

    Raises:
        FileNotFoundError: there is no such file (at the call).
        ReaderError: the header lacks a column, or a line is malformed and `problems` is None; names file and line.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}. Give a dump with the columns {', '.join(DUMP_COLUMNS)}.")

    def rows() -> Iterator[WebQADumpRow]:
        with open(file, "rb") as handle:
            columns = _read_header(handle.readline(), file)
            for number, line in enumerate(handle, start=2):
                try:
                    row = _read_dump_row(line, columns)
                except (ValueError, RecursionError) as error:
                    report_problem(Problem(f"line {number}", str(file), str(error)), problems)
                    continue
                yield row

    return rows()


def write_webqa_dump(rows: Iterable[WebQADumpRow], path: str | Path) -> None:
    """Write a scoring dump that the official script reads.

    Raises:
        ValueError: a text that stands bare in its cell holds a tab or a line break; names the Guid.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "dump.tsv")
        >>> row = WebQADumpRow(id="q1", category="color", question="What color?", answers=("It is red.",),
        ...                    keywords="red", confidences=(-0.5,), outputs=("Red .",))
        >>> write_webqa_dump([row], file)
        >>> list(read_webqa_dump(file)) == [row]
        True
    """
    with open(path, "w", encoding="utf-8", newline="\n") as handle:
        handle.write("\t".join(DUMP_COLUMNS) + "\n")
        for row in rows:
            bare = (row.id, row.category, row.question)
            keywords = _UNKNOWN_KEYWORDS if row.keywords is None else row.keywords
            for text in (*bare, keywords):
                if re.search(r"[\t\r\n]", text):
                    raise ValueError(f"{row.id}: {text!r} holds a tab or a line break, which its cell cannot.")
            confidences = json.dumps(json.dumps(list(row.confidences)))
            cells = (*bare, json.dumps(list(row.answers)), keywords, confidences, json.dumps(list(row.outputs)))
            handle.write("\t".join(cells) + "\n")


def _find_faults(guid: str, entry: object) -> Iterator[str]:
    if not isinstance(entry, Mapping) or set(entry) != {"sources", "answer"}:
        shown = sorted(entry) if isinstance(entry, Mapping) else type(entry).__name__
        yield f"an entry has exactly the fields 'sources' and 'answer', found {shown}"
        return
    if not isinstance(entry["answer"], str):
        yield f"'answer' must be a text, found {str(entry['answer'])[:40]!r}"
    sources = entry["sources"]
    if not isinstance(sources, (list, tuple)):
        yield f"'sources' must be a list, found {str(sources)[:40]!r}"
        return
    for source in sources:
        if isinstance(source, str):
            if _IMAGE_ID.fullmatch(source):
                yield f"the image id {source!r} must be a number, not a text"
            elif source != DUMMY_SOURCE and not source.startswith(f"{guid}_"):
                yield (
                    f"the source {source!r} is not {guid}_<number>: no snippet of another question ever counts. Map "
                    "what was retrieved with `source_ids`"
                )
        elif isinstance(source, bool) or not isinstance(source, int):
            yield f"a source is an image id (a number) or a snippet id (a text), found {source!r}"
        elif not FIRST_IMAGE_ID <= source < FIRST_IMAGE_ID + 10_000_000:
            yield f"the image id {source} is not one of WebQA, which begin at {FIRST_IMAGE_ID}"
    real = [source for source in sources if source != DUMMY_SOURCE and isinstance(source, (str, int))]
    if len(set(real)) != len(real):
        yield f"a source appears twice in {real}"


def _read_header(line: bytes, file: Path) -> list[str]:
    try:
        columns = line.decode("utf-8-sig").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise ReaderError(f"{file}: line 1: not UTF-8: {error}") from error
    missing = [name for name in DUMP_COLUMNS if name not in columns]
    if missing or len(set(columns)) != len(columns):
        raise ReaderError(f"{file}: line 1: the header must have {', '.join(DUMP_COLUMNS)} once, found {columns}")
    return columns


def _read_dump_row(line: bytes, columns: list[str]) -> WebQADumpRow:
    cells = line.decode("utf-8").rstrip("\r\n").split("\t")
    if len(cells) != len(columns):
        raise ValueError(f"expected {len(columns)} cells, found {len(cells)}")
    cell = dict(zip(columns, cells, strict=True))
    if not cell["Guid"].strip():
        raise ValueError("it has no Guid")
    inner = json.loads(cell["Output_conf"])
    confidences = json.loads(inner) if isinstance(inner, str) else inner
    if not isinstance(confidences, list) or not all(type(number) in (int, float) for number in confidences):
        raise ValueError(f"Output_conf must hold a list of numbers, found {cell['Output_conf'][:40]!r}")
    return WebQADumpRow(
        id=cell["Guid"],
        category=cell["Qcate"],
        question=cell["Q"],
        answers=_texts(cell, "A"),
        keywords=None if cell["Keywords_A"] == _UNKNOWN_KEYWORDS else cell["Keywords_A"],
        confidences=tuple(map(float, confidences)),
        outputs=_texts(cell, "Output"),
    )


def _texts(cell: Mapping[str, str], column: str) -> tuple[str, ...]:
    values = json.loads(cell[column])
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{column} must hold a list of texts, found {cell[column][:40]!r}")
    return tuple(values)
