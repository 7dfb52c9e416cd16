"""rablip's own JSONL formats: knowledge items (`read_jsonl`) and questions (`read_questions_jsonl`).

A knowledge line holds `id` and any of `text, title, caption, image, source, metadata`; a question line holds `id`,
`question` and any of `images, answers, positive_ids, negative_ids, category, metadata`. Pictures are paths relative to
the file's folder. Any other field is an error, so that a misspelled name is never silently ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .readers_records import (
    Problem,
    check_fields,
    iterate_json_lines,
    optional_text,
    report_problem,
    text_tuple,
)

__all__ = [
    "KNOWLEDGE_FIELDS",
    "QUESTION_FIELDS",
    "item_to_row",
    "question_to_row",
    "read_jsonl",
    "read_questions_jsonl",
]

KNOWLEDGE_FIELDS = ("id", "text", "title", "caption", "image", "source", "metadata")
QUESTION_FIELDS = (
    "id",
    "question",
    "images",
    "answers",
    "positive_ids",
    "negative_ids",
    "category",
    "metadata",
)


def read_jsonl(path: str | Path, *, problems: list[Problem] | None = None) -> Iterator[KnowledgeItem]:
    """Read knowledge items, one JSON object a line, as a stream.

    Args:
        path: the file; its folder is the root of the picture paths.
        problems: where unusable lines are reported; None raises at the first.

    Raises:
        FileNotFoundError: when there is no such file (at the call).
        ReaderError: when a line is malformed and `problems` is None; names file and line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "knowledge.jsonl")
        >>> _ = file.write_text('{"id": "t1", "text": "The tower opened in 1889."}')
        >>> [item.id for item in read_jsonl(file)]
        ['t1']
    """
    file = _existing_file(path)

    def items() -> Iterator[KnowledgeItem]:
        for number, row in iterate_json_lines(file, problems=problems):
            try:
                check_fields(row, KNOWLEDGE_FIELDS)
                image = optional_text(row, "image")
                item = KnowledgeItem(
                    id=_identifier(row),
                    image=None if image is None else ImageRef(path=image),
                    metadata=_metadata(row),
                    **{name: optional_text(row, name) for name in ("text", "title", "caption", "source")},
                )
            except (ValueError, TypeError) as error:
                report_problem(Problem(_line_name(number, row), str(file), str(error)), problems)
                continue
            yield item

    return items()


def read_questions_jsonl(path: str | Path, *, problems: list[Problem] | None = None) -> Iterator[QuestionExample]:
    """Read questions, one JSON object a line, as a stream.

    Args:
        path: the file; its folder is the root of the picture paths.
        problems: where unusable lines are reported; None raises at the first.

    Raises:
        FileNotFoundError: when there is no such file (at the call).
        ReaderError: when a line is malformed and `problems` is None; names file and line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "questions.jsonl")
        >>> _ = file.write_text('{"id": "q1", "question": "When did it open?", "answers": ["1889"]}')
        >>> [(example.question, example.answers) for example in read_questions_jsonl(file)]
        [('When did it open?', ('1889',))]
    """
    file = _existing_file(path)

    def examples() -> Iterator[QuestionExample]:
        for number, row in iterate_json_lines(file, problems=problems):
            try:
                check_fields(row, QUESTION_FIELDS)
                example = QuestionExample(
                    id=_identifier(row),
                    question=optional_text(row, "question") or "",
                    images=tuple(ImageRef(path=name) for name in text_tuple(row, "images")),
                    answers=text_tuple(row, "answers"),
                    positive_ids=text_tuple(row, "positive_ids"),
                    negative_ids=text_tuple(row, "negative_ids"),
                    category=optional_text(row, "category") or "",
                    metadata=_metadata(row),
                )
            except (ValueError, TypeError) as error:
                report_problem(Problem(_line_name(number, row), str(file), str(error)), problems)
                continue
            yield example

    return examples()


def item_to_row(item: KnowledgeItem) -> dict[str, Any]:
    """Return the JSON object of one knowledge line; empty fields are left out.

    Raises:
        ValueError: when the picture is bytes: save it in a file first.

    Example:
        >>> item_to_row(KnowledgeItem(id="t1", text="The tower opened in 1889."))
        {'id': 't1', 'text': 'The tower opened in 1889.'}
    """
    row: dict[str, Any] = {"id": item.id, "text": item.text, "title": item.title, "caption": item.caption}
    if item.image is not None:
        row["image"] = _image_path(item.image, item.id)
    row |= {"source": item.source, "metadata": dict(item.metadata) or None}
    return {name: value for name, value in row.items() if value is not None}


def question_to_row(example: QuestionExample) -> dict[str, Any]:
    """Return the JSON object of one question line; empty fields are left out.

    Raises:
        ValueError: when a picture is bytes: save it in a file first.

    Example:
        >>> question_to_row(QuestionExample(id="q1", question="When did it open?", answers=("1889",)))
        {'id': 'q1', 'question': 'When did it open?', 'answers': ['1889']}
    """
    row: dict[str, Any] = {
        "id": example.id,
        "question": example.question,
        "images": [_image_path(image, example.id) for image in example.images],
        "answers": list(example.answers),
        "positive_ids": list(example.positive_ids),
        "negative_ids": list(example.negative_ids),
        "category": example.category,
        "metadata": dict(example.metadata),
    }
    return {name: value for name, value in row.items() if value}


def _existing_file(path: str | Path) -> Path:
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file}. Give the path of a JSONL file.")
    return file


def _identifier(row: Mapping[str, Any]) -> str:
    value = row.get("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # written as a number by many tools; ids are texts everywhere in rablip
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"field 'id' must be a non-empty text, found {value!r}")
    return value


def _metadata(row: Mapping[str, Any]) -> dict[str, Any]:
    value = row.get("metadata")
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"field 'metadata' must be an object, found {str(value)[:80]!r}")
    return value


def _line_name(number: int, row: Mapping[str, Any]) -> str:
    name = row.get("id")
    return f"line {number}" if not isinstance(name, (str, int)) else f"line {number} (id {str(name)[:80]!r})"


def _image_path(image: ImageRef, owner: str) -> str:
    if image.path is None:
        raise ValueError(f"The picture of {owner!r} is bytes and JSONL holds paths: save it in a file first.")
    return image.path
