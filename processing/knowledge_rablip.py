"""What is indexed and what is asked: the typed knowledge item, picture reference and question example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

__all__ = ["ImageRef", "KnowledgeItem", "Modality", "QuestionExample"]


class Modality(str, Enum):
    """What a knowledge item carries: text, a picture, or both.

    Example:
        >>> Modality("image_text") is Modality.IMAGE_TEXT
        True
    """

    TEXT = "text"
    IMAGE = "image"
    IMAGE_TEXT = "image_text"


@dataclass(frozen=True, kw_only=True)
class ImageRef:
    """Where a picture is: a file, or the bytes of an encoded picture file.

    This type (and a PIL image) is the only thing that is ever opened as a picture; a bare string never is, so that
    text from a knowledge base cannot make the library read a file or a URL.

    Args:
        path: the picture file, relative to the root of its knowledge base, or absolute. URLs are refused.
        data: the bytes of an encoded picture file (PNG, JPEG, ...).

    Raises:
        ValueError: when both or neither of the two are given, when one is empty, or when the path is a URL.
        TypeError: when `path` is not a str or `data` is not bytes.

    Example:
        >>> ImageRef(path="pictures/harbor.png").name
        'pictures/harbor.png'
        >>> ImageRef(data=b"123").name
        '<3 bytes of picture data>'
    """

    path: str | None = None
    data: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.path is None) == (self.data is None):
            given = "neither" if self.path is None else "both"
            raise ValueError(
                f"ImageRef needs exactly one of `path` and `data`, but {given} were given. Pass one of them."
            )
        if self.path is not None:
            if not isinstance(self.path, str):
                raise TypeError(f"ImageRef.path must be a str, got {type(self.path).__name__}. Pass str(path).")
            if not self.path.strip() or "\0" in self.path:
                raise ValueError(f"ImageRef.path must name a file, got {self.path!r}.")
            if _looks_like_url(self.path):
                raise ValueError(
                    f"ImageRef.path must be a file, got the URL {_shorten(self.path)!r}. Nothing is downloaded: save "
                    "the picture first and pass its path, or pass its bytes as `data`."
                )
        if self.data is not None:
            if not isinstance(self.data, bytes):
                raise TypeError(f"ImageRef.data must be bytes, got {type(self.data).__name__}. Pass bytes(data).")
            if not self.data:
                raise ValueError("ImageRef.data is empty (0 bytes). Pass the bytes of an encoded picture file.")

    @property
    def name(self) -> str:
        """The name of the picture in error messages: its path, or how many bytes it holds."""
        if self.path is not None:
            return self.path
        return f"<{len(self.data or b'')} bytes of picture data>"


@dataclass(frozen=True, kw_only=True)
class KnowledgeItem:
    """One unit of a knowledge base: a text, a picture, or a picture with text.

    Args:
        id: unique, non-empty name of the item in its knowledge base.
        text: the body.
        image: the picture; a `str` is refused (wrap it: `ImageRef(path=...)`).
        title: what the item is about.
        caption: names the picture.
        source: where the item came from (an address or a file); never opened.
        metadata: anything else; never shown to a model.

    Raises:
        TypeError: when a field has another type than documented.
        ValueError: when the id is empty, or when there is neither a picture nor any text.

    Example:
        >>> KnowledgeItem(id="7", text="The tower opened in 1889.").modality.value
        'text'
        >>> KnowledgeItem(id="8", image=ImageRef(path="tower.png"), caption="The tower").modality.value
        'image'
    """

    id: str
    text: str | None = None
    image: ImageRef | None = None
    title: str | None = None
    caption: str | None = None
    source: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_id(self.id, "KnowledgeItem")
        if self.image is not None and not isinstance(self.image, ImageRef):
            raise TypeError(
                f"KnowledgeItem.image of item {self.id!r} must be an ImageRef or None, got "
                f"{type(self.image).__name__}. A string is never guessed to be a picture: pass ImageRef(path=...)."
            )
        for name in ("text", "title", "caption", "source"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(
                    f"KnowledgeItem.{name} of item {self.id!r} must be a str or None, got {type(value).__name__}."
                )
        _check_mapping(self.metadata, "KnowledgeItem", self.id)
        if self.image is None and not any(map(_has_text, (self.text, self.title, self.caption))):
            raise ValueError(
                f"KnowledgeItem {self.id!r} is empty: it has no image and no text, title or caption. Give it one of "
                "them or leave it out."
            )

    @property
    def modality(self) -> Modality:
        """Image and body text: IMAGE_TEXT; image with at most a title and caption: IMAGE; no image: TEXT."""
        if self.image is None:
            return Modality.TEXT
        return Modality.IMAGE_TEXT if _has_text(self.text) else Modality.IMAGE


@dataclass(frozen=True, kw_only=True)
class QuestionExample:
    """One question of a data set, with its answers and the ids of the knowledge items that answer it.

    Args:
        id: name of the question in its data set.
        question: the question; must hold more than white space.
        images: pictures that belong to the question.
        answers: accepted answers; none means that the knowledge base does not hold the answer.
        positive_ids: ids of the knowledge items that answer the question.
        negative_ids: ids of knowledge items known not to.
        category: kind of question, as its data set calls it.
        metadata: anything else; never shown to a model.

    Raises:
        TypeError: when a field has another type than documented (a list is accepted for a tuple, a str is not).
        ValueError: when the id or the question is empty, or an id is both positive and negative.

    Example:
        >>> example = QuestionExample(id="q1", question="What color is the roof?", answers=["red"], positive_ids=["8"])
        >>> example.answers, example.answerable
        (('red',), True)
    """

    id: str
    question: str
    images: tuple[ImageRef, ...] = ()
    answers: tuple[str, ...] = ()
    positive_ids: tuple[str, ...] = ()
    negative_ids: tuple[str, ...] = ()
    category: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _check_id(self.id, "QuestionExample")
        if not isinstance(self.question, str):
            raise TypeError(f"Question of {self.id!r} must be a str, got {type(self.question).__name__}.")
        if not _has_text(self.question):
            raise ValueError(f"Question of {self.id!r} is empty: {self.question!r}. Give the words of the question.")
        for name, kind in (("images", ImageRef), ("answers", str), ("positive_ids", str), ("negative_ids", str)):
            object.__setattr__(self, name, _check_tuple(getattr(self, name), kind, name, self.id))
        if not isinstance(self.category, str):
            raise TypeError(f"category of {self.id!r} must be a str, got {type(self.category).__name__}.")
        _check_mapping(self.metadata, "QuestionExample", self.id)
        both = sorted(set(self.positive_ids) & set(self.negative_ids))
        if both:
            raise ValueError(f"QuestionExample {self.id!r} has ids that are both positive and negative: {both[:5]}.")

    @property
    def answerable(self) -> bool:
        """Whether any accepted answer is known."""
        return bool(self.answers)

    @property
    def hops(self) -> list[list[str]]:
        """Positive ids per search: those of `metadata["hops"]`, else all positives in one search.

        A question without an answer has one empty list where it has no positives.
        """
        hops = self.metadata.get("hops")
        return [list(hop) for hop in hops] if hops and self.answerable else [list(self.positive_ids)]

    @property
    def candidate_ids(self) -> tuple[str, ...]:
        """Ids of the question's own items: those of `metadata["candidate_ids"]`, else its positives and negatives.

        What a benchmark's distractor setting looks for the answer in.
        """
        own = self.metadata.get("candidate_ids")
        return (*self.positive_ids, *self.negative_ids) if own is None else tuple(own)


def _has_text(value: str | None) -> bool:
    return value is not None and bool(value.strip())


def _shorten(value: str, limit: int = 80) -> str:
    return value if len(value) <= limit else value[:limit] + "..."


def _looks_like_url(path: str) -> bool:
    scheme, separator, _ = path.strip().partition("://")
    if separator and scheme.replace("+", "").replace("-", "").replace(".", "").isalnum():
        return True
    return path.strip().lower().startswith(("data:", "file:", "http:", "https:"))


def _check_id(value: object, owner: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{owner}.id must be a str, got {type(value).__name__} ({value!r}). Pass str(id).")
    if not value.strip():
        raise ValueError(f"{owner}.id must not be empty, got {value!r}.")


def _check_mapping(value: object, owner: str, item_id: str) -> None:
    if not isinstance(value, Mapping):
        raise TypeError(f"{owner}.metadata of {item_id!r} must be a mapping, got {type(value).__name__}.")


def _check_tuple(values: object, kind: type, name: str, item_id: str) -> tuple[Any, ...]:
    if not isinstance(values, (tuple, list)):
        raise TypeError(
            f"{name} of {item_id!r} must be a tuple of {kind.__name__}, got {type(values).__name__}. "
            f"Put it in a tuple: ({kind.__name__}, ...)."
        )
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"{name} of {item_id!r} must hold {kind.__name__}, got {type(value).__name__}.")
    return tuple(values)
