"""Questions and knowledge items as rows of typed columns, and back: what a `datasets.Dataset` of a benchmark holds.

Pictures are what `datasets.Image(decode=False)` stores: the bytes of a picture file, or the absolute path of one.
Metadata is one JSON text. In it a tuple is a JSON list; a list, which JSON cannot tell from a tuple, is an object
`{"__list__": [...]}`, so that both come back as they were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..knowledge_rablip import ImageRef, KnowledgeItem, QuestionExample

__all__ = ["decode_item", "decode_question", "encode_item", "encode_question"]

_LIST = "__list__"


def encode_question(example: QuestionExample, *, root: Path) -> dict[str, Any]:
    """Return the row of a question.

    Args:
        example: the question.
        root: the folder that its picture paths are relative to, and confined to.

    Raises:
        ValueError: a picture lies outside the root, or the metadata cannot be written as JSON.

    Example:
        >>> row = encode_question(QuestionExample(id="q1", question="When?", answers=("1889",)), root=Path("."))
        >>> row["answers"], row["metadata"]
        (['1889'], '{}')
        >>> decode_question(row, root=Path(".")).answers
        ('1889',)
    """
    return {
        "id": example.id,
        "question": example.question,
        "images": [_encode_image(image, example.id, root) for image in example.images],
        "answers": list(example.answers),
        "positive_ids": list(example.positive_ids),
        "negative_ids": list(example.negative_ids),
        "category": example.category,
        "metadata": _encode_metadata(example.metadata, example.id),
    }


def decode_question(row: Mapping[str, Any], *, root: Path) -> QuestionExample:
    """Return the question of a row; see `encode_question`.

    Args:
        row: the row.
        root: the folder that picture paths become relative to again; a path outside it stays absolute.

    Raises:
        ValueError: the row does not hold what `encode_question` writes.
        TypeError: a picture has been decoded: read the row from a dataset with `Image(decode=False)`.
    """
    return QuestionExample(
        id=row["id"],
        question=row["question"],
        images=tuple([_decode_image(image, root) for image in row["images"]]),
        answers=tuple(row["answers"]),
        positive_ids=tuple(row["positive_ids"]),
        negative_ids=tuple(row["negative_ids"]),
        category=row["category"],
        metadata=_decode_metadata(row["metadata"]),
    )


def encode_item(item: KnowledgeItem, *, root: Path) -> dict[str, Any]:
    """Return the row of a knowledge item.

    Args:
        item: the knowledge item.
        root: the folder that its picture path is relative to, and confined to.

    Raises:
        ValueError: its picture lies outside the root, or the metadata cannot be written as JSON.

    Example:
        >>> row = encode_item(KnowledgeItem(id="t1", text="In 1889."), root=Path("."))
        >>> decode_item(row, root=Path(".")) == KnowledgeItem(id="t1", text="In 1889.")
        True
    """
    return {
        "id": item.id,
        "text": item.text,
        "title": item.title,
        "caption": item.caption,
        "source": item.source,
        "image": None if item.image is None else _encode_image(item.image, item.id, root),
        "metadata": _encode_metadata(item.metadata, item.id),
    }


def decode_item(row: Mapping[str, Any], *, root: Path) -> KnowledgeItem:
    """Return the knowledge item of a row; see `encode_item` and `decode_question`."""
    return KnowledgeItem(
        image=None if row["image"] is None else _decode_image(row["image"], root),
        metadata=_decode_metadata(row["metadata"]),
        **{name: row[name] for name in ("id", "text", "title", "caption", "source")},
    )


def _encode_image(image: ImageRef, owner: str, root: Path) -> dict[str, Any]:
    if image.path is None:
        return {"bytes": image.data, "path": None}
    folder = root.resolve()
    # Links are followed for the check only: the path must lead back to the name that the data has.
    if not (folder / image.path).resolve().is_relative_to(folder):
        raise ValueError(f"The picture {image.path!r} of {owner!r} lies outside its folder {folder}.")
    return {"bytes": None, "path": str(folder / image.path)}


def _decode_image(image: object, root: Path) -> ImageRef:
    if not isinstance(image, Mapping) or set(image) != {"bytes", "path"}:
        raise TypeError(
            f"A picture must be the bytes and path of `datasets.Image(decode=False)`, got {type(image).__name__}. "
            "Cast the column back before rows are decoded."
        )
    if image["bytes"] is not None:
        return ImageRef(data=image["bytes"])
    path, folder = Path(image["path"]), root.resolve()
    return ImageRef(path=path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path))


def _encode_metadata(metadata: Mapping[str, Any], owner: str) -> str:
    try:
        return json.dumps(_freeze(metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The metadata of {owner!r} cannot be written as JSON: {error}") from error


def _decode_metadata(text: str) -> dict[str, Any]:
    metadata = _thaw(json.loads(text))
    if not isinstance(metadata, dict):
        raise ValueError(f"metadata must hold a JSON object, found {text[:80]!r}")
    return metadata


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or key == _LIST:
                raise ValueError(f"a key must be a text other than {_LIST!r}, found {key!r}")
        return {key: _freeze(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return {_LIST: [_freeze(entry) for entry in value]}
    if isinstance(value, tuple):
        return [_freeze(entry) for entry in value]
    return value


def _thaw(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {_LIST}:
            return [_thaw(entry) for entry in value[_LIST]]
        return {key: _thaw(entry) for key, entry in value.items()}
    return tuple([_thaw(entry) for entry in value]) if isinstance(value, list) else value
