"""Opening the pictures of questions and knowledge items, and reading an item without its picture where that fails."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from PIL import Image

from ..processing.images_rablip import ImageError, load_image
from ..processing.knowledge_rablip import ImageRef, KnowledgeItem
from .types import Candidate

if TYPE_CHECKING:
    from ..knowledge_base import KnowledgeBase

__all__ = [
    "ItemPictures",
    "OpenedImages",
    "QuestionImage",
    "QuestionImages",
    "open_question_images",
    "without_picture",
]

logger = logging.getLogger(__name__)

QuestionImage = Image.Image | ImageRef
QuestionImages = Sequence[QuestionImage | Sequence[QuestionImage] | None]
OpenedImages = Sequence[list[Image.Image]]


def open_question_images(images: QuestionImages | None, num_questions: int) -> list[list[Image.Image]]:
    """The pictures of each question, opened by the one image rule; a question without a picture gets an empty list.

    Args:
        images: one entry per question: a picture, several, or None. None for no pictures at all.
        num_questions: how many questions there are.

    Raises:
        ValueError: when there are not as many entries as questions.
        TypeError: for a string or path: only PIL images and `ImageRef` are pictures.
        ImageError: when a picture cannot be opened; the message names it.

    Example:
        >>> open_question_images([Image.new("RGB", (4, 4)), None], 2)[1]
        []
    """
    if images is None:
        return [[] for _ in range(num_questions)]
    if isinstance(images, (Image.Image, ImageRef, str)) or len(images) != num_questions:
        given = len(images) if isinstance(images, Sequence) else type(images).__name__
        raise ValueError(
            f"images must hold one entry per question ({num_questions}), got {given}. Use None for a question "
            "without a picture."
        )
    opened: list[list[Image.Image]] = []
    for entry in images:
        if entry is None:
            opened.append([])
        elif isinstance(entry, (Image.Image, ImageRef)) or not isinstance(entry, (list, tuple)):
            opened.append([load_image(cast("QuestionImage", entry))])
        else:
            opened.append([load_image(picture) for picture in entry])
    return opened


class ItemPictures:
    """Opens the pictures of knowledge items and keeps the last ones, for the stages that read them one after another.

    Args:
        knowledge_base: resolves relative paths of its own items; other items are opened as they are.
        max_pixels: how many pixels of opened pictures are kept in all.

    Example:
        >>> ItemPictures(None).open(KnowledgeItem(id="7", text="It opened in 1889.")) is None
        True
    """

    def __init__(self, knowledge_base: KnowledgeBase | None, *, max_pixels: int = 32_000_000) -> None:
        self._knowledge_base = knowledge_base
        self._max_pixels = max_pixels
        self._num_pixels = 0
        self._opened: dict[tuple[str, ImageRef], Image.Image] = {}

    def open(self, item: KnowledgeItem) -> Image.Image | None:
        """The picture of an item in RGB, or None when it has none.

        Raises:
            ImageError: when the picture is missing or damaged.
        """
        if item.image is None:
            return None
        key = (item.id, item.image)
        if key not in self._opened:
            root = self._root(item) if item.image.path is not None else None
            picture = load_image(item.image, root=root)
            self._num_pixels += picture.width * picture.height
            while self._num_pixels > self._max_pixels and self._opened:
                old = self._opened.pop(next(iter(self._opened)))
                self._num_pixels -= old.width * old.height
            self._opened[key] = picture
        return self._opened[key]

    def open_shown(self, candidates: Iterable[Candidate]) -> list[tuple[Candidate, Image.Image | None]]:
        """Each candidate with the picture a model gets; a picture that cannot be opened marks its candidate."""
        shown = []
        for candidate in candidates:
            picture = None
            if candidate.has_picture:
                try:
                    picture = self.open(candidate.item)
                except ImageError as error:
                    logger.warning("Item %r is read without its picture: %s", candidate.id, error)
                    candidate = dataclasses.replace(candidate, image_missing=True)
            shown.append((candidate, picture))
        return shown

    def is_missing(self, item: KnowledgeItem) -> bool:
        """Whether the picture file of an item is not there; a file is looked for, not opened."""
        if item.image is None or item.image.path is None:
            return False
        root = self._root(item)
        return not (Path(item.image.path) if root is None else root / item.image.path).is_file()

    def _root(self, item: KnowledgeItem) -> Path | None:
        # An item that the caller made, or gave another picture, is not looked for among the stored pictures.
        base = self._knowledge_base
        if base is None or item.id not in base or base[item.id].image != item.image:
            return None
        return base.root_of(item.id)


def without_picture(item: KnowledgeItem) -> KnowledgeItem | None:
    """The words of an item, without its picture; None when it has no words.

    Example:
        >>> without_picture(KnowledgeItem(id="8", image=ImageRef(path="8.png"))) is None
        True
    """
    if item.image is None:
        return item
    if not any(part and part.strip() for part in (item.text, item.title, item.caption)):
        return None
    return dataclasses.replace(item, image=None)
