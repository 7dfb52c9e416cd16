"""The records of a WebQA file, each checked against its whole format: what is missing or misspelled is never skipped.

A field that is absent and has a near namesake, a list that is absent, an unknown split or category: each makes the
record malformed, because leaving it out in silence would change what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..knowledge_rablip import KnowledgeItem, QuestionExample
from ..readers_records import Problem, ReaderError, iterate_json_members, report_problem
from ..readers_webqa import FIRST_IMAGE_ID
from ..readers_webqa_records import (
    IMAGE_LISTS,
    TEXT_LISTS,
    image_record_to_item,
    record_to_images,
    record_to_question,
    record_to_texts,
)
from .misspelled import check_misspelled

__all__ = ["CATEGORIES", "SPLITS", "WebQARecord", "iterate_webqa_records"]

SPLITS = ("train", "val", "test")
# Qcate: `text` where the evidence is text, any other where it is pictures.
CATEGORIES = ("text", "YesNo", "Others", "choose", "number", "color", "shape")

_FIELDS = ("Guid", "split", "Qcate", "topic", "Q", "A", "Keywords_A", *IMAGE_LISTS, *TEXT_LISTS)
_IMAGE_FIELDS = ("image_id", "old_image_id", "title", "caption", "url", "imgUrl")
_TEXT_FIELDS = ("snippet_id", "title", "fact", "url")
_LABELLED = ("img_posFacts", "img_negFacts", "txt_posFacts", "txt_negFacts")
_POOLS = ("img_Facts", "txt_Facts")
_LAST_IMAGE_ID = FIRST_IMAGE_ID + 9_999_999
_UNKNOWN_KEYWORDS = "TBD"


@dataclass(frozen=True)
class WebQARecord:
    """One record: its question, its text snippets, and its image facts with their ids."""

    question: QuestionExample
    texts: tuple[KnowledgeItem, ...]
    images: tuple[tuple[int, Mapping[str, Any]], ...]

    @property
    def split(self) -> str:
        """The part of the data set that the record belongs to."""
        return str(self.question.metadata["split"])


def iterate_webqa_records(
    file: Path, *, split: str | None = None, problems: list[Problem] | None = None
) -> Iterator[WebQARecord]:
    """Yield the records of a WebQA file, one in memory at a time.

    Args:
        file: the WebQA JSON file, in train/val or test form.
        split: which records; those of another split are passed over unchecked. None for all.
        problems: where malformed records are reported, by Guid, and facts without usable words, by their id: such a
            fact is left out and the record kept. None raises at the first.

    Raises:
        ReaderError: the file is no JSON object or is cut off (names file and line), or something is malformed and
            `problems` is None.

    Example:
        >>> import json, tempfile
        >>> record = {"split": "test", "Q": "When?", "img_Facts": [], "txt_Facts": []}
        >>> file = Path(tempfile.mkdtemp(), "WebQA_test.json")
        >>> _ = file.write_text(json.dumps({"q1": record}))
        >>> [record.question.question for record in iterate_webqa_records(file)]
        ['When?']
    """
    for guid, fields in iterate_json_members(file):
        try:
            if split is not None and isinstance(fields, dict) and fields.get("split", split) in {*SPLITS} - {split}:
                continue
            record, faults = _read(guid, fields, file)
        except (ReaderError, ValueError, TypeError) as error:
            report_problem(Problem(f"Guid {guid}", str(file), _cause(error, guid, file)), problems)
            continue
        for name, cause in faults:
            report_problem(Problem(name, str(file), f"Guid {guid}: {cause}"), problems)
        if split is None or record.split == split:
            yield record


def _cause(error: Exception, guid: str, file: Path) -> str:
    return str(error).removeprefix(f"{file}: Guid {guid}: ")


def _read(guid: str, fields: Any, file: Path) -> tuple[WebQARecord, list[tuple[str, str]]]:
    """The record, and the ids of the facts that are left out, with the cause of each."""
    _check_fields(guid, fields)
    fields = {"split": "test", **fields}  # only the test form may do without
    question = record_to_question(guid, fields, file)
    _check_readable([question.question, *question.answers, question.metadata.get("keywords")])
    faults: list[tuple[str, str]] = []
    images = _read_images(guid, fields, file, faults)
    texts = _read_texts(guid, fields, file, faults)
    return WebQARecord(question, tuple(texts.values()), tuple(images.items())), faults


def _read_images(
    guid: str, fields: Mapping[str, Any], file: Path, faults: list[tuple[str, str]]
) -> dict[int, Mapping[str, Any]]:
    images: dict[int, Mapping[str, Any]] = {}
    for image_id, fact in record_to_images(guid, fields, file):
        if not FIRST_IMAGE_ID <= image_id <= _LAST_IMAGE_ID:
            raise ValueError(f"the image id {image_id} is not one of {FIRST_IMAGE_ID}..{_LAST_IMAGE_ID}")
        try:
            if "caption" not in fact:
                raise ValueError("it has no field 'caption'")
            item = image_record_to_item(fact, image_id, b"only the words are looked at")
            _check_readable([item.title, item.caption, item.source])
        except ValueError as error:
            faults.append((str(image_id), str(error)))
            continue
        images.setdefault(image_id, fact)
    return images


def _read_texts(
    guid: str, fields: Mapping[str, Any], file: Path, faults: list[tuple[str, str]]
) -> dict[str, KnowledgeItem]:
    texts: dict[str, KnowledgeItem] = {}
    for name in TEXT_LISTS:
        for fact in fields.get(name, ()):
            snippet_id = fact["snippet_id"]
            if not snippet_id.startswith(f"{guid}_"):
                raise ValueError(f"the snippet id {snippet_id!r} is not {guid}_<number>: it is another question's")
            try:
                (text,) = record_to_texts(guid, {name: [fact]}, file)
                _check_readable([text.text, text.title, text.source])
            except ValueError as error:
                faults.append((snippet_id, _cause(error, guid, file)))
                continue
            if texts.setdefault(snippet_id, text) != text:
                raise ValueError(f"the snippet id {snippet_id} stands for two different texts")
    return texts


def _check_fields(guid: str, fields: Any) -> None:
    if not isinstance(fields, dict):
        raise ValueError(f"expected an object, found {str(fields)[:40]!r}")
    if fields.get("Guid", guid) != guid:
        raise ValueError(f"its field Guid says {fields['Guid']!r}")
    check_misspelled(fields, _FIELDS)
    labelled = any(name in fields for name in _LABELLED)
    if labelled and any(name in fields for name in _POOLS):
        raise ValueError(f"it has lists of both forms, {', '.join(_LABELLED)} and {', '.join(_POOLS)}")
    for name in _LABELLED if labelled else _POOLS:
        facts = fields.get(name)
        if not isinstance(facts, list) or not all(isinstance(fact, dict) for fact in facts):
            raise ValueError(f"{name} must be a list of objects, found {str(facts)[:40]!r}")
        for fact in facts:
            check_misspelled(fact, _IMAGE_FIELDS if name in IMAGE_LISTS else _TEXT_FIELDS)
    if fields.get("split", None if labelled else "test") not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, found {fields.get('split')!r}")
    category = fields.get("Qcate")
    if category not in CATEGORIES and (labelled or category is not None):
        raise ValueError(f"Qcate must be one of {', '.join(CATEGORIES)}, found {category!r}")
    answers = fields.get("A")
    if labelled and not (
        isinstance(answers, list) and any(isinstance(text, str) and text.strip() for text in answers)
    ):
        raise ValueError(f"A must be a list with an answer, found {str(answers)[:40]!r}")
    for name in ("Keywords_A", "topic"):
        if not isinstance(fields.get(name), (str, type(None))):
            raise ValueError(f"{name} must be a text, found {str(fields[name])[:40]!r}")
    if fields.get("Keywords_A") == _UNKNOWN_KEYWORDS:
        del fields["Keywords_A"]


def _check_readable(words: Iterable[str | None]) -> None:
    """Raise ValueError where a text holds half a character, which nothing could write."""
    try:
        "".join(word for word in words if word).encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"it holds half a character (a lone surrogate): {error.object[error.start]!r}") from error
