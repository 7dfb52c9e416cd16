"""Knowledge items in memory, behind the interface of a knowledge base: they change from control to control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from PIL import Image

from ..processing.images_rablip import load_image
from ..processing.knowledge_rablip import KnowledgeItem

__all__ = ["MemoryItems"]


class MemoryItems:
    """Read-only items by id, in order, with their pictures; nothing is written to disk.

    Pictures that are files must have absolute paths: there is no root that a relative path could belong to.

    Args:
        items: the knowledge items.

    Raises:
        ValueError: when an id stands twice.

    Example:
        >>> items = MemoryItems([KnowledgeItem(id="7", text="It opened in 1889.")])
        >>> items["7"].text, items.open_image("7"), "8" in items
        ('It opened in 1889.', None, False)
    """

    def __init__(self, items: Sequence[KnowledgeItem]) -> None:
        self._items: dict[str, KnowledgeItem] = {}
        for item in items:
            if item.id in self._items:
                raise ValueError(f"The id {item.id!r} stands twice among the knowledge items.")
            self._items[item.id] = item

    @property
    def ids(self) -> list[str]:
        """The ids, in order."""
        return list(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    def __getitem__(self, item_id: str) -> KnowledgeItem:
        return self._items[item_id]

    def __iter__(self) -> Iterator[KnowledgeItem]:
        return iter(self._items.values())

    def open_image(self, item_id: str) -> Image.Image | None:
        """The picture of an item in RGB, or None when it has none.

        Raises:
            ImageError: when the picture is missing or damaged.
        """
        image = self._items[item_id].image
        return None if image is None else load_image(image)

    def open_item_image(self, item: KnowledgeItem) -> Image.Image | None:
        """As `open_image`, for an item that was read from here."""
        return self.open_image(item.id)
