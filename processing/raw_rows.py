"""Rows of a user's own table, as `datasets` gives them, to `CandidateExample`s; which columns there are."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

from PIL import Image

from .candidate_example import CandidateExample
from .images_rablip import load_image
from .knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample
from .readers_records import check_fields

__all__ = ["DOCUMENT_COLUMNS", "ROW_COLUMNS", "read_row"]

ROW_COLUMNS = ("question", "answer", "image", "docs", "id")
DOCUMENT_COLUMNS = ("text", "title", "caption", "image", "relevant", "id")


def read_row(row: Mapping[str, Any]) -> CandidateExample:
    """One training row of a table.

    Args:
        row: `question` (text), `docs` (a list of candidates with any of `text`, `title`, `caption`, `image`, and
            `relevant`, 0 to 1 or a truth value), and, where there are any, `answer` (text), `image` (the question's
            own picture or pictures) and `id`. Pictures are PIL images or what `datasets.Image(decode=False)` gives; a
            string is never one. An answer without a relevant candidate is not learned: nothing shown would give it.

    Returns:
        The example; ids that are not given are made from the content.

    Raises:
        ValueError: a column is missing or unknown, or holds something else; names it.
        TypeError: a picture is something else; a string never is one.

    Example:
        >>> row = {"question": "When?", "answer": "1889", "docs": [{"text": "Built in 1889.", "relevant": True}]}
        >>> example = read_row(row)
        >>> example.answer, example.relevance
        ('1889', (1.0,))
    """
    check_fields(row, ROW_COLUMNS)
    missing = [name for name in ("question", "docs") if row.get(name) is None]
    if missing:
        raise ValueError(
            f"The row has no column {missing[0]!r}, only {', '.join(sorted(row))}. A row needs `question` and `docs`; "
            f"columns that are read: {', '.join(ROW_COLUMNS)}."
        )
    documents = row["docs"]
    if isinstance(documents, (str, Mapping)) or not hasattr(documents, "__iter__"):
        raise ValueError(f"`docs` must be a list of candidates, got {type(documents).__name__}.")
    judged = [_read_document(document) for document in documents]
    images = row.get("image")
    images = [] if images is None else images if isinstance(images, (list, tuple)) else [images]
    answer = row.get("answer")
    relevant = tuple(item.id for item, value in judged if value >= 0.5)
    name = row.get("id")
    question = QuestionExample(
        id=_hash("question", row["question"], *(item.id for item, _ in judged)) if name is None else str(name),
        question=row["question"],
        images=tuple(map(_read_picture, images)),
        answers=() if answer is None else (answer,),
        positive_ids=relevant,
    )
    return CandidateExample(
        question=question,
        candidates=tuple(item for item, _ in judged),
        relevance=tuple(value for _, value in judged),
        answer=answer if relevant else None,
    )


def _read_document(document: Any) -> tuple[KnowledgeItem, float]:
    if not isinstance(document, Mapping):
        raise ValueError(f"A candidate in `docs` must be a mapping of columns, got {type(document).__name__}.")
    check_fields(document, DOCUMENT_COLUMNS)
    relevant = document.get("relevant")
    if isinstance(relevant, bool):
        relevant = float(relevant)
    if not isinstance(relevant, (int, float)) or not 0 <= relevant <= 1:
        raise ValueError(
            f"A candidate in `docs` has `relevant` = {relevant!r}; say of each whether it helps: true, false, 0 to 1."
        )
    texts: dict[str, Any] = {name: document.get(name) for name in ("text", "title", "caption")}
    image = None if document.get("image") is None else _read_picture(document["image"])
    name = document.get("id")
    content = image.data or image.path if image is not None else None
    return (
        KnowledgeItem(id=_hash("item", *texts.values(), content) if name is None else str(name), image=image, **texts),
        float(relevant),
    )


def _read_picture(picture: Any) -> ImageRef:
    if isinstance(picture, ImageRef):
        return picture
    if isinstance(picture, Image.Image):
        buffer = io.BytesIO()
        load_image(picture).save(buffer, format="PNG")
        return ImageRef(data=buffer.getvalue())
    if isinstance(picture, Mapping) and set(picture) == {"bytes", "path"}:
        return ImageRef(data=picture["bytes"]) if picture["bytes"] else ImageRef(path=picture["path"])
    raise TypeError(
        f"A picture must be a PIL image, an ImageRef, or the bytes and path of `datasets.Image(decode=False)`, got "
        f"{type(picture).__name__}. A string is never guessed to be a picture: open it, or pass ImageRef(path=...)."
    )


def _hash(*parts: Any) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:20]
