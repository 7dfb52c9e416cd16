"""The questions of MultimodalQA, each row checked against its format; see `multimodalqa` for what they carry."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..item_keys import make_id_key
from ..knowledge_rablip import QuestionExample
from ..readers_ids import SeenIds
from ..readers_records import Problem, iterate_json_lines, optional_text, report_problem, text_tuple

__all__ = ["MODALITIES", "QUESTION_TYPES", "SINGLE_HOP_TYPES", "read_multimodalqa_questions"]

MODALITIES = ("text", "image", "table")
SINGLE_HOP_TYPES = ("TextQ", "TableQ", "ImageQ", "ImageListQ")
QUESTION_TYPES = (
    *SINGLE_HOP_TYPES,
    "Compose(TextQ,TableQ)",
    "Compose(TableQ,TextQ)",
    "Compose(TableQ,ImageListQ)",
    "Compose(TextQ,ImageListQ)",
    "Compose(ImageQ,TableQ)",
    "Compose(ImageQ,TextQ)",
    "Intersect(TableQ,TextQ)",
    "Intersect(ImageListQ,TableQ)",
    "Intersect(ImageListQ,TextQ)",
    "Compare(TableQ,Compose(TableQ,TextQ))",
    "Compare(Compose(TableQ,ImageQ),TableQ)",
    "Compare(Compose(TableQ,ImageQ),Compose(TableQ,TextQ))",
)
_ANSWER_TYPES = ("string", "yesno", "number")


def read_multimodalqa_questions(
    path: Path, *, labelled: bool, problems: list[Problem] | None = None
) -> Iterator[QuestionExample]:
    """Read the questions of one file, plain or compressed, as a stream.

    Args:
        path: the JSON Lines file.
        labelled: whether rows have answers, supporting context and a type, as those of train and dev do.
        problems: where malformed rows are reported; None raises at the first.

    Raises:
        ReaderError: the file is damaged, or a row is malformed and `problems` is None; names file and line.
    """
    seen = SeenIds()
    for number, row in iterate_json_lines(path, problems=problems):
        try:
            example = _read_labelled(row) if labelled else _read_hidden(row)
            if not seen.add(example.id):
                raise ValueError("the qid is that of an earlier row")
        except (ValueError, TypeError) as error:
            name = f" (qid {row['qid'][:80]})" if isinstance(row.get("qid"), str) else ""
            report_problem(Problem(f"line {number}{name}", str(path), str(error)), problems)
            continue
        yield example


def _read_hidden(row: Mapping[str, Any]) -> QuestionExample:
    pool, parts = _context(_object(row, "metadata"))
    metadata = {"hidden_labels": True, "candidate_ids": pool, "candidate_modalities": tuple(map(parts.get, pool))}
    return QuestionExample(id=_qid(row), question=_question(row), metadata=metadata)


def _read_labelled(row: Mapping[str, Any]) -> QuestionExample:
    fields = _object(row, "metadata")
    pool, parts = _context(fields)
    kind = fields.get("type")
    if kind not in QUESTION_TYPES:
        raise ValueError(f"metadata.type must be one of {', '.join(QUESTION_TYPES)}, found {kind!r}")
    modalities = text_tuple(fields, "modalities")
    if not modalities or not set(modalities) <= set(MODALITIES):
        raise ValueError(f"metadata.modalities must be of {', '.join(MODALITIES)}, found {modalities}")
    support = _support(row)
    answers = _answers(row.get("answers"), "answers")
    outside = tuple(name for name in support if name not in parts)
    metadata: dict[str, Any] = {
        "candidate_ids": pool,
        "candidate_modalities": tuple(map(parts.get, pool)),
        "modalities": modalities,
        "hop": "single" if kind in SINGLE_HOP_TYPES else "multi",
        "answer_modality": _only(answers, "modality", MODALITIES),
        "answer_type": _only(answers, "type", _ANSWER_TYPES),
        "positive_modalities": tuple(support.values()),
        "intermediate_answers": _intermediate(fields.get("intermediate_answers")),
        "question_entities": _entities(fields, "wiki_entities_in_question"),
        "answer_entities": _entities(fields, "wiki_entities_in_answers"),
    }
    if len(answers) > 1:
        metadata["all_answers"] = True
    if outside:
        metadata["outside_context"] = outside
    return QuestionExample(
        id=_qid(row),
        question=_question(row),
        answers=tuple(_answer_text(answer) for answer in answers),
        positive_ids=tuple(support),
        negative_ids=tuple(name for name in pool if name not in support),
        category=kind,
        metadata=metadata,
    )


def _object(row: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = row.get(field)
    if not isinstance(value, dict):
        raise ValueError(f"field {field!r} must be an object, found {str(value)[:40]!r}")
    return value


def _qid(row: Mapping[str, Any]) -> str:
    name = row.get("qid")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"field 'qid' must be a non-empty text, found {name!r}")
    return name


def _question(row: Mapping[str, Any]) -> str:
    return (optional_text(row, "question") or "").strip()


def _context(fields: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The question's own documents, and the modality of each.

    They are ordered by a hash of their ids: in the file, a picture that answers is often the first.
    """
    table = fields.get("table_id")
    if not isinstance(table, str) or not table.strip():
        raise ValueError(f"metadata.table_id must be a document id, found {table!r}")
    parts: dict[str, str] = {}
    for modality, field in (("text", "text_doc_ids"), ("image", "image_doc_ids")):
        if field not in fields:
            raise ValueError(f"metadata.{field} is missing")
        parts |= dict.fromkeys(sorted(text_tuple(fields, field), key=make_id_key), modality)
    parts[table] = "table"
    return tuple(parts), parts


def _support(row: Mapping[str, Any]) -> dict[str, str]:
    """The documents that answer the question, each once, with the modality of each."""
    listed = row.get("supporting_context")
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"supporting_context must be a list of documents, found {str(listed)[:40]!r}")
    support: dict[str, str] = {}
    for entry in listed:
        name, part = (entry.get("doc_id"), entry.get("doc_part")) if isinstance(entry, dict) else (None, None)
        if not isinstance(name, str) or not name.strip() or part not in MODALITIES:
            raise ValueError(f"supporting_context: expected doc_id and doc_part, found {str(entry)[:80]!r}")
        support[name] = part
    return support


def _answers(listed: object, where: str) -> list[Mapping[str, Any]]:
    if not isinstance(listed, list) or not listed or not all(isinstance(answer, dict) for answer in listed):
        raise ValueError(f"{where} must be a list of answers, found {str(listed)[:40]!r}")
    return listed


def _answer_text(answer: Mapping[str, Any]) -> str:
    """What the official scorer compares: `str()` of the value, which is a number for some."""
    value = answer.get("answer")
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return str(value)
    raise ValueError(f"an answer must be a text or a number, found {value!r}")


def _only(answers: list[Mapping[str, Any]], field: str, allowed: tuple[str, ...]) -> str:
    values = {answer.get(field) for answer in answers if isinstance(answer.get(field), (str, type(None)))}
    (value,) = values if len(values) == 1 else (None,)
    if value not in allowed:
        raise ValueError(f"the {field} of all answers must be one of {', '.join(allowed)}, found {values}")
    return str(value)


def _intermediate(listed: object) -> tuple[tuple[str, ...], ...]:
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise ValueError(f"metadata.intermediate_answers must be a list of lists, found {str(listed)[:40]!r}")
    return tuple(tuple(_answer_text(answer) for answer in _answers(step, "a step of them")) for step in listed)


def _entities(fields: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The names in a list of entities, of which some are objects and some bare texts."""
    listed = fields.get(field)
    if listed is None:
        return ()
    if isinstance(listed, list):
        names = [entry.get("text") if isinstance(entry, dict) else entry for entry in listed]
        texts = tuple([name for name in names if isinstance(name, str)])
        if len(texts) == len(names):
            return texts
    raise ValueError(f"metadata.{field} must be a list of entities, found {str(listed)[:80]!r}")
