"""Pictures through the frozen tower in a stream: opened by threads one batch ahead, halved when memory runs out."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from ...batch_halving import run_in_batches
from ...processing.images_rablip import ImageError, load_image
from ...processing.knowledge_rablip import ImageRef
from .cached_features import read_picture

__all__ = ["TowerEncoder"]


@dataclass
class TowerEncoder:
    """Runs a model's vision tower over pictures; memory does not grow with their number.

    Args:
        model: any rablip model; its tower is used in evaluation mode, where it lies and in the dtype that it has.
        image_processor: what makes its pixel values.
        dtype: what the features are cast to.
        batch_size: most pictures that the tower gets at once; halved when memory runs out.
        num_threads: threads that open pictures while the tower works.
    """

    model: Any
    image_processor: Any
    dtype: torch.dtype
    batch_size: int = 64
    num_threads: int = 4

    def stream(
        self, hashes: Sequence[str], ids: Mapping[str, str], pictures: Mapping[str, ImageRef], root: str | None
    ) -> Iterator[tuple[Sequence[str], torch.Tensor]]:
        """Encode pictures in the given order.

        Args:
            hashes: sha256 of each picture's bytes.
            ids: an id by hash.
            pictures: pictures by id, asked for when their batch is due.
            root: absolute folder that relative paths start from.

        Yields:
            Hashes and their features `(num_pictures, num_image_tokens, vision_hidden_size)` on the CPU.

        Raises:
            ImageError: when a picture cannot be opened; names it.
            ValueError: when a picture has changed since it was hashed, or its features do not fit the dtype.
        """

        def prepare(sha256: str) -> torch.Tensor:
            return self._prepare(ids[sha256], pictures[ids[sha256]], sha256, root)

        modes = [(module, module.training) for module in self.model.vision_model.modules()]
        self.model.vision_model.eval()
        pool = ThreadPoolExecutor(self.num_threads)
        try:
            for batch, pixel_values in _read_ahead(pool, prepare, hashes, self.batch_size):
                yield batch, self._encode([ids[sha256] for sha256 in batch], torch.cat(pixel_values))
        finally:
            pool.shutdown(cancel_futures=True)
            for module, mode in modes:
                module.training = mode

    def _prepare(self, key: str, image: ImageRef, sha256: str, root: str | None) -> torch.Tensor:
        # Read once and opened from memory, so that the features are of the bytes that were hashed.
        data = read_picture(key, image, root)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ValueError(f"Picture {image.name} of {key!r} changed while the cache was built. Build again.")
        try:
            opened = load_image(ImageRef(data=data))
        except ImageError as error:
            raise ImageError(f"The picture of {key!r} ({image.name}) cannot be used. {error}") from error
        return self.image_processor([opened], return_tensors="pt")["pixel_values"]

    def _encode(self, keys: Sequence[str], pixel_values: torch.Tensor) -> torch.Tensor:
        parts, self.batch_size = run_in_batches(
            lambda start, stop: self._run(pixel_values[start:stop]),
            len(keys),
            self.batch_size,
            unit="pictures",
            name_row=lambda row: f"The picture of {keys[row]!r}",
        )
        features = torch.cat(parts)
        finite = features.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            key = keys[int(finite.int().argmin())]
            raise ValueError(
                f"The features of {key!r} are not finite in {str(self.dtype).removeprefix('torch.')}. Store bfloat16 "
                "or float32, and look at the tower's own precision."
            )
        return features

    def _run(self, pixel_values: torch.Tensor) -> torch.Tensor:
        tower = next(self.model.vision_model.parameters())
        # Without autocast, so that what is stored does not depend on where the cache is built.
        with torch.no_grad(), torch.autocast(tower.device.type, enabled=False):
            features = self.model.encode_images(pixel_values.to(tower.device, tower.dtype))[:, 0]
            return features.to(self.dtype).cpu()


def _read_ahead(
    pool: ThreadPoolExecutor, prepare: Callable[[str], torch.Tensor], hashes: Sequence[str], batch_size: int
) -> Iterator[tuple[Sequence[str], list[torch.Tensor]]]:
    waiting: deque[tuple[Sequence[str], list[Future[torch.Tensor]]]] = deque()
    for start in range(0, len(hashes), batch_size):
        batch = hashes[start : start + batch_size]
        waiting.append((batch, [pool.submit(prepare, sha256) for sha256 in batch]))
        if len(waiting) > 1:
            due, futures = waiting.popleft()
            yield due, [future.result() for future in futures]
    for due, futures in waiting:
        yield due, [future.result() for future in futures]
