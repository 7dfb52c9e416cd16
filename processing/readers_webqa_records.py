"""One record of a WebQA file as a question, text items and image facts: what its fields mean."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .readers_records import ReaderError, optional_text

__all__ = [
    "IMAGE_LISTS",
    "TEXT_LISTS",
    "image_record_to_item",
    "record_to_images",
    "record_to_question",
    "record_to_texts",
    "strip_outer_quotes",
]

# The lists of the train/val form, positive and negative, and the undivided one of the test form.
IMAGE_LISTS = ("img_posFacts", "img_negFacts", "img_Facts")
TEXT_LISTS = ("txt_posFacts", "txt_negFacts", "txt_Facts")
_METADATA = {"split": "split", "topic": "topic", "keywords": "Keywords_A"}


def record_to_question(guid: str, record: Mapping[str, Any], file: Path) -> QuestionExample:
    """Return the question of one record; see `rablip.processing.readers_webqa.read_webqa_questions`.

    Args:
        guid: the record's key.
        record: its value.
        file: where it is from, for messages.

    Raises:
        ReaderError: the record is malformed, or has positive facts of both modalities; names file and Guid.

    Example:
        >>> record = {"Q": "When?", "A": ["1889"], "txt_posFacts": [{"snippet_id": "q1_0", "fact": "In 1889."}]}
        >>> record_to_question("q1", record, Path("WebQA.json")).positive_ids
        ('q1_0',)
    """
    ids: dict[str, list[str]] = {}
    for name in IMAGE_LISTS:
        ids[name] = [str(_image_id(fact, file, guid)) for fact in _facts(record, (name,), file, guid)]
    for name in TEXT_LISTS:
        ids[name] = [_snippet_id(fact, file, guid) for fact in _facts(record, (name,), file, guid)]
    if ids["img_posFacts"] and ids["txt_posFacts"]:
        raise _bad(file, guid, "it has positive facts of both modalities, which WebQA never has")
    answers = record.get("A") or []
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise _bad(file, guid, f"A must be a list of texts, found {str(answers)[:80]!r}")
    metadata: dict[str, Any] = {name: record[key] for name, key in _METADATA.items() if record.get(key) is not None}
    if "img_Facts" in record or "txt_Facts" in record:
        metadata |= {"hidden_labels": True, "candidate_ids": tuple(ids["img_Facts"] + ids["txt_Facts"])}
    negative = ids["img_negFacts"] + ids["txt_negFacts"]
    positive = tuple(dict.fromkeys(ids["img_posFacts"] + ids["txt_posFacts"]))
    try:
        return QuestionExample(
            id=guid,
            question=strip_outer_quotes(optional_text(record, "Q") or ""),
            answers=tuple(text for text in map(strip_outer_quotes, answers) if text),
            positive_ids=positive,
            negative_ids=tuple(name for name in dict.fromkeys(negative) if name not in positive),
            category=optional_text(record, "Qcate") or "",
            metadata=metadata,
        )
    except (ValueError, TypeError) as error:
        raise _bad(file, guid, str(error)) from error


def record_to_texts(guid: str, record: Mapping[str, Any], file: Path) -> Iterator[KnowledgeItem]:
    """Yield the text snippets of one record, as they are listed.

    Raises:
        ReaderError: a snippet is malformed; names file and Guid.

    Example:
        >>> record = {"txt_negFacts": [{"snippet_id": "q1_0", "fact": "In 1889.", "title": "Harbor"}]}
        >>> [(item.id, item.text, item.title) for item in record_to_texts("q1", record, Path("WebQA.json"))]
        [('q1_0', 'In 1889.', 'Harbor')]
    """
    for fact in _facts(record, TEXT_LISTS, file, guid):
        snippet_id = _snippet_id(fact, file, guid)
        try:
            text = optional_text(fact, "fact")
            if text is None:
                raise ValueError("it has no fact")
            item = KnowledgeItem(
                id=snippet_id, text=text, title=optional_text(fact, "title"), source=optional_text(fact, "url")
            )
        except ValueError as error:
            raise _bad(file, guid, f"snippet {snippet_id}: {error}") from error
        yield item


def record_to_images(guid: str, record: Mapping[str, Any], file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the image id and the fields of every image fact of one record, as they are listed.

    Raises:
        ReaderError: a fact is no object or has no image id; names file and Guid.

    Example:
        >>> record = {"img_posFacts": [{"image_id": 30000001, "caption": "The tower"}]}
        >>> list(record_to_images("q1", record, Path("WebQA.json")))
        [(30000001, {'image_id': 30000001, 'caption': 'The tower'})]
    """
    for fact in _facts(record, IMAGE_LISTS, file, guid):
        yield _image_id(fact, file, guid), fact


def image_record_to_item(fact: Mapping[str, Any], image_id: int, data: bytes | None) -> KnowledgeItem:
    """Return the item of an image fact, with its picture or, where `data` is None, its words alone.

    Raises:
        ValueError: a field holds something else than text, or there is neither a picture nor any words.

    Example:
        >>> image_record_to_item({"caption": "The tower"}, 30000001, b"123").modality.value
        'image'
    """
    old = fact.get("old_image_id")
    return KnowledgeItem(
        id=str(image_id),
        image=None if data is None else ImageRef(data=data),
        title=optional_text(fact, "title"),
        caption=optional_text(fact, "caption"),
        source=optional_text(fact, "url"),
        metadata={} if old is None else {"old_image_id": str(old)},
    )


def strip_outer_quotes(text: str) -> str:
    """Remove the double quotes that many WebQA questions and answers are wrapped in, when both are there.

    Example:
        >>> strip_outer_quotes('"What is the "Harbor"?"'), strip_outer_quotes('The "Harbor"')
        ('What is the "Harbor"?', 'The "Harbor"')
    """
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return text[1:-1].strip()
    return text


def _bad(file: Path, guid: str, cause: str) -> ReaderError:
    return ReaderError(f"{file}: Guid {guid}: {cause}")


def _facts(record: Mapping[str, Any], names: tuple[str, ...], file: Path, guid: str) -> Iterator[dict[str, Any]]:
    for name in names:
        facts = record.get(name) or []
        if not isinstance(facts, list) or not all(isinstance(fact, dict) for fact in facts):
            raise _bad(file, guid, f"{name} must be a list of objects")
        yield from facts


def _image_id(fact: Mapping[str, Any], file: Path, guid: str) -> int:
    value = fact.get("image_id")
    if isinstance(value, str) and re.fullmatch("[0-9]{1,18}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _bad(file, guid, f"image_id must be a whole number, found {value!r}")
    return value


def _snippet_id(fact: Mapping[str, Any], file: Path, guid: str) -> str:
    value = fact.get("snippet_id")
    if not isinstance(value, str) or not value.strip():
        raise _bad(file, guid, f"snippet_id must be a text, found {value!r}")
    return value
