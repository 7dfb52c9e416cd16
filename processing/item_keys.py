"""Keys of knowledge items: numbers that say whether two items are the same one, or hold the same."""

from __future__ import annotations

import hashlib

from .knowledge_rablip import KnowledgeItem
from .prompts_rablip import format_knowledge_item

__all__ = ["make_content_key", "make_id_key"]


def make_id_key(item_id: str) -> int:
    """A number for an item's id, equal in every process: 63 bits of its SHA-256, never negative.

    Args:
        item_id: id of the item in its knowledge base.

    Example:
        >>> make_id_key("a") == make_id_key("a"), make_id_key("a") == make_id_key("b")
        (True, False)
    """
    return _shorten_hash(item_id.encode("utf-8", "surrogatepass"))


def make_content_key(item: KnowledgeItem) -> int:
    """A number for what an item shows to a model: its formatted text and its picture, whatever its id is.

    A picture is known by its path or by its bytes: copies of one file under two names count as two pictures.

    Args:
        item: the knowledge item; it is not opened.

    Returns:
        63 bits of a SHA-256, never negative.

    Example:
        >>> from rablip.processing import ImageRef
        >>> first, copy = (KnowledgeItem(id=name, text="A tower.") for name in "ab")
        >>> pictured = KnowledgeItem(id="a", text="A tower.", image=ImageRef(path="tower.png"))
        >>> make_content_key(first) == make_content_key(copy), make_content_key(first) == make_content_key(pictured)
        (True, False)
    """
    # Formatted text holds no control characters, so that NUL separates it from what follows.
    parts = [format_knowledge_item(item).encode("utf-8")]
    if item.image is not None and item.image.path is not None:
        parts += [b"path", item.image.path.encode("utf-8", "surrogatepass")]
    elif item.image is not None:
        parts += [b"data", hashlib.sha256(item.image.data or b"").digest()]
    return _shorten_hash(b"\0".join(parts))


def _shorten_hash(value: bytes) -> int:
    return int.from_bytes(hashlib.sha256(value).digest()[:8], "big") >> 1
