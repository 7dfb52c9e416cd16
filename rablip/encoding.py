"""From knowledge items to embeddings, in bounded memory: batches by kind of item, halved when memory runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .batch_halving import run_in_batches
from .processing.knowledge_rablip import KnowledgeItem

if TYPE_CHECKING:
    from PIL.Image import Image

    from .knowledge_base import KnowledgeBase
    from .modeling_rablip import RablipRetriever
    from .processing.processing_rablip_retriever import RablipRetrieverProcessor

__all__ = ["KnowledgeEncoder", "encode_knowledge"]

# Opened pictures wait for their batch in full size: 100 million pixels are 300 MB.
_MAX_WAITING_PIXELS = 100_000_000


@dataclass
class KnowledgeEncoder:
    """Encodes knowledge items batch by batch with one retriever.

    Items with and without a picture go in batches of their own, so that texts never pay for empty picture slots.
    When a batch does not fit in memory it is halved, and the smaller size is kept; the embeddings are the same.

    Args:
        retriever: the model; it is used in evaluation mode and put back as it was.
        processor: its processor.
        batch_size: most items encoded at once.
        device: where the model is put; None where it is.
        num_truncated: how many items so far were too long for the processor's limit and were cut.

    Raises:
        ValueError: when `batch_size` is below 1.
    """

    retriever: RablipRetriever
    processor: RablipRetrieverProcessor
    batch_size: int = 64
    device: Any = None
    num_truncated: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            raise ValueError(f"batch_size must be a whole number of at least 1, got {self.batch_size!r}.")
        if self.device is not None:
            self.retriever.to(self.device)

    def encode(self, items: Sequence[KnowledgeItem], images: Sequence[Image | None]) -> np.ndarray:
        """Encode one list of items with their opened pictures.

        Returns:
            (num_items, embedding_dim) float32; of a retriever that gives an item several vectors (num_items,
            max_vectors, embedding_dim), zeros where an item has fewer.

        Raises:
            MemoryError, RuntimeError: when a single item does not fit in memory; names it.
        """
        rows, self.batch_size = run_in_batches(
            lambda start, stop: self._encode_batch(items[start:stop], images[start:stop]),
            len(items),
            self.batch_size,
            unit="items",
            name_row=lambda row: f"Knowledge item {items[row].id!r}",
        )
        return np.concatenate(rows) if rows else _make_room(0, self.retriever.config)

    def stream(
        self, knowledge_base: KnowledgeBase, *, progress: bool = True
    ) -> Iterator[tuple[list[KnowledgeItem], np.ndarray]]:
        """Encode a whole knowledge base, yielding items and embeddings batch by batch (not in its order).

        Args:
            knowledge_base: read once, item by item; each picture is opened for its batch only.
            progress: whether a bar is shown on a terminal.

        Raises:
            ImageError: when a picture cannot be opened; names item and file.
        """
        was_training = self.retriever.training
        self.retriever.eval()
        waiting: dict[bool, _Waiting] = {True: _Waiting(), False: _Waiting()}
        try:
            with tqdm(
                total=len(knowledge_base), desc="encoding", unit="item", disable=None if progress else True
            ) as bar:
                for item in knowledge_base:
                    batch = waiting[item.image is not None]
                    batch.add(item, knowledge_base.open_item_image(item))
                    if len(batch.items) >= self.batch_size or batch.num_pixels >= _MAX_WAITING_PIXELS:
                        yield self._flush(batch, bar)
                for batch in waiting.values():
                    if batch.items:
                        yield self._flush(batch, bar)
        finally:
            self.retriever.train(was_training)

    def _flush(self, batch: _Waiting, bar: Any) -> tuple[list[KnowledgeItem], np.ndarray]:
        items, embeddings = batch.items, self.encode(batch.items, batch.images)
        bar.update(len(items))
        batch.clear()
        return items, embeddings

    def _encode_batch(self, items: Sequence[KnowledgeItem], images: Sequence[Image | None]) -> np.ndarray:
        inputs = self.processor.process_knowledge(items, images, return_truncated=True)
        num_truncated = int(inputs.pop("truncated").sum())
        tensors = {
            name: value.to(self.retriever.device, self.retriever.dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        with torch.inference_mode():
            embeddings = self.retriever.encode_knowledge(**tensors)
        self.num_truncated += num_truncated
        vectors = embeddings.float().cpu().numpy()
        if vectors.ndim == 2:
            return vectors
        filled = _make_room(len(vectors), self.retriever.config)
        filled[:, : vectors.shape[1]] = vectors
        return filled


def encode_knowledge(
    retriever: RablipRetriever,
    processor: RablipRetrieverProcessor,
    knowledge_base: KnowledgeBase,
    *,
    batch_size: int = 64,
    device: Any = None,
    progress: bool = True,
) -> np.ndarray:
    """Encode a whole knowledge base into one array, in the order of `knowledge_base.ids`.

    Args:
        retriever: the model.
        processor: its processor.
        knowledge_base: the items.
        batch_size: most items encoded at once; halved when memory runs out.
        device: where the model is put; None where it is.
        progress: whether a bar is shown on a terminal.

    Returns:
        (num_items, embedding_dim) float32, or with several vectors an item as `KnowledgeEncoder.encode` gives them.

    Raises:
        ImageError: when a picture cannot be opened; names item and file.
    """
    encoder = KnowledgeEncoder(retriever, processor, batch_size=batch_size, device=device)
    rows = {item_id: row for row, item_id in enumerate(knowledge_base.ids)}
    embeddings = _make_room(len(rows), retriever.config)
    for items, batch in encoder.stream(knowledge_base, progress=progress):
        embeddings[[rows[item.id] for item in items]] = batch
    return embeddings


def _make_room(num_items: int, config: Any) -> np.ndarray:
    """Zeros for the embeddings of so many items."""
    one = (config.embedding_dim,) if config.max_vectors == 1 else (config.max_vectors, config.embedding_dim)
    return np.zeros((num_items, *one), np.float32)


class _Waiting:
    """Items of one kind that wait until there are enough of them for a batch."""

    def __init__(self) -> None:
        self.items: list[KnowledgeItem] = []
        self.images: list[Image | None] = []
        self.num_pixels = 0

    def add(self, item: KnowledgeItem, image: Image | None) -> None:
        self.items.append(item)
        self.images.append(image)
        self.num_pixels += 0 if image is None else image.width * image.height

    def clear(self) -> None:
        self.items, self.images, self.num_pixels = [], [], 0
