"""From knowledge items to embeddings, in bounded memory: batches of like items, halved when memory runs out."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..batch_halving import run_in_batches
from ..processing.batching_rablip import stack_pictures
from ..processing.knowledge_rablip import ImageRef, KnowledgeItem
from .batches import iterate_windows, plan_batches, run_ahead
from .precision import choose_bf16

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..knowledge_base import KnowledgeBase
    from ..modeling_rablip import RablipRetriever
    from ..processing.processing_rablip_retriever import RablipRetrieverProcessor

__all__ = ["KnowledgeEncoder", "encode_knowledge"]

_MAX_WORKERS = 8
# Opened pictures of a thread: 3 MB.
_PIXELS_AT_ONCE = 1_000_000


@dataclass
class KnowledgeEncoder:
    """Encodes knowledge items with one retriever, in batches of like length and kind.

    Pictures are opened and prepared in worker threads, few in full size at a time, while the model is at work. A
    picture that several items of a batch have is opened once, and the vision tower sees it once. When a batch does not
    fit in memory it is halved, and the smaller size is kept; the embeddings are the same.

    Args:
        retriever: the model; it is used in evaluation mode and put back as it was.
        processor: its processor.
        batch_size: most items encoded at once.
        device: where the model is put; None where it is.
        num_workers: threads that prepare batches ahead; 0 for none, None for one less than there are processors, at
            most 8.
        bf16: whether the model computes in bfloat16; None where that is faster (`choose_bf16`).
        num_truncated: how many items so far were too long for the processor's limit and were cut.

    Raises:
        ValueError: when `batch_size` is below 1, or `num_workers` below 0.
    """

    retriever: RablipRetriever
    processor: RablipRetrieverProcessor
    batch_size: int = 64
    device: Any = None
    num_workers: int | None = None
    bf16: bool | None = None
    num_truncated: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.num_workers is None:
            self.num_workers = max(1, min(_MAX_WORKERS, _count_processors() - 1))
        for name, least in (("batch_size", 1), ("num_workers", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
        if self.device is not None:
            self.retriever.to(self.device)
        if self.bf16 is None:
            self.bf16 = choose_bf16(self.retriever)
        # Tokenizers change their own state while they cut texts, and refuse to be used in two threads at once.
        self._text_lock = threading.Lock()

    @property
    def dtype_name(self) -> str:
        """What the model computes in, as manifests name it: "float32", "bfloat16" or "float16"."""
        dtype = torch.bfloat16 if self.bf16 else self.retriever.dtype
        return str(dtype).removeprefix("torch.")

    def stream(
        self, items: Iterable[KnowledgeItem], open_image: Callable[[KnowledgeItem], Image | None], bar: Any = None
    ) -> Iterator[tuple[list[KnowledgeItem], np.ndarray]]:
        """Encode items, yielding them in their order with their embeddings, a few thousand at a time.

        Args:
            items: read once, a few thousand ahead.
            open_image: opens the picture of an item; called in worker threads, for items with a picture only.
            bar: has `update(number of items)`, such as tqdm's; None for none.

        Yields:
            Items, and (num_items, embedding_dim) float32; of a retriever that gives an item several vectors
            (num_items, max_vectors, embedding_dim), zeros where an item has fewer.

        Raises:
            ImageError: when a picture cannot be opened; names item and file.
            MemoryError, RuntimeError: when a single item does not fit in memory; names it.
        """
        was_training = self.retriever.training
        self.retriever.eval()
        try:
            batches = run_ahead(
                lambda batch: self._prepare(batch, open_image), self._plan(items), self.num_workers or 0
            )
            for batch in batches:
                batch.window.embeddings[batch.places] = self._encode(batch)
                batch.window.num_left -= len(batch.places)
                self.num_truncated += batch.num_truncated
                if bar is not None:
                    bar.update(len(batch.places))
                if not batch.window.num_left:
                    yield batch.window.items, batch.window.embeddings
        finally:
            self.retriever.train(was_training)

    def _plan(self, items: Iterable[KnowledgeItem]) -> Iterator[tuple[_Window, list[int]]]:
        for listed in iterate_windows(items):
            window = _Window(listed, make_room(len(listed), self.retriever.config), len(listed))
            for places in plan_batches(listed, self.batch_size):
                yield window, places

    def _prepare(
        self, planned: tuple[_Window, list[int]], open_image: Callable[[KnowledgeItem], Image | None]
    ) -> _Batch:
        """Everything that needs no model: texts to tokens, and every distinct picture to pixel values."""
        window, places = planned
        items = [window.items[place] for place in places]
        with self._text_lock:
            inputs = self.processor.process_knowledge(items, return_truncated=True)
        num_truncated = int(inputs.pop("truncated").sum())
        shown: dict[ImageRef, KnowledgeItem] = {}
        for item in items:
            if item.image is not None:
                shown.setdefault(item.image, item)
        rows = {image: row for row, image in enumerate(shown)}
        pixels = list(self._prepare_pictures(shown.values(), open_image))
        is_cuda = self.retriever.device.type == "cuda"
        return _Batch(
            window=window,
            places=places,
            # Page-locked memory is copied to a GPU while it computes.
            texts={name: value.pin_memory() if is_cuda else value for name, value in inputs.items()},
            pixel_values=_concatenate(pixels, pin=is_cuda) if pixels else None,
            picture_rows=torch.tensor([rows[item.image] for item in items if item.image is not None]),
            num_truncated=num_truncated,
        )

    def _prepare_pictures(
        self, items: Iterable[KnowledgeItem], open_image: Callable[[KnowledgeItem], Image | None]
    ) -> Iterator[torch.Tensor]:
        """Pixel values of the pictures of items; small ones are prepared together, large ones one by one."""
        opened: list[Image] = []
        num_pixels = 0
        for item in items:
            picture = open_image(item)
            if picture is None:
                raise ValueError(f"Knowledge item {item.id!r} has a picture, but open_image gave none.")
            opened.append(picture)
            num_pixels += picture.width * picture.height
            del picture  # or it would be held while the next one is opened
            if num_pixels >= _PIXELS_AT_ONCE:
                yield self._stack(opened)
                opened, num_pixels = [], 0
        if opened:
            yield self._stack(opened)

    def _stack(self, opened: list[Image]) -> torch.Tensor:
        stacked = stack_pictures([[picture] for picture in opened], self.processor.image_processor)
        return stacked["pixel_values"]

    def _encode(self, batch: _Batch) -> np.ndarray:
        parts, self.batch_size = run_in_batches(
            lambda start, stop: self._run_model(batch, start, stop),
            len(batch.places),
            self.batch_size,
            unit="items",
            name_row=lambda row: f"Knowledge item {batch.window.items[batch.places[row]].id!r}",
        )
        vectors = np.concatenate(parts)
        if vectors.ndim == 2:
            return vectors
        filled = make_room(len(vectors), self.retriever.config)
        filled[:, : vectors.shape[1]] = vectors
        return filled

    def _run_model(self, batch: _Batch, start: int, stop: int) -> np.ndarray:
        device, dtype = self.retriever.device, self.retriever.dtype
        inputs = {name: value[start:stop].to(device, non_blocking=True) for name, value in batch.texts.items()}
        with torch.inference_mode(), torch.autocast(device.type, dtype=torch.bfloat16, enabled=bool(self.bf16)):
            if batch.pixel_values is not None:
                shown, place_of = batch.picture_rows[start:stop].unique(return_inverse=True)
                pixel_values = batch.pixel_values[int(shown[0]) : int(shown[-1]) + 1].to(
                    device, dtype, non_blocking=True
                )
                if len(shown) == stop - start:
                    inputs["pixel_values"] = pixel_values
                else:
                    inputs["image_embeds"] = self.retriever.encode_images(pixel_values)[place_of.to(device)]
            return self.retriever.encode_knowledge(**inputs).float().cpu().numpy()


def encode_knowledge(
    retriever: RablipRetriever,
    processor: RablipRetrieverProcessor,
    knowledge_base: KnowledgeBase,
    *,
    batch_size: int = 64,
    device: Any = None,
    num_workers: int | None = None,
    bf16: bool | None = None,
    progress: bool = True,
) -> np.ndarray:
    """Encode a whole knowledge base into one array, in the order of `knowledge_base.ids`.

    Args:
        retriever: the model.
        processor: its processor.
        knowledge_base: the items.
        batch_size, device, num_workers, bf16: as of `KnowledgeEncoder`.
        progress: whether a bar is shown on a terminal.

    Returns:
        (num_items, embedding_dim) float32, or with several vectors an item as `KnowledgeEncoder.stream` gives them.

    Raises:
        ImageError: when a picture cannot be opened; names item and file.
    """
    encoder = KnowledgeEncoder(
        retriever, processor, batch_size=batch_size, device=device, num_workers=num_workers, bf16=bf16
    )
    embeddings = make_room(len(knowledge_base), retriever.config)
    start = 0
    with show_progress(len(knowledge_base), progress) as bar:
        for items, part in encoder.stream(knowledge_base, knowledge_base.open_item_image, bar):
            embeddings[start : start + len(items)] = part
            start += len(items)
    return embeddings


def show_progress(num_items: int, progress: bool, *, note: str = "") -> tqdm:
    """A bar over items that are encoded, with their rate and the time that is left; on terminals only."""
    return tqdm(total=num_items, desc=f"encoding{note}", unit="item", disable=None if progress else True)


def make_room(num_items: int, config: Any) -> np.ndarray:
    """Zeros for the embeddings of so many items."""
    one = (config.embedding_dim,) if config.max_vectors == 1 else (config.max_vectors, config.embedding_dim)
    return np.zeros((num_items, *one), np.float32)


@dataclass
class _Window:
    """Items among which batches are chosen, and the embeddings of those that were encoded."""

    items: list[KnowledgeItem]
    embeddings: np.ndarray
    num_left: int


@dataclass(frozen=True)
class _Batch:
    """What the model needs of some items of a window: tokens of each, and pixel values of each distinct picture."""

    window: _Window
    places: list[int]
    texts: dict[str, torch.Tensor]
    pixel_values: torch.Tensor | None
    picture_rows: torch.Tensor
    num_truncated: int


def _concatenate(pixels: Sequence[torch.Tensor], *, pin: bool) -> torch.Tensor:
    together = torch.cat(list(pixels))
    return together.pin_memory() if pin else together


def _count_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
